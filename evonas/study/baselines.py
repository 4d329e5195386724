"""Networks of others beside a study: the same data, the same budget of training, the same tools.

    from evonas.study.baselines import Baseline, run_baselines

    baselines = [Baseline("ultrafast_deep_sets_8", ultrafast_deep_sets(8), source="arXiv:2402.01876")]
    for result in run_baselines(evonas.load_study("runs/jets"), baselines, until=Stage.TRACED):
        print(result.baseline.name, result.score("accuracy"), result.record(Stage.TRACED))

A baseline is trained once for each of its recipes (a learning rate and a normalisation), all at a time; the validation
split chooses one of them, the test split is scored once. What is made is kept in STUDY/baselines/NAME as soon as it is
there. A run that was killed goes on with what is missing, and what was made with another setting is made anew.
"""

from __future__ import annotations

import dataclasses
import math
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

from evonas.errors import ConfigurationError, Failure, ToolError
from evonas.execution import Job
from evonas.models.quantised_network import QuantisedNetwork
from evonas.seeding import derive
from evonas.space.base import NORMS
from evonas.space.published_results import Published
from evonas.study.baseline_files import RealisedBaseline, Recipe, Shelf, TrainedBaseline
from evonas.study.jobs import SynthesisOrder, Training, score, synthesise_candidate
from evonas.study.workers import Workers
from evonas.tasks import load_task
from surrogates import ModelSpec, Stage, analytic_costs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from evonas.objectives import Measurement
    from evonas.space.base import Norm
    from evonas.study.observer import Observer
    from evonas.study.study import Study
    from evonas.synthesis.backend import SynthesisResult
    from evonas.tasks import Task
    from surrogates import HardwareTarget, SynthesisRecord

__all__ = ["Baseline", "BaselineResult", "Published", "Recipe", "kept_results", "run_baselines"]

LEARNING_RATES = (0.01, 0.02, 0.04)
FOLDER = "baselines"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@final
@dataclass(frozen=True)
class Baseline:
    """A network to be trained beside a study: its name (a file name), where it is from, what was published of it.

    It is trained with each of the `learning_rates` and, where `norms` has both, with and without batch normalisation.
    `by_parts` is for one that is too large to be traced whole: it is traced part by part (`evonas.synthesis.by_parts`),
    not verified, and not synthesised.
    """

    name: str
    spec: ModelSpec
    learning_rates: tuple[float, ...] = LEARNING_RATES
    source: str = ""
    published: tuple[Published, ...] = ()
    by_parts: bool = False
    norms: tuple[Norm, ...] = ("none",)

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ConfigurationError("baseline.name", self.name, "must be letters, digits, dots, dashes, underscores")
        if not self.learning_rates or not all(rate > 0 and math.isfinite(rate) for rate in self.learning_rates):
            mend = "must be one positive number or several"
            raise ConfigurationError(f"baseline.{self.name}.learning_rates", self.learning_rates, mend)
        if not self.norms or not set(self.norms) <= set(NORMS):
            raise ConfigurationError(f"baseline.{self.name}.norms", self.norms, f"must be of {', '.join(NORMS)}")

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        """What training tries, each once."""
        return tuple(sorted({Recipe(rate, norm) for rate in self.learning_rates for norm in self.norms}))


@final
@dataclass(frozen=True)
class BaselineResult:
    """What is known of a baseline so far: scores of the trained network, records of the tools, or why there are none.

    `validation` holds the scores of the chosen `recipe`, `validation_errors` the error of each one that trained.
    """

    baseline: Baseline
    recipe: Recipe | None = None
    validation_errors: Mapping[Recipe, float] = field(default_factory=dict)
    validation: tuple[Measurement, ...] = ()
    tested: tuple[Measurement, ...] = ()
    records: tuple[SynthesisRecord, ...] = ()
    failure: Failure | None = None
    training_s: float = 0.0
    hardware_s: float = 0.0

    def score(self, metric: str) -> Measurement | None:
        """A score on the test split."""
        return next((m for m in self.tested if m.metric == metric), None)

    def record(self, stage: Stage) -> SynthesisRecord | None:
        """The record of exactly this stage."""
        return next((r for r in self.records if r.stage == stage), None)


def run_baselines(
    study: Study,
    baselines: Sequence[Baseline],
    *,
    task: Task | None = None,
    until: Stage = Stage.TRACED,
    timeout_s: float | None = None,
    memory_limit_bytes: int | None = None,
    observers: Sequence[Observer] = (),
    on_result: Callable[[BaselineResult], None] | None = None,
) -> list[BaselineResult]:
    """Train `baselines` with the budget of `study` and trace (or synthesise) them; one result for each, in order.

    Parameters:
        study: loaded, resumed or just finished; its epochs, rows, batch size, seed, target and executor are used.
        task: replaces the configured one, for a study of a task of one's own.
        until: TRACED (seconds to minutes each) or SYNTHESISED (up to hours for networks of 100,000 LUTs and more).
        timeout_s: for each network's tools; the study's own if not given.
        memory_limit_bytes: for each tool; a tool beyond it is stopped, which is a failure of that network.
        observers: are told how many are done, of the activities "train" and "trace" or "synthesise".
        on_result: is called with each result as soon as it is known, and at once with those that were kept.

    Raises `ConfigurationError` for two baselines of one name or a stage that is neither of the two.
    """
    if until not in (Stage.TRACED, Stage.SYNTHESISED):
        raise ConfigurationError("until", until.label, "must be traced or synthesised")
    names = [baseline.name for baseline in baselines]
    if len(set(names)) != len(names):
        raise ConfigurationError("baselines", names, "must have different names")
    config = study.config
    task = task or load_task(config.task.name, **config.task.options)
    limits = {"timeout_s": timeout_s or config.synthesis.timeout_s, "memory_limit_bytes": memory_limit_bytes}
    workers = Workers(config.execution, task, observers)
    run = _Run(study, task, until, limits, workers, on_result or (lambda _: None))
    try:
        run.train(baselines)
        run.realise(baselines)
    finally:
        workers.stop()
    return [run.result(baseline) for baseline in baselines]


def kept_results(study: Study, baselines: Sequence[Baseline]) -> list[BaselineResult]:
    """What is known of `baselines` from earlier runs, without making anything; whatever setting it was made with."""
    return [_result(baseline, Shelf(study.directory / FOLDER / baseline.name)) for baseline in baselines]


def train_baseline(
    task: Task, spec: dict[str, Any], recipes: Sequence[Recipe], seed: int, budget: Training
) -> TrainedBaseline:
    """The job of a worker: train one network by several recipes and keep the best by validation error."""
    from evonas.training.trainer import Member, train  # torch is loaded where it is needed, not in the driver

    start = time.perf_counter()
    data = task.split("train")
    if budget.max_rows is not None:
        data = data.head(budget.max_rows)
    network_spec = ModelSpec.from_dict(spec)
    members = [Member(network_spec, r.learning_rate, derive(seed, str(r.learning_rate)), r.norm) for r in recipes]
    trained = train(members, data, clip=budget.clip, epochs=budget.epochs, batch_size=budget.batch_size)
    found = {
        recipe: (result.network, score(task, result.network, "validation"))
        for recipe, result in zip(recipes, trained, strict=True)
        if not isinstance(result, Failure)
    }
    if not found:
        failure = next(result for result in trained if isinstance(result, Failure))
        return TrainedBaseline(failure=failure, wall_time_s=time.perf_counter() - start)
    errors = {recipe: next(m.value for m in scores if m.metric == "error") for recipe, (_, scores) in found.items()}
    best = min(errors, key=lambda recipe: (errors[recipe], recipe))
    network, validation = found[best]
    tested = score(task, network, "test")
    seconds = time.perf_counter() - start
    return TrainedBaseline(network.to_bytes(), best, errors, validation, tested, wall_time_s=seconds)


def trace_parts(
    _task: Task, network: bytes, target: HardwareTarget, timeout_s: float | None = None
) -> SynthesisResult:
    """The job of a worker: trace one network part by part."""
    from evonas.synthesis.backend import SynthesisResult
    from evonas.synthesis.by_parts import record_by_parts

    try:
        return SynthesisResult((record_by_parts(QuantisedNetwork.from_bytes(network), target, timeout_s),))
    except ToolError as error:
        return SynthesisResult(failure=error.failure)


@final
class _Run:
    """One call of `run_baselines`."""

    def __init__(
        self,
        study: Study,
        task: Task,
        until: Stage,
        limits: dict[str, Any],
        workers: Workers,
        on_result: Callable[[BaselineResult], None],
    ) -> None:
        self._study, self._task, self._until, self._limits = study, task, until, limits
        self._workers, self._on_result = workers, on_result

    def result(self, baseline: Baseline) -> BaselineResult:
        return _result(baseline, self._shelf(baseline))

    def train(self, baselines: Sequence[Baseline]) -> None:
        """Train what is not there yet with these settings, the largest first."""
        settings = {b.name: self._training_settings(b) for b in baselines}
        missing = [b for b in baselines if self._shelf(b).training(settings[b.name]) is None]
        by_name = {b.name: b for b in missing}

        def done(name: str, value: Any) -> None:
            found = TrainedBaseline(failure=value) if isinstance(value, Failure) else value
            self._shelf(by_name[name]).keep_training(settings[name], found)

        self._workers.run("train", [self._training_job(b) for b in _largest_first(missing)], done)

    def realise(self, baselines: Sequence[Baseline]) -> None:
        """Trace or synthesise what is not there yet."""
        networks = {b.name: self._shelf(b).network() for b in baselines}
        settings = {b.name: self._hardware_settings(b, networks[b.name]) for b in baselines}
        missing = []
        for baseline in baselines:
            kept = self._shelf(baseline).hardware(settings[baseline.name])
            served = kept is not None and kept.serves(self._stage(baseline), self._limits)
            if networks[baseline.name] is None or served:
                self._on_result(self.result(baseline))
            else:
                missing.append(baseline)
        by_name = {b.name: b for b in missing}

        def done(name: str, value: Any) -> None:
            shelf, failed = self._shelf(by_name[name]), isinstance(value, Failure)
            before = shelf.hardware(settings[name])  # a trace, if a synthesis took its worker with it
            records = value.records if not failed else () if before is None else before.records
            failure = value if failed else value.failure
            seconds = sum(record.wall_time_s for record in records)
            found = RealisedBaseline(tuple(records), failure, self._stage(by_name[name]), self._limits, seconds)
            shelf.keep_hardware(settings[name], found)
            self._on_result(self.result(by_name[name]))

        jobs = [self._hardware_job(b, networks[b.name]) for b in _largest_first(missing)]
        self._workers.run("trace" if self._until == Stage.TRACED else "synthesise", jobs, done)

    def _shelf(self, baseline: Baseline) -> Shelf:
        return Shelf(self._study.directory / FOLDER / baseline.name)

    def _budget(self) -> Training:
        training = self._study.config.training
        clip = float(getattr(self._task, "clip", 4.0))
        return Training(training.epochs, training.batch_size, clip, training.max_rows)

    def _seed(self, baseline: Baseline) -> int:
        return derive(self._study.config.seed, "baseline", baseline.spec.digest)

    def _training_job(self, baseline: Baseline) -> Job:
        arguments = (baseline.spec.to_dict(), baseline.recipes, self._seed(baseline), self._budget())
        return Job(baseline.name, train_baseline, arguments)

    def _training_settings(self, baseline: Baseline) -> dict[str, Any]:
        recipes, seed = [dataclasses.astuple(recipe) for recipe in baseline.recipes], self._seed(baseline)
        named = {"spec": baseline.spec.to_dict(), "recipes": recipes, "seed": seed, "task": self._task.digest}
        return named | dataclasses.asdict(self._budget())

    def _stage(self, baseline: Baseline) -> Stage:
        return Stage.TRACED if baseline.by_parts else self._until

    def _hardware_job(self, baseline: Baseline, network: bytes | None) -> Job:
        order = self._order(baseline)
        if baseline.by_parts:
            return Job(baseline.name, trace_parts, (network, order.target, order.timeout_s))
        return Job(baseline.name, synthesise_candidate, (network, order))

    def _order(self, baseline: Baseline) -> SynthesisOrder:
        settings = self._study.config.synthesis
        target = dataclasses.replace(self._study.config.target, tool="openrtl")
        memory = self._limits["memory_limit_bytes"]
        options = {"csim": "never", "simulator": settings.simulator, "memory_limit_bytes": memory}
        folder, timeout_s = self._shelf(baseline).folder / "hardware", self._limits["timeout_s"]
        return SynthesisOrder("openrtl", options, target, str(folder), timeout_s, settings.vectors, self._until)

    def _hardware_settings(self, baseline: Baseline, network: bytes | None) -> dict[str, Any]:
        settings, target = self._study.config.synthesis, self._study.config.target
        digest = None if network is None else QuantisedNetwork.from_bytes(network).digest
        made = {"network": digest, "vectors": settings.vectors, "target": target.to_dict()}
        return made | {"by_parts": True} if baseline.by_parts else made


def _largest_first(baselines: Sequence[Baseline]) -> list[Baseline]:
    """By falling BOPs, so that the last job of all is a short one."""
    bops = {b.name: float(analytic_costs([b.spec]).bops[0]) for b in baselines}
    return sorted(baselines, key=lambda b: -bops[b.name])


def _result(baseline: Baseline, shelf: Shelf) -> BaselineResult:
    """All that lies on a shelf."""
    training, hardware = shelf.training(), shelf.hardware()
    if training is None:
        return BaselineResult(baseline)
    result = BaselineResult(
        baseline,
        training.recipe,
        training.errors,
        training.validation,
        training.tested,
        failure=training.failure,
        training_s=training.wall_time_s,
    )
    if hardware is None:
        return result
    records, failure = hardware.records, hardware.failure or training.failure
    return dataclasses.replace(result, records=records, failure=failure, hardware_s=hardware.wall_time_s)
