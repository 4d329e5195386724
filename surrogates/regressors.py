"""Learners of what the layer law leaves over: log(1 + cost) minus its prediction, a small number about zero.

All share one interface and are deterministic for a given order of rows and seed. The compact features come first in
every feature matrix, so smooth learners take the first columns (`smooth` of them) and trees take all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Self, final

import numpy as np

from surrogates.features import COMPACT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from surrogates.forest import Forest
    from surrogates.gaussian_process import GaussianProcess, Kernel
    from surrogates.table import Floats

_N_COMPACT = len(COMPACT)
MIN_LEARNED = 20  # below so many records the residual is one number
STD_FLOOR = 0.01  # one per cent: no tool is steadier than that against retraining the same network


class Residual(Protocol):
    """A regressor with an uncertainty."""

    def fit(self, inputs: Floats, targets: Floats, weights: Floats) -> None:
        """Learn from inputs (n, p), targets (n,) and positive weights (n,)."""

    def predict(self, inputs: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation, two arrays (m,)."""

    def twin(self) -> Residual:
        """An unfitted learner that keeps the choices made during `fit`: for cross-validation without search."""

    def condition(self, inputs: Floats, targets: Floats, weights: Floats) -> None:
        """Be again what `settings` were taken of, given what that was fitted to."""

    def settings(self) -> dict[str, Any]:
        """Its kind and what `fit` took time to find, as plain data: see `surrogates.kinds.from_settings`."""


@final
class Standardiser:
    """The first `smooth` columns scaled to zero mean and unit spread; columns that do not vary are dropped."""

    def __init__(self, inputs: Floats, smooth: int = _N_COMPACT) -> None:
        compact = inputs[:, :smooth]
        spread = compact.std(axis=0)
        self.columns = np.flatnonzero(spread > 1e-9)
        self.mean, self.spread = compact[:, self.columns].mean(axis=0), spread[self.columns]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """What `to_dict` wrote."""
        found = cls.__new__(cls)
        found.columns = np.asarray(data["columns"], np.intp)
        found.mean, found.spread = (np.asarray(data[name], np.float64) for name in ("mean", "spread"))
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {"columns": self.columns.tolist(), "mean": self.mean.tolist(), "spread": self.spread.tolist()}

    def __call__(self, inputs: Floats) -> Floats:
        """Scaled columns (n, q), held within six spreads of the data so that nothing explodes far outside."""
        scaled: Floats = np.clip((inputs[:, self.columns] - self.mean) / self.spread, -6.0, 6.0)
        return scaled


@final
class OffsetResidual:
    """One number for all: for training sets too small to learn from."""

    def __init__(self) -> None:
        self.offset, self.std = 0.0, 0.5

    def fit(self, inputs: Floats, targets: Floats, weights: Floats) -> None:  # noqa: ARG002 (the interface)
        """Take the weighted mean; the spread is never taken for less than a factor of about 1.6."""
        self.offset = float(np.average(targets, weights=weights))
        self.std = max(0.5, float(np.sqrt(np.average((targets - self.offset) ** 2, weights=weights))))

    def predict(self, inputs: Floats) -> tuple[Floats, Floats]:
        """The same mean and spread for every row."""
        return np.full(len(inputs), self.offset), np.full(len(inputs), self.std)

    def twin(self) -> OffsetResidual:
        """A fresh one."""
        return OffsetResidual()

    def condition(self, inputs: Floats, targets: Floats, weights: Floats) -> None:
        """The fit itself."""
        self.fit(inputs, targets, weights)

    def settings(self) -> dict[str, Any]:
        """Nothing but the kind."""
        return {"kind": "offset"}


@final
class NoResidual:
    """Nothing to add to the law: where that is right already, all that is learnt from a few records is noise."""

    def __init__(self) -> None:
        self.std = STD_FLOOR

    def fit(self, inputs: Floats, targets: Floats, weights: Floats) -> None:  # noqa: ARG002 (the interface)
        """Measure the spread."""
        self.std = max(STD_FLOOR, float(np.sqrt(np.average(targets**2, weights=weights))))

    def predict(self, inputs: Floats) -> tuple[Floats, Floats]:
        """Zero, and the same spread for every row."""
        return np.zeros(len(inputs)), np.full(len(inputs), self.std)

    def twin(self) -> NoResidual:
        """A fresh one."""
        return NoResidual()

    def condition(self, inputs: Floats, targets: Floats, weights: Floats) -> None:
        """The fit itself."""
        self.fit(inputs, targets, weights)

    def settings(self) -> dict[str, Any]:
        """Nothing but the kind."""
        return {"kind": "law"}


@final
class RidgeResidual:
    """Quadratic ridge on compact features; its penalty minimises the exact leave-one-out error."""

    PENALTIES = tuple(10.0**power for power in range(-1, 5))

    def __init__(self, penalty: float | None = None, smooth: int = _N_COMPACT) -> None:
        self.penalty, self.smooth = penalty, smooth

    def _expand(self, inputs: Floats) -> Floats:
        scaled = self._scale(inputs)
        left, right = np.triu_indices(scaled.shape[1])
        return np.column_stack([scaled, 0.5 * scaled[:, left] * scaled[:, right]])

    def fit(self, inputs: Floats, targets: Floats, weights: Floats) -> None:
        """Solve in the dual through one eigendecomposition shared by all penalties."""
        self._scale = Standardiser(inputs, self.smooth)
        weight = weights / weights.mean()
        root = np.sqrt(weight)
        self._offset = float(np.average(targets, weights=weight))
        rows, truth = self._expand(inputs) * root[:, None], (targets - self._offset) * root
        values, vectors = np.linalg.eigh(rows @ rows.T)
        values, turned = np.maximum(values, 0.0), vectors.T @ truth

        def left_out(penalty: float) -> Floats:
            shrink = values / (values + penalty)
            leverage = np.minimum((vectors**2) @ shrink, 1 - 1e-6)
            error: Floats = (truth - vectors @ (shrink * turned)) / (1 - leverage)
            return error

        if self.penalty is None:
            self.penalty = min(self.PENALTIES, key=lambda p: float(np.mean(left_out(p) ** 2)))
        dual = vectors @ (turned / (values + self.penalty))
        self._slopes = rows.T @ dual
        self._std = max(float(np.sqrt(np.mean(left_out(self.penalty) ** 2))), STD_FLOOR)
        self._rows, self._values, self._vectors = rows, values, vectors

    def predict(self, inputs: Floats) -> tuple[Floats, Floats]:
        """Mean, and the leave-one-out spread times sqrt(1 + leverage)."""
        assert self.penalty is not None
        expanded = self._expand(inputs)
        cross = (expanded @ self._rows.T) @ self._vectors
        explained = np.sum(cross**2 / (self._values + self.penalty), axis=1)
        leverage = np.maximum(np.sum(expanded**2, axis=1) - explained, 0.0) / self.penalty
        return self._offset + expanded @ self._slopes, self._std * np.sqrt(1 + np.minimum(leverage, 24.0))

    def twin(self) -> RidgeResidual:
        """Another with the same penalty."""
        return RidgeResidual(self.penalty, self.smooth)

    def condition(self, inputs: Floats, targets: Floats, weights: Floats) -> None:
        """The fit with its penalty."""
        self.fit(inputs, targets, weights)

    def settings(self) -> dict[str, Any]:
        """The penalty, and how many columns it takes."""
        return {"kind": "ridge", "penalty": self.penalty, "smooth": self.smooth}


@final
class GPResidual:
    """Gaussian process on compact features: falls back to the layer law, with a growing spread, far from data."""

    def __init__(
        self, scale: Standardiser | None = None, kernel: Kernel | None = None, smooth: int = _N_COMPACT
    ) -> None:
        self._scale, self._kernel, self.smooth = scale, kernel, smooth
        self._process: GaussianProcess | None = None

    def fit(self, inputs: Floats, targets: Floats, weights: Floats) -> None:
        """Choose length scales if not yet chosen, then condition on all rows."""
        from surrogates.gaussian_process import GaussianProcess, search_kernel

        if self._scale is None or self._kernel is None:
            self._scale = Standardiser(inputs, self.smooth)
            self._kernel = search_kernel(self._scale(inputs), targets, weights)
        self._process = GaussianProcess(self._kernel, self._scale(inputs), targets, weights)

    def predict(self, inputs: Floats) -> tuple[Floats, Floats]:
        """Posterior mean and spread."""
        assert self._process is not None
        assert self._scale is not None
        mean, std = self._process.predict(self._scale(inputs))
        return mean, np.maximum(std, STD_FLOOR)

    def twin(self) -> GPResidual:
        """Another with the same length scales."""
        return GPResidual(self._scale, self._kernel, self.smooth)

    def condition(self, inputs: Floats, targets: Floats, weights: Floats) -> None:
        """The fit with its kernel."""
        self.fit(inputs, targets, weights)

    def settings(self) -> dict[str, Any]:
        """Kernel and scales of the columns."""
        assert self._scale is not None
        assert self._kernel is not None
        return {"kind": "gp", "scale": self._scale.to_dict(), "kernel": self._kernel.to_dict()}


@final
class TreesResidual:
    """Extremely randomised trees on all features."""

    def __init__(self, seed: int, n_trees: int = 30, forest: Forest | None = None) -> None:
        self.seed, self.n_trees, self._forest = seed, n_trees, forest

    def fit(self, inputs: Floats, targets: Floats, weights: Floats) -> None:
        """Grow the trees."""
        from surrogates._sklearn import grow

        self._forest = grow(inputs, targets, weights, n_trees=self.n_trees, seed=self.seed)

    def predict(self, inputs: Floats) -> tuple[Floats, Floats]:
        """Mean and spread over the trees."""
        assert self._forest is not None
        mean, std = self._forest.predict(inputs)
        return mean, np.maximum(std, 2 * STD_FLOOR)

    def twin(self) -> TreesResidual:
        """Another with the same seed and half of the trees: folds only measure errors, and growing is what costs."""
        return TreesResidual(self.seed, max(self.n_trees // 2, 10))

    def condition(self, inputs: Floats, targets: Floats, weights: Floats) -> None:
        """Nothing: settings have the trees, which take longest."""

    def settings(self) -> dict[str, Any]:
        """The trees themselves."""
        assert self._forest is not None
        return {"kind": "trees", "seed": self.seed, "n_trees": self.n_trees, "forest": self._forest.to_dict()}


def blended(means: Floats, stds: Floats) -> tuple[Floats, Floats]:
    """Mean and spread of a blend of the means and spreads of its parts, (parts, n) each."""
    return means.mean(axis=0), np.sqrt((stds**2).mean(axis=0) + means.var(axis=0))


@final
class BlendResidual:
    """Mean of several learners; the spread adds their disagreement to their mean variance."""

    def __init__(self, parts: tuple[Residual, ...]) -> None:
        self.parts = parts

    def fit(self, inputs: Floats, targets: Floats, weights: Floats) -> None:
        """Fit every part on the same rows."""
        for part in self.parts:
            part.fit(inputs, targets, weights)

    def predict(self, inputs: Floats) -> tuple[Floats, Floats]:
        """Mean of the means; law of total variance for the spread."""
        means, stds = (np.stack(each) for each in zip(*(part.predict(inputs) for part in self.parts), strict=True))
        return blended(means, stds)

    def twin(self) -> BlendResidual:
        """Another of the parts' twins."""
        return BlendResidual(tuple(part.twin() for part in self.parts))

    def condition(self, inputs: Floats, targets: Floats, weights: Floats) -> None:
        """Condition every part."""
        for part in self.parts:
            part.condition(inputs, targets, weights)

    def settings(self) -> dict[str, Any]:
        """Those of the parts."""
        return {"kind": "ensemble", "parts": [part.settings() for part in self.parts]}
