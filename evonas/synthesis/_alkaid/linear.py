"""Sums of products with constants: solved as a whole where that is exact, product by product where each is cast."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any, final

import numpy as np
from alkaid.cmvm import cmvm_solve

from evonas.models.fixed_point import FixedPoint
from evonas.synthesis._alkaid.casts import cast, fitted, limits, rounded
from evonas.synthesis._alkaid.words import (
    SOLVER,
    WORD_BITS,
    Word,
    array,
    check_constant,
    last_bit,
    made,
    total,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from evonas.synthesis.graph import Linear

SOLVER_BITS = 20  # of a matrix, from its last bit to the leading one: the solver works in single precision
ONE_BIT_WORDS = 6  # as many words of one bit share one LUT6 per output bit


@final
class Products:
    """Products of words with constants. Equal constants are solved once: for the words that come first."""

    def __init__(self) -> None:
        self._solutions: dict[tuple[bytes, tuple[int, ...]], tuple[Any, Any]] = {}

    def matrix(self, words: Sequence[Word], matrix: NDArray[np.float64]) -> list[Word]:
        """The words (K,) times a constant matrix (K, F), exactly."""
        offsets = np.array([word.offset if word.variable is None else 0.0 for word in words]) @ matrix
        result = [Word(None, float(offset)) for offset in offsets]
        live = [k for k, word in enumerate(words) if word.variable is not None and matrix[k].any()]
        columns = np.flatnonzero(matrix[live].any(axis=0))
        if columns.size:
            inputs = [words[k].settled() for k in live]
            sums = self._sums(inputs, matrix[live][:, columns])
            for column, word in zip(columns, sums, strict=True):
                result[column] = word.plus(result[column].offset)
        return result

    def _sums(self, words: list[Word], kernel: NDArray[np.float64]) -> list[Word]:
        values = np.unique(np.abs(kernel[kernel != 0])).tolist()
        check_constant(*values)
        if values[-1] >= 2.0**SOLVER_BITS * min(map(last_bit, values)):
            rows = [self.constants(word, row) for word, row in zip(words, kernel.tolist(), strict=True)]
            return [total([row[w] for row, w in zip(rows, column, strict=True) if w]) for column in kernel.T.tolist()]
        single = [word for word in words if word.count == 2]
        if len(single) >= ONE_BIT_WORDS and all(word.low == 0 for word in single):
            return [made(variable) for variable in np.asarray(array(words) @ kernel)]  # uses tables of six words
        return self._solve(words, kernel)

    def _solve(self, words: Sequence[Word], kernel: NDArray[np.float64]) -> list[Word]:
        key = kernel.tobytes(), kernel.shape
        variables = np.asarray(array(words))
        if key not in self._solutions:
            intervals = [(float(v.low), float(v.high), float(v.step)) for v in variables]
            latencies = [float(v.latency) for v in variables]
            options = {"qintervals": intervals, "latencies": latencies, **SOLVER}
            self._solutions[key] = cmvm_solve(np.ascontiguousarray(kernel, np.float32), **options)
        first, second = self._solutions[key]
        return [made(variable) for variable in second(first(variables, quantize=False), quantize=False)]

    def constants(self, word: Word, constants: Iterable[float]) -> dict[float, Word]:
        """The products of one word with each of the constants; they share adders."""
        constants = set(constants)
        check_constant(*constants)
        if word.variable is None:
            return {c: Word(None, word.offset * c) for c in constants}
        word = word.settled()
        odd = sorted({abs(c) / last_bit(c) for c in constants if c} - {1.0})
        together = odd[-1:] < [2.0**SOLVER_BITS]
        multiples = {1.0: word}
        for row in [odd] if together and odd else [[c] for c in odd]:
            multiples |= zip(row, self._solve([word], np.array([row])), strict=True)
        return {
            c: multiples[abs(c) / last_bit(c)].times(math.copysign(last_bit(c), c)) if c else Word(None)
            for c in constants
        }


def linear(node: Linear, words: list[Word]) -> list[Word]:
    """The accumulators of the layer, before the cast to its results."""
    solver, words = Products(), [*words, Word(None)]  # ABSENT reads the last, a zero
    accumulator, (groups, positions, _) = node.accumulator, node.gather.shape
    bias = np.broadcast_to(accumulator.quantise(node.bias), (positions, groups, node.weight.shape[2]))
    finest = min((last_bit(w) for w in np.unique(node.weight).tolist()), default=1.0)
    exact = min(word.step for word in words) * finest >= accumulator.lsb
    safe = {(p, g): _safe_taps(node, words, p, g, bias[p, g]) for p in range(positions) for g in range(groups)}
    whole = {place: exact & (count == node.weight.shape[1]) for place, count in safe.items()}
    products = _products(node, words, whole, solver)
    result = []
    for p in range(positions):
        for g in range(groups):
            gather, mask = node.gather[g, p], whole[p, g]
            at_once = iter(solver.matrix([words[index] for index in gather], node.weight[g][:, mask]))
            for f, start in enumerate(bias[p, g].tolist()):
                if mask[f]:
                    result.append(fitted(next(at_once).plus(start), accumulator))
                    continue
                taps = [
                    products[index].get(w, Word(None))
                    for index, w in zip(gather, node.weight[g, :, f].tolist(), strict=True)
                ]
                result.append(_accumulated(start, taps, int(safe[p, g][f]), accumulator))
    return result


def _safe_taps(
    node: Linear, words: list[Word], position: int, group: int, bias: NDArray[np.float64]
) -> NDArray[np.int64]:
    """How many taps from the first can be added without saturation, per output (F,)."""
    weight, kind = node.weight[group], node.accumulator
    if kind.overflow == "WRAP":  # the order does not matter
        return np.full(weight.shape[1], len(weight))
    inputs = [words[index] for index in node.gather[group, position]]
    ends = np.stack([weight * np.array([[word.low] for word in inputs]), weight * np.array([[w.high] for w in inputs])])
    ends = FixedPoint(True, WORD_BITS, WORD_BITS - kind.fraction, kind.rounding).quantise(ends)
    low, high = ends.min(axis=0), ends.max(axis=0)
    smallest, largest = limits(kind)
    fits = (low >= smallest) & (high <= largest)
    fits &= (bias + low.cumsum(axis=0) >= smallest) & (bias + high.cumsum(axis=0) <= largest)
    return np.where(fits.all(axis=0), len(weight), (~fits).argmax(axis=0))


def _products(
    node: Linear, words: list[Word], whole: dict[tuple[int, int], NDArray[np.bool_]], solver: Products
) -> dict[int, dict[float, Word]]:
    """Cast products of each input word with each of its constants, for the outputs that are not solved as a whole."""
    needed: defaultdict[int, set[float]] = defaultdict(set)
    for (p, g), mask in whole.items():
        for index, row in zip(node.gather[g, p].tolist(), node.weight[g][:, ~mask].tolist(), strict=True):
            needed[index].update(row)
    kind, result = node.accumulator, {}
    for index, constants in needed.items():
        multiples = solver.constants(words[index], constants - {0.0})
        wraps = kind.overflow == "WRAP"  # then only the sum has to
        result[index] = {
            c: rounded(m, kind.fraction, kind.rounding) if wraps and m.variable is not None else cast(m, kind)
            for c, m in multiples.items()
        }
    return result


def _accumulated(bias: float, taps: list[Word], safe: int, kind: FixedPoint) -> Word:
    """bias + the taps; the first `safe` in any order, then one after the other with the overflow of `kind`."""
    result = fitted(total([Word(None, bias), *taps[:safe]]), kind)
    for tap in taps[safe:]:
        if tap.variable is not None or tap.offset:
            result = fitted(result + tap, kind)
    return result
