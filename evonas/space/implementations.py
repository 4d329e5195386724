"""How a layer is computed, as a gene: distributed arithmetic, or multipliers with a reuse factor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from evonas.errors import ConfigurationError
from evonas.space.choices import is_integer, listed, unique
from surrogates.reuse import legal_reuse_factors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from surrogates import LayerSpec
    from surrogates.layers import Strategy

DISTRIBUTED: Strategy = "distributed_arithmetic"
Implementation = int | str  # DISTRIBUTED, or the reuse factor of multipliers in DSP slices


def check_implementations(field: str, values: Sequence[Any]) -> tuple[Implementation, ...]:
    """Distributed arithmetic first, if it is among the choices, then rising reuse factors."""
    mend = f"must be {DISTRIBUTED} or reuse factors of at least 1, each once"
    chosen = listed(field, values, mend)
    for value in chosen:
        if value != DISTRIBUTED and (not is_integer(value) or value < 1):
            raise ConfigurationError(field, value, mend)
    factors = unique(field, sorted(int(value) for value in chosen if value != DISTRIBUTED))
    return unique(field, [value for value in chosen if value == DISTRIBUTED]) + factors


def implementation_of(layer: LayerSpec) -> Implementation:
    """The implementation of a layer."""
    return DISTRIBUTED if layer.strategy == DISTRIBUTED else layer.reuse_factor


def strategy_and_reuse_factor(implementation: Implementation) -> tuple[Strategy, int]:
    """The implementation in the fields of a `LayerSpec`."""
    return (DISTRIBUTED, 1) if implementation == DISTRIBUTED else ("reuse", int(implementation))


def nearest_legal_index(offered: tuple[Implementation, ...], n_in: int, n_out: int) -> list[int]:
    """For each implementation the index of the one that it becomes in a layer of this shape, -1 for none.

    An illegal reuse factor becomes the nearest legal one that is offered, the smaller of two; without any, distributed
    arithmetic if that is offered.
    """
    factors = legal_reuse_factors(n_in, n_out)
    legal = [index for index, value in enumerate(offered) if value in factors]
    fallback = 0 if offered[0] == DISTRIBUTED else -1
    return [
        fallback
        if value == DISTRIBUTED or not legal
        else min(legal, key=lambda index: abs(int(offered[index]) - int(value)))
        for value in offered
    ]


def paced(
    indices: NDArray[np.int64], offered: tuple[Implementation, ...], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Bound the reuse factors of each network of a sample, indices (n, layers), by one that is drawn for it.

    The slowest layer sets the pace, so that with independent choices nearly every network would be as slow as the
    space allows. Half of a sample, rounded up, is distributed arithmetic throughout, which small networks want; the
    other half meets every bound equally often, and about half of its layers are distributed arithmetic. Every
    combination stays possible.
    """
    n, n_offered = len(indices), len(offered)
    rank = rng.permutation(n)
    if offered[0] != DISTRIBUTED:
        bound = rank * n_offered // max(n, 1)
        return np.minimum(indices, bound[:, None])
    half = (n + 1) // 2
    bound = np.where(rank < half, 0, 1 + (rank - half) * (n_offered - 1) // max(n - half, 1))
    unrolled = rng.random(indices.shape) < 0.5
    return np.where(unrolled, 0, np.minimum(indices, bound[:, None]))
