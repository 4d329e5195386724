"""The one door to moocore: exact hypervolume and Pareto ranks. Importing it opens no connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import moocore
import numpy as np

from evonas.errors import ConfigurationError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _points(losses: NDArray[Any]) -> NDArray[np.float64]:
    """Losses (n, m) as finite doubles; moocore would rank a NaN as nondominated without a word."""
    points = np.ascontiguousarray(losses, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] == 0:
        raise ConfigurationError("losses.shape", points.shape, "must be (n, m) with m of at least 1")
    if not np.isfinite(points).all():
        raise ConfigurationError("losses", float(points[~np.isfinite(points)][0]), "must be finite")
    return points


def hypervolume(losses: NDArray[Any], reference: NDArray[Any]) -> float:
    """Volume that losses (n, m), to be minimised, dominate below the reference point (m,).

    Points that are not better than the reference in every loss add nothing; no points give 0.
    Guerreiro, Fonseca and Paquete, ACM Computing Surveys 54 (2021) 119.
    """
    points = _points(losses)
    corner = np.asarray(reference, dtype=np.float64)
    if corner.shape != (points.shape[1],) or not np.isfinite(corner).all():
        raise ConfigurationError("reference", corner.tolist(), f"must be {points.shape[1]} finite numbers")
    return float(moocore.hypervolume(points, ref=corner))


def nondominated(losses: NDArray[Any], keep_equal: bool = False) -> NDArray[np.bool_]:
    """Mask (n,) of the losses (n, m) that no other row dominates; of equal rows the first, or all of them."""
    points = _points(losses)
    if not len(points):
        return np.zeros(0, dtype=np.bool_)
    return np.asarray(moocore.is_nondominated(points, keep_weakly=keep_equal), dtype=np.bool_)


def pareto_ranks(losses: NDArray[Any]) -> NDArray[np.int64]:
    """Front number (n,) of each row of losses (n, m), 0 for the nondominated ones; equal rows share a front."""
    points = _points(losses)
    if not len(points):
        return np.zeros(0, dtype=np.int64)
    return np.asarray(moocore.pareto_rank(points), dtype=np.int64)
