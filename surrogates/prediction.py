"""What a surrogate says, and the interface that every surrogate has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self, final

import numpy as np

from surrogates.records import TARGETS, Stage

if TYPE_CHECKING:
    from surrogates.records import SynthesisRecord
    from surrogates.spec import HardwareTarget, ModelSpec
    from surrogates.table import Floats

Foreseen = Mapping[str, Sequence[float]]  # scores of predictions that were made before the truth was known, by target
NORMAL_REACH = 1.6448536269514722  # standard deviations from the centre to an end of a 90 % interval


@final
@dataclass(frozen=True)
class Prediction:
    """Predicted costs of n networks: each mapping goes from a name in `TARGETS` to an array of shape (n,).

    `mean` is the centre of the distribution of the logarithm, brought back to cells or cycles (for a log-normal its
    median); `std` is the standard deviation in the same unit to first order and `log_std` that of log(1 + cost);
    `lower` and `upper` bound the calibrated 90 % interval, which always contains the centre. `version` names the
    surrogate's parameters, code schema and training data.
    """

    mean: Mapping[str, Floats]
    std: Mapping[str, Floats]
    log_std: Mapping[str, Floats]
    lower: Mapping[str, Floats]
    upper: Mapping[str, Floats]
    version: str
    stage: Stage = Stage.PREDICTED

    def __len__(self) -> int:
        return len(next(iter(self.mean.values())))

    def probability_at_most(self, target: str, bound: float) -> Floats:
        """Probability (n,) that the cost named `target` is at most `bound`, in its own unit.

        log(1 + cost) is taken for normal on either side of its centre, as wide as the calibrated interval reaches on
        that side; 0 or 1 where there is no doubt.
        """
        from surrogates._scipy import normal_cdf

        lower, centre, upper = (np.log1p(part[target]) for part in (self.lower, self.mean, self.upper))
        limit = np.log1p(max(bound, 0.0))
        reach = np.where(limit >= centre, upper - centre, centre - lower) / NORMAL_REACH
        spread = np.where(reach > 0, reach, 1.0)
        inside = normal_cdf((limit - centre) / spread)
        found: Floats = np.where(reach > 0, inside, (self.mean[target] <= bound).astype(np.float64))
        return np.where(bound < 0, 0.0, found)

    def scores(self, records: Sequence[SynthesisRecord]) -> Foreseen:
        """How far these were off for the n networks, once they are synthesised: |error| / std of log(1 + cost).

        By target, in ascending order, to six digits; without what was predicted without doubt.
        """
        found = {}
        for name in TARGETS:
            truth = np.array([getattr(record, name) for record in records], dtype=np.float64)
            doubt = self.log_std[name] > 0
            error = np.abs(np.log1p(truth) - np.log1p(self.mean[name]))[doubt] / self.log_std[name][doubt]
            found[name] = tuple(sorted(round(float(score), 6) for score in error))
        return {name: scores for name, scores in found.items() if scores}


def joined(first: Foreseen, second: Foreseen) -> Foreseen:
    """All scores of both."""
    names = sorted({*first, *second})
    return {name: tuple(sorted([*first.get(name, ()), *second.get(name, ())])) for name in names}


class Surrogate(Protocol):
    """Predicts hardware cost from the description of a network."""

    @property
    def version(self) -> str:
        """Digest of parameters, schema and training data. Raises `NotFittedError` before `fit`."""

    @property
    def foreseen(self) -> Foreseen:
        """Scores of earlier predictions that it knows, by target."""

    @property
    def learners(self) -> Mapping[str, str]:
        """By target what was chosen to predict it. Raises `NotFittedError` before `fit`."""

    def fit(self, records: Sequence[SynthesisRecord], weights: Floats | None = None) -> Self:
        """Learn from records of one stage and one tool, afresh; returns itself."""

    def predict(self, specs: Sequence[ModelSpec], target: HardwareTarget) -> Prediction:
        """Predict costs on `target`. Raises `NotFittedError` before `fit`."""

    def fresh(self, foreseen: Foreseen | None = None) -> Self:
        """An unfitted surrogate with the same parameters, which also knows the scores `foreseen` (see `scores`)."""
