"""Reuse factors of a dense layer: how many products one multiplier computes, one after the other.

hls4ml's rule for the "resource" strategy. With reuse factor R a layer of n_in * n_out weights has n_in * n_out / R
multipliers and takes a new input every R clock cycles. Below n_in, each cycle handles n_in / R inputs for all outputs;
from n_in on, each multiplier handles one input of one output at a time.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import cache


def _divisors(number: int) -> list[int]:
    return [divisor for divisor in range(1, number + 1) if number % divisor == 0]


@cache
def legal_reuse_factors(n_in: int, n_out: int) -> tuple[int, ...]:
    """Ascending: the divisors of n_in, and n_in times the divisors of n_out. Raises `ValueError` for an empty layer."""
    if n_in < 1 or n_out < 1:
        raise ValueError(f"a layer of {n_in} x {n_out} weights has no reuse factor")
    return tuple(sorted({*_divisors(n_in), *(n_in * divisor for divisor in _divisors(n_out))}))


def nearest_legal(reuse_factor: int, n_in: int, n_out: int) -> int:
    """The legal reuse factor that is closest to `reuse_factor`; the smaller of two that are equally close."""
    legal = legal_reuse_factors(n_in, n_out)
    place = bisect_left(legal, reuse_factor)
    return min(legal[max(place - 1, 0) : place + 1], key=lambda factor: abs(factor - reuse_factor))
