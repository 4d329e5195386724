"""What the report shows, read from a `StudyState` by pure functions. Nothing here knows of HTML or plotly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from evonas.objectives import HARDWARE_METRICS
from surrogates import HardwareTarget, SpecError, Stage

if TYPE_CHECKING:
    from evonas.objectives import Measurement
    from evonas.study.events import Synthesised
    from evonas.study.state import CandidateState, StudyState
    from surrogates import SynthesisRecord

# Logic synthesis is the stage of this project's own tool chain; the others are shown where it is absent.
_PREFERENCE = (Stage.SYNTHESISED, Stage.ROUTED, Stage.CSYNTH, Stage.TRACED)


@final
@dataclass(frozen=True)
class Design:
    """A candidate with a record of one stage, and what was predicted before that record existed."""

    candidate: CandidateState
    event: Synthesised
    record: SynthesisRecord
    predicted: dict[str, Measurement]
    on_front: bool

    @property
    def number(self) -> int:
        """Number of the candidate."""
        return self.candidate.candidate

    @property
    def verified(self) -> bool:
        """Vectors were compared bit for bit, and no later step failed."""
        return self.record.verified_vectors > 0 and self.candidate.synthesis_failure is None

    def value(self, metric: str) -> float:
        """Value of a hardware metric at the record's stage."""
        return float(getattr(self.record, metric))


@final
@dataclass(frozen=True)
class Counts:
    """How the candidates of a study fared."""

    asked: int
    trained: int
    copies: int
    failed: int
    dropped: int
    stopped: int
    pending: int


def config(state: StudyState) -> dict[str, Any]:
    """The resolved configuration; empty before the study's first event."""
    return {} if state.started is None else state.started.config


def task(state: StudyState) -> tuple[str, str]:
    """Name and provenance label of the task."""
    described = {} if state.started is None else state.started.task
    return str(described.get("name", "unnamed task")), str(described.get("provenance", "provenance not recorded"))


def score_metric(state: StudyState) -> str:
    """The task metric of the plots: accuracy where it was measured, else the error."""
    measured = [c for c in state.candidates.values() if c.measured]
    return "error" if measured and not any("accuracy" in c.measured for c in measured) else "accuracy"


def error_definition(state: StudyState) -> str:
    """What `error` is on the task, with its unit, such as `RMSE, GeV`; empty where the log does not say."""
    described = {} if state.started is None else state.started.task
    return str(described.get("error_definition", ""))


def score_words(state: StudyState) -> str:
    """The task metric as a sentence names it, such as `accuracy` or `error (RMSE, GeV)`."""
    metric, definition = score_metric(state), error_definition(state)
    return f"{metric} ({definition})" if metric == "error" and definition else metric


def score_label(state: StudyState) -> str:
    """The task metric as an axis names it, with its unit."""
    return "accuracy (%)" if score_metric(state) == "accuracy" else score_words(state)


def trained(state: StudyState) -> list[CandidateState]:
    """Candidates that were measured themselves; copies of an earlier phenotype are left out."""
    return [c for c in state.candidates.values() if c.measured and c.asked.copy_of is None]


def counts(state: StudyState) -> Counts:
    """How the candidates fared."""
    every = list(state.candidates.values())
    copies = sum(c.asked.copy_of is not None for c in every)
    own = [c for c in every if c.asked.copy_of is None]
    dropped = sum(c.asked.dropped for c in own)
    failed = sum(c.failure is not None for c in own)
    stopped = sum(c.stopped is not None for c in own)
    measured = sum(bool(c.measured) and c.failure is None for c in own)
    pending = len(own) - dropped - failed - stopped - measured
    return Counts(len(every), measured, copies, failed, dropped, stopped, pending)


def stages(state: StudyState) -> list[Stage]:
    """Stages that any synthesis record has, highest first."""
    return sorted({r.stage for event in state.synthesised for r in event.records}, reverse=True)


def main_stage(state: StudyState) -> Stage:
    """The stage at which designs are shown: logic synthesis where any design has it."""
    found = stages(state)
    return next((stage for stage in _PREFERENCE if stage in found), Stage.SYNTHESISED)


def front(state: StudyState, stage: Stage) -> list[CandidateState]:
    """The front at one stage; empty before the study's first event."""
    return [] if state.started is None else state.front(stage)


def predicted_before(state: StudyState, event: Synthesised) -> dict[str, Measurement]:
    """The values that were predicted for a candidate when it was synthesised.

    A recalibration's own designs are synthesised before its refit, which learns from them; the final front is
    synthesised after the last refit and no refit learns from it.
    """
    final = event.purpose == "front"
    found = {m.metric: m for m in state.candidates[event.candidate].asked.predicted}
    for refit in state.recalibrations:
        earlier = refit.generation < event.generation or (final and refit.generation == event.generation)
        if earlier and event.candidate in refit.predicted:
            found = {m.metric: m for m in refit.predicted[event.candidate]}
    return found


def designs(state: StudyState, stage: Stage) -> list[Design]:
    """Candidates with a record of exactly `stage`, the verified front first, each part by falling score."""
    on_front = {c.candidate for c in front(state, stage)}
    found = []
    for number, candidate in state.candidates.items():
        events = [e for e in candidate.synthesis if any(r.stage == stage for r in e.records)]
        record = candidate.record(stage)
        if not events or record is None:
            continue
        design = Design(candidate, events[-1], record, predicted_before(state, events[0]), number in on_front)
        found.append(
            design if design.verified else Design(design.candidate, events[-1], record, design.predicted, False)
        )
    metric = score_metric(state)
    sign = 1.0 if metric == "error" else -1.0

    def order(design: Design) -> tuple[bool, float, int]:
        score = design.candidate.measured.get(metric)
        return not design.on_front, float("inf") if score is None else sign * score.value, design.number

    return sorted(found, key=order)


def synthesis_failures(state: StudyState) -> list[Synthesised]:
    """Every synthesis that failed, in the order of the log."""
    return [event for event in state.synthesised if event.failure is not None]


def targets(state: StudyState) -> list[HardwareTarget]:
    """Hardware targets of the records, or the one of the configuration while there is no record."""
    found = {r.target: None for event in state.synthesised for r in event.records}
    return list(found) or [t for t in [_configured_target(config(state))] if t is not None]


def _configured_target(value: Any) -> HardwareTarget | None:
    """The first table of the configuration that reads as a hardware target."""
    if not isinstance(value, dict):
        return None
    if "part" in value and "clock_period_ns" in value:
        known = {k: v for k, v in value.items() if k in HardwareTarget.__dataclass_fields__}
        try:
            return HardwareTarget(**known)
        except SpecError:
            return None
    return next((t for v in value.values() if (t := _configured_target(v)) is not None), None)


def tool_versions(state: StudyState, stage: Stage) -> list[str]:
    """Versions of the tools behind the records of a stage, sorted."""
    return sorted({r.tool_version for e in state.synthesised for r in e.records if r.stage == stage})


def latency_metric(state: StudyState) -> str:
    """Nanoseconds where the surrogate predicts them, else cycles."""
    return "latency_ns" if any("latency_ns" in c.predicted for c in state.candidates.values()) else "latency_cycles"


def hardware_objectives(state: StudyState) -> list[str]:
    """Hardware metrics among the objectives of the search."""
    return [] if state.started is None else [o.metric for o in state.objectives if o.metric in HARDWARE_METRICS]


def upper_bound(state: StudyState, metric: str) -> float | None:
    """Upper bound that a constraint puts on a metric."""
    if state.started is None:
        return None
    return next((c.upper for c in state.constraints if c.metric == metric and c.upper is not None), None)


def wall_time(state: StudyState) -> tuple[float, float]:
    """Wall time of all completed generations in seconds, and how much of it was the driver's own work."""
    told = [g.told for g in state.generations if g.told is not None]
    return sum(t.wall_time_s for t in told), sum(t.overhead_s for t in told)
