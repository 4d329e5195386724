"""The model of one target: law + residual + calibration, with closed forms kept exact where the data confirm them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from surrogates.calibration import NOMINAL, Calibration, weighted_quantile
from surrogates.features import feature_matrix
from surrogates.layer_law import LayerLaw, closed_form
from surrogates.splits import architecture_groups, group_folds
from surrogates.table import Floats, layer_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from surrogates.records import SynthesisRecord
    from surrogates.regressors import Residual
    from surrogates.spec import HardwareTarget, ModelSpec
    from surrogates.table import LayerTable

N_FOLDS = 6
RESIDUAL_CAP = 2.0  # the residual never changes a cost by more than a factor of exp(2)
UNSEEN_LOG_STD = float(np.log(2.0))  # a strategy or clock that no record has: wrong by a factor of two, say
LARGEST = float(np.log(1e9))
LOWEST = {"latency_cycles": 1.0, "initiation_interval": 1.0}  # of the other targets 0
COUNTED = ("dsp", "bram_18k", "initiation_interval")  # follow from the description but for a few pruned multipliers
CONFIRMED = 0.1  # a closed form is the model where nine tenths of the records are within so much of it, log scale
SPREADS = 1.645  # from the centre to the end of a 90 % interval of a normal distribution, in standard deviations


@final
@dataclass(frozen=True)
class TrainingSet:
    """Records as arrays: features (n, p), layers, weights (n,) and the architecture of each record."""

    records: tuple[SynthesisRecord, ...]
    table: LayerTable
    features: Floats
    weights: Floats
    groups: tuple[str, ...]

    @classmethod
    def of(cls, records: Sequence[SynthesisRecord], weights: Floats) -> TrainingSet:
        """Lay `records` out in their order; `weights` (n,) belong to them."""
        specs = [record.spec for record in records]
        features = feature_matrix(specs, [record.target for record in records])
        return cls(tuple(records), layer_table(specs), features, weights, architecture_groups(specs))

    @property
    def tool(self) -> str:
        """The one tool that all records are of."""
        return str(self.records[0].target.tool)

    def values(self, target: str) -> Floats:
        """What the tool reported for `target`, (n,)."""
        return np.array([getattr(record, target) for record in self.records], dtype=np.float64)

    def rows(self, keep: NDArray[np.intp]) -> TrainingSet:
        """The records `keep` (m,) alone."""
        records = tuple(self.records[row] for row in keep)
        table = layer_table([record.spec for record in records])
        return TrainingSet(records, table, self.features[keep], self.weights[keep], tuple(self.groups[r] for r in keep))


@final
@dataclass(frozen=True)
class TargetPrediction:
    """Centre, spread of log(1 + cost) and interval of one target, arrays (n,)."""

    mean: Floats
    log_std: Floats
    lower: Floats
    upper: Floats


@final
@dataclass(frozen=True)
class Domain:
    """Which strategies and clocks the records have; elsewhere a prediction is a guess and must look like one."""

    unrolled: bool
    reused: bool
    clocks: tuple[float, float]

    @classmethod
    def of(cls, data: TrainingSet) -> Domain:
        """Domain of a training set."""
        clocks = [record.target.clock_period_ns for record in data.records]
        return cls(bool(data.table.unrolled.any()), bool((~data.table.unrolled).any()), (min(clocks), max(clocks)))

    def unseen(self, table: LayerTable, target: HardwareTarget) -> NDArray[np.bool_]:
        """Networks (n,) with a strategy or clock period outside the records."""
        low, high = self.clocks
        strange = table.unrolled if not self.unrolled else np.zeros(len(table.owner), dtype=bool)
        if not self.reused:
            strange = strange | ~table.unrolled
        clock = not 0.9 * low <= target.clock_period_ns <= 1.1 * high
        return (table.total(strange.astype(np.float64)) > 0) | clock


@final
@dataclass(frozen=True)
class TargetModel:
    """A fitted model of one target.

    `residual` is None where the closed form alone is the model, up to a factor of exp(`spread`) in 90 % of the cases:
    for counted targets that agree with it. `floor_holds` says that no record has more than the least possible where the
    closed form has not (a DSP slice without a multiplier, say), so none is predicted there.
    """

    target: str
    domain: Domain
    law: LayerLaw
    residual: Residual | None
    calibration: Calibration
    floor_holds: bool = False
    spread: float = 0.0

    @classmethod
    def fit(cls, data: TrainingSet, target: str, learner: Callable[[int], Residual]) -> TargetModel:
        """Fit law, residual and calibration; `learner` makes an unfitted residual for a number of records."""
        domain, floor_holds, tool = Domain.of(data), False, data.tool
        if target in COUNTED:
            formula, truth = data.table.total(closed_form(data.table, target, tool)), data.values(target)
            lowest = LOWEST.get(target, 0.0)
            above = formula > lowest
            floor_holds = not (truth[~above] > lowest).any()
            rows = np.flatnonzero(above if floor_holds else np.ones_like(above))
            spread = _spread(np.log1p(truth[rows]) - np.log1p(formula[rows]), data.weights[rows])
            if spread <= CONFIRMED:
                plain = LayerLaw.plain(target, tool)
                return cls(target, domain, plain, None, Calibration(0.0, SPREADS, 0), floor_holds, spread)
            data = data.rows(rows)
        residual = learner(len(data.records))
        law = _fit_parts(data, target, residual)
        calibration = _calibrate(data, target, residual)
        return cls(target, domain, law, residual, calibration, floor_holds)

    def predict(self, specs: Sequence[ModelSpec], target: HardwareTarget) -> TargetPrediction:
        """Predict `specs`, n of them, on `target`."""
        table = layer_table(specs)
        unseen = self.domain.unseen(table, target)
        lowest = LOWEST.get(self.target, 0.0)
        formula = table.total(closed_form(table, self.target, self.law.tool))
        if self.residual is None:
            mean, std = np.log1p(formula), np.full(len(specs), self.spread / SPREADS)
        else:
            mean, std = _predict_log(self.law, self.residual, table, feature_matrix(specs, target))
        std = np.where(unseen, np.hypot(std, UNSEEN_LOG_STD), std)
        centre, low, high = (_native(part, lowest) for part in self.calibration.interval(mean, std))
        if self.residual is None:
            centre = formula  # to the last bit
            low, high = np.where(std > 0, low, formula), np.where(std > 0, high, formula)
        if self.floor_holds:
            least = formula <= lowest
            centre, low, high = (np.where(least, lowest, part) for part in (centre, low, high))
            std = np.where(least, 0.0, std)
        return TargetPrediction(centre, std, low, high)


def _spread(errors: Floats, weights: Floats) -> float:
    """How far 90 % of the errors (n,) are from zero at most; with few of them, the largest. 0 if there are none."""
    if len(errors) == 0:
        return 0.0
    return weighted_quantile(np.abs(errors), weights, min(NOMINAL * (1 + 1 / len(errors)), 1.0))


def _native(log_cost: Floats, lowest: float) -> Floats:
    return np.maximum(np.expm1(np.minimum(log_cost, LARGEST)), lowest)


def _fit_parts(data: TrainingSet, target: str, residual: Residual) -> LayerLaw:
    values = data.values(target)
    law = LayerLaw.fit(data.table, values, data.weights, target, data.tool)
    left = np.log1p(values) - law.log_cost(data.table)
    residual.fit(data.features, _winsorised(left), data.weights)
    return law


def _winsorised(left: Floats) -> Floats:
    """Residuals (n,) held within 4 robust standard deviations: a network that synthesis optimised away is no trend."""
    middle = float(np.median(left))
    reach = min(max(4 * 1.4826 * float(np.median(np.abs(left - middle))), 0.05), RESIDUAL_CAP)
    return np.clip(left, max(middle - reach, -RESIDUAL_CAP), min(middle + reach, RESIDUAL_CAP))


def _predict_log(law: LayerLaw, residual: Residual, table: LayerTable, features: Floats) -> tuple[Floats, Floats]:
    mean, std = residual.predict(features)
    return law.log_cost(table) + np.clip(mean, -RESIDUAL_CAP, RESIDUAL_CAP), std


def _calibrate(data: TrainingSet, target: str, residual: Residual) -> Calibration:
    """Errors on folds of held-out architectures; only the learner's own settings come from all of the data."""
    n_groups = len(set(data.groups))
    if n_groups < 3:
        return Calibration.from_held_out(np.zeros(0), np.ones(0), np.ones(0), ())
    errors, stds = np.empty(len(data.records)), np.empty(len(data.records))
    truth = np.log1p(data.values(target))
    everything = np.arange(len(data.records))
    for fold in group_folds(data.groups, N_FOLDS):
        train, test, twin = data.rows(np.setdiff1d(everything, fold)), data.rows(fold), residual.twin()
        law = _fit_parts(train, target, twin)
        mean, stds[fold] = _predict_log(law, twin, test.table, test.features)
        errors[fold] = truth[fold] - mean
    return Calibration.from_held_out(errors, stds, data.weights, data.groups)
