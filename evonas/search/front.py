"""Fronts of evaluated candidates, with constraints, and the reference point of a hypervolume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from evonas.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from evonas.search.base import Evaluated


def front(evaluated: Sequence[Evaluated]) -> list[Evaluated]:
    """The feasible candidates that no other feasible one dominates, in their order.

    Different candidates with equal losses are all kept. Empty when nothing is feasible: the least infeasible
    candidate is not a solution.
    """
    from evonas.search._moocore import nondominated

    feasible = [one for one in evaluated if one.feasible]
    if not feasible:
        return []
    mask = nondominated(np.array([one.losses for one in feasible]), keep_equal=True)
    return [one for one, kept in zip(feasible, mask, strict=True) if kept]


def ranks(losses: NDArray[Any], violations: NDArray[Any]) -> NDArray[np.int64]:
    """Front number (n,) of losses (n, m) under constraint domination, given the summed violations (n,).

    Deb et al., IEEE Trans. Evol. Comput. 6 (2002) 182: a feasible candidate dominates every infeasible one, and of
    two infeasible ones the less violating dominates, whatever their losses.
    """
    from evonas.search._moocore import pareto_ranks

    violations = np.asarray(violations, dtype=np.float64)
    feasible = violations <= 0
    result = np.zeros(len(violations), dtype=np.int64)
    result[feasible] = pareto_ranks(np.asarray(losses, dtype=np.float64)[feasible])
    first_infeasible = int(result[feasible].max()) + 1 if feasible.any() else 0
    _, dense = np.unique(violations[~feasible], return_inverse=True)
    result[~feasible] = first_infeasible + dense
    return result


def reference_point(losses: NDArray[Any], margin: float = 0.1) -> NDArray[np.float64]:
    """A point (m,) worse than all losses (n, m) by `margin` of each loss's range.

    A loss that is constant gets `margin` of its size (or `margin` itself at 0), so that it does not make every
    hypervolume vanish. Volumes compare only under the same reference: compute it once, from all runs together.
    """
    points = np.asarray(losses, dtype=np.float64)
    if points.ndim != 2 or not len(points) or not np.isfinite(points).all():
        raise ConfigurationError("losses.shape", points.shape, "must be (n, m) finite numbers with n of at least 1")
    if not margin > 0:
        raise ConfigurationError("margin", margin, "must be positive")
    worst = points.max(axis=0)
    spread = worst - points.min(axis=0)
    scale = np.where(spread > 0, spread, np.where(worst != 0, np.abs(worst), 1.0))
    return np.asarray(worst + margin * scale, dtype=np.float64)
