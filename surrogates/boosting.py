"""Gradient boosting with an uncertainty: several boosters, each on a bootstrap of the rows.

What is left over where the boosters agree is measured on the rows that each of them has not seen. Friedman, Greedy
function approximation, Annals of Statistics 29 (2001); Breiman, Bagging predictors, Machine Learning 24 (1996).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np

from surrogates.forest import Forest
from surrogates.regressors import STD_FLOOR

if TYPE_CHECKING:
    from collections.abc import Mapping

    from surrogates.table import Floats


@final
class BoostingResidual:
    """The mean of boosted trees on all features."""

    def __init__(
        self, seed: int, n_boosters: int = 4, forests: tuple[Forest, ...] = (), noise: float = STD_FLOOR
    ) -> None:
        self.seed, self.n_boosters, self._forests, self._noise = seed, n_boosters, forests, noise

    def fit(self, inputs: Floats, targets: Floats, weights: Floats) -> None:
        """Boost, and measure on the rows that were left out."""
        from surrogates._sklearn import boost

        rng = np.random.default_rng(self.seed)
        forests, errors, masses = [], [], []
        for number in range(self.n_boosters):
            drawn = rng.multinomial(len(targets), np.full(len(targets), 1 / len(targets)))
            kept, left_out = drawn > 0, drawn == 0
            forest = boost(inputs[kept], targets[kept], (drawn * weights)[kept], seed=self.seed + number)
            forests.append(forest)
            errors.append(forest.predict(inputs[left_out])[0] - targets[left_out])
            masses.append(weights[left_out])
        found, mass = np.concatenate(errors), np.concatenate(masses)
        self._noise = max(float(np.sqrt(np.average(found**2, weights=mass))) if len(found) else 0.0, STD_FLOOR)
        self._forests = tuple(forests)

    def predict(self, inputs: Floats) -> tuple[Floats, Floats]:
        """Mean of the boosters; the spread adds their disagreement to what they leave over."""
        votes = np.stack([forest.predict(inputs)[0] for forest in self._forests])
        return votes.mean(axis=0), np.hypot(votes.std(axis=0), self._noise)

    def twin(self) -> BoostingResidual:
        """Another with the same seed and half of the boosters: folds only measure errors."""
        return BoostingResidual(self.seed, max(self.n_boosters // 2, 2))

    def condition(self, inputs: Floats, targets: Floats, weights: Floats) -> None:
        """Nothing: settings have the trees, which take longest."""

    def settings(self) -> dict[str, Any]:
        """The trees themselves."""
        return {
            "kind": "boosting",
            "seed": self.seed,
            "noise": self._noise,
            "forests": [forest.to_dict() for forest in self._forests],
        }

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> BoostingResidual:
        """The learner that `settings` were taken of."""
        forests = tuple(Forest.from_dict(part) for part in settings["forests"])
        return cls(int(settings["seed"]), len(forests), forests, float(settings["noise"]))
