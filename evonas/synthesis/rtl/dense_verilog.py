"""The Verilog of a `SharedDense`, for one input vector or several side by side that meet the same weights.

Ports: `clk`, `rst`, `start` (take `model_inp` at this edge), `done` (`model_out` is a result now, for one cycle).
A step of work goes through: the held input and the memory of weights, the operands' registers, the products'
registers, a tree of adders with a register after each level, the accumulators. Flags of a step go along with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from evonas.synthesis.rtl.schedule import OPERAND_AND_PRODUCT
from evonas.synthesis.rtl.verilog import bits, cast_words, concatenate, constant, delay, memory, module

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evonas.synthesis.rtl.shared_dense import SharedDense

Term = tuple[str, int]  # a signed vector and its width


def dense_module(layer: SharedDense, vectors: int = 1) -> str:
    """The text of the module `layer.name`; it needs no other.

    With `vectors` above 1 its ports have so many inputs and results, one above the other. They share the weights'
    memory and the counters, and have multipliers and accumulators of their own.
    """
    inputs, outputs = sum(layer.inputs.widths), sum(layer.outputs.widths)
    body = [*_steps(layer), *_weights(layer), *_control(layer)]
    if vectors == 1:
        body += [*_operands(layer, "model_inp"), *_lanes(layer, "model_out")]
    else:
        body += [
            "genvar vector;",
            f"generate for (vector = 0; vector < {vectors}; vector = vector + 1) begin : each",
            f"    wire {bits(inputs)} words = model_inp[vector*{inputs} +: {inputs}];",
            *(f"    {line}" for line in _operands(layer, "words")),
            *(f"    {line}" for line in _lanes(layer, f"model_out[vector*{outputs} +: {outputs}]")),
            "end endgenerate",
        ]
    return module(layer.name, inputs * vectors, outputs * vectors, body)


def _steps(layer: SharedDense) -> Iterator[str]:
    """Counters: `step` of the reuse factor's cycles, and which `group` and `position` that is."""
    plan = layer.schedule
    if plan.reuse_factor == 1:
        return
    width = (plan.reuse_factor - 1).bit_length()
    last = constant(plan.reuse_factor - 1, width)
    yield f"reg {bits(width)} address = 0; // one edge ahead of step: a block memory takes that long"
    yield "always @(posedge clk)"
    yield "    if (rst) address <= 0;"
    yield "    else if (start) address <= 1;"
    yield f"    else if (address != 0) address <= address == {last} ? 0 : address + 1;"
    yield f"reg {bits(width)} step = 0;"
    yield "always @(posedge clk) step <= rst ? 0 : address; // the last step would announce a result"
    if plan.groups == 1 or plan.positions == 1:
        return
    position, group = (plan.positions - 1).bit_length(), (plan.groups - 1).bit_length()
    yield f"reg {bits(position)} position = 0;"
    yield f"reg {bits(group)} group = 0;"
    yield f"wire turn = position == {constant(plan.positions - 1, position)};"
    yield "always @(posedge clk) begin"
    yield "    position <= address == 0 || turn ? 0 : position + 1;"
    yield "    group <= address == 0 ? 0 : group + turn;"
    yield "end"


def _position(layer: SharedDense) -> str:
    return "position" if layer.schedule.groups > 1 else "step"


def _group(layer: SharedDense) -> str:
    return "group" if layer.schedule.positions > 1 else "step"


def _operands(layer: SharedDense, source: str) -> Iterator[str]:
    """`operand`: the inputs of this step, one per tap of the vector `source`, in the registers of the multipliers."""
    plan, port = layer.schedule, layer.operands
    word, taps = port.widths[0], plan.taps * port.widths[0]
    yield f"wire {bits(word * plan.n_in)} aligned = {cast_words(source, layer.inputs, range(plan.n_in), port)};"
    yield f"reg {bits(taps)} operand;"
    if plan.reuse_factor == 1:
        yield "always @(posedge clk) operand <= aligned;"
        return
    yield f"reg {bits(word * plan.n_in)} held;"
    yield "always @(posedge clk) if (start) held <= aligned;"
    if plan.positions == 1:
        yield "always @(posedge clk) operand <= held;"
        return
    width = (plan.positions - 1).bit_length()
    for low in range(0, taps, word):  # tap by tap: synthesis sees where a tap only ever meets padding
        yield "always @(posedge clk)"
        yield f"    case ({_position(layer)})"
        for position in range(plan.positions):
            label, first = constant(position, width), position * taps + low
            label = label if position < plan.positions - 1 else "default"
            yield f"        {label}: operand[{low + word - 1}:{low}] <= held[{first + word - 1}:{first}];"
        yield "    endcase"


def _weights(layer: SharedDense) -> Iterator[str]:
    """`weights`: those of this step, in the registers of the multipliers; the live ones alone, in order."""
    if layer.reuse_factor == 1 or not layer.live.any():
        return
    width = layer.weight_type.width
    words = [
        sum((int(code) & ((1 << width) - 1)) << (width * place) for place, code in enumerate(column))
        for column in layer.codes[layer.live].T
    ]
    total = width * int(layer.live.sum())
    yield from memory("memory", words, total, layer.storage)
    yield f"reg {bits(total)} weights;"
    if layer.storage == "block":
        yield f"reg {bits(total)} fetched;"
        yield "always @(posedge clk) fetched <= memory[address];"
        yield "always @(posedge clk) weights <= fetched;"
    else:
        yield "always @(posedge clk) weights <= memory[step];"


def _control(layer: SharedDense) -> Iterator[str]:
    """`first` and `group_now` of the step that is about to be accumulated, `close` one edge later, and `done`."""
    plan = layer.schedule
    cycles = OPERAND_AND_PRODUCT + plan.tree_levels
    if plan.reuse_factor == 1:
        finish = "start"
    else:
        finish = f"step == {constant(plan.reuse_factor - 1, (plan.reuse_factor - 1).bit_length())}"
    yield from delay("finished", 1, cycles + 1, finish, reset=True)
    yield "assign done = finished;"
    if plan.positions > 1:
        width = (plan.positions - 1).bit_length()
        yield from delay("first", 1, cycles, f"{_position(layer)} == 0")
        if plan.groups > 1:
            last = constant(plan.positions - 1, width)
            yield from delay("close", 1, cycles + 1, f"{_position(layer)} == {last}")
    if plan.groups > 1:
        yield from delay("group_now", (plan.groups - 1).bit_length(), cycles, _group(layer))


def _lanes(layer: SharedDense, target: str) -> Iterator[str]:
    """Products, trees and accumulators; the vector `target`."""
    plan = layer.schedule
    results = []
    places = np.cumsum(layer.live.ravel()).reshape(layer.live.shape) - 1  # of a multiplier's weight in `weights`
    for lane in range(plan.lanes):
        terms: list[Term] = []
        for tap in np.flatnonzero(layer.live[lane]):
            name = f"product_{lane}_{tap}"
            yield from _product(layer, name, lane, int(tap), int(places[lane, tap]))
            terms.append(_cast(layer, name))
        total = f"sum_{lane}"
        yield from _tree(layer, total, terms)
        yield from _accumulate(layer, lane, total)
        results.append(f"result_{lane}")
    yield f"assign {target} = {concatenate(results)};"


def _product(layer: SharedDense, name: str, lane: int, tap: int, place: int) -> Iterator[str]:
    """A register with the product of a tap's input and weight, at full precision."""
    left, right = layer.product_widths
    word, width = layer.operands.widths[0], layer.weight_type.width
    x = f"operand[{(tap + 1) * word - 1}:{tap * word}]"
    x = f"$signed({x})" if layer.operands.signed[0] else f"$signed({{1'b0, {x}}})"
    if layer.shifted[lane, tap]:
        code = int(layer.codes[lane, tap, 0])
        yield f"reg signed {bits(left + right)} {name};"
        shifted = f"{x} <<< {abs(code).bit_length() - 1}"
        yield f"always @(posedge clk) {name} <= {shifted if code > 0 else f'-({shifted})'};"
        return
    if layer.reuse_factor == 1:
        w = f"$signed({constant(int(layer.codes[lane, tap, 0]), right)})"
    else:
        w = f"weights[{(place + 1) * width - 1}:{place * width}]"
        w = f"$signed({w})" if layer.weight_type.signed else f"$signed({{1'b0, {w}}})"
    yield f'(* use_dsp = "yes" *) reg signed {bits(left + right)} {name};'
    yield f'always @(posedge clk) {name} <= {x} * (* use_dsp = "yes" *) {w};'


def _cast(layer: SharedDense, name: str) -> Term:
    """A product cut off below the accumulator's last bit, not yet above its first."""
    width = sum(layer.product_widths)
    surplus = layer.product_fraction - layer.accumulator.fraction
    if surplus <= 0:
        return concatenate([*([f"{-surplus}'b0"] if surplus else []), name]), width - surplus
    lowest = min(surplus, width - 1)  # below all of its bits a product is 0 or, rounded down, -1: its sign
    return f"{name}[{width - 1}:{lowest}]", width - lowest


def _tree(layer: SharedDense, total: str, terms: list[Term]) -> Iterator[str]:
    """`total`, of the accumulator's width: the sum of `terms`, with a register after each level of adders."""
    full = layer.accumulator.width
    for level in range(layer.schedule.tree_levels):
        sums: list[Term] = []
        for first in range(0, len(terms), 2):
            pair = terms[first : first + 2]
            width = min(max(width for _, width in pair) + len(pair) - 1, full)
            name = f"{total}_{level}_{first // 2}"
            yield f"reg signed {bits(width)} {name};"
            yield f"always @(posedge clk) {name} <= {' + '.join(f'$signed({term})' for term, _ in pair)};"
            sums.append((name, width))
        terms = sums
    yield f"wire signed {bits(full)} {total} = {f'$signed({terms[0][0]})' if terms else 0};"


def _accumulate(layer: SharedDense, lane: int, total: str) -> Iterator[str]:
    """`result_<lane>`: the outputs of a lane, the last one straight from its accumulator."""
    plan, width = layer.schedule, layer.accumulator.width
    codes = layer.accumulator.codes(layer.bias)[lane * plan.groups : (lane + 1) * plan.groups]
    start, accumulator, result = constant(int(codes[0]), width), f"accumulator_{lane}", f"result_{lane}"
    if plan.groups > 1:
        words = [int(code) & ((1 << width) - 1) for code in codes]
        yield from memory(f"bias_{lane}", words, width, "distributed")
        start = f"bias_{lane}[group_now]"
    if plan.positions > 1:
        start = f"(first ? {start} : {accumulator})"
    yield f"reg {bits(width)} {accumulator};"
    yield f"always @(posedge clk) {accumulator} <= {start} + {total};"
    if plan.groups == 1:
        yield f"wire {bits(width)} {result} = {accumulator};"
        return
    earlier = f"earlier_{lane}"
    kept = (plan.groups - 1) * width
    following = accumulator if plan.groups == 2 else f"{{{accumulator}, {earlier}[{kept - 1}:{width}]}}"
    yield f"reg {bits(kept)} {earlier};"
    yield f"always @(posedge clk) {'if (close) ' if plan.positions > 1 else ''}{earlier} <= {following};"
    yield f"wire {bits(kept + width)} {result} = {{{accumulator}, {earlier}}};"
