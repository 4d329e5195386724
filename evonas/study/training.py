"""Training the candidates of one generation, as part of a study."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, final

from evonas.errors import Failure, StudyError
from evonas.execution import Job
from evonas.models.quantised_network import QuantisedNetwork
from evonas.seeding import derive
from evonas.space import Phenotype
from evonas.study.halving import halved
from evonas.study.jobs import Training, TrainingOrder, clip_of, measure, train_stack
from evonas.study.stack_size import largest_stack
from evonas.training.grouping import ROOMS, Room, stacks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from evonas.study.halving import Scores
    from evonas.study.state import CandidateState
    from evonas.study.study import Study
    from evonas.training.state import MemberState


@final
class TrainingRound:
    """Trains pending candidates on the workers, in stacks, and tells the study of each as its stack ends.

    With successive halving in several legs. Between two legs a candidate is a state in memory. After an interruption
    there is none and it trains from the beginning: to the same bits, and what a rung decided stays decided.
    """

    def __init__(self, study: Study) -> None:
        self._study = study
        self._jobs: dict[str, tuple[int, ...]] = {}  # candidates of each job
        self._again: list[int] = []
        self._states: dict[int, dict[int, MemberState]] = {}  # of candidates, by seed
        self._scores: Scores = {}

    def run(self) -> None:
        """Train what is pending. Raises `StudyError` if every candidate of the first generation fails."""
        study = self._study
        generation = study.state.generations[-1]
        decided = {event.epochs for event in generation.halvings}
        for rung in study.config.training.rungs:
            if rung not in decided and self._alive():
                self._compare_at(rung)
        self._leg(None)
        trained = [s for s in map(study.state.candidates.__getitem__, generation.candidates) if not s.asked.dropped]
        failures = [s.failure for s in trained if s.failure is not None]
        if generation.generation == 0 and len(failures) == len(trained):
            raise StudyError(f"every candidate of the first generation failed, first with: {failures[0].message}")

    def _alive(self) -> list[CandidateState]:
        """Those that are not measured by their original, and are neither dropped, stopped nor failed."""
        state = self._study.state
        own = (state.candidates[number] for number in state.generations[-1].candidates)
        return [s for s in own if not (s.asked.dropped or s.asked.copy_of is not None or s.stopped or s.failure)]

    def _compare_at(self, rung: int) -> None:
        """Train all that are alive for `rung` epochs, and stop the weaker."""
        study, self._scores = self._study, {}
        self._leg(rung)
        if self._scores:
            event = halved(study.config, study.state, rung, self._scores)
            study.record(event)
            for candidate in event.stopped:
                self._states.pop(candidate, None)

    def _leg(self, until: int | None) -> None:
        """Train until a rung, or to the end."""
        training, alive = self._study.config.training, self._alive()
        groups = stacks([s.spec for s in alive], training.batch_size, training.repeats, self._room())
        together = [tuple(alive[index].candidate for index in group) for group in groups]
        waiting = {s.candidate for s in alive if not s.measured}  # those that an interrupted run has measured do not
        self._again = []
        self._train((stack for stack in together if waiting.intersection(stack)), until)
        self._train(((candidate,) for candidate in self._again), until)

    def _room(self) -> Room:
        execution = self._study.config.execution
        room = ROOMS[execution.device]
        if execution.device == "cpu" and execution.executor == "processes":
            return replace(room, largest=largest_stack(self._measure))
        return room

    def _measure(self) -> dict[int, float]:
        """Seconds for each member by the size of its stack, measured by a worker while the others wait."""
        found: list[Any] = []
        self._study.workers.run("measuring", [Job("measure", measure)], lambda _key, value, _s: found.append(value))
        return {} if isinstance(found[0], Failure) else dict(found[0])

    def _train(self, together: Iterable[tuple[int, ...]], until: int | None) -> None:
        self._jobs = {f"train-{stack[0]}": stack for stack in together}
        jobs = [self._job(key, stack, until) for key, stack in self._jobs.items()]
        done = self._reached if until else self._trained
        sizes = {key: len(stack) for key, stack in self._jobs.items()}
        activity = f"training to epoch {until} of {self._study.config.training.epochs}" if until else "train"
        self._study.workers.run(activity, jobs, lambda key, value, _s: self._take(key, value, done), sizes)

    def _job(self, key: str, stack: tuple[int, ...], until: int | None) -> Job:
        study, training = self._study, self._study.config.training
        patience = None if until else training.patience
        settings = Training(
            training.epochs,
            training.batch_size,
            clip_of(study.task),
            training.max_rows,
            training.weight_decay,
            patience,
            until,
            study.config.execution.device,
        )
        return Job(key, train_stack, (tuple(map(self._order, stack)), settings))

    def _order(self, candidate: int) -> TrainingOrder:
        study = self._study
        phenotype = Phenotype.from_dict(study.state.candidates[candidate].asked.phenotype)
        first = training_seed(study.config.seed, phenotype)
        others = (derive(first, "repeat", n) for n in range(1, study.config.training.repeats))
        states = self._states.get(candidate, {})
        seeds = tuple(states) or (first, *others)
        return TrainingOrder(phenotype.spec.to_dict(), phenotype.learning_rate, seeds, phenotype.norm, states)

    def _take(self, key: str, value: Any, done: Callable[[int, Any], None]) -> None:
        stack = self._jobs[key]
        if isinstance(value, Failure) and len(stack) > 1:  # one of them may have taken the worker with it
            self._again += stack
            return
        for candidate, result in zip(stack, [value] if isinstance(value, Failure) else value, strict=True):
            done(candidate, result)

    def _reached(self, candidate: int, result: Any) -> None:
        """A candidate is at a rung."""
        if isinstance(result, Failure):
            self._study.tell(candidate, result)
            return
        self._scores[candidate] = result.measurements
        self._states[candidate] = result.states

    def _trained(self, candidate: int, result: Any) -> None:
        """A candidate is at its end."""
        state = self._study.state.candidates[candidate]
        if state.measured or state.failure is not None:
            return  # before an interruption
        if isinstance(result, Failure):
            self._study.tell(candidate, result)
            return
        network = QuantisedNetwork.from_bytes(result.network)
        self._study.tell(
            candidate, result.measurements, network, epochs=result.epochs, wall_time_s=result.wall_time_s
        )


def training_seed(seed: int, phenotype: Phenotype) -> int:
    """Of a candidate's first training: by its phenotype, so a result does not depend on when or where it is trained."""
    return derive(seed, "train", phenotype.digest)
