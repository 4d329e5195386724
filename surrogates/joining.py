"""What operations without weights take in hardware: closed forms, as for layers.

A sum of m words of w bits is m - 1 adders of about w bits; a maximum needs a comparator and a choice for each. A
product of two variables is a DSP slice where it has 9 bits or more (what yosys maps to one), else 1.5 LUTs for each
pair of bits (measured: 27 LUTs for 4 x 4 bits). A table addressed by b bits takes 2^(b - 6) LUTs per output bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from surrogates.layers import REDUCTIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from surrogates.layers import OperationSpec, Shape

DSP_PRODUCT_BITS = 9
LUT_PER_PRODUCT_BIT = 1.5
TABLE_BITS = 10  # of the addresses of softmax's tables, at most
LUT_BITS = 6


@final
@dataclass(frozen=True)
class Joining:
    """Of one operation: `lut` and `dsp` in cells, `levels` of adders, and the `bits` of each word that leaves it.

    `macs`, `bops` and `ebops` count the products of a "matmul", by the formulas for layers with the second operand in
    the place of the weights; the few products inside a softmax count in none of them, as elsewhere.
    """

    bits: float
    lut: float = 0.0
    levels: float = 0.0
    dsp: float = 0.0
    macs: float = 0.0
    bops: float = 0.0
    ebops: float = 0.0


def joining(part: OperationSpec, shapes: Sequence[Shape], bits: Sequence[float]) -> Joining:
    """Costs of an operation, from the shapes and bits of its operands."""
    (positions, channels), width = shapes[0], max(bits)
    if part.kind in REDUCTIONS:
        terms = positions // part.groups
        growth = 0.0 if part.kind == "max" else math.log2(terms)
        each = 1.5 * width if part.kind == "max" else width + growth / 2
        result = part.activation_bits or width + math.ceil(growth)
        return Joining(result, part.groups * channels * (terms - 1) * each, math.ceil(math.log2(terms)))
    if part.kind == "add":
        return Joining(part.activation_bits or width + 1, positions * channels * (width + 1), 1.0)
    if part.kind == "matmul":
        return _matmul(part, shapes, bits)
    if part.kind == "softmax":
        return _softmax(positions, channels, width, part.activation_bits)
    return Joining(width)


def _matmul(part: OperationSpec, shapes: Sequence[Shape], bits: Sequence[float]) -> Joining:
    (n, k), (_, m) = shapes
    a, b = bits
    products, growth = n * k * m, math.log2(k)
    lut, dsp = product_cells(a, b)
    return Joining(
        bits=part.activation_bits or a + b + math.ceil(growth),
        lut=products * lut + n * m * (k - 1) * (a + b + growth / 2),
        levels=math.ceil(growth) + (0.0 if dsp else math.ceil(math.log2(max(min(a, b), 1)))),
        dsp=products * dsp,
        macs=products,
        bops=products * (a * b + a + b + growth),
        ebops=products * a * b,
    )


def _softmax(positions: int, terms: int, width: float, bits: int) -> Joining:
    """Largest word, differences, exponentials, their sum, its reciprocal and the products, for each row."""
    growth = math.log2(terms)
    total_bits = min(bits + 4, TABLE_BITS)
    lut, dsp = product_cells(bits + 1, bits + 1)
    row = (terms - 1) * 1.5 * width + terms * (width + 2 * bits)
    row += terms * _table(min(bits, TABLE_BITS), bits + 1) + (terms - 1) * (bits + 1 + growth / 2)
    row += _table(total_bits, bits + 1) + terms * lut
    return Joining(bits, positions * row, 2 * math.ceil(growth) + 4, positions * terms * dsp)


def product_cells(first: float, second: float) -> tuple[float, float]:
    """LUTs and DSP slices of a product of two variables of so many bits."""
    large = first + second >= DSP_PRODUCT_BITS and min(first, second) > 1
    return (0.0, 1.0) if large else (LUT_PER_PRODUCT_BIT * first * second, 0.0)


def _table(address: int, bits: int) -> float:
    return bits * 2.0 ** max(address - LUT_BITS, -1)
