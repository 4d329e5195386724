"""Softmax as hardware computes it, exactly: differences to the largest word, two tables, and one product for each word.

y_i = e(max x - x_i) * r(sum_j e(max x - x_j)) with e(d) = exp(-d) and r(t) = 1 / t, hls4ml's "stable" softmax. A result
of b bits settles every type, so nothing is calibrated:

- difference: min(b, 10) bits, rounded to the nearest and saturated, as fine as they can be while they reach to where e
  has vanished, at (b + 1) ln 2; the table e has a word for each code.
- e and r: b fraction bits, up to 1. The largest word gives e = 1, so the sum lies between 1 and the n words of a row.
- sum: exact; r is addressed by its leading bits, at most b fraction bits and min(b + 4, 10) bits in all.
- result: b fraction bits below 1, rounded to the nearest; a weight of 1 becomes 1 - 2**-b.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, final

import numpy as np

from evonas.models.fixed_point import FixedPoint

if TYPE_CHECKING:
    from numpy.typing import NDArray

ADDRESS_BITS = 10  # of both tables, at most: 1024 words, the usual size in hls4ml
SPARE_BITS = 4  # of the sum beyond those of the result


@final
@dataclass(frozen=True)
class Softmax:
    """Softmax over rows of `terms` words with results of `bits`."""

    bits: int
    terms: int

    @property
    def difference(self) -> FixedPoint:
        """Of the difference to the largest word."""
        width, vanished = min(self.bits, ADDRESS_BITS), (self.bits + 1) * math.log(2)
        fraction = math.floor(math.log2((2**width - 1) / vanished))
        return FixedPoint(False, width, width - fraction, "RND", "SAT")

    @property
    def table_type(self) -> FixedPoint:
        """Of the words of both tables: up to 1."""
        return FixedPoint(False, self.bits + 1, 1, "RND", "SAT")

    @property
    def accumulator(self) -> FixedPoint:
        """Holds the sum of a row's exponentials exactly."""
        integer = self.terms.bit_length()
        return FixedPoint(False, self.bits + integer, integer)

    @property
    def total(self) -> FixedPoint:
        """Of the sum as an address of the table of reciprocals."""
        integer = self.terms.bit_length()
        fraction = min(self.bits, min(self.bits + SPARE_BITS, ADDRESS_BITS) - integer)
        fraction = max(fraction, 1 - integer)
        return FixedPoint(False, integer + fraction, integer, "RND", "SAT")

    @property
    def exact_type(self) -> FixedPoint:
        """Of a product of an exponential and a reciprocal."""
        return FixedPoint(False, 2 * self.bits + 1, 1)

    @property
    def output_type(self) -> FixedPoint:
        """Of the result."""
        return FixedPoint(False, self.bits, 0, "RND", "SAT")

    @cached_property
    def exp(self) -> NDArray[np.float64]:
        """exp(-d) for each code of the difference."""
        return self.table_type.quantise(np.exp(-self.difference.lsb * np.arange(2**self.difference.width)))

    @cached_property
    def inverse(self) -> NDArray[np.float64]:
        """1 / t for each code of the sum; 1 for sums below 1, which there are none of before rounding."""
        sums = self.total.lsb * np.arange(2**self.total.width)
        return self.table_type.quantise(1 / np.maximum(sums, 1.0))

    def forward(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Products of exponentials and reciprocals over the last axis of x, of `exact_type`."""
        exps = self.exp[self.difference.codes(x.max(axis=-1, keepdims=True) - x)]
        sums = self.total.codes(exps.sum(axis=-1, keepdims=True))
        return np.asarray(exps * self.inverse[sums])
