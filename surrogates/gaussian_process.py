"""A Gaussian process small enough to read: squared-exponential kernel with a length scale per column, and noise.

k(x, x') = variance * exp(-1/2 sum_j ((x_j - x'_j) / length_j)^2) + noise [x = x']; Rasmussen and Williams, Gaussian
Processes for Machine Learning (2006), chapters 2 and 5. Own code because precomputed distances make the search over
length scales ten times faster than the general one of scikit-learn, which is what a refit waits for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, final

import numpy as np

from surrogates._scipy import cholesky_solve, lower_solve, minimise_bounded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from surrogates.table import Floats

JITTER = 1e-8
MAX_SEARCH_ROWS = 200  # a dozen parameters need no more, and the cost grows with the third power


@final
@dataclass(frozen=True)
class Kernel:
    """Parameters of the kernel: `variance` and `noise` in squared target units, `lengths` (p,) in input units."""

    variance: float
    noise: float
    lengths: Floats

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """What `to_dict` wrote."""
        return cls(float(data["variance"]), float(data["noise"]), np.asarray(data["lengths"], np.float64))

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {"variance": self.variance, "noise": self.noise, "lengths": self.lengths.tolist()}

    def __call__(self, left: Floats, right: Floats) -> Floats:
        """Covariance (n, m) of the noise-free function between rows (n, p) and (m, p)."""
        a, b = left / self.lengths, right / self.lengths
        square = np.sum(a**2, axis=1)[:, None] + np.sum(b**2, axis=1)[None, :] - 2 * a @ b.T
        covariance: Floats = self.variance * np.exp(-0.5 * np.maximum(square, 0.0))
        return covariance


def search_kernel(inputs: Floats, targets: Floats, weights: Floats) -> Kernel:
    """Kernel of largest marginal likelihood, with a weak prior on length scales, for zero-mean targets (n,).

    Evenly spaced rows stand for all if there are more than `MAX_SEARCH_ROWS`. One start: with a prior centred on
    long scales the search is smooth enough, and a start at random would have to be seeded.
    """
    rows = np.unique(np.linspace(0, len(targets) - 1, min(len(targets), MAX_SEARCH_ROWS)).astype(np.intp))
    x, y, noisier = inputs[rows], targets[rows], weights.max() / weights[rows]
    spread = max(float(np.var(y)), 1e-6)
    distances = (x.T[:, :, None] - x.T[:, None, :]) ** 2  # (p, n, n)
    centre = np.log(3.0 * np.sqrt(x.shape[1]))  # columns together make up a distance of the order of sqrt(p)

    def negative(theta: Floats) -> tuple[float, Floats]:
        variance, noise, inverse = np.exp(theta[0]), np.exp(theta[1]), np.exp(-2 * theta[2:])
        signal = variance * np.exp(-0.5 * np.tensordot(inverse, distances, axes=1))
        factor = np.linalg.cholesky(signal + np.diag(noise * noisier + JITTER))
        solved = cholesky_solve(factor, y)
        pull = np.outer(solved, solved) - cholesky_solve(factor, np.eye(len(y)))
        shift = theta[2:] - centre
        value = 0.5 * y @ solved + np.sum(np.log(np.diag(factor))) + 0.5 * np.sum(shift**2)
        weighted = pull * signal
        lengths = -0.5 * np.tensordot(distances, weighted, axes=2) * inverse + shift
        slope = np.concatenate([[-0.5 * np.sum(weighted), -0.5 * noise * np.sum(np.diag(pull) * noisier)], lengths])
        return float(value), slope

    start = np.concatenate([np.log([spread / 2, spread / 2]), np.full(x.shape[1], centre)])
    low = np.concatenate([np.log([spread * 1e-2, max(spread * 1e-3, 1e-6)]), np.full(x.shape[1], np.log(0.5))])
    high = np.concatenate([np.log([spread * 1e2, spread * 2]), np.full(x.shape[1], np.log(1e3))])
    best = minimise_bounded(negative, start, low, high, max_iterations=40)
    return Kernel(float(np.exp(best[0])), float(np.exp(best[1])), np.exp(best[2:]))


@final
class GaussianProcess:
    """Zero-mean process with a given kernel, conditioned on rows; a lower weight is a noisier row."""

    def __init__(self, kernel: Kernel, inputs: Floats, targets: Floats, weights: Floats) -> None:
        self.kernel, self.inputs = kernel, inputs
        noise = kernel.noise * weights.max() / weights + JITTER
        self._factor: Floats = np.linalg.cholesky(kernel(inputs, inputs) + np.diag(noise)).astype(np.float64)
        self._solved = cholesky_solve(self._factor, targets)

    def predict(self, inputs: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation of a new observation (with the noise), two arrays (n,)."""
        cross = self.kernel(inputs, self.inputs)
        explained = np.sum(lower_solve(self._factor, cross.T) ** 2, axis=0)
        variance = np.maximum(self.kernel.variance - explained, 0.0) + self.kernel.noise
        return cross @ self._solved, np.sqrt(variance)
