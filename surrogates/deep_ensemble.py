"""A deep ensemble: perceptrons from different seeds, each of which predicts a mean and a spread.

    h = relu(x A + a);  h = relu(h B + b);  mean, log spread = h C + c

They are trained with torch on the likelihood of the targets (`surrogates._torch`), and computed here with numpy in
double precision. Lakshminarayanan et al., arXiv:1612.01474.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, final

import numpy as np

from surrogates.errors import SurrogateError
from surrogates.features import COMPACT
from surrogates.regressors import STD_FLOOR, Standardiser, blended

if TYPE_CHECKING:
    from collections.abc import Mapping

    from surrogates.table import Floats

WEIGHTS = ("A", "a", "B", "b", "C", "c")
LOG_SPREAD = (-6.0, 2.0)  # limits, in units of the spread of the targets


@final
@dataclass(frozen=True)
class Perceptron:
    """One member; its arrays by name."""

    weights: Mapping[str, Floats]

    def predict(self, inputs: Floats) -> tuple[Floats, Floats]:
        """Means and standard deviations (n,) of rows (n, p)."""
        A, a, B, b, C, c = (self.weights[name] for name in WEIGHTS)
        hidden = np.maximum(np.maximum(inputs @ A + a, 0.0) @ B + b, 0.0)
        mean, log_spread = (hidden @ C + c).T
        return mean, np.exp(np.clip(log_spread, *LOG_SPREAD))


@final
class DeepEnsembleResidual:
    """A deep ensemble on the first `smooth` features."""

    def __init__(self, seed: int, n_members: int = 5, smooth: int = len(COMPACT)) -> None:
        self.seed, self.n_members, self.smooth = seed, n_members, smooth

    def fit(self, inputs: Floats, targets: Floats, weights: Floats) -> None:
        """Train all members. Raises `SurrogateError` where torch is not installed."""
        try:
            from surrogates._torch import train_perceptrons
        except ImportError as error:
            raise SurrogateError("kind = 'deep_ensemble' needs torch: install it, or take another kind") from error
        self._scale = Standardiser(inputs, self.smooth)
        self._offset = float(np.average(targets, weights=weights))
        spread = float(np.sqrt(np.average((targets - self._offset) ** 2, weights=weights)))
        self._spread = max(spread, STD_FLOOR)
        rows, truth = self._scale(inputs), (targets - self._offset) / self._spread
        trained = train_perceptrons(rows, truth, weights, self.seed, self.n_members)
        self._members = tuple(Perceptron(own) for own in trained)

    def predict(self, inputs: Floats) -> tuple[Floats, Floats]:
        """Mean of the means; law of total variance for the spread."""
        rows = self._scale(inputs)
        means, stds = (np.stack(part) for part in zip(*(one.predict(rows) for one in self._members), strict=True))
        mean, std = blended(means, stds)
        return self._offset + self._spread * mean, np.maximum(self._spread * std, STD_FLOOR)

    def twin(self) -> DeepEnsembleResidual:
        """Another with the same seed."""
        return DeepEnsembleResidual(self.seed, self.n_members, self.smooth)

    def condition(self, inputs: Floats, targets: Floats, weights: Floats) -> None:
        """Nothing: settings have the weights, which take longest."""

    def settings(self) -> dict[str, Any]:
        """The weights themselves."""
        return {
            "kind": "deep_ensemble",
            "seed": self.seed,
            "smooth": self.smooth,
            "scale": self._scale.to_dict(),
            "offset": self._offset,
            "spread": self._spread,
            "members": [{name: one.weights[name].tolist() for name in WEIGHTS} for one in self._members],
        }

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """The learner that `settings` were taken of; needs no torch."""
        found = cls(int(settings["seed"]), len(settings["members"]), int(settings["smooth"]))
        found._scale = Standardiser.from_dict(settings["scale"])
        found._offset, found._spread = float(settings["offset"]), float(settings["spread"])
        found._members = tuple(
            Perceptron({name: np.asarray(one[name], np.float64) for name in WEIGHTS}) for one in settings["members"]
        )
        return found
