"""Logic for each kind of node: the same operations as in `evaluate`, on words instead of numbers."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import singledispatch
from typing import TYPE_CHECKING

import numpy as np

from evonas.synthesis import evaluate
from evonas.synthesis import graph as g
from evonas.synthesis._alkaid.casts import cast, fitted, limits, rounded
from evonas.synthesis._alkaid.linear import Products, linear
from evonas.synthesis._alkaid.words import (
    CONSTANT_BITS,
    Word,
    both,
    clipped,
    is_negative,
    last_bit,
    looked_up,
    maximum,
    minimum,
    opposite,
    product,
    rectified,
    total,
    unsupported,
    where_negative,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from evonas.models.fixed_point import FixedPoint

LOOKUP_VALUES = 1 << 12  # a function of a word with at most so many values becomes one truth table
SMALL_VALUES = 1 << 6  # where arithmetic would do too: one LUT6 per output bit
LARGEST_TABLE = 1 << 14


def emit(node: g.Node, inputs: list[list[Word]]) -> list[Word]:
    """The words that leave the node."""
    words = emitted(node, inputs)
    return [cast(word, kind).settled() for word, kind in zip(words, node.results, strict=True)]


@singledispatch
def emitted(node: g.Node, x: list[list[Word]]) -> list[Word]:
    """What the node computes from its operands x before its result is cast."""
    raise unsupported(f"{type(node).__name__} of {len(x)} operands has no logic")


@emitted.register
def _linear(node: g.Linear, x: list[list[Word]]) -> list[Word]:
    return linear(node, x[0])


def _each(node: g.Node, x: list[list[Word]], largest: int, otherwise: Callable[[int, Word], Word]) -> list[Word]:
    """A function of one word for each word: a truth table of the result up to `largest` values of the word."""
    result, tables = [], {}
    for index, (word, kind) in enumerate(zip(x[0], node.results, strict=True)):
        if word.count > largest:
            result.append(otherwise(index, word))
            continue
        single = node
        if isinstance(node, g.Scale):
            single = replace(node, scale=node.scale[index : index + 1], bias=node.bias[index : index + 1])
        elif isinstance(node, g.Rectify):
            single = replace(node, slope=node.slope[index : index + 1])
        key = word.low, word.step if word.variable is not None else 1.0, word.count, kind
        if single is not node or key not in tables:
            tables[key] = kind.quantise(evaluate.compute(single, [_codes(word)[:, None]], []))[:, 0]
        result.append(looked_up(word, tables[key]))
    return result


def _codes(word: Word) -> NDArray[np.float64]:
    """All values on the word's grid."""
    step = 0.0 if word.variable is None else word.step
    return np.asarray(word.low + step * np.arange(word.count), np.float64)


@emitted.register
def _scale(node: g.Scale, x: list[list[Word]]) -> list[Word]:
    products = Products()

    def scaled(index: int, word: Word) -> Word:
        scale = float(node.scale[index])
        return products.constants(word, [scale])[scale].plus(float(node.bias[index]))

    return _each(node, x, SMALL_VALUES, scaled)


@emitted.register
def _rectify(node: g.Rectify, x: list[list[Word]]) -> list[Word]:
    products = Products()

    def leaky(index: int, word: Word) -> Word:
        slope = float(node.slope[index])
        if slope == 0 or word.low >= 0:
            return rectified(word)
        return where_negative(word, products.constants(word, [slope])[slope], word)

    if not node.slope.any():
        return [rectified(word) for word in x[0]]
    return _each(node, x, SMALL_VALUES, leaky)


@emitted.register
def _clip(node: g.Clip, x: list[list[Word]]) -> list[Word]:
    products = Products()

    def clip(index: int, word: Word) -> Word:
        del index
        inner = products.constants(word, [node.slope])[node.slope].plus(node.shift)
        inner = clipped(inner, node.low, node.high)
        return products.constants(inner, [node.gain])[node.gain].plus(node.offset)

    return _each(node, x, SMALL_VALUES, clip)


@emitted.register
def _steps(node: g.Steps, x: list[list[Word]]) -> list[Word]:
    products = Products()

    def steps(index: int, word: Word) -> Word:
        del index
        result = Word(None, node.values[0])
        for edge, (before, after) in zip(node.edges, zip(node.values, node.values[1:], strict=False), strict=True):
            first = math.ceil(edge / word.step) * word.step  # the first value that reaches the edge
            below = is_negative(word.plus(-first))
            result = result.plus(after - before) + products.constants(below, [before - after])[before - after]
        return result

    return _each(node, x, LOOKUP_VALUES, steps)


@emitted.register
def _table(node: g.Table, x: list[list[Word]]) -> list[Word]:
    products = Products()

    def indexed(index: int, word: Word) -> Word:
        del index
        place = rounded(products.constants(word, [node.scale])[node.scale], 0, "TRN_ZERO").plus(float(node.offset))
        place = clipped(place, 0.0, len(node.values) - 1.0).settled()
        found = _read(place, node.values)
        if node.positive_slope is None:
            return found
        return where_negative(word, found, products.constants(word, [node.positive_slope])[node.positive_slope])

    return _each(node, x, LOOKUP_VALUES, indexed)


def _read(index: Word, values: NDArray[np.float64]) -> Word:
    """values[index]; an index beyond reads the nearest."""
    if index.count > LARGEST_TABLE:
        raise unsupported(f"a table of {index.count} words; at most {LARGEST_TABLE}")
    return looked_up(index, values[np.clip(_codes(index).astype(np.int64), 0, len(values) - 1)])


@emitted.register
def _pool(node: g.Pool, x: list[list[Word]]) -> list[Word]:
    products, accumulator, result = Products(), node.accumulator, []
    for window, length in zip(node.gather.tolist(), node.lengths.tolist(), strict=True):
        words = [x[0][index] for index in window if index != g.ABSENT]
        if node.kind == "max":
            result.append(cast(_largest(words), accumulator))
            continue
        summed = _partial_sums(words, accumulator)
        result.append(cast(_divided(summed, length, accumulator, products), accumulator))
    return result


def _largest(words: Sequence[Word]) -> Word:
    """The maximum, by a balanced tree."""
    layer = list(words)
    while len(layer) > 1:
        pairs = [maximum(layer[i], layer[i + 1]).settled() for i in range(0, len(layer) - 1, 2)]
        layer = pairs + layer[2 * len(pairs) :]
    return layer[0]


def _partial_sums(words: Sequence[Word], kind: FixedPoint) -> Word:
    """The sum from zero, every partial sum cast to `kind`; a tree where the order does not matter."""
    fits = all(word.step >= kind.lsb for word in words)
    if fits or kind.rounding in ("TRN", "RND", "RND_MIN_INF"):  # rounds alike wherever the sum stands on the grid
        words = [rounded(word, kind.fraction, kind.rounding) for word in words]
        if kind.overflow == "WRAP" or _never_overflows(words, kind):
            return fitted(total(words), kind)
    result = Word(None)
    for word in words:
        result = cast(result + word, kind)
    return result


def _never_overflows(words: Sequence[Word], kind: FixedPoint) -> bool:
    low, high = (np.cumsum([0.0, *ends]) for ends in ([w.low for w in words], [w.high for w in words]))
    smallest, largest = limits(kind)
    return bool(smallest <= low.min() and high.max() <= largest)


def _divided(x: Word, divisor: int, kind: FixedPoint, products: Products) -> Word:
    """x / divisor, cut towards zero at the last bit of `kind`, whose grid x lies on.

    With n = |x| in units of that bit, n * m / 2**s for m = ceil(2**s / divisor) lies above n / divisor by less than
    1 / divisor if n * (m * divisor - 2**s) < 2**s, so that both have the same whole part.
    """
    largest = max(abs(x.low), abs(x.high)) / kind.lsb
    shift = 0
    while largest * (-(2**shift) % divisor) >= 2**shift:
        shift += 1
    multiplier = float(-(-(2**shift) // divisor))
    if multiplier / last_bit(multiplier) >= 2.0**CONSTANT_BITS:
        raise unsupported(f"the mean of {divisor} words of {kind} needs a reciprocal of more than {CONSTANT_BITS} bits")
    quotient = products.constants(x, [multiplier])[multiplier].times(2.0**-shift)
    return rounded(quotient, kind.fraction, "TRN_ZERO")


@emitted.register
def _merge(node: g.Merge, x: list[list[Word]]) -> list[Word]:
    products = Products()
    merge: dict[str, Callable[[Word, Word], Word]] = {
        "add": lambda a, b: a + b,
        "subtract": lambda a, b: a - b,
        "multiply": lambda a, b: _product(a, b, products),
        "average": lambda a, b: (a + b).times(0.5),
        "maximum": maximum,
        "minimum": minimum,
    }
    first, second = ([words[i % len(words)] for i in range(node.size)] for words in x)
    return [merge[node.kind](a, b) for a, b in zip(first, second, strict=True)]


def _product(first: Word, second: Word, products: Products) -> Word:
    for one, other in ((first, second), (second, first)):
        if one.variable is None:
            return products.constants(other, [one.offset])[one.offset]
    return product(first, second)


@emitted.register
def _rearrange(node: g.Rearrange, x: list[list[Word]]) -> list[Word]:
    words = [*(word for words in x for word in words), Word(None)]  # ABSENT reads the last, a zero
    return [words[index] for index in node.gather]


@emitted.register
def _contract(node: g.Contract, x: list[list[Word]]) -> list[Word]:
    products, result = Products(), []
    made: dict[tuple[int, int], Word] = {}
    for left, right in zip(node.left.tolist(), node.right.tolist(), strict=True):
        for pair in zip(left, right, strict=True):
            if pair not in made:
                word = _product(x[0][pair[0]], x[1][pair[1]], products)
                made[pair] = cast(word, node.accumulator) if node.cast_products else word
        result.append(_partial_sums([made[pair] for pair in zip(left, right, strict=True)], node.accumulator))
    return result


@emitted.register
def _softmax(node: g.Softmax, x: list[list[Word]]) -> list[Word]:
    result, products = [Word(None)] * node.size, Products()
    for row in node.rows.tolist():
        words = [x[0][index] for index in row]
        if node.kind == "argmax":
            outputs = _first_largest(words)
        else:
            largest = _largest(words) if node.kind == "stable" else None
            arguments = words if largest is None else [cast(largest - word, node.difference) for word in words]
            exps = [_leading(word, node.difference, node.accumulator.quantise(node.exp)) for word in arguments]
            summed = cast(_tree(exps, node.accumulator), node.total)
            inverse = _leading(summed, node.total, node.inverse)
            outputs = [_product(exp, inverse, products) for exp in exps]
        for index, word in zip(row, outputs, strict=True):
            result[index] = word
    return result


def _leading(x: Word, kind: FixedPoint, table: NDArray[np.float64]) -> Word:
    """The entry of the table that the leading bits of x, of type `kind`, point to."""
    bits = math.ceil(math.log2(len(table)))
    x = rounded(cast(x, kind), kind.fraction - max(kind.width - bits, 0), "TRN")
    if x.count > LARGEST_TABLE:
        raise unsupported(f"a table of {x.count} words; at most {LARGEST_TABLE}")
    places = evaluate.leading_bits(_codes(x), kind, len(table))
    return looked_up(x, table[np.minimum(places, len(table) - 1)])


def _tree(words: list[Word], kind: FixedPoint) -> Word:
    """The sum in the order of `evaluate`: the largest power of two below n on the left, the rest on the right."""
    if len(words) == 1:
        return words[0]
    left = 1 << ((len(words) - 1).bit_length() - 1)
    return cast(_tree(words[:left], kind) + _tree(words[left:], kind), kind)


def _first_largest(words: list[Word]) -> list[Word]:
    """1 for the first largest word, 0 for the others."""
    result = [Word(None, 1.0)] * len(words)
    for i, first in enumerate(words):
        for j in range(i + 1, len(words)):
            smaller = is_negative(first - words[j])
            result[i] = both(result[i], opposite(smaller))
            result[j] = both(result[j], smaller)
    return result


@emitted.register
def _embedding(node: g.Embedding, x: list[list[Word]]) -> list[Word]:
    indices = [rounded(word, 0, "TRN_ZERO").settled() for word in x[0]]
    return [_read(index, column) for index in indices for column in node.vectors.T]
