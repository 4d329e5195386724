"""The search algorithm as part of a study: asks, tells and re-scores through the log, and replays from it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, final

import numpy as np

from evonas.config import FamilyConfig
from evonas.errors import ConfigurationError, Failure, FailureKind, ProtocolError, StudyMismatchError
from evonas.objectives import HARDWARE_METRICS, TASK_METRICS
from evonas.search import Evaluated, algorithm, hypervolume, reference_point
from evonas.seeding import derive
from evonas.space import MlpSpace, Phenotype, fitted
from evonas.study.events import Asked, AskedCandidate, Event, Recalibrated, Told
from surrogates import SpecError, Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evonas.config import StudyConfig
    from evonas.objectives import Measurement
    from evonas.space import SearchSpace
    from evonas.study.forecast import Forecast
    from evonas.study.preselection import Preselector
    from evonas.study.state import StudyState
    from evonas.tasks import Task

ToldFields = tuple[int, dict[int, tuple[float, ...] | None], tuple[float, ...], float]


def make_space(config: StudyConfig, task: Task) -> SearchSpace:
    """The configured search space for a task's inputs and outputs."""
    settings = config.space
    try:
        if isinstance(settings, FamilyConfig):
            image = getattr(task, "image", None)
            return fitted(settings.family, settings.choices, task.shape, task.n_outputs, image)
        return MlpSpace(task.n_inputs, task.n_outputs, **settings.model_dump(exclude={"family"}))
    except SpecError as error:
        raise ConfigurationError(f"space.{error.field}", error.value, error.mend) from error


@final
class Evolution:
    """The algorithm with its space; knows the state of the study, never its log."""

    def __init__(self, config: StudyConfig, task: Task, state: StudyState) -> None:
        self.space = make_space(config, task)
        self._state = state
        self._objectives, self._constraints = config.objectives, config.constraints
        self._algorithm = algorithm(
            config.search.algorithm,
            self.space,
            len(self._objectives),
            len(self._constraints),
            config.search.population_size,
            derive(config.seed, "search"),
        )
        self.exhausted = False

    def digest(self, phenotype: dict[str, Any]) -> str:
        """Digest of a phenotype as logged."""
        return Phenotype.from_dict(phenotype).digest

    def ask(self, forecast: Forecast, preselector: Preselector) -> Asked:
        """The next generation with its predictions; empty when the space is exhausted."""
        offspring, preselection = preselector.offspring(), None
        candidates = self._offspring(forecast, offspring)
        if offspring is not None and candidates:
            first = candidates[0].candidate
            try:
                places, preselection = preselector.choose(candidates, offspring, self.steering)
            except BaseException:  # such as an interrupt while proxies are computed; the study can go on
                self._algorithm.select([])
                raise
            candidates = [replace(candidates[place], candidate=first + n) for n, place in enumerate(places)]
            self._algorithm.select([candidate.genome for candidate in candidates])
        return Asked(len(self._state.generations), tuple(candidates), forecast.version, preselection)

    def _offspring(self, forecast: Forecast, n: int | None) -> list[AskedCandidate]:
        """What the algorithm proposes, as many as the population has if `n` is not given, with predictions."""
        genomes = self._algorithm.ask(n)
        self.exhausted = len(genomes) == 0
        phenotypes = [self.space.decode(genome) for genome in genomes]
        predicted = forecast.predict([p.spec for p in phenotypes]) if phenotypes else []
        first = len(self._state.candidates)
        candidates = []
        for offset, (genome, phenotype, values) in enumerate(zip(genomes, phenotypes, predicted, strict=True)):
            by_metric = {m.metric: m.value for m in values}
            violations = {
                c.metric: c.violation(by_metric[c.metric]) for c in self._constraints if c.metric in by_metric
            }
            candidates.append(
                AskedCandidate(
                    first + offset,
                    tuple(int(gene) for gene in genome),
                    phenotype.to_dict(),
                    values,
                    violations,
                    dropped=any(v > 0 for v in violations.values()),
                )
            )
        return candidates

    def check_measurements(self, measurements: Sequence[Measurement]) -> None:
        """Raise `ProtocolError` when a metric that training must measure is missing."""
        given = {m.metric for m in measurements}
        if not given:
            raise ProtocolError("the measurement is empty; give at least one metric, or a Failure")
        needed = {o.metric for o in self._objectives} | {c.metric for c in self._constraints}
        missing = sorted((needed & TASK_METRICS) - given)
        if missing:
            raise ProtocolError(f"the measurement lacks {', '.join(missing)}; it holds {', '.join(sorted(given))}")

    def tell(self) -> ToldFields:
        """What the algorithm is about to be told of the current generation: the fields of a `Told` event."""
        generation = self._state.generations[-1]
        evaluated = {n: self._evaluated(n) for n in generation.candidates}
        losses = {n: self._state.losses(n, Stage.PREDICTED) if e.losses else None for n, e in evaluated.items()}
        reference = self._reference(losses)
        return generation.generation, losses, reference, self._hypervolume(losses, reference)

    def _reference(self, losses: dict[int, tuple[float, ...] | None]) -> tuple[float, ...]:
        """The reference point is set by the first generation that measured anything, and then stays."""
        for generation in self._state.generations:
            if generation.told is not None and generation.told.reference:
                return generation.told.reference
        known = [v for v in losses.values() if v is not None]
        if not known:
            return ()
        corner = reference_point(np.array([self.steering(v) for v in known]))
        return tuple(
            float(np.expm1(v)) if o.metric in HARDWARE_METRICS else float(v)
            for o, v in zip(self._objectives, corner, strict=True)
        )

    def steering(self, losses: tuple[float, ...]) -> tuple[float, ...]:
        """Losses as the algorithm sees them: hardware metrics on a logarithmic scale."""
        return tuple(
            math.copysign(math.log1p(abs(v)), v) if o.metric in HARDWARE_METRICS else v
            for o, v in zip(self._objectives, losses, strict=True)
        )

    def _hypervolume(self, losses: dict[int, tuple[float, ...] | None], reference: tuple[float, ...]) -> float:
        """Share of the box between the origin and the reference that all feasible candidates so far dominate."""
        if not reference:
            return 0.0
        told = [n for g in self._state.generations if g.told is not None for n in g.candidates]
        evaluated = [self._evaluated(n) for n in dict.fromkeys([*told, *losses])]
        return self.volume([e.losses for e in evaluated if e.feasible and e.losses is not None], reference)

    def volume(self, steering: Sequence[tuple[float, ...]], reference: tuple[float, ...]) -> float:
        """Share of the box between 0 and `reference` (raw losses) that points on the steering scale dominate."""
        if not steering:
            return 0.0
        corner = np.array(self.steering(reference))
        scale = np.where(corner == 0, 1.0, np.abs(corner))
        return float(hypervolume(np.array(steering) / scale, corner / scale))

    def _evaluated(self, number: int) -> Evaluated:
        state = self._state.candidates[number]
        genome = state.asked.genome
        violations = self._state.violations(number, Stage.PREDICTED)
        vector = tuple(violations.get(c.metric, 0.0) for c in self._constraints)
        if state.failure is not None:
            return Evaluated(genome, None, failure=state.failure)
        if state.stopped is not None:
            words = f"behind others of its generation after {state.stopped.epochs} epochs"
            return Evaluated(genome, None, failure=Failure(FailureKind.STOPPED, words))
        if state.asked.dropped:
            logged = tuple(state.asked.violations.get(c.metric, 0.0) for c in self._constraints)
            return Evaluated(genome, None, logged)
        losses = self._state.losses(number, Stage.PREDICTED)
        return Evaluated(genome, None if losses is None else self.steering(losses), vector)

    def learn(self, event: Told | Recalibrated) -> None:
        """Give a logged event to the algorithm; the state already includes it."""
        if isinstance(event, Told):
            numbers = sorted(event.losses)  # candidate order; JSON orders keys as text
            self._algorithm.tell([self._evaluated(n) for n in numbers])
        elif event.predicted:
            number = {s.asked.genome: n for n, s in self._state.candidates.items()}
            survivors = [number[e.genome] for e in self._algorithm.population()]
            self._algorithm.rescore([self._evaluated(n) for n in survivors])

    def replay(self, event: Event) -> None:
        """Bring the algorithm to where it was after `event`, and make sure that it asks what it asked then."""
        if isinstance(event, Asked):
            chosen, expected = event.preselection, [c.genome for c in event.candidates]
            asked = self._algorithm.ask(None if chosen is None else chosen.offspring)
            genomes = [tuple(int(gene) for gene in genome) for genome in asked]
            known = set(genomes) if chosen is None else set(expected)
            if [genome for genome in genomes if genome in known] != expected:
                raise StudyMismatchError(
                    f"generation {event.generation} is not what the log says; the libraries that make the search "
                    "(pymoo, numpy) have other versions than those in the log's first event: install these"
                )
            if chosen is not None:
                self._algorithm.select(expected)
        elif isinstance(event, (Told, Recalibrated)):
            self.learn(event)
