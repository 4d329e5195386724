"""A `Graph` computed exactly in numpy: the reference for hardware, independent of the tools that make it.

Everything is float64, which is exact while no intermediate needs more than 53 bits; `check_exact` refuses the rest.
"""

from __future__ import annotations

import math
from functools import singledispatch
from typing import TYPE_CHECKING, Any

import numpy as np

from evonas.errors import FailureKind, ToolError
from evonas.models.fixed_point import FixedPoint
from evonas.synthesis import graph as g

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from evonas.models.fixed_point import Rounding

    Words = NDArray[np.float64]  # (n, size)
    Kinds = list[tuple[FixedPoint, ...]]  # the types of each operand's words

BLOCK = 1 << 16  # products at a time: they stay in the processor's cache
EXACT_BITS = 53
INTEGER_BITS = 63


def evaluate(graph: g.Graph, *inputs: NDArray[np.floating]) -> tuple[Words, ...]:
    """Outputs, one (n, size) per output tensor, of real-valued inputs, one (n, ...) per input tensor."""
    values = trace(graph, *inputs)
    return tuple(values[name] for name in graph.outputs)


def trace(graph: g.Graph, *inputs: NDArray[np.floating]) -> dict[str, Words]:
    """What leaves every node, (n, size) by name."""
    values: dict[str, Words] = {}
    sources = iter(inputs)
    for node in graph.nodes:
        if isinstance(node, g.Input):
            data = np.asarray(next(sources), np.float64)
            values[node.name] = cast(data.reshape(len(data), -1), node.result)
        else:
            operands = [values[name] for name in node.inputs]
            kinds = [graph[name].results for name in node.inputs]
            values[node.name] = cast(compute(node, operands, kinds), node.result)
    return values


def cast(x: Words, kinds: g.Types) -> Words:
    """The words (n, size) cast to one type, or each to its own."""
    if isinstance(kinds, FixedPoint):
        return kinds.quantise(x)
    result = np.empty_like(x)
    for kind in set(kinds):
        columns = [index for index, own in enumerate(kinds) if own == kind]
        result[:, columns] = kind.quantise(x[:, columns])
    return result


def check_exact(what: str, bits: int, most: int = EXACT_BITS) -> None:
    """Raise `ToolError` (UNSUPPORTED) for a number of more than `most` bits, by default what float64 holds."""
    if bits > most:
        message = f"{what} needs {bits} bits; exact arithmetic ends at {most}: use narrower types"
        raise ToolError(FailureKind.UNSUPPORTED, message)


def span(kinds: Sequence[FixedPoint]) -> FixedPoint:
    """The narrowest signed type that holds every value of all `kinds`."""
    fraction = max(kind.fraction for kind in kinds)
    integer = max(kind.integer + (not kind.signed) for kind in kinds)
    check_exact("a sum of words of different types", integer + fraction)
    return FixedPoint(True, integer + fraction, integer)


@singledispatch
def compute(node: g.Node, x: list[Words], _: Kinds) -> Words:
    """What the node computes before its result is cast, (n, size)."""
    raise NotImplementedError(type(node))


@compute.register(g.Linear)
def _linear(node: g.Linear, x: list[Words], kinds: Kinds) -> Words:
    padded = np.concatenate([x[0], np.zeros((len(x[0]), 1))], axis=1)  # ABSENT reads the last, a zero
    accumulator, source = node.accumulator, span(kinds[0])
    if keeps_products(node, source) and (accumulator.overflow == "WRAP" or not may_overflow(node, source)):
        check_exact(f"a sum of layer {node.name}", _sum_bits(node, source))
        products = np.einsum("ngpk,gkf->npgf", padded[:, node.gather], node.weight, optimize=True)
        return accumulator.quantise(products + accumulator.quantise(node.bias)).reshape(len(padded), -1)
    rows = max(1, BLOCK // max(node.gather[:, :, 0].size * node.weight.shape[2], 1))
    codes = np.rint(padded / source.lsb)
    sums = [_rounded_sums(node, codes[n : n + rows], source) for n in range(0, len(codes), rows)]
    return np.concatenate(sums, dtype=np.float64) if sums else np.zeros((0, node.size))


def _sum_bits(node: g.Linear, source: FixedPoint) -> int:
    """Bits that hold every sum of products, and the bias and the rounding on top of it, at the finer last bit."""
    weights = round(float(np.abs(node.weight).sum(axis=1).max(initial=0.0)) / node.weight_type.lsb)
    finer = max(node.accumulator.fraction - source.fraction - node.weight_type.fraction, 0)
    return max(source.width + weights.bit_length() + finer, node.accumulator.width) + 2


def _rounded_sums(node: g.Linear, codes: Words, source: FixedPoint) -> Words:
    """Sums of products that are cast one by one, in the order of hls4ml's loops; `codes` are (n, words + 1)."""
    accumulator = node.accumulator
    dropped = source.fraction + node.weight_type.fraction - accumulator.fraction
    bits = max(_sum_bits(node, source), dropped + 2)
    check_exact(f"a sum of layer {node.name}", bits, INTEGER_BITS)
    integer: Any = np.int32 if bits <= 32 else np.int64
    words, weights = codes.astype(integer), np.rint(node.weight / node.weight_type.lsb).astype(integer)
    total: NDArray[Any] = np.rint(accumulator.quantise(node.bias) / accumulator.lsb).astype(integer)  # (1 or P, G, F)
    for tap in range(node.gather.shape[2]):
        products = words[:, node.gather[:, :, tap].T, None] * weights[:, tap]
        products = _saturate(_drop(products, dropped, accumulator.rounding), accumulator)
        total = _saturate(total + products, accumulator)
    exact = total.astype(np.int64).reshape(len(codes), -1)
    low = round(accumulator.low / accumulator.lsb)
    wrapped = ((exact - low) & ((1 << accumulator.width) - 1)) + low  # once at the end is enough
    return np.asarray(wrapped * accumulator.lsb, np.float64)


def _drop(codes: NDArray[np.integer], bits: int, rounding: Rounding) -> NDArray[np.integer]:
    """codes / 2**bits as whole numbers."""
    if bits <= 0:
        return codes << -bits
    half, ones = 1 << (bits - 1), (1 << bits) - 1
    negative = codes >> (8 * codes.itemsize - 1)  # -1 where negative, 0 elsewhere
    more: dict[Rounding, Callable[[], Any]] = {
        "TRN": lambda: 0,
        "TRN_ZERO": lambda: negative & ones,
        "RND": lambda: half,
        "RND_MIN_INF": lambda: half - 1,
        "RND_ZERO": lambda: half - 1 - negative,
        "RND_INF": lambda: half + negative,
        "RND_CONV": lambda: half - 1 + ((codes >> bits) & 1),
    }
    return np.asarray((codes + more[rounding]()) >> bits)


def _saturate(codes: NDArray[np.integer], kind: FixedPoint) -> NDArray[np.integer]:
    """Whole numbers in the range of `kind`; WRAP leaves them."""
    if kind.overflow == "WRAP":
        return codes
    low, high = round(_lowest(kind) / kind.lsb), round(kind.high / kind.lsb)
    if kind.overflow == "SAT_ZERO":
        return np.where((codes < low) | (codes > high), 0, codes)
    return np.asarray(np.clip(codes, low, high))


def _lowest(kind: FixedPoint) -> float:
    """The smallest value that a cast gives."""
    return -kind.high if kind.signed and kind.overflow == "SAT_SYM" else kind.low


def keeps_products(node: g.Linear, source: FixedPoint) -> bool:
    """Whether the accumulator has all fraction bits of the products."""
    used = [math.frexp(float(w)) for w in np.unique(np.abs(node.weight)) if w]
    finest = max((_fraction_bits(m, e) for m, e in used), default=0)
    return node.accumulator.fraction >= source.fraction + finest


def _fraction_bits(mantissa: float, exponent: int) -> int:
    code = int(mantissa * 2**EXACT_BITS)
    return EXACT_BITS - exponent - ((code & -code).bit_length() - 1)


def may_overflow(node: g.Linear, source: FixedPoint) -> bool:
    """Whether some partial sum, in some order, may leave the accumulator's range."""
    ends = np.stack([source.low * node.weight, source.high * node.weight])
    lowest = np.minimum(ends.min(axis=0), 0).sum(axis=1) + np.minimum(node.bias, 0)
    highest = np.maximum(ends.max(axis=0), 0).sum(axis=1) + np.maximum(node.bias, 0)
    slack = node.accumulator.lsb * (node.weight.shape[1] + 1)  # rounding of each product
    negative = lowest.min(initial=0.0)
    return bool(
        highest.max(initial=0.0) + slack > node.accumulator.high
        or negative - slack * (negative < 0) < _lowest(node.accumulator)
    )


@compute.register(g.Scale)
def _scale(node: g.Scale, x: list[Words], _: Kinds) -> Words:
    return x[0] * node.scale + node.bias


@compute.register(g.Rectify)
def _rectify(node: g.Rectify, x: list[Words], _: Kinds) -> Words:
    return np.where(x[0] > 0, x[0], x[0] * node.slope)


@compute.register(g.Clip)
def _clip(node: g.Clip, x: list[Words], _: Kinds) -> Words:
    return node.gain * np.clip(x[0] * node.slope + node.shift, node.low, node.high) + node.offset


@compute.register(g.Steps)
def _steps(node: g.Steps, x: list[Words], _: Kinds) -> Words:
    return np.asarray(node.values)[np.searchsorted(node.edges, x[0], side="right")]


@compute.register(g.Table)
def _table(node: g.Table, x: list[Words], _: Kinds) -> Words:
    index = np.clip(np.trunc(x[0] * node.scale).astype(np.int64) + node.offset, 0, len(node.values) - 1)
    looked_up = node.values[index]
    return looked_up if node.positive_slope is None else np.where(x[0] >= 0, x[0] * node.positive_slope, looked_up)


@compute.register(g.Lookup)
def _lookup(node: g.Lookup, x: list[Words], kinds: Kinds) -> Words:
    return np.stack(
        [node.values[leading_bits(x[0][:, i], kind, 1 << kind.width)] for i, kind in enumerate(kinds[0])], 1
    )


@compute.register(g.Pool)
def _pool(node: g.Pool, x: list[Words], _: Kinds) -> Words:
    outside = -np.inf if node.kind == "max" else 0.0
    windows = np.concatenate([x[0], np.full((len(x[0]), 1), outside)], axis=1)[:, node.gather]
    if node.kind == "max":
        return node.accumulator.quantise(windows.max(axis=2))
    total = np.zeros(windows.shape[:2])
    for tap in range(windows.shape[2]):
        total = node.accumulator.quantise(total + windows[:, :, tap])
    lsb = node.accumulator.lsb
    return node.accumulator.quantise(np.trunc(total / lsb / node.lengths) * lsb)


@compute.register(g.Merge)
def _merge(node: g.Merge, x: list[Words], kinds: Kinds) -> Words:
    if node.kind == "multiply":
        check_exact(f"a product of layer {node.name}", span(kinds[0]).width + span(kinds[1]).width)
    return merged(node, x)


def merged(node: g.Merge, x: list[Words]) -> Words:
    """The operands word by word, the smaller one repeated."""
    first, second = (operand[:, np.arange(node.size) % operand.shape[1]] for operand in x)
    if node.kind == "average":
        return np.asarray((first + second) / 2)
    operation: np.ufunc = getattr(np, node.kind)
    return np.asarray(operation(first, second))


@compute.register(g.Rearrange)
def _rearrange(node: g.Rearrange, x: list[Words], _: Kinds) -> Words:
    return np.concatenate([*x, np.zeros((len(x[0]), 1))], axis=1)[:, node.gather]


@compute.register(g.Contract)
def _contract(node: g.Contract, x: list[Words], kinds: Kinds) -> Words:
    first, second = span(kinds[0]), span(kinds[1])
    check_exact(f"a product of layer {node.name}", first.width + second.width)
    total = np.zeros((len(x[0]), node.size))
    for tap in range(node.left.shape[1]):
        product = x[0][:, node.left[:, tap]] * x[1][:, node.right[:, tap]]
        total = node.accumulator.quantise(
            total + (node.accumulator.quantise(product) if node.cast_products else product)
        )
    return total


@compute.register(g.Softmax)
def _softmax(node: g.Softmax, x: list[Words], _: Kinds) -> Words:
    result = np.zeros((len(x[0]), node.size))
    for row in node.rows:
        words = x[0][:, row]
        if node.kind == "argmax":
            result[np.arange(len(words)), row[words.argmax(axis=1)]] = 1.0
            continue
        argument = (
            words if node.kind == "latency" else node.difference.quantise(words.max(axis=1, keepdims=True) - words)
        )
        exps = node.accumulator.quantise(node.exp[leading_bits(argument, node.difference, len(node.exp))])
        total = node.total.quantise(_tree(exps, node.accumulator))
        result[:, row] = exps * node.inverse[leading_bits(total, node.total, len(node.inverse))][:, None]
    return result


def leading_bits(x: Words, kind: FixedPoint, size: int) -> NDArray[np.int64]:
    """The leading log2(size) bits of words of type `kind`, as an index into a table of `size` entries."""
    bits = math.ceil(math.log2(size))
    return (kind.codes(x) & ((1 << kind.width) - 1)) >> (kind.width - bits)


def _tree(x: Words, kind: FixedPoint) -> Words:
    """Sum over the last axis as hls4ml's `reduce`: the largest power of two below n on the left, the rest right."""
    n = x.shape[-1]
    if n == 1:
        return x[..., 0]
    left = 1 << ((n - 1).bit_length() - 1)
    return kind.quantise(_tree(x[..., :left], kind) + _tree(x[..., left:], kind))


@compute.register(g.Embedding)
def _embedding(node: g.Embedding, x: list[Words], _: Kinds) -> Words:
    return node.vectors[np.trunc(x[0]).astype(np.int64)].reshape(len(x[0]), -1)
