"""What a synthesis will take, in seconds and bytes, and whether it will end with a result at all.

    log(seconds) = log(1 + closed form of LUTs) + offset + slope + residual(features) + noise    (likewise bytes)
    P(result) = P(seconds <= limit) * P(bytes <= limit) * P(no other failure)

A run that was stopped at its limit says only that it would have taken longer; such examples are filled in with what the
model expects beyond the limit, and the model is fitted again (expectation maximisation for censored regression: Tobin,
Econometrica 26, 1958). Other failures (what a tool does not take, or logic that pruning has emptied) are learnt by
logistic regression.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, final

import numpy as np

from surrogates.analytic import analytic_costs
from surrogates.correction import Correction
from surrogates.errors import NotFittedError, SurrogateError
from surrogates.features import COMPACT, feature_matrix
from surrogates.splits import architecture_groups

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from surrogates.dataset import Dataset
    from surrogates.records import Stage
    from surrogates.spec import HardwareTarget, ModelSpec
    from surrogates.table import Floats

TIMEOUT, OUT_OF_MEMORY = "tool_timeout", "tool_memory"  # kinds of failures that a larger limit would have spared
FEWEST = 3  # results from which on times are predicted
ROUNDS = 3  # of filling in what was cut off
EACH_WAY = 5  # other failures, and results, from which on the former are learnt


@final
@dataclass(frozen=True)
class EffortPrediction:
    """Of n networks: seconds and bytes (medians, and ends of the 90 % interval), and the probability of a result."""

    seconds: Floats
    seconds_upper: Floats
    memory_bytes: Floats
    memory_bytes_upper: Floats
    success: Floats


@final
@dataclass(frozen=True)
class _Quantity:
    """A fitted model of the logarithm of seconds or of bytes."""

    correction: Correction

    @classmethod
    def fit(cls, known: Floats, logs: Floats, cut: NDArray[np.bool_], features: Floats, groups: Sequence[str]) -> Self:
        """`cut` says of which examples only a lower limit is known; the others come first and teach the start."""
        ended = int((~cut).sum())
        correction = Correction.fit(known[:ended], logs[:ended], features[:ended], np.ones(ended), groups[:ended])
        for _ in range(ROUNDS if cut.any() else 0):
            mean, std = correction.predict(known, features)
            filled = np.where(cut, _beyond(mean, std, logs), logs)
            correction = Correction.fit(known, filled, features, np.ones(len(logs)), groups)
        return cls(correction)

    def predict(self, known: Floats, features: Floats, limit: float) -> tuple[Floats, Floats, Floats]:
        """Median, upper end of the 90 % interval, and probability to stay within `limit`."""
        mean, std = self.correction.predict(known, features)
        centre, _, upper = self.correction.calibration.interval(mean, std)
        spread = np.maximum(upper - centre, 1e-9) / 1.645  # as calibrated
        within = np.array([_normal((math.log(limit) - m) / s) for m, s in zip(centre, spread, strict=True)])
        return np.exp(centre), np.exp(upper), within


@final
class SynthesisEffort:
    """Predicts time, memory and success of synthesis up to one stage, from records and failures of that stage."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self._seconds: _Quantity | None = None
        self._bytes: _Quantity | None = None
        self._fails: Callable[[Floats], Floats] | float = 0.0

    def fit(self, dataset: Dataset) -> Self:
        """Learn afresh. Raises `SurrogateError` with fewer than three results of the stage whose time is known."""
        ended = [r for r in dataset.records if r.stage == self.stage]
        records = [r for r in ended if r.wall_time_s > 0]
        failures = [f for f in dataset.failures if f.stage == self.stage]
        if len(records) < FEWEST:
            raise SurrogateError(f"{len(records)} timed results of stage {self.stage.label}: effort needs {FEWEST}")
        late = [f for f in failures if f.kind == TIMEOUT]
        large = [f for f in failures if f.kind == OUT_OF_MEMORY and f.memory_limit_bytes > 0]
        times = [r.wall_time_s for r in records], [f.limit_s for f in late]
        self._seconds = _quantity([*records, *late], *times)
        weighed = [r for r in records if r.peak_memory_bytes > 0]
        limits = [float(f.memory_limit_bytes) for f in large]
        enough = len(weighed) >= FEWEST
        bytes_ = [float(r.peak_memory_bytes) for r in weighed]
        self._bytes = _quantity([*weighed, *large], bytes_, limits) if enough else None
        others = [f for f in failures if f not in late and f not in large]
        self._fails = _failures(ended, others)
        return self

    def predict(
        self,
        specs: Sequence[ModelSpec],
        target: HardwareTarget,
        *,
        limit_s: float = math.inf,
        limit_bytes: float = math.inf,
    ) -> EffortPrediction:
        """Effort of `specs`, n of them, and whether they will end within the limits. `NotFittedError` before `fit`.

        Bytes are NaN where no record says how many it took.
        """
        if self._seconds is None:
            raise NotFittedError("this model of effort has no records yet: call fit(dataset)")
        features, known = _inputs(specs, [target] * len(specs))
        seconds, seconds_upper, in_time = self._seconds.predict(known, features, limit_s)
        unknown = np.full(len(specs), np.nan)
        memory, memory_upper, fits = unknown, unknown, np.ones(len(specs))
        if self._bytes is not None:
            memory, memory_upper, fits = self._bytes.predict(known, features, limit_bytes)
        fails = self._fails(features) if callable(self._fails) else np.full(len(specs), self._fails)
        return EffortPrediction(seconds, seconds_upper, memory, memory_upper, in_time * fits * (1 - fails))


def _inputs(specs: Sequence[ModelSpec], targets: Sequence[HardwareTarget]) -> tuple[Floats, Floats]:
    """Features (n, p) and the closed form of LUTs on a logarithmic scale (n,)."""
    return feature_matrix(specs, targets), np.log1p(np.asarray(analytic_costs(specs).lut, dtype=np.float64))


def _quantity(sources: Sequence[Any], values: Sequence[float], limits: Sequence[float]) -> _Quantity:
    """Of records, whose values are known, followed by failures, that were cut off at their limits."""
    specs = [source.spec for source in sources]
    features, known = _inputs(specs, [source.target for source in sources])
    cut = np.arange(len(sources)) >= len(values)
    return _Quantity.fit(known, np.log([*values, *limits]), cut, features, architecture_groups(specs))


def _failures(records: Sequence[Any], others: Sequence[Any]) -> Callable[[Floats], Floats] | float:
    """Probability of other failures by features, or their share where they are too few to learn from."""
    if min(len(records), len(others)) < EACH_WAY:
        return len(others) / (len(records) + len(others) + 1)
    from surrogates._sklearn import logistic

    sources = [*records, *others]
    features, _ = _inputs([source.spec for source in sources], [source.target for source in sources])
    predict = logistic(features[:, : len(COMPACT)], np.arange(len(sources)) >= len(records))
    return lambda rows: predict(rows[:, : len(COMPACT)])


def _normal(z: float) -> float:
    """Cumulative standard normal distribution."""
    return 0.5 * math.erfc(-z / math.sqrt(2))


def _beyond(mean: Floats, std: Floats, limit: Floats) -> Floats:
    """Expectation of a normal variable that is known to be above `limit`: mean + std * hazard, (n,) each."""
    z = (limit - mean) / std
    density = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    above = np.array([max(1 - _normal(float(value)), 1e-12) for value in z])
    expected: Floats = np.maximum(mean + std * np.minimum(density / above, np.abs(z) + 1), limit)
    return expected
