"""A surrogate of one target, corrected with a few records of another: other tool, part, clock or stage.

    log(1 + cost) = (1 + slope) * log(1 + what the base predicts) + offset + residual(features) + noise

(`surrogates.correction`). Where a model of the new records alone, with the closed forms of their tool, errs less on
held-out architectures, that is taken instead: what a cost of one tool says of another's differs from cost to cost.
Records of the new target decide the intervals (`surrogates.calibration`).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Self, final

import numpy as np

from surrogates.correction import Correction
from surrogates.errors import NotFittedError
from surrogates.estimators import DEFAULT, changed_params, check_tool, ordered_records, source_of, unfitted_learners
from surrogates.estimators import SCHEMA as ESTIMATORS_SCHEMA
from surrogates.prediction import Prediction, Surrogate, joined
from surrogates.records import TARGETS, Stage, records_digest
from surrogates.target_model import LARGEST, LOWEST, TargetModel
from surrogates.training_set import Described, TrainingSet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from surrogates.prediction import Foreseen
    from surrogates.records import SynthesisRecord
    from surrogates.spec import HardwareTarget, ModelSpec
    from surrogates.table import Floats

SCHEMA = 1


@final
@dataclass(frozen=True)
class _Fitted:
    version: str
    tool: str
    records: tuple[SynthesisRecord, ...]
    corrections: dict[str, Correction]
    alone: dict[str, TargetModel]


@final
class TransferSurrogate:
    """`base`, fitted for `known`, corrected with records of another target.

    `base` is not changed and answers as if asked for `known`, the target that it was fitted for.
    """

    def __init__(
        self,
        base: Surrogate,
        known: HardwareTarget,
        *,
        seed: int = 0,
        stage: Stage = Stage.SYNTHESISED,
        foreseen: Foreseen | None = None,
    ) -> None:
        self.base, self.known, self.seed, self.stage = base, known, seed, stage
        self.foreseen: Foreseen = {} if foreseen is None else foreseen
        self._fitted: _Fitted | None = None

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002 (scikit-learn's interface)
        """What the constructor was given, as scikit-learn's estimators have it."""
        names = ("base", "known", "seed", "stage", "foreseen")
        return {name: getattr(self, name) for name in names}

    def set_params(self, **params: Any) -> Self:
        """Change what the constructor was given, for the next fit. Raises `SurrogateError` for an unknown name."""
        self.__dict__.update(vars(type(self)(**changed_params(self.get_params(), params))) | {"_fitted": self._fitted})
        return self

    def __sklearn_clone__(self) -> Self:
        """Unfitted, but with the base as it is: a base that has learnt nothing is of no use."""
        return self.fresh()

    @property
    def version(self) -> str:
        """Digest of the base's version, schema, records and their weights. Raises `NotFittedError` before `fit`."""
        return self._need().version

    @property
    def records(self) -> tuple[SynthesisRecord, ...]:
        """The records of the new target, in the order of the fit."""
        return self._need().records

    @property
    def learners(self) -> dict[str, str]:
        """By target: "transfer" of what the base says, or what was learnt from the new records alone.

        Where the base was right about all of them, what it predicts with itself.
        """
        fitted = self._need()
        own = {name: model.learner for name, model in fitted.alone.items()}
        return {**self.base.learners, **own, **dict.fromkeys(fitted.corrections, "transfer")}

    def fresh(self, foreseen: Foreseen | None = None) -> Self:
        """An unfitted surrogate with the same base, and more scores of predictions (`Prediction.scores`)."""
        known = joined(self.foreseen, foreseen or {})
        return type(self)(self.base, self.known, seed=self.seed, stage=self.stage, foreseen=known)

    def fit(self, records: Sequence[SynthesisRecord], weights: Floats | None = None) -> Self:
        """Learn the correction afresh from records of one stage and tool; raises as `ResidualSurrogate.fit` does."""
        from surrogates._threadpoolctl import one_thread

        ordered, mass = ordered_records(records, weights)
        tool = source_of(ordered, self.stage)
        data = TrainingSet.of(ordered, mass)
        base = self.base.predict([record.spec for record in ordered], self.known)
        corrections: dict[str, Correction] = {}
        alone: dict[str, TargetModel] = {}
        learners = partial(unfitted_learners, DEFAULT, self.seed)
        with one_thread():
            for name in TARGETS:
                truth = data.values(name)
                if np.array_equal(truth, base.mean[name]):
                    continue  # there is nothing to correct
                logs = np.log1p(base.mean[name]), np.log1p(truth)
                foreseen = self.foreseen.get(name, ())
                correction = Correction.fit(*logs, data.features, mass, data.groups, foreseen)
                model = TargetModel.fit(data, name, learners, foreseen)
                if _errs_less(model.error, correction.error, known=tool == self.known.tool):
                    alone[name] = model
                else:
                    corrections[name] = correction
        content = {
            "base": self.base.version,
            "known": self.known.to_dict(),
            "schema": [SCHEMA, ESTIMATORS_SCHEMA],
            "seed": self.seed,
            "foreseen": {name: list(scores) for name, scores in self.foreseen.items()},
            "stage": self.stage.label,
            "records": records_digest(ordered),
            "weights": [round(float(weight), 12) for weight in mass],
        }
        version = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
        self._fitted = _Fitted(version, tool, ordered, corrections, alone)
        return self

    def predict(self, specs: Sequence[ModelSpec], target: HardwareTarget) -> Prediction:
        """Costs of `specs` on the new target. Raises as `ResidualSurrogate.predict` does."""
        fitted = self._need()
        check_tool(target, fitted.tool)
        base, networks = self.base.predict(specs, self.known), Described.of(specs, target, self.stage)
        mean, std, log_std, lower, upper = (
            dict(part) for part in (base.mean, base.std, base.log_std, base.lower, base.upper)
        )
        for name, correction in fitted.corrections.items():
            logs, log_std[name] = correction.predict(np.log1p(base.mean[name]), networks.features)
            ends = (_native(part, name) for part in correction.calibration.interval(logs, log_std[name]))
            mean[name], lower[name], upper[name] = ends
            std[name] = log_std[name] * (1 + mean[name])
        for name, model in fitted.alone.items():
            found = model.predict(networks)
            mean[name], lower[name], upper[name] = found.mean, found.lower, found.upper
            log_std[name], std[name] = found.log_std, found.log_std * (1 + found.mean)
        return Prediction(mean, std, log_std, lower, upper, fitted.version)

    def _need(self) -> _Fitted:
        if self._fitted is None:
            raise NotFittedError("this surrogate has no records of the new target yet: call fit(records)")
        return self._fitted


def _errs_less(alone: float | None, transferred: float | None, *, known: bool) -> bool:
    """Whether to leave the base; where nothing was held out, a base of another tool is left."""
    return not known if alone is None or transferred is None else alone < transferred


def _native(log_cost: Floats, name: str) -> Floats:
    return np.maximum(np.expm1(np.minimum(log_cost, LARGEST)), LOWEST.get(name, 0.0))


if TYPE_CHECKING:

    def _conforms(base: Surrogate, known: HardwareTarget) -> Surrogate:
        return TransferSurrogate(base, known)
