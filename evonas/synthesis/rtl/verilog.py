"""Small pieces of Verilog text that more than one module of this package writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from evonas.synthesis.graph import Port

# yosys puts products of fewer than nine bits into LUTs. A map for `techmap`, to be applied to the multiplications that
# carry the attribute use_dsp: it widens the operands beyond that limit, in a cell that no later pass narrows again.
DSP_REQUEST = """\
(* techmap_celltype = "$mul" *)
module dsp_request (A, B, Y);
    parameter A_SIGNED = 0;
    parameter B_SIGNED = 0;
    parameter A_WIDTH = 1;
    parameter B_WIDTH = 1;
    parameter Y_WIDTH = 1;
    localparam LEFT = A_WIDTH > 9 ? A_WIDTH : 9;
    localparam RIGHT = B_WIDTH > 9 ? B_WIDTH : 9;
    localparam FULL = LEFT + RIGHT;
    (* force_downto *) input [A_WIDTH-1:0] A;
    (* force_downto *) input [B_WIDTH-1:0] B;
    (* force_downto *) output [Y_WIDTH-1:0] Y;
    wire [LEFT-1:0] left = {{LEFT{A_SIGNED ? A[A_WIDTH-1] : 1'b0}}, A};
    wire [RIGHT-1:0] right = {{RIGHT{B_SIGNED ? B[B_WIDTH-1] : 1'b0}}, B};
    wire [FULL-1:0] product;
    assign Y = {{Y_WIDTH{product[FULL-1]}}, product};
    generate
        if (!A_SIGNED || !B_SIGNED)
            wire _TECHMAP_FAIL_ = 1;
        else if (LEFT >= RIGHT)
            \\$__mul #(.A_SIGNED(1), .B_SIGNED(1), .A_WIDTH(LEFT), .B_WIDTH(RIGHT), .Y_WIDTH(FULL))
                _TECHMAP_REPLACE_ (.A(left), .B(right), .Y(product));
        else
            \\$__mul #(.A_SIGNED(1), .B_SIGNED(1), .A_WIDTH(RIGHT), .B_WIDTH(LEFT), .Y_WIDTH(FULL))
                _TECHMAP_REPLACE_ (.A(right), .B(left), .Y(product));
    endgenerate
endmodule
"""


def bits(width: int) -> str:
    """The range of a vector: `[7:0]` for a width of 8."""
    return f"[{width - 1}:0]"


def module(name: str, inputs: int, outputs: int, body: Iterable[str]) -> str:
    """The text of a stage that is told when to `start` and says when it is `done`; ports of so many bits."""
    ports = [
        "input clk",
        "input rst",
        "input start",
        f"input {bits(inputs)} model_inp",
        "output done",
        f"output {bits(outputs)} model_out",
    ]
    lines = [f"module {name} (", *(f"    {port}," for port in ports[:-1]), f"    {ports[-1]}", ");"]
    return "\n".join([*lines, *(f"    {line}" for line in body), "endmodule", ""])


def constant(code: int, width: int) -> str:
    """A literal of `width` bits; a negative code in two's complement."""
    return f"{width}'h{code & ((1 << width) - 1):x}"


def concatenate(parts: Sequence[str]) -> str:
    """One vector of `parts`, the least significant first."""
    return parts[0] if len(parts) == 1 else "{" + ", ".join(reversed(parts)) + "}"


def delay(name: str, width: int, cycles: int, source: str, *, reset: bool = False) -> list[str]:
    """A vector `name`: what `source` was `cycles` clock edges ago. With `reset` it starts at 0 and `rst` clears it."""
    if cycles == 0:
        return [f"wire {bits(width)} {name} = {source};"]
    line, total = f"{name}_line", width * cycles
    following = source if cycles == 1 else f"{{{line}[{total - width - 1}:0], {source}}}"
    return [
        f"reg {bits(total)} {line}{' = 0' if reset else ''};",
        f"always @(posedge clk) {line} <= {'rst ? 0 : ' if reset else ''}{following};",
        f"wire {bits(width)} {name} = {line}[{total - 1}:{total - width}];",
    ]


def memory(name: str, words: Sequence[int], width: int, storage: str) -> list[str]:
    """A read-only memory `name` of `words`, kept in LUTs ("distributed") or block RAM ("block")."""
    style = [f'(* rom_style = "{storage}" *)']
    if storage == "distributed":  # which to yosys means RAM made of LUTs, and that has no ROM
        style = ["`ifdef YOSYS", "(* logic_block *)", "`else", *style, "`endif"]
    return [
        *style,
        f"reg {bits(width)} {name} [0:{len(words) - 1}];",
        "initial begin",
        *(f"    {name}[{address}] = {constant(word, width)};" for address, word in enumerate(words)),
        "end",
    ]


def cast_words(vector: str, source: Port, order: Sequence[int], target: Port) -> str:
    """An expression for a port of type `target` whose k-th word is word `order[k]` of `vector`, of type `source`.

    Bits that a word of `target` has no place for are dropped on both sides; bits that are not there are 0 below the
    point and the sign above it.
    """
    offsets = [sum(source.widths[:word]) for word in range(len(source.widths))]
    words = [
        part
        for place, word in enumerate(order)
        for part in _cast_word(vector, offsets[word], _word(source, word), _word(target, place))
    ]
    return concatenate(words)


def _word(port: Port, index: int) -> tuple[bool, int, int]:
    """Signedness, width and fraction bits of a word."""
    return port.signed[index], port.widths[index], port.fraction[index]


def _cast_word(vector: str, offset: int, source: tuple[bool, int, int], target: tuple[bool, int, int]) -> Iterator[str]:
    """The parts of a cast word, least significant first."""
    signed, width, fraction = source
    _, wanted, target_fraction = target
    zeros = wanted if width == 0 else min(max(target_fraction - fraction, 0), wanted)
    low = max(fraction - target_fraction, 0)
    high = min(low + wanted - zeros, width)
    copied = max(high - low, 0)
    if zeros:
        yield f"{zeros}'b0"
    if copied:
        yield f"{vector}[{offset + high - 1}:{offset + low}]"
    if missing := wanted - zeros - copied:
        above = f"{vector}[{offset + width - 1}]" if signed else "1'b0"
        yield f"{{{missing}{{{above}}}}}"
