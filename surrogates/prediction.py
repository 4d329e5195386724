"""What a surrogate says, and the interface that every surrogate has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self, final

from surrogates.records import Stage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from surrogates.records import SynthesisRecord
    from surrogates.spec import HardwareTarget, ModelSpec
    from surrogates.table import Floats


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


class Surrogate(Protocol):
    """Predicts hardware cost from the description of a network."""

    @property
    def version(self) -> str:
        """Digest of parameters, schema and training data. Raises `NotFittedError` before `fit`."""

    @property
    def learners(self) -> Mapping[str, str]:
        """By target what was chosen to predict it. Raises `NotFittedError` before `fit`."""

    def fit(self, records: Sequence[SynthesisRecord], weights: Floats | None = None) -> Self:
        """Learn from records of one stage and one tool, afresh; returns itself."""

    def predict(self, specs: Sequence[ModelSpec], target: HardwareTarget) -> Prediction:
        """Predict costs on `target`. Raises `NotFittedError` before `fit`."""

    def fresh(self) -> Self:
        """An unfitted surrogate with the same parameters."""
