"""A surrogate of one target, corrected with a few records of another: other tool, part, clock or stage.

    log(1 + cost) = (1 + slope) * log(1 + what the base predicts) + offset + residual(features) + noise

Offset and slope are shrunk towards none, so that a handful of records already help; a learned residual joins from
`MIN_LEARNED` records on. Where a model of the new records alone, with the closed forms of their tool, errs less on
held-out architectures, that is taken instead: what a cost of one tool says of another's differs from cost to cost.
Records of the new target decide the intervals (`surrogates.calibration`).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Self, final

import numpy as np

from surrogates.calibration import Calibration
from surrogates.errors import NotFittedError
from surrogates.estimators import DEFAULT, MIN_LEARNED, check_tool, ordered_records, source_of, unfitted_learners
from surrogates.estimators import SCHEMA as ESTIMATORS_SCHEMA
from surrogates.features import feature_matrix
from surrogates.prediction import Prediction, Surrogate
from surrogates.records import TARGETS, Stage, records_digest
from surrogates.regressors import GPResidual, OffsetResidual, Residual
from surrogates.splits import group_folds
from surrogates.target_model import LARGEST, LOWEST, N_FOLDS, RESIDUAL_CAP, TargetModel, TrainingSet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from surrogates.records import SynthesisRecord
    from surrogates.spec import HardwareTarget, ModelSpec
    from surrogates.table import Floats

SCHEMA = 1
OFFSET_STD, SLOPE_STD, NOISE_STD = 2.0, 0.3, 0.3  # priors on the log scale: a factor of seven, a third of a power


@final
@dataclass(frozen=True)
class _Correction:
    """What turns a base's log prediction of one cost into that of the new target."""

    centre: float  # mean log prediction of the records, about which the slope turns
    offset: float
    slope: float
    residual: Residual
    calibration: Calibration
    error: float | None = None  # mean absolute, on held-out architectures

    def predict(self, base: Floats, features: Floats) -> tuple[Floats, Floats]:
        """Mean and spread of log(1 + cost), (n,) each."""
        mean, std = self.residual.predict(features)
        return _line(base, self.centre, self.offset, self.slope) + np.clip(mean, -RESIDUAL_CAP, RESIDUAL_CAP), std


@final
@dataclass(frozen=True)
class _Fitted:
    version: str
    tool: str
    corrections: dict[str, _Correction]
    alone: dict[str, TargetModel]


@final
class TransferSurrogate:
    """`base`, fitted for `known`, corrected with records of another target.

    `base` is not changed and answers as if asked for `known`, the target that it was fitted for.
    """

    def __init__(
        self, base: Surrogate, known: HardwareTarget, *, seed: int = 0, stage: Stage = Stage.SYNTHESISED
    ) -> None:
        self.base, self.known, self.seed, self.stage = base, known, seed, stage
        self._fitted: _Fitted | None = None

    @property
    def version(self) -> str:
        """Digest of the base's version, schema, records and their weights. Raises `NotFittedError` before `fit`."""
        return self._need().version

    @property
    def learners(self) -> dict[str, str]:
        """By target: "transfer" of what the base says, or what was learnt from the new records alone.

        Where the base was right about all of them, what it predicts with itself.
        """
        fitted = self._need()
        own = {name: model.learner for name, model in fitted.alone.items()}
        return {**self.base.learners, **own, **dict.fromkeys(fitted.corrections, "transfer")}

    def fresh(self) -> Self:
        """An unfitted surrogate with the same base."""
        return type(self)(self.base, self.known, seed=self.seed, stage=self.stage)

    def fit(self, records: Sequence[SynthesisRecord], weights: Floats | None = None) -> Self:
        """Learn the correction afresh from records of one stage and tool; raises as `ResidualSurrogate.fit` does."""
        from surrogates._threadpoolctl import one_thread

        ordered, mass = ordered_records(records, weights)
        tool = source_of(ordered, self.stage)
        data = TrainingSet.of(ordered, mass)
        base = self.base.predict([record.spec for record in ordered], self.known)
        corrections: dict[str, _Correction] = {}
        alone: dict[str, TargetModel] = {}
        learners = partial(unfitted_learners, DEFAULT, self.seed)
        with one_thread():
            for name in TARGETS:
                truth = data.values(name)
                if np.array_equal(truth, base.mean[name]):
                    continue  # there is nothing to correct
                correction = _fit(np.log1p(base.mean[name]), data.features, np.log1p(truth), mass, data.groups)
                model = TargetModel.fit(data, name, learners)
                if _errs_less(model.error, correction.error, known=tool == self.known.tool):
                    alone[name] = model
                else:
                    corrections[name] = correction
        content = {
            "base": self.base.version,
            "known": self.known.to_dict(),
            "schema": [SCHEMA, ESTIMATORS_SCHEMA],
            "seed": self.seed,
            "stage": self.stage.label,
            "records": records_digest(ordered),
            "weights": [round(float(weight), 12) for weight in mass],
        }
        version = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
        self._fitted = _Fitted(version, tool, corrections, alone)
        return self

    def predict(self, specs: Sequence[ModelSpec], target: HardwareTarget) -> Prediction:
        """Costs of `specs` on the new target. Raises as `ResidualSurrogate.predict` does."""
        fitted = self._need()
        check_tool(target, fitted.tool)
        base, features = self.base.predict(specs, self.known), feature_matrix(specs, target)
        mean, std, log_std, lower, upper = (
            dict(part) for part in (base.mean, base.std, base.log_std, base.lower, base.upper)
        )
        for name, correction in fitted.corrections.items():
            logs, log_std[name] = correction.predict(np.log1p(base.mean[name]), features)
            ends = (_native(part, name) for part in correction.calibration.interval(logs, log_std[name]))
            mean[name], lower[name], upper[name] = ends
            std[name] = log_std[name] * (1 + mean[name])
        for name, model in fitted.alone.items():
            found = model.predict(specs, target)
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


def _line(base: Floats, centre: float, offset: float, slope: float) -> Floats:
    return base + offset + slope * (base - centre)


def _fit(base: Floats, features: Floats, truth: Floats, weights: Floats, groups: Sequence[str]) -> _Correction:
    """Correction of one cost, and its calibration on folds of held-out architectures."""
    residual: Residual = GPResidual() if len(truth) >= MIN_LEARNED else OffsetResidual()
    centre, offset, slope = _fit_parts(base, features, truth, weights, residual)
    errors, stds = np.zeros(len(truth)), np.ones(len(truth))
    if len(set(groups)) >= 3:
        for fold in group_folds(groups, N_FOLDS):
            train = np.setdiff1d(np.arange(len(truth)), fold)
            twin = residual.twin()
            line = _fit_parts(base[train], features[train], truth[train], weights[train], twin)
            mean, stds[fold] = _Correction(*line, twin, Calibration(0.0, 1.0, 0)).predict(base[fold], features[fold])
            errors[fold] = truth[fold] - mean
    calibration = Calibration.from_held_out(errors, stds, weights, groups)
    error = float(np.mean(np.abs(errors))) if len(set(groups)) >= 3 else None
    return _Correction(centre, offset, slope, residual, calibration, error)


def _fit_parts(
    base: Floats, features: Floats, truth: Floats, weights: Floats, residual: Residual
) -> tuple[float, float, float]:
    """Centre, offset and slope by ridge regression; the residual learns what they leave over."""
    centre = float(np.average(base, weights=weights))
    design = np.column_stack([np.ones(len(base)), base - centre])
    mass = weights / weights.max() / NOISE_STD**2
    curvature = design.T @ (design * mass[:, None]) + np.diag([OFFSET_STD**-2, SLOPE_STD**-2])
    offset, slope = np.linalg.solve(curvature, design.T @ (mass * (truth - base)))
    left = truth - _line(base, centre, float(offset), float(slope))
    residual.fit(features, np.clip(left, -RESIDUAL_CAP, RESIDUAL_CAP), weights)
    return centre, float(offset), float(slope)


if TYPE_CHECKING:

    def _conforms(base: Surrogate, known: HardwareTarget) -> Surrogate:
        return TransferSurrogate(base, known)
