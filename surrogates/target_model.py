"""The model of one target: law + residual + calibration, with closed forms kept exact where the data confirm them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self, final

import numpy as np

from surrogates.calibration import NOMINAL, Calibration, weighted_quantile
from surrogates.choice import HeldOut, chosen, with_blend
from surrogates.graph_law import GraphLaw
from surrogates.kinds import from_settings
from surrogates.law_choice import N_FOLDS, chosen_law, log_cost, refitted
from surrogates.layer_law import LayerLaw, closed_form
from surrogates.splits import group_folds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from surrogates.law_choice import Law
    from surrogates.regressors import Residual
    from surrogates.spec import HardwareTarget
    from surrogates.table import Floats, LayerTable
    from surrogates.training_set import Described, TrainingSet

RESIDUAL_CAP = 2.0  # the residual never changes a cost by more than a factor of exp(2)
UNSEEN_LOG_STD = float(np.log(2.0))  # a strategy or clock that no record has: wrong by a factor of two, say
LARGEST = float(np.log(1e9))
LOWEST = {"latency_cycles": 1.0, "initiation_interval": 1.0}  # of the other targets 0
COUNTED = ("dsp", "bram_18k", "initiation_interval")  # follow from the description but for a few pruned multipliers
CONFIRMED = 0.1  # a closed form is the model where nine tenths of the records are within so much of it, log scale
CLOSED_FORM, LAW = "closed form", "law"
SPREADS = 1.645  # from the centre to the end of a 90 % interval of a normal distribution, in standard deviations
FORMULA = Calibration(0.0, SPREADS, 0)  # of what follows a closed form
_PLAIN = ("target", "floor_holds", "spread", "exact", "learner", "error")


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

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """What `dataclasses.asdict` made of it."""
        low, high = data["clocks"]
        return cls(bool(data["unrolled"]), bool(data["reused"]), (float(low), float(high)))

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
    closed form has not (a DSP slice without a multiplier, say), so none is predicted there. `exact` says that networks
    with (True) or without (False) unrolled layers follow the closed form within `spread`, and only the others need the
    residual. `learner` names what the residual is, `error` is its mean absolute log error on held-out architectures
    (None where there are too few).
    """

    target: str
    domain: Domain
    law: Law
    residual: Residual | None
    calibration: Calibration
    floor_holds: bool = False
    spread: float = 0.0
    exact: bool | None = None
    learner: str = CLOSED_FORM
    error: float | None = None

    @classmethod
    def fit(
        cls,
        data: TrainingSet,
        target: str,
        learners: Callable[[int], Mapping[str, Residual]],
        foreseen: Sequence[float] = (),
    ) -> TargetModel:
        """Fit law, residual and calibration; `learners` makes unfitted residuals for a number of records.

        Of several learners, folds of held-out architectures choose one, or their blend (`chosen`).
        """
        domain, floor_holds, flow, exact, spread = Domain.of(data), False, data.flow, None, 0.0
        if target in COUNTED:
            formula, truth = data.table.total(closed_form(data.table, target, flow)), data.values(target)
            lowest = LOWEST.get(target, 0.0)
            above = formula > lowest
            floor_holds = not (truth[~above] > lowest).any()
            rows = np.flatnonzero(above if floor_holds else np.ones_like(above))
            errors, unrolled = np.log1p(truth) - np.log1p(formula), _unrolled(data.table)
            spreads = {kind: _spread(errors[part], data.weights[part])
                       for kind in (False, True) if len(part := rows[unrolled[rows] == kind])}  # fmt: skip
            confirmed = [kind for kind, found in spreads.items() if found <= CONFIRMED]
            if len(confirmed) == len(spreads):
                plain, spread = LayerLaw.plain(target, flow), _spread(errors[rows], data.weights[rows])
                error = float(np.mean(np.abs(errors)))
                return cls(target, domain, plain, None, FORMULA, floor_holds, spread, error=error)
            if confirmed:
                (exact,) = confirmed
                spread = spreads[exact]
            data = _learnt(data, target, floor_holds=floor_holds, exact=exact)
        residuals = learners(len(data.records))
        law = chosen_law(data, target)
        _fit_residuals(law, data, target, residuals.values())
        residuals, held_out = with_blend(residuals, _held_out(law, data, target, residuals), LAW)
        name = chosen(held_out, data.weights)
        found = held_out[name]
        calibration = Calibration.from_held_out(
            found.errors, found.stds, data.weights, data.groups, foreseen=foreseen
        )
        return cls(target, domain, law, residuals[name], calibration, floor_holds, spread, exact, name, found.error)

    def settings(self) -> dict[str, Any]:
        """All that a fit took time to find, as plain data: see `from_settings`."""
        found = {name: getattr(self, name) for name in _PLAIN}
        learner = None if self.residual is None else self.residual.settings()
        parts = {"domain": asdict(self.domain), "calibration": asdict(self.calibration)}
        exponents = self.law.exponents.tolist() if isinstance(self.law, LayerLaw) else None
        return {**found, **parts, "exponents": exponents, "residual": learner}

    @classmethod
    def from_settings(cls, data: TrainingSet, settings: Mapping[str, Any]) -> Self:
        """The model that `settings` were taken of, given what that was fitted to.

        Raises `KeyError`, `TypeError` or `ValueError` for what are not settings.
        """
        plain = {name: settings[name] for name in _PLAIN}
        target, exact = plain["target"], plain["exact"]
        exponents = settings["exponents"]
        law: Law = GraphLaw(target)
        if exponents is not None:
            law = LayerLaw(target, np.asarray(exponents, np.float64), data.flow)
        residual = None
        if settings["residual"] is not None:
            residual = from_settings(settings["residual"])
            if target in COUNTED:
                data = _learnt(data, target, floor_holds=plain["floor_holds"], exact=exact)
            residual.condition(data.features, _left_over(law, data, target), data.weights)
        domain, calibration = Domain.from_dict(settings["domain"]), Calibration(**settings["calibration"])
        return cls(domain=domain, law=law, residual=residual, calibration=calibration, **plain)

    def predict(self, networks: Described) -> TargetPrediction:
        """Predict n networks on their target."""
        table = networks.table
        unseen = self.domain.unseen(table, networks.target)
        lowest = LOWEST.get(self.target, 0.0)
        formula = table.total(closed_form(table, self.target, self.law.flow))
        follows = np.full(table.n_specs, self.residual is None) | (_unrolled(table) == self.exact)
        mean, std = np.log1p(formula), np.full(table.n_specs, self.spread / SPREADS)
        if self.residual is not None:
            learnt = _predict_log(self.law, self.residual, networks)
            mean, std = (np.where(follows, *pair) for pair in zip((mean, std), learnt, strict=True))
        std = np.where(unseen, np.hypot(std, UNSEEN_LOG_STD), std)
        ends = zip(FORMULA.interval(mean, std), self.calibration.interval(mean, std), strict=True)
        centre, low, high = (_native(np.where(follows, *pair), lowest) for pair in ends)
        centre = np.where(follows, formula, centre)  # to the last bit
        certain = follows & (std == 0)
        low, high = np.where(certain, formula, low), np.where(certain, formula, high)
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


def _unrolled(table: LayerTable) -> NDArray[np.bool_]:
    """Which networks (n_specs,) have layers of distributed arithmetic."""
    return table.total(table.unrolled.astype(np.float64)) > 0


def _native(log_cost: Floats, lowest: float) -> Floats:
    return np.maximum(np.expm1(np.minimum(log_cost, LARGEST)), lowest)


def _learnt(data: TrainingSet, target: str, *, floor_holds: bool, exact: bool | None) -> TrainingSet:
    """What the residual of a counted target learns from: what neither floor nor closed form explains."""
    keep = np.ones(len(data.records), dtype=bool)
    if floor_holds:
        keep &= data.table.total(closed_form(data.table, target, data.flow)) > LOWEST.get(target, 0.0)
    if exact is not None:
        keep &= _unrolled(data.table) != exact
    return data.rows(np.flatnonzero(keep))


def _fit_residuals(law: Law, data: TrainingSet, target: str, residuals: Iterable[Residual]) -> None:
    """Fit each of the residuals to what the law leaves over."""
    left = _left_over(law, data, target)
    for residual in residuals:
        residual.fit(data.features, left, data.weights)


def _left_over(law: Law, data: TrainingSet, target: str) -> Floats:
    """What residuals learn (n,)."""
    return _winsorised(np.log1p(data.values(target)) - log_cost(law, data))


def _winsorised(left: Floats) -> Floats:
    """Residuals (n,) held within 4 robust standard deviations: a network that synthesis optimised away is no trend."""
    middle = float(np.median(left))
    reach = min(max(4 * 1.4826 * float(np.median(np.abs(left - middle))), 0.05), RESIDUAL_CAP)
    return np.clip(left, max(middle - reach, -RESIDUAL_CAP), min(middle + reach, RESIDUAL_CAP))


def _predict_log(law: Law, residual: Residual, networks: TrainingSet | Described) -> tuple[Floats, Floats]:
    mean, std = residual.predict(networks.features)
    return log_cost(law, networks) + np.clip(mean, -RESIDUAL_CAP, RESIDUAL_CAP), std


def _held_out(
    law: Law, data: TrainingSet, target: str, residuals: Mapping[str, Residual]
) -> dict[str, HeldOut]:
    """What each learner predicts for folds of held-out architectures; its own settings come from all of the data.

    Nothing where there are too few architectures.
    """
    if len(set(data.groups)) < 3:
        return {name: HeldOut(*(np.zeros(0) for _ in range(3))) for name in residuals}
    means, stds = ({name: np.empty(len(data.records)) for name in residuals} for _ in range(2))
    truth = np.log1p(data.values(target))
    everything = np.arange(len(data.records))
    for fold in group_folds(data.groups, N_FOLDS):
        train, test = data.rows(np.setdiff1d(everything, fold)), data.rows(fold)
        twins = {name: residual.twin() for name, residual in residuals.items()}
        own = refitted(law, train)
        _fit_residuals(own, train, target, twins.values())
        for name, twin in twins.items():
            means[name][fold], stds[name][fold] = _predict_log(own, twin, test)
    return {name: HeldOut(truth, means[name], stds[name]) for name in residuals}
