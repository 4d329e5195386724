"""Measurements with provenance, the objectives of a search and its constraints."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, final

from evonas.errors import ConfigurationError
from surrogates import Stage

if TYPE_CHECKING:
    from collections.abc import Mapping

Direction = Literal["minimise", "maximise"]

# Metrics that training measures itself; every other metric comes from the hardware and has a stage. A surrogate
# predicts all of these before training, so a search can steer by any of them.
TASK_METRICS = frozenset({"error", "accuracy"})
HARDWARE_METRICS = frozenset({"lut", "ff", "dsp", "bram_18k", "latency_cycles", "latency_ns", "initiation_interval"})


@final
@dataclass(frozen=True)
class Measurement:
    """One number with its unit in the metric's name and its provenance.

    `stage` is None for what training measured (accuracy has no hardware stage). `std` is one standard deviation, None
    if unknown. `source` names what said it: a split ("validation"), a surrogate version or a tool.
    """

    metric: str
    value: float
    source: str
    std: float | None = None
    stage: Stage | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ConfigurationError(f"measurement {self.metric}", self.value, "must be finite; a failure is a Failure")

    def to_dict(self) -> dict[str, Any]:
        """Plain data, fit for JSON."""
        stage = None if self.stage is None else self.stage.label
        return {"metric": self.metric, "value": self.value, "source": self.source, "std": self.std, "stage": stage}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Measurement:
        """Read what `to_dict` wrote."""
        stage = None if data["stage"] is None else Stage[data["stage"].upper()]
        return cls(data["metric"], data["value"], data["source"], data["std"], stage)


@final
@dataclass(frozen=True)
class Objective:
    """A metric to be minimised or maximised."""

    metric: str
    direction: Direction = "minimise"

    def __post_init__(self) -> None:
        known = sorted(TASK_METRICS | HARDWARE_METRICS)
        if self.metric not in known:
            raise ConfigurationError("objectives.metric", self.metric, f"must be one of {', '.join(known)}")
        if self.direction not in ("minimise", "maximise"):
            raise ConfigurationError("objectives.direction", self.direction, "must be minimise or maximise")

    def loss(self, value: float) -> float:
        """The value to minimise: for accuracy that is to be maximised the distance from 1, else the negative value."""
        if self.direction == "minimise":
            return value
        return 1.0 - value if self.metric in TASK_METRICS else -value


@final
@dataclass(frozen=True)
class Constraint:
    """A bound on a metric; `violation` is 0 inside it and grows with the relative distance outside."""

    metric: str
    upper: float | None = None
    lower: float | None = None

    def __post_init__(self) -> None:
        known = sorted(TASK_METRICS | HARDWARE_METRICS)
        if self.metric not in known:
            raise ConfigurationError("constraints.metric", self.metric, f"must be one of {', '.join(known)}")
        for name, bound in (("upper", self.upper), ("lower", self.lower)):
            if bound is not None and not math.isfinite(bound):
                raise ConfigurationError(f"constraints.{self.metric}.{name}", bound, "must be finite, or left out")
        if self.upper is None and self.lower is None:
            raise ConfigurationError(f"constraints.{self.metric}", None, "needs an upper or a lower bound")
        if self.upper is not None and self.lower is not None and self.lower > self.upper:
            raise ConfigurationError(f"constraints.{self.metric}.lower", self.lower, f"is above upper = {self.upper}")

    def violation(self, value: float) -> float:
        """Relative distance to the nearest bound, 0 when satisfied."""
        above = 0.0 if self.upper is None else max(0.0, value - self.upper) / max(abs(self.upper), 1e-12)
        below = 0.0 if self.lower is None else max(0.0, self.lower - value) / max(abs(self.lower), 1e-12)
        return above + below


DEFAULT_OBJECTIVES: tuple[Objective, ...] = tuple(Objective(m) for m in ("error", "latency_ns", "lut", "dsp"))
