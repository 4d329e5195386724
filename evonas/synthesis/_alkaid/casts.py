"""Casts in all modes of `ap_fixed`: first to the grid, then into the range."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from evonas.models.fixed_point import FixedPoint
from evonas.synthesis._alkaid.words import (
    WORD_BITS,
    Word,
    any_bit,
    both,
    clipped,
    field,
    is_negative,
    where_negative,
)

if TYPE_CHECKING:
    from alkaid.trace.fixed_variable import FVariable

    from evonas.models.fixed_point import Rounding


def rounded(x: Word, fraction: int, rounding: Rounding) -> Word:
    """x on the grid of 2**-fraction, without a limit to its range."""
    lsb, step = 2.0**-fraction, x.step
    if step >= lsb:
        return x
    exact = FixedPoint(True, WORD_BITS, WORD_BITS - fraction, rounding)
    low, high = exact.quantise(np.array([x.low, x.high])).tolist()
    if low == high:
        return Word(None, low)
    if rounding == "RND_CONV":
        return _half_to_even(x.plus(lsb / 2).whole(), lsb, low, high)
    return field(_before_floor(x, lsb, step, rounding).whole(), low, high, lsb)


def _before_floor(x: Word, lsb: float, step: float, rounding: Rounding) -> Word:
    """What has to be cut off to round x, a multiple of `step`, to a multiple of `lsb`."""
    up, down = lsb / 2, lsb / 2 - step  # added before the cut: a tie goes up, or down
    match rounding:
        case "TRN":
            return x
        case "RND":
            return x.plus(up)
        case "RND_MIN_INF":
            return x.plus(down)
        case "RND_ZERO" if x.low >= 0 or x.high <= 0:
            return x.plus(down if x.low >= 0 else up)
        case "RND_INF" if x.low >= 0 or x.high <= 0:
            return x.plus(up if x.low >= 0 else down)
        case "TRN_ZERO" if x.low >= 0 or x.high <= 0:
            return x if x.low >= 0 else x.plus(lsb - step)
    negative = is_negative(x).times(step)
    if rounding == "RND_ZERO":
        return x.plus(down) + negative
    if rounding == "RND_INF":
        return x.plus(up) - negative
    extended = (-negative).variable  # all bits below the last of the result are copies of the sign
    return x + field(extended, 0.0, lsb - step, step)


def _half_to_even(shifted: FVariable, lsb: float, low: float, high: float) -> Word:
    """`shifted` (x plus half of `lsb`) cut off, and made even where nothing was cut off: there x was a tie."""
    lowest, highest = (math.floor(end / (2 * lsb)) * 2 * lsb for end in (shifted.low, shifted.high))
    even = field(shifted, lowest, highest, 2 * lsb)
    odd = field(shifted, 0.0, lsb, lsb).times(1 / lsb)
    rest = field(shifted, 0.0, lsb - float(shifted.step), float(shifted.step))
    inexact = any_bit(rest)
    result = even + both(odd, inexact).times(lsb)
    return result if result.variable is None else field(result.whole(), low, high, lsb)


def fitted(x: Word, kind: FixedPoint) -> Word:
    """x, on the grid of `kind`, brought into its range by its overflow mode."""
    low, high = limits(kind)
    if low <= x.low and x.high <= high:
        return x
    if x.variable is None:
        return Word(None, float(kind.quantise(np.array(x.offset))))
    if kind.overflow == "WRAP":
        return field(x.whole(), kind.low, kind.high, kind.lsb)
    if kind.overflow != "SAT_ZERO":
        return clipped(x, low, high)
    x, zero = x.settled(), Word(None)
    inside = where_negative(x.plus(-low), zero, x, low=min(low, 0.0))
    if x.high <= high:
        return inside
    return where_negative(Word(None, high) - x, zero, inside, min(low, 0.0), high)


def limits(kind: FixedPoint) -> tuple[float, float]:
    """The range that the overflow mode leaves alone."""
    return (-kind.high if kind.signed and kind.overflow == "SAT_SYM" else kind.low), kind.high


def cast(x: Word, kind: FixedPoint) -> Word:
    """x as a word of type `kind`."""
    if x.variable is None:
        return Word(None, float(kind.quantise(np.array(x.offset))))
    return fitted(rounded(x, kind.fraction, kind.rounding), kind)
