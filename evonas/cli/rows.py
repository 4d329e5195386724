"""What the tables and the JSON of the command line say about a study, read from its `StudyState` by pure functions."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, final

from evonas.objectives import HARDWARE_METRICS
from evonas.report.views import error_definition, task
from surrogates import Stage

if TYPE_CHECKING:
    from evonas.study.state import CandidateState, GenerationState, StudyState

FRONT_METRICS = ("lut", "ff", "dsp", "bram_18k", "latency_cycles", "latency_ns", "initiation_interval")


@final
@dataclass(frozen=True)
class GenerationRow:
    """One generation in numbers; None is "not known yet"."""

    generation: int
    asked: int
    trained: int
    reused: int  # copies of an earlier phenotype, not trained again
    dropped: int  # predicted to violate a constraint, not trained
    failed: int
    stopped: int  # before the end of their training, by successive halving
    hypervolume: float | None
    best_accuracy: float | None  # validation split; None where the task has no accuracy
    best_error: float | None  # validation split
    error_definition: str  # with its unit, such as "RMSE, GeV"
    smallest_lut_predicted: float | None
    seconds: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain data, fit for JSON."""
        return asdict(self)


def generation_row(state: StudyState, generation: GenerationState) -> GenerationRow:
    """One generation, finished or not."""
    members = [state.candidates[number] for number in generation.candidates]
    own = [c for c in members if c.asked.copy_of is None]
    measured = [c for c in members if c.measured]
    # as predicted when asked: a later recalibration does not rewrite the history
    luts = [m.value for c in measured for m in c.asked.predicted if m.metric == "lut"]
    told = generation.told
    return GenerationRow(
        generation=generation.generation,
        asked=len(members),
        trained=sum(bool(c.measured) for c in own),
        reused=len(members) - len(own),
        dropped=sum(c.asked.dropped for c in own),
        failed=sum(c.failure is not None for c in own),
        stopped=sum(c.stopped is not None for c in own),
        hypervolume=None if told is None else told.hypervolume,
        best_accuracy=max((a for c in measured if (a := score(c, "accuracy")) is not None), default=None),
        best_error=min((e for c in measured if (e := score(c, "error")) is not None), default=None),
        error_definition=error_definition(state),
        smallest_lut_predicted=min(luts, default=None),
        seconds=None if told is None else told.wall_time_s,
    )


def score(candidate: CandidateState, metric: str) -> float | None:
    """Accuracy or error on the validation split."""
    measured = candidate.measured.get(metric)
    return None if measured is None else measured.value


def tested_score(candidate: CandidateState, metric: str) -> float | None:
    """Accuracy or error on the test split, which only handed-over designs have."""
    tested = candidate.tested.get(metric)
    return None if tested is None else tested.value


def task_of(state: StudyState) -> dict[str, str]:
    """Name and provenance of the task and what its `error` is; the provenance belongs beside every score."""
    name, provenance = task(state)
    return {"name": name, "provenance": provenance, "error_definition": error_definition(state)}


def front_entry(candidate: CandidateState, stage: Stage) -> dict[str, Any]:
    """One design of a front as plain data, hardware metrics of exactly `stage`."""
    record = candidate.record(stage)
    handed = candidate.handed_over
    return {
        "candidate": candidate.candidate,
        "generation": candidate.generation,
        "topology": candidate.spec.topology,
        "norm": candidate.norm,
        "validation_accuracy": score(candidate, "accuracy"),
        "test_accuracy": tested_score(candidate, "accuracy"),
        "validation_error": score(candidate, "error"),
        "test_error": tested_score(candidate, "error"),
        "stage": stage.label,
        "hardware": {m: candidate.value(m, stage) for m in FRONT_METRICS if m in HARDWARE_METRICS},
        "std": {m: v.std for m, v in candidate.predicted.items()} if stage == Stage.PREDICTED else {},
        "source": _source(candidate, stage),
        "verified_vectors": 0 if record is None else record.verified_vectors,
        "directory": None if handed is None else handed.directory,
        "spec": candidate.spec.to_dict(),
    }


def _source(candidate: CandidateState, stage: Stage) -> str | None:
    """What said the hardware numbers: a surrogate's version or a tool's."""
    if stage == Stage.PREDICTED:
        return next((m.source for m in candidate.predicted.values()), None)
    record = candidate.record(stage)
    return None if record is None else record.tool_version


def counted(state: StudyState) -> dict[str, int]:
    """How the candidates fared, by number."""
    rows = [generation_row(state, g) for g in state.generations]
    return {
        "asked": sum(r.asked for r in rows),
        "trained": sum(r.trained for r in rows),
        "reused": sum(r.reused for r in rows),
        "dropped": sum(r.dropped for r in rows),
        "stopped": sum(r.stopped for r in rows),
        "failed": sum(r.failed for r in rows),
        "pending": sum(r.asked - r.trained - r.reused - r.dropped - r.failed - r.stopped for r in rows),
    }


def failures(state: StudyState) -> dict[str, int]:
    """Failures of training and synthesis together, by kind."""
    kinds = [c.failure.kind.value for c in state.candidates.values() if c.failure and c.asked.copy_of is None]
    kinds += [event.failure.kind.value for event in state.synthesised if event.failure is not None]
    return {kind: kinds.count(kind) for kind in sorted(set(kinds))}


def synthesised(state: StudyState) -> dict[str, int]:
    """Syntheses by outcome."""
    done = [e for e in state.synthesised if e.failure is None]
    return {
        "succeeded": len(done),
        "failed": len(state.synthesised) - len(done),
        "handed_over": sum(c.handed_over is not None for c in state.candidates.values()),
    }


def phase(state: StudyState) -> str:
    """Where the study is: its last known step, for people."""
    if state.started is None:
        return "not begun"
    if state.finished is not None:
        return f"finished ({state.finished.reason})"
    wanted = int(state.config["search"]["generations"])
    told = sum(g.told is not None for g in state.generations)
    return f"searching, {told} of {wanted} generations done" if told < wanted else "searched; synthesis of the front"
