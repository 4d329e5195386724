"""The one door to SciPy: nothing else in the package imports it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg import cho_solve, solve_triangular
from scipy.sparse import csr_array
from scipy.special import ndtr

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from surrogates.table import Floats

__all__ = ["averaging", "cholesky_solve", "lower_solve", "minimise_bounded", "normal_cdf"]


def averaging(source: NDArray[np.intp], sink: NDArray[np.intp], shape: tuple[int, int]) -> Any:
    """A sparse matrix (n, P): times values (P, w), the mean of the rows `source` for each `sink`, zero without any."""
    counts = np.bincount(sink, minlength=shape[0])
    return csr_array((1.0 / counts[sink], (sink, source)), shape=shape)


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
