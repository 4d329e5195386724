"""Training the candidates of one generation, as part of a study."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from evonas.errors import Failure, StudyError
from evonas.execution import Job
from evonas.models.quantised_network import QuantisedNetwork
from evonas.seeding import derive
from evonas.space import Phenotype
from evonas.study.jobs import Training, TrainingOrder, train_stack
from evonas.training.grouping import stacks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from evonas.study.state import CandidateState
    from evonas.study.study import Study


@final
class TrainingRound:
    """Trains pending candidates on the workers, in stacks, and tells the study of each as its stack ends."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._jobs: dict[str, tuple[int, ...]] = {}  # candidates of each job
        self._again: list[int] = []

    def run(self, pending: Sequence[CandidateState]) -> None:
        """Train `pending`. Raises `StudyError` if every candidate of the first generation fails."""
        study = self._study
        generation = study.state.generations[-1]
        states = [study.state.candidates[n] for n in generation.candidates]
        trained = [s for s in states if not s.asked.dropped]
        waiting = {state.candidate for state in pending}
        # of all that are trained, not of those that still are: who shares a stack is the same after an interruption
        own = [s for s in trained if s.asked.copy_of is None]
        training = study.config.training
        groups = stacks([s.spec for s in own], training.batch_size, training.repeats)
        together = [tuple(own[index].candidate for index in group) for group in groups]
        self._train(stack for stack in together if waiting.intersection(stack))
        self._train((candidate,) for candidate in self._again)
        failures = [s.failure for s in trained if s.failure is not None]
        if generation.generation == 0 and len(failures) == len(trained):
            raise StudyError(f"every candidate of the first generation failed, first with: {failures[0].message}")

    def _train(self, together: Iterable[tuple[int, ...]]) -> None:
        self._jobs = {f"train-{stack[0]}": stack for stack in together}
        jobs = [self._job(key, stack) for key, stack in self._jobs.items()]
        self._study.workers.run("train", jobs, self._trained, {key: len(stack) for key, stack in self._jobs.items()})

    def _job(self, key: str, stack: tuple[int, ...]) -> Job:
        study, training = self._study, self._study.config.training
        clip = float(getattr(study.task, "clip", 4.0))
        settings = Training(training.epochs, training.batch_size, clip, training.max_rows)
        return Job(key, train_stack, (tuple(map(self._order, stack)), settings))

    def _order(self, candidate: int) -> TrainingOrder:
        study = self._study
        phenotype = Phenotype.from_dict(study.state.candidates[candidate].asked.phenotype)
        # seeds follow from the phenotype, so a result does not depend on when or where a candidate is trained
        first = derive(study.config.seed, "train", phenotype.digest)
        others = (derive(first, "repeat", n) for n in range(1, study.config.training.repeats))
        return TrainingOrder(phenotype.spec.to_dict(), phenotype.learning_rate, (first, *others), phenotype.norm)

    def _trained(self, key: str, value: Any) -> None:
        stack = self._jobs[key]
        if isinstance(value, Failure) and len(stack) > 1:  # one of them may have taken the worker with it
            self._again += stack
            return
        for candidate, result in zip(stack, [value] if isinstance(value, Failure) else value, strict=True):
            self._tell(candidate, result)

    def _tell(self, candidate: int, result: Any) -> None:
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
