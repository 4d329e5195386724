"""The state of a study as a fold over its events: candidates, generations, recalibrations, fronts.

Everything that looks at a study (the driver itself, the command line, the report, a data frame) reads this and only
this, so what is shown is what was logged.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

import numpy as np

from evonas.errors import StudyCorruptError
from evonas.objectives import HARDWARE_METRICS, Constraint, Measurement, Objective
from evonas.search import nondominated
from evonas.study.events import (
    Asked,
    AskedCandidate,
    Chosen,
    Event,
    Failed,
    Finished,
    Halved,
    HandedOver,
    Measured,
    Preselection,
    Recalibrated,
    Started,
    Synthesised,
    Told,
)
from surrogates import ModelSpec, Stage, SynthesisRecord

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evonas.errors import Failure


@final
@dataclass
class CandidateState:
    """All that is known of one candidate. Values of different stages lie in different places, never in one."""

    asked: AskedCandidate
    generation: int
    spec: ModelSpec
    predicted: dict[str, Measurement]  # by metric, stage PREDICTED; replaced when a recalibration re-scores
    measured: dict[str, Measurement] = field(default_factory=dict)  # by metric, validation split
    network: str | None = None  # artefact digest
    failure: Failure | None = None
    stopped: Halved | None = None  # before the end of its training, as one of the weaker of its generation
    epochs: int = 0
    wall_time_s: float = 0.0
    synthesis: list[Synthesised] = field(default_factory=list)
    handed_over: HandedOver | None = None

    @property
    def candidate(self) -> int:
        """Number of the candidate in its study."""
        return self.asked.candidate

    @property
    def norm(self) -> str:
        """Normalisation of the hidden layers in training (`evonas.space.base.Norm`)."""
        return str(self.asked.phenotype.get("norm", "none"))

    def record(self, stage: Stage) -> SynthesisRecord | None:
        """The latest synthesis record of exactly this stage."""
        found = [r for event in self.synthesis for r in event.records if r.stage == stage]
        return found[-1] if found else None

    @property
    def synthesis_failure(self) -> Failure | None:
        """Why the latest synthesis failed, if it did."""
        return self.synthesis[-1].failure if self.synthesis else None

    @property
    def tested(self) -> dict[str, Measurement]:
        """Scores on the test split, which only handed-over designs have."""
        return {} if self.handed_over is None else {m.metric: m for m in self.handed_over.measurements}

    def value(self, metric: str, stage: Stage) -> float | None:
        """Value of `metric` with hardware metrics of exactly `stage`; task metrics are the validation's."""
        if metric not in HARDWARE_METRICS:
            return self.measured[metric].value if metric in self.measured else None
        if stage == Stage.PREDICTED:
            return self.predicted[metric].value if metric in self.predicted else None
        record = self.record(stage)
        return None if record is None else float(getattr(record, metric))


@final
@dataclass
class GenerationState:
    """One generation: its candidates and, once told, the hypervolume of all candidates so far."""

    generation: int
    candidates: tuple[int, ...]
    surrogate_version: str
    preselection: Preselection | None = None
    told: Told | None = None
    halvings: list[Halved] = field(default_factory=list)


@final
class StudyState:
    """Fold of events in log order. `apply` raises `StudyCorruptError` when an event contradicts those before it."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.started: Started | None = None
        self.candidates: dict[int, CandidateState] = {}
        self.generations: list[GenerationState] = []
        self.recalibrations: list[Recalibrated] = []
        self.chosen: list[Chosen] = []
        self.synthesised: list[Synthesised] = []
        self.finished: Finished | None = None
        self._objectives: tuple[Objective, ...] | None = None
        self._constraints: tuple[Constraint, ...] | None = None
        for event in events:
            self.apply(event)

    def apply(self, event: Event) -> None:
        """Take one more event into account."""
        match event:
            case Started():
                if self.started is not None:
                    raise StudyCorruptError("the log starts twice")
                self.started = event
            case Asked():
                self._apply_asked(event)
            case Halved() | Told():
                self._apply_to_generation(event)
            case Recalibrated():
                self.recalibrations.append(event)
                for candidate, predicted in event.predicted.items():
                    self._candidate(candidate).predicted = {m.metric: m for m in predicted}
            case Chosen():
                self.chosen.append(event)
            case Finished():
                self.finished = event
            case Measured() | Failed() | Synthesised() | HandedOver():
                self._apply_to_candidate(event)

    def _apply_to_generation(self, event: Halved | Told) -> None:
        if isinstance(event, Told):
            self.generations[-1].told = event
            return
        self.generations[-1].halvings.append(event)
        for candidate in event.stopped:
            self._candidate(candidate).stopped = event

    def _apply_to_candidate(self, event: Measured | Failed | Synthesised | HandedOver) -> None:
        state = self._candidate(event.candidate)
        match event:
            case Measured():
                state.measured = {m.metric: m for m in event.measurements}
                state.network, state.epochs, state.wall_time_s = event.network, event.epochs, event.wall_time_s
            case Failed():
                state.failure = event.failure
            case Synthesised():
                state.synthesis.append(event)
                self.synthesised.append(event)
            case HandedOver():
                state.handed_over = event

    def _apply_asked(self, event: Asked) -> None:
        if event.generation != len(self.generations):
            raise StudyCorruptError(f"generation {event.generation} follows {len(self.generations)} generations")
        for asked in event.candidates:
            if asked.candidate != len(self.candidates):
                raise StudyCorruptError(f"candidate {asked.candidate} follows {len(self.candidates)} candidates")
            state = CandidateState(
                asked,
                event.generation,
                ModelSpec.from_dict(asked.phenotype["spec"]),
                {m.metric: m for m in asked.predicted},
            )
            if asked.copy_of is not None:
                original = self._candidate(asked.copy_of)
                state.measured, state.network, state.failure = original.measured, original.network, original.failure
                state.stopped = original.stopped
            self.candidates[asked.candidate] = state
        numbers = tuple(asked.candidate for asked in event.candidates)
        self.generations.append(
            GenerationState(event.generation, numbers, event.surrogate_version, event.preselection)
        )

    def _candidate(self, number: int) -> CandidateState:
        try:
            return self.candidates[number]
        except KeyError as error:
            raise StudyCorruptError(f"an event names candidate {number}, which was never asked") from error

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """The objectives of the search."""
        if self._objectives is None:
            self._objectives = tuple(Objective(**o) for o in self.config["search"]["objectives"])
        return self._objectives

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        """The constraints of the search."""
        if self._constraints is None:
            self._constraints = tuple(Constraint(**c) for c in self.config["search"]["constraints"])
        return self._constraints

    @property
    def config(self) -> dict[str, Any]:
        """The resolved configuration, as logged by the first event."""
        if self.started is None:
            raise StudyCorruptError("the log does not begin with the event 'started'")
        return self.started.config

    def losses(self, candidate: int, stage: Stage) -> tuple[float, ...] | None:
        """Values to minimise with hardware metrics of exactly `stage`; None while one is missing."""
        state = self.candidates[candidate]
        values = [state.value(o.metric, stage) for o in self.objectives]
        if any(v is None for v in values):
            return None
        return tuple(o.loss(v) for o, v in zip(self.objectives, values, strict=True) if v is not None)

    def violations(self, candidate: int, stage: Stage) -> dict[str, float]:
        """Violation of each constraint whose metric is known at this stage; 0 is satisfied."""
        state = self.candidates[candidate]
        values = {c.metric: state.value(c.metric, stage) for c in self.constraints}
        return {c.metric: c.violation(v) for c in self.constraints if (v := values[c.metric]) is not None}

    def front(self, stage: Stage = Stage.PREDICTED) -> list[CandidateState]:
        """Feasible, non-dominated candidates by values of exactly `stage`, by rising first objective.

        From stage SYNTHESISED on this is the verified front: a candidate whose synthesis failed, or whose record
        does not say that vectors were compared bit for bit, is not on it. Of equal losses the earliest stays.
        """
        losses = {
            number: value
            for number, state in self.candidates.items()
            if state.asked.copy_of is None
            and state.failure is None
            and (stage < Stage.SYNTHESISED or _verified(state, stage))
            and (value := self.losses(number, stage)) is not None
            and not any(self.violations(number, stage).values())
        }
        if not losses:
            return []
        mask = nondominated(np.array(list(losses.values()), np.float64))
        kept = [number for number, inside in zip(losses, mask, strict=True) if inside]
        return [self.candidates[n] for n in sorted(kept, key=lambda n: (losses[n], n))]


def _verified(state: CandidateState, stage: Stage) -> bool:
    record = state.record(stage)
    return record is not None and record.verified_vectors > 0 and state.synthesis_failure is None
