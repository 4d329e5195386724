"""The Verilog of a `SharedConv`: the stage around its dense modules.

Ports as of a dense module. With more than one step the input is held, a counter walks over the windows and starts the
dense modules every reuse factor's cycles, and what they give is shifted into a bank of registers; the last step's
results go straight out. With a single step all of it is wires.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from evonas.synthesis.graph import ABSENT, Port
from evonas.synthesis.rtl.dense_verilog import dense_module
from evonas.synthesis.rtl.verilog import bits, cast_words, concatenate, constant, module

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evonas.synthesis.rtl.shared_conv import SharedConv

ZERO = Port((False,), (0,), (0,))  # a word without bits, behind the input's, for padding


def conv_module(layer: SharedConv) -> str:
    """The text of the module `layer.name` and of the dense modules that it needs."""
    body = [*_control(layer), *_windows(layer), *_cores(layer), *_results(layer)]
    inputs, outputs = sum(layer.inputs.widths), sum(layer.outputs.widths)
    texts = [dense_module(core, layer.parallel) for core in layer.cores]
    return "\n".join([*texts, module(layer.name, inputs, outputs, body)])


def _control(layer: SharedConv) -> Iterator[str]:
    """`held`, `step`, the window whose turn it is, and `go`, which starts the dense modules on it."""
    if layer.steps == 1:
        yield "wire go = start;"
        return
    factor, width = layer.reuse_factor, (layer.steps - 1).bit_length()
    yield f"reg {bits(sum(layer.inputs.widths))} held;"
    yield "always @(posedge clk) if (start) held <= model_inp;"
    yield "reg active = 0;"
    yield f"reg {bits(width)} step = 0;"
    if factor > 1:
        beats = (factor - 1).bit_length()
        yield f"reg {bits(beats)} beat = 0;"
        yield f"wire turn = beat == {constant(factor - 1, beats)};"
        yield "always @(posedge clk) beat <= start | turn ? 0 : beat + 1;"
    else:
        yield "wire turn = 1;"
    yield f"wire last = step == {constant(layer.steps - 1, width)};"
    yield "always @(posedge clk) begin"
    yield "    active <= !rst & (start | (active & !(turn & last)));"
    yield "    step <= start | (turn & last) ? 0 : step + turn;"
    yield "end"
    yield f"wire go = active{' & beat == 0' if factor > 1 else ''};"


def _windows(layer: SharedConv) -> Iterator[str]:
    """`window_<group>`: the windows of this step, one above the other; a word that several read is chosen once."""
    words: dict[tuple[tuple[int, ...], tuple[int, int, int]], str] = {}
    for group, (core, pixels) in enumerate(zip(layer.cores, layer.turns.tolist(), strict=True)):
        kinds = list(zip(core.inputs.signed, core.inputs.integer, core.inputs.fraction, strict=True))
        parts = []
        for taps in pixels:
            for tap, kind in enumerate(kinds):
                if not core.inputs.widths[tap]:
                    continue
                key = tuple(taps[tap]), (int(kind[0]), *kind[1:])
                if key not in words:
                    words[key] = f"word_{len(words)}"
                    yield from _word(layer, words[key], *key)
                parts.append(words[key])
        yield f"wire {bits(sum(core.inputs.widths) * layer.parallel)} window_{group} = {concatenate(parts)};"


def _word(layer: SharedConv, name: str, turns: tuple[int, ...], kind: tuple[int, int, int]) -> Iterator[str]:
    """A word of a window, of the type `kind`: the one of `turns` whose step it is."""
    source = "held" if layer.steps > 1 else "model_inp"
    kinds = Port.of([kind] * len(turns))
    width, order = kinds.widths[0], [len(layer.inputs.widths) if turn == ABSENT else turn for turn in turns]
    if len(set(turns)) == 1:
        order, kinds = order[:1], kinds.pick([0])
    words = cast_words(source, layer.inputs + ZERO, order, kinds)
    if len(order) == 1:
        yield f"wire {bits(width)} {name} = {words};"
        return
    yield f"wire {bits(sum(kinds.widths))} {name}_turns = {words};"
    yield f"wire {bits(width)} {name} = {name}_turns[step*{width} +: {width}];"


def _cores(layer: SharedConv) -> Iterator[str]:
    """The dense modules, and what they give: `result_<group>` while `come` is high."""
    for group, core in enumerate(layer.cores):
        yield f"wire {bits(sum(core.outputs.widths) * layer.parallel)} result_{group};"
        done = "come" if group == 0 else ""
        if done:
            yield f"wire {done};"
        ports = f".clk(clk), .rst(rst), .start(go), .done({done})"
        yield f"{core.name} core_{group} ({ports}, .model_inp(window_{group}), .model_out(result_{group}));"


def _results(layer: SharedConv) -> Iterator[str]:
    """`model_out` and `done`."""
    width = sum(layer.cores[0].outputs.widths)
    parts = [
        f"result_{group}[{(pixel + 1) * width - 1}:{pixel * width}]"
        for pixel in range(layer.parallel)
        for group in range(len(layer.cores))
    ]
    total = width * len(parts)
    yield f"wire {bits(total)} result = {concatenate(parts)};"
    if layer.steps == 1:
        yield "assign done = come;"
        yield "assign model_out = result;"
        return
    kept, count = total * (layer.steps - 1), (layer.steps - 1).bit_length()
    following = "result" if layer.steps == 2 else f"{{result, bank[{kept - 1}:{total}]}}"
    yield f"reg {bits(kept)} bank;"
    yield f"always @(posedge clk) if (come) bank <= {following};"
    yield f"reg {bits(count)} arrived = 0;"
    yield f"wire complete = arrived == {constant(layer.steps - 1, count)};"
    yield "always @(posedge clk)"
    yield "    if (rst) arrived <= 0;"
    yield "    else if (come) arrived <= complete ? 0 : arrived + 1;"
    yield "assign done = come & complete;"
    yield "assign model_out = {result, bank};"
