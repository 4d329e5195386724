"""Training the candidates of one generation, as part of a study."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from evonas.errors import Failure, StudyError
from evonas.execution import Job
from evonas.models.quantised_network import QuantisedNetwork
from evonas.seeding import derive
from evonas.space import Phenotype
from evonas.study.jobs import Training, train_candidate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evonas.study.state import CandidateState
    from evonas.study.study import Study


@final
class TrainingRound:
    """Trains pending candidates on the workers and tells the study of each as it ends."""

    def __init__(self, study: Study) -> None:
        self._study = study

    def run(self, pending: Sequence[CandidateState]) -> None:
        """Train `pending`. Raises `StudyError` if every candidate of the first generation fails."""
        study = self._study
        study.workers.run("train", [self._job(state) for state in pending], self._trained)
        generation = study.state.generations[-1]
        states = [study.state.candidates[n] for n in generation.candidates]
        trained = [s for s in states if not s.asked.dropped]
        failures = [s.failure for s in trained if s.failure is not None]
        if generation.generation == 0 and len(failures) == len(trained):
            raise StudyError(f"every candidate of the first generation failed, first with: {failures[0].message}")

    def _job(self, state: CandidateState) -> Job:
        study, training = self._study, self._study.config.training
        phenotype = Phenotype.from_dict(state.asked.phenotype)
        clip = float(getattr(study.task, "clip", 4.0))
        settings = Training(training.epochs, training.batch_size, clip, training.max_rows)
        # the seed follows from the phenotype, so a result does not depend on when or where a candidate is trained
        seed = derive(study.config.seed, "train", phenotype.digest)
        arguments = (phenotype.spec.to_dict(), phenotype.learning_rate, seed, settings, phenotype.norm)
        return Job(f"train-{state.candidate}", train_candidate, arguments)

    def _trained(self, key: str, value: Any) -> None:
        candidate = int(key.rpartition("-")[2])
        if isinstance(value, Failure):
            self._study.tell(candidate, value)
            return
        network = QuantisedNetwork.from_bytes(value.network)
        self._study.tell(
            candidate, value.measurements, network, epochs=value.epochs, wall_time_s=value.wall_time_s
        )
