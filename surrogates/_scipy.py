"""The one door to SciPy: nothing else in the package imports it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import cho_solve, solve_triangular
from scipy.special import ndtr

if TYPE_CHECKING:
    from collections.abc import Callable

    from surrogates.table import Floats

__all__ = ["cholesky_solve", "lower_solve", "minimise_bounded", "normal_cdf"]


def minimise_bounded(
    function: Callable[[Floats], tuple[float, Floats]], start: Floats, low: Floats, high: Floats, max_iterations: int
) -> Floats:
    """Minimum of a function that returns value and gradient, within bounds, by L-BFGS-B: arrays (p,)."""
    from scipy.optimize import minimize  # half of what reading a fitted surrogate would take

    bounds = list(zip(low.tolist(), high.tolist(), strict=True))
    result = minimize(
        function, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": max_iterations, "ftol": 1e-5}
    )
    return np.asarray(result.x, dtype=np.float64)


def cholesky_solve(factor: Floats, right: Floats) -> Floats:
    """Solve A x = right where factor is the lower Cholesky factor of A."""
    return np.asarray(cho_solve((factor, True), right), dtype=np.float64)


def lower_solve(factor: Floats, right: Floats) -> Floats:
    """Solve factor x = right for a lower triangular factor."""
    return np.asarray(solve_triangular(factor, right, lower=True), dtype=np.float64)


def normal_cdf(x: Floats) -> Floats:
    """Probability that a standard normal variable is at most x."""
    return np.asarray(ndtr(x), dtype=np.float64)
