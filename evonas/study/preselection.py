"""Which offspring are trained: the algorithm breeds more than can be, and predictions choose among them.

Task metrics are predicted from all candidates that the study has measured, which were all trained alike; hardware
metrics are predicted anyway. Of both the best are kept as NSGA-II keeps survivors, constraints first. Pre-selection
by learnt predictors of accuracy as in NSGANetV2 (Lu et al., arXiv 2007.10396).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, final

import numpy as np

from evonas.errors import Failure, StudyError
from evonas.execution import Job
from evonas.objectives import TASK_METRICS, Measurement
from evonas.search import best
from evonas.seeding import stream
from evonas.space import Phenotype
from evonas.study.events import Preselection
from evonas.study.jobs import TrainingOrder, clip_of, stack_proxies
from evonas.study.training import training_seed
from evonas.training.grouping import stacks
from surrogates import ErrorSurrogate, MeasuredError, Stage
from surrogates.metrics import spearman
from surrogates.regressors import MIN_LEARNED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from evonas.study.events import AskedCandidate
    from evonas.study.state import CandidateState, GenerationState, StudyState
    from evonas.study.study import Study

    Steering = Callable[[tuple[float, ...]], tuple[float, ...]]

# standard deviations, 1 / sqrt(n - 1) each, that a rank correlation of chance exceeds once in a hundred times
BEYOND_CHANCE = 2.33
BOUNDS = {"accuracy": 1.0}  # an error has the unit of its task


@final
class Preselector:
    """Chooses among offspring. All that it learns follows from the log, so that a resumed study chooses the same."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._proxies: dict[str, dict[str, float]] = {}  # by digest of the phenotype

    def offspring(self) -> int | None:
        """How many to ask the algorithm for; None, for as many as are trained, while little is measured."""
        search = self._study.config.search
        if search.preselection is None or len(self._measured()) < MIN_LEARNED:
            return None
        return search.preselection.factor * search.population_size

    def choose(
        self, pool: Sequence[AskedCandidate], offspring: int, steering: Steering
    ) -> tuple[list[int], Preselection]:
        """Places in the pool of those that are to be trained, ascending, and what the log says of the choice.

        The first of the pool, as they come, where a predictor ranks architectures that it has not seen by chance.
        """
        kept, config = min(self._study.config.search.population_size, len(pool)), self._study.config
        predictors = self._predictors()
        ranks = {metric: p.rank_correlation for metric, p in predictors.items() if p.rank_correlation is not None}
        least = BEYOND_CHANCE / math.sqrt(len(self._measured()) - 1)
        if not all(ranks.get(metric, 0.0) >= least for metric in self._metrics()):  # or hardware alone would choose
            return list(range(kept)), Preselection(offspring, held_out=ranks)
        phenotypes = [Phenotype.from_dict(candidate.phenotype) for candidate in pool]
        predicted = self._predicted(predictors, phenotypes)
        values = [{m.metric: m.value for m in (*c.predicted, *own)} for c, own in zip(pool, predicted, strict=True)]
        losses = [steering(tuple(o.loss(each[o.metric]) for o in config.objectives)) for each in values]
        violations = [sum(c.violation(each[c.metric]) for c in config.constraints) for each in values]
        rng = stream(config.seed, "preselection", len(self._study.state.generations))
        chosen = sorted(best(np.array(losses), np.array(violations), kept, rng))
        first = pool[0].candidate
        said = {first + n: predicted[place] for n, place in enumerate(chosen)}
        versions = {metric: predictor.version for metric, predictor in predictors.items()}
        return chosen, Preselection(offspring, versions, ranks, said)

    def _metrics(self) -> list[str]:
        """Task metrics that the search steers by."""
        config = self._study.config
        steering = {o.metric for o in config.objectives} | {c.metric for c in config.constraints}
        return sorted(steering & TASK_METRICS)

    def _measured(self) -> list[CandidateState]:
        metrics = self._metrics()
        own = [c for c in self._study.state.candidates.values() if c.asked.copy_of is None]
        return [c for c in own if c.measured and all(metric in c.measured for metric in metrics)]

    def _predictors(self) -> dict[str, ErrorSurrogate]:
        """By metric, fitted to all that is measured; without those whose values cannot be learnt, being negative."""
        measured, found = self._measured(), {}
        phenotypes = [Phenotype.from_dict(c.asked.phenotype) for c in measured]
        columns = self._columns(phenotypes)
        for metric in self._metrics():
            values = [c.measured[metric] for c in measured]
            bound = BOUNDS.get(metric, math.inf)
            if all(0 <= value.value <= bound for value in values):
                trainings = [
                    MeasuredError(c.spec, value.value, value.std or 0.0, own)
                    for c, value, own in zip(measured, values, columns, strict=True)
                ]
                found[metric] = ErrorSurrogate(bound=bound).fit(trainings)
        return found

    def _predicted(
        self, predictors: dict[str, ErrorSurrogate], phenotypes: Sequence[Phenotype]
    ) -> list[tuple[Measurement, ...]]:
        """What the predictors say of each phenotype."""
        listed = self._columns(phenotypes)
        columns = {name: np.array([own[name] for own in listed]) for name in listed[0]}
        specs = [phenotype.spec for phenotype in phenotypes]
        parts = []
        for metric, predictor in predictors.items():
            found = predictor.predict(specs, columns)
            source = f"predictor {found.version}"
            pairs = zip(found.mean.tolist(), found.std.tolist(), strict=True)
            parts.append([Measurement(metric, mean, source, std, Stage.PREDICTED) for mean, std in pairs])
        return list(zip(*parts, strict=True)) if parts else [()] * len(specs)

    def _columns(self, phenotypes: Sequence[Phenotype]) -> list[dict[str, float]]:
        """What is known of each training beside its network."""
        preselection = self._study.config.search.preselection
        if preselection is not None and preselection.proxies:
            self._compute_proxies(phenotypes)
        return [
            {
                "log_learning_rate": math.log(phenotype.learning_rate),
                "batch_norm": float(phenotype.norm == "batch"),
                **self._proxies.get(phenotype.digest, {}),
            }
            for phenotype in phenotypes
        ]

    def _compute_proxies(self, phenotypes: Sequence[Phenotype]) -> None:
        """Those that are not known yet, by the workers, in stacks."""
        study = self._study
        wanted = [p for p in phenotypes if p.digest not in self._proxies]
        clip, batch_size = clip_of(study.task), study.config.training.batch_size
        groups = {f"proxies-{n}": stack for n, stack in enumerate(stacks([p.spec for p in wanted], batch_size))}
        orders = [
            TrainingOrder(p.spec.to_dict(), p.learning_rate, (training_seed(study.config.seed, p),), p.norm)
            for p in wanted
        ]
        jobs = [Job(key, stack_proxies, (tuple(orders[n] for n in stack), clip)) for key, stack in groups.items()]

        def done(key: str, value: Any, _seconds: float) -> None:
            if isinstance(value, Failure):
                raise StudyError(f"zero-cost proxies could not be computed: {value.message}")
            for index, own in zip(groups[key], value, strict=True):
                self._proxies[wanted[index].digest] = own

        study.workers.run("proxies", jobs, done, {key: len(stack) for key, stack in groups.items()})


def rank_correlations(state: StudyState, generation: GenerationState) -> dict[str, float]:
    """Spearman's of predicted with measured task metrics of a generation that was preselected, by metric.

    Without those that are not defined, of fewer than three measured candidates or of equal values.
    """
    if generation.preselection is None:
        return {}
    pairs: dict[str, list[tuple[float, float]]] = {}
    for number, predicted in generation.preselection.predicted.items():
        measured = state.candidates[number].measured
        for one in predicted:
            if one.metric in measured:
                pairs.setdefault(one.metric, []).append((measured[one.metric].value, one.value))
    found = {metric: spearman(*np.array(listed).T) for metric, listed in pairs.items()}
    return {metric: value for metric, value in found.items() if value is not None}
