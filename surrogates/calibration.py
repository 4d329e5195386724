"""Intervals that keep their promise: conformal prediction on held-out architectures, bias correction, drift."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from surrogates.metrics import coverage, relative_errors
from surrogates.records import TARGETS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from surrogates.estimators import Surrogate
    from surrogates.records import SynthesisRecord
    from surrogates.table import Floats

NOMINAL = 0.90
UNCALIBRATED_FACTOR = 2.5  # spreads each way where too few architectures are known to measure one


def weighted_quantile(values: Floats, weights: Floats, level: float) -> float:
    """Smallest value with at least a share `level` of the total weight at or below it; (n,), n >= 1."""
    order = np.argsort(values, kind="stable")
    mass = np.cumsum(weights[order]) / weights.sum()
    place = int(np.searchsorted(mass, level - 1e-12))
    return float(values[order[min(place, len(values) - 1)]])


@final
@dataclass(frozen=True)
class Calibration:
    """What held-out errors say of a model of log costs.

    The interval of a prediction (mean, std) is mean + bias -+ factor * std.
    """

    bias: float
    factor: float
    n_groups: int

    @classmethod
    def from_held_out(
        cls,
        errors: Floats,
        stds: Floats,
        weights: Floats,
        groups: Sequence[str],
        nominal: float = NOMINAL,
        foreseen: Sequence[float] = (),
    ) -> Calibration:
        """Calibrate on errors (truth - mean, log scale) of predictions made without the record's own group.

        Cross-conformal: the nominal quantile of |error| / std over all folds serves the model refitted on all data.
        The finite-sample correction (1 + 1/n) counts groups, not records, because records of one architecture err
        together (n exchangeable groups give at most n independent scores). The bias is the weighted median error,
        shrunk as if one more group showed none. Sources: Vovk, Cross-conformal predictors (2015); Barber et al.,
        Predictive inference with the jackknife+ (2021); normalised scores: Papadopoulos et al. (2008).

        A search leaves the records that it started from, and what is held out of them then says too little. `foreseen`
        are the scores of predictions that were made before their networks were synthesised, in the search; together
        they count as much as all that is held out, and can only widen the interval (after Gibbs and Candes, Adaptive
        conformal inference under distribution shift, 2021, who follow the scores as they come in).
        """
        n_groups = len(set(groups))
        if n_groups < 3:
            return cls(0.0, UNCALIBRATED_FACTOR, n_groups)
        bias = weighted_quantile(errors, weights, 0.5) * n_groups / (n_groups + 1)
        scores = np.abs(errors - bias) / stds
        level = nominal * (1 + 1 / n_groups)
        factor = weighted_quantile(scores, weights, min(level, 1.0))
        if level > 1.0:  # too few groups for a finite interval with the guarantee: stretch the largest score
            factor *= level
        if len(foreseen) > 0:
            both = np.concatenate([scores, foreseen])
            mass = np.concatenate([weights / weights.sum(), np.full(len(foreseen), 1 / len(foreseen))])
            factor = max(factor, weighted_quantile(both, mass, min(level, 1.0)))
        return cls(bias, max(factor, 0.1), n_groups)

    def interval(self, mean: Floats, std: Floats) -> tuple[Floats, Floats, Floats]:
        """Corrected centre and both ends of the interval on the log scale, each (n,)."""
        centre = mean + self.bias
        return centre, centre - self.factor * std, centre + self.factor * std


@final
@dataclass(frozen=True)
class Drift:
    """How a fitted model does on records it has not seen, for one target.

    `bias` is the mean log ratio of truth to prediction; `coverage` the share of records within the 90 % interval.
    `drifted` says that the truth left the intervals more often than chance allows (one-sided binomial test, 1 %,
    because the coverage of any one calibration scatters about its nominal value) or that the median
    relative error passed `limit`.
    """

    target: str
    n: int
    median_relative_error: float | None
    bias: float | None
    coverage: float | None
    drifted: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain data, fit for JSON."""
        return asdict(self)


def drift(surrogate: Surrogate, records: Sequence[SynthesisRecord], *, limit: float = 0.3) -> dict[str, Drift]:
    """Compare `surrogate` with newly synthesised `records` that it was not fitted on, by target."""
    from surrogates.estimators import predict_records

    predicted = predict_records(surrogate, records)
    result = {}
    for target in TARGETS:
        truth = np.array([getattr(record, target) for record in records], dtype=np.float64)
        mean = predicted.mean[target]
        errors = relative_errors(truth, mean)
        inside = (truth >= predicted.lower[target] - 1e-9) & (truth <= predicted.upper[target] + 1e-9)
        median = float(np.median(errors)) if len(errors) else None
        result[target] = Drift(
            target=target,
            n=len(records),
            median_relative_error=median,
            bias=float(np.mean(np.log1p(truth) - np.log1p(mean))) if len(records) else None,
            coverage=coverage(truth, predicted.lower[target], predicted.upper[target]),
            drifted=_too_often_outside(int(np.sum(~inside)), len(records)) or (median is not None and median > limit),
        )
    return result


def _too_often_outside(misses: int, n: int, nominal: float = NOMINAL, significance: float = 0.01) -> bool:
    """Whether `misses` of `n` intervals that should each miss with probability 1 - nominal are too many."""
    if n == 0:
        return False
    chance, tail = nominal**n, 0.0  # probability of no miss, then of one, two, ... by recurrence
    for k in range(misses):
        tail += chance
        chance *= (n - k) / (k + 1) * (1 - nominal) / nominal
    return 1 - tail < significance
