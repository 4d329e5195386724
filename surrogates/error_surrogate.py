"""The accuracy predictor: what error a network will have, learnt from networks that were trained in the same way.

    log(error / (1 - error / bound)) = mean + residual(features, columns) + noise

The left side is the logit of an error that is bounded, the logarithm of one that is not. Learners, their choice and the
calibrated intervals are those of the surrogates of hardware cost; there is no law to start from, so the mean takes its
place. Predictors of accuracy as in NSGANetV2 (Lu et al., arXiv:2007.10396), with zero-cost proxies among the columns
after Abdelfattah et al. (arXiv:2101.08134).
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, final

import numpy as np

from surrogates.calibration import Calibration
from surrogates.choice import HeldOut, chosen, with_blend
from surrogates.errors import NotFittedError, SurrogateError
from surrogates.features import COMPACT, feature_matrix, feature_names
from surrogates.kinds import DEFAULT, KINDS, Kind, unfitted
from surrogates.law_choice import N_FOLDS
from surrogates.ordering import ordered
from surrogates.regressors import MIN_LEARNED, OffsetResidual, Residual
from surrogates.spec import HardwareTarget
from surrogates.splits import architecture_groups, group_folds
from surrogates.target_model import FORMULA

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from surrogates.spec import ModelSpec
    from surrogates.table import Floats

SCHEMA = 1  # raised whenever the same parameters and trainings would give other predictions
MEAN = "mean"
SEED_STD = 0.05  # of log errors: what another seed changes, beside which a smaller error of measurement says nothing
REACH = math.log(2.0)  # beyond the best and the worst training, a centre is at most this much better or worse
FARTHEST = 20.0  # of an end of an interval from all trainings, a factor of 5e8
TINY = 1e-9


@final
@dataclass(frozen=True)
class MeasuredError:
    """The error of one trained network, at least 0, with the standard deviation of its measurement (0: unknown).

    `columns` are further numbers that are known before the training, by name: finite, and on a scale on which equal
    steps mean about the same (the logarithm of a learning rate).
    """

    spec: ModelSpec
    error: float
    std: float = 0.0
    columns: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in (("error", self.error), ("std", self.std)):
            if not (math.isfinite(value) and value >= 0):
                raise SurrogateError(f"{name} = {value!r}: must be finite and at least 0; leave failed trainings out")
        for name, value in self.columns.items():
            if not math.isfinite(value):
                raise SurrogateError(f"columns[{name!r}] = {value!r}: must be finite")

    def to_dict(self) -> dict[str, Any]:
        """Plain data, fit for JSON, with the digest of the network."""
        return {"spec": self.spec.digest, "error": self.error, "std": self.std, "columns": dict(self.columns)}


@final
@dataclass(frozen=True)
class ErrorPrediction:
    """Predicted errors of n networks, (n,) each, in the unit of the measured ones.

    `mean` is the centre on the scale of learning, brought back; `std` the standard deviation to first order; `lower`
    and `upper` bound the calibrated 90 % interval, which contains the centre. `version` names the predictor.
    """

    mean: Floats
    std: Floats
    lower: Floats
    upper: Floats
    version: str

    def __len__(self) -> int:
        return len(self.mean)


@final
@dataclass(frozen=True)
class _Fitted:
    version: str
    columns: tuple[str, ...]
    centre: float
    ends: tuple[float, float]  # of the measured errors on the scale of learning
    learner: str
    residual: Residual
    calibration: Calibration
    rank_correlation: float | None


@final
class ErrorSurrogate:
    """Predicts the errors of networks from measured ones; below 20 of these, their mean with a wide spread.

    `kind` is a learner as of `ResidualSurrogate`; with "auto" held-out architectures choose, also against the mean
    alone. `bound` is the largest possible error, 1 for a share of wrong answers. The same trainings give the same
    predictions in whatever order they come.
    """

    def __init__(self, kind: Kind = DEFAULT, *, seed: int = 0, bound: float = math.inf) -> None:
        if kind not in KINDS:
            raise SurrogateError(f"kind = {kind!r}: must be one of {', '.join(KINDS)}")
        if not bound > 0:
            raise SurrogateError(f"bound = {bound!r}: must be positive, or infinite for an error without a bound")
        self.kind: Kind = kind
        self.seed, self.bound = seed, float(bound)
        self._fitted: _Fitted | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """What, with the trainings, determines every prediction; plain data."""
        bound = None if math.isinf(self.bound) else self.bound
        return {"kind": self.kind, "seed": self.seed, "bound": bound}

    @property
    def version(self) -> str:
        """First 16 hexadecimal digits of a SHA-256 over parameters, schema, features, trainings and their weights."""
        return self._need().version

    @property
    def learners(self) -> dict[str, str]:
        """What was chosen to predict the error: a kind, or "mean" below 20 trainings or where no other is better."""
        return {"error": self._need().learner}

    @property
    def rank_correlation(self) -> float | None:
        """Spearman's, of predicted and measured errors of held-out architectures; None where it is not defined."""
        return self._need().rank_correlation

    def fresh(self) -> Self:
        """An unfitted one with the same parameters."""
        return type(self)(self.kind, seed=self.seed, bound=self.bound)

    def fit(self, trainings: Sequence[MeasuredError], weights: Floats | None = None) -> Self:
        """Learn afresh; `weights` (n,) are positive and relative. Returns itself.

        Raises `SurrogateError` without trainings, for bad weights, an error beyond `bound`, or other columns of one
        training than of another.
        """
        from surrogates._threadpoolctl import one_thread

        ordered, mass = _ordered(trainings, weights)
        names = tuple(sorted(ordered[0].columns))
        for one in ordered:
            if tuple(sorted(one.columns)) != names:
                raise SurrogateError(f"columns {sorted(one.columns)} beside {list(names)}: give all trainings the same")
            if one.error > self.bound:
                raise SurrogateError(f"error = {one.error!r}: must be at most the bound, {self.bound!r}")
        specs = [one.spec for one in ordered]
        features = _features(specs, {name: np.array([one.columns[name] for one in ordered]) for name in names})
        truth, trust = self._scaled(ordered)
        with one_thread():
            self._fitted = self._learnt(
                self._digest(ordered, mass), names, features, truth, mass * trust, architecture_groups(specs)
            )
        return self

    def predict(self, specs: Sequence[ModelSpec], columns: Mapping[str, Floats] | None = None) -> ErrorPrediction:
        """Errors of n networks with `columns` (n,) each, of the names that the trainings had.

        Raises `NotFittedError` before `fit`, `SurrogateError` for other columns.
        """
        from surrogates._threadpoolctl import one_thread

        fitted, given = self._need(), dict(columns or {})
        if tuple(sorted(given)) != fitted.columns:
            raise SurrogateError(f"columns = {sorted(given)}: must be {list(fitted.columns)}, as of the trainings")
        for name, values in given.items():
            if np.shape(values) != (len(specs),) or not np.isfinite(values).all():
                raise SurrogateError(f"columns[{name!r}]: must be {len(specs)} finite numbers, one for each network")
        with one_thread():
            mean, std = fitted.residual.predict(_features(specs, {name: given[name] for name in fitted.columns}))
        lowest, highest = fitted.ends
        held = np.clip(fitted.centre + mean, lowest - REACH, highest + REACH)
        parts = fitted.calibration.interval(held, std)
        centre, lower, upper = (self._native(np.clip(z, lowest - FARTHEST, highest + FARTHEST)) for z in parts)
        return ErrorPrediction(centre, std * centre * (1 - centre / self.bound), lower, upper, fitted.version)

    def _need(self) -> _Fitted:
        if self._fitted is None:
            raise NotFittedError("this predictor has no trainings yet: call fit(trainings)")
        return self._fitted

    def _learnt(
        self, version: str, names: tuple[str, ...], features: Floats, truth: Floats, weights: Floats,
        groups: Sequence[str],
    ) -> _Fitted:  # fmt: skip
        """Fit every learner, and take the one, or the blend, that held-out architectures speak for."""
        centre = float(np.average(truth, weights=weights))
        learners = _unfitted(self.kind, self.seed, len(truth), len(COMPACT) + len(names))
        for learner in learners.values():
            learner.fit(features, truth - centre, weights)
        learners, held_out = with_blend(learners, _held_out(learners, features, truth, weights, groups), MEAN)
        name = chosen(held_out, weights)
        found = held_out[name]
        calibration = Calibration.from_held_out(found.errors, found.stds, weights, groups)
        if len(truth) < MIN_LEARNED:  # a handful can lie close together by chance
            calibration = FORMULA
        ends = float(truth.min()), float(truth.max())
        return _Fitted(version, names, centre, ends, name, learners[name], calibration, found.rank_correlation)

    def _scaled(self, trainings: Sequence[MeasuredError]) -> tuple[Floats, Floats]:
        """Errors on the scale of learning (n,), and how far each is to be trusted, at most 1."""
        errors = np.array([one.error for one in trainings], dtype=np.float64)
        stds = np.array([one.std for one in trainings], dtype=np.float64)
        held, room = _positive(errors), _positive(1 - errors / self.bound)
        return np.log(held) - np.log(room), 1 / (1 + (stds / (held * room * SEED_STD)) ** 2)

    def _native(self, scaled: Floats) -> Floats:
        odds = np.exp(scaled)
        errors: Floats = odds / (1 + odds / self.bound)
        return errors

    def _digest(self, trainings: Sequence[MeasuredError], weights: Floats) -> str:
        content = {
            **self.parameters,
            "schema": SCHEMA,
            "features": feature_names(),
            "trainings": [one.to_dict() for one in trainings],
            "weights": [round(float(w), 12) for w in weights],
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _ordered(
    trainings: Sequence[MeasuredError], weights: Floats | None
) -> tuple[tuple[MeasuredError, ...], Floats]:
    """Trainings and weights in an order that depends on their content alone; the largest weight becomes 1."""
    if not trainings:
        raise SurrogateError("no trainings: a predictor needs at least one measured error to learn from")
    return ordered(trainings, weights, "training", lambda one: json.dumps(one.to_dict(), sort_keys=True))


def _features(specs: Sequence[ModelSpec], columns: Mapping[str, Floats]) -> Floats:
    """Features (n, p) with the columns behind the compact ones, where smooth learners see them.

    The clock, of which an error knows nothing, is the same for all.
    """
    matrix, n = feature_matrix(specs, HardwareTarget()), len(COMPACT)
    return np.column_stack([matrix[:, :n], *columns.values(), matrix[:, n:]])


def _unfitted(kind: Kind, seed: int, n_trainings: int, smooth: int) -> dict[str, Residual]:
    """What a kind fits, or chooses from, for so many trainings."""
    if n_trainings < MIN_LEARNED:
        return {MEAN: OffsetResidual()}
    learners = unfitted(kind, seed, smooth)
    return {MEAN: OffsetResidual(), **learners} if kind == "auto" else learners


def _held_out(
    learners: Mapping[str, Residual], features: Floats, truth: Floats, weights: Floats, groups: Sequence[str]
) -> dict[str, HeldOut]:
    """What each learner predicts for folds of held-out architectures; nothing where these are too few."""
    if len(set(groups)) < 3:
        return {name: HeldOut(*(np.zeros(0) for _ in range(3))) for name in learners}
    means, stds = ({name: np.empty(len(truth)) for name in learners} for _ in range(2))
    for fold in group_folds(groups, N_FOLDS):
        train = np.setdiff1d(np.arange(len(truth)), fold)
        centre = float(np.average(truth[train], weights=weights[train]))
        for name, learner in learners.items():
            twin = learner.twin()
            twin.fit(features[train], truth[train] - centre, weights[train])
            mean, stds[name][fold] = twin.predict(features[fold])
            means[name][fold] = centre + mean
    if MEAN in means:  # those of folds are high where the fold is low, which would look like a rank
        means[MEAN][:] = np.average(truth, weights=weights)
    return {name: HeldOut(truth, means[name], stds[name]) for name in learners}


def _positive(values: Floats) -> Floats:
    """Values (n,) of at least 0, those of 0 as half of the least that is not."""
    above = values[values > 0]
    return np.maximum(values, above.min() / 2 if len(above) else TINY)
