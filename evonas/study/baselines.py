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
from evonas.study.jobs import SynthesisOrder, Training, clip_of, score, synthesise_candidate
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
    (found,) = run_baselines_of(
        [Beside(study, baselines, task)],
        until=until,
        timeout_s=timeout_s,
        memory_limit_bytes=memory_limit_bytes,
        observers=observers,
        on_result=on_result,
    )
    return found


@final
@dataclass(frozen=True)
class Beside:
    """Baselines beside one study; `task` replaces the configured one."""

    study: Study
    baselines: Sequence[Baseline]
    task: Task | None = None


def run_baselines_of(
    studies: Sequence[Beside],
    *,
    until: Stage = Stage.TRACED,
    timeout_s: float | None = None,
    memory_limit_bytes: int | None = None,
    observers: Sequence[Observer] = (),
    on_result: Callable[[BaselineResult], None] | None = None,
) -> list[list[BaselineResult]]:
    """As `run_baselines`, for several studies at once: one pool of workers, that of the first, makes all of them."""
    if until not in (Stage.TRACED, Stage.SYNTHESISED):
        raise ConfigurationError("until", until.label, "must be traced or synthesised")
    for beside in studies:
        names = [baseline.name for baseline in beside.baselines]
        if len(set(names)) != len(names):
            raise ConfigurationError("baselines", names, "must have different names")
    tasks = tuple(b.task or load_task(b.study.config.task.name, **b.study.config.task.options) for b in studies)
    runs = []
    for place, beside in enumerate(studies):
        seconds = timeout_s or beside.study.config.synthesis.timeout_s
        limits = {"timeout_s": seconds, "memory_limit_bytes": memory_limit_bytes}
        runs.append(_Run(place, beside, tasks[place], until, limits, on_result or (lambda _: None)))
    workers = Workers(studies[0].study.config.execution, tasks, observers)
    try:
        _all(workers, "train", [work for run in runs for work in run.training()])
        _all(workers, "trace" if until == Stage.TRACED else "synthesise", [w for run in runs for w in run.hardware()])
    finally:
        workers.stop()
    return [[run.result(baseline) for baseline in run.baselines] for run in runs]


@final
@dataclass(frozen=True)
class _Work:
    """A job, what becomes of its result, and how large its network is."""

    job: Job
    done: Callable[[Any], None]
    bops: float


def _all(workers: Workers, activity: str, works: Sequence[_Work]) -> None:
    """Run all, the largest first, so that the last job of all is a short one."""
    by_key = {work.job.key: work for work in works}
    ordered = sorted(works, key=lambda work: -work.bops)
    workers.run(activity, [work.job for work in ordered], lambda key, value, _s: by_key[key].done(value))


def on_task(tasks: Sequence[Task], place: int, call: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """The job of a worker: a call with the task of one of several studies."""
    return call(tasks[place], *arguments)


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
    members = [
        Member(network_spec, r.learning_rate, derive(seed, str(r.learning_rate)), r.norm, budget.weight_decay)
        for r in recipes
    ]
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
    """The baselines of one study."""

    def __init__(
        self,
        place: int,
        beside: Beside,
        task: Task,
        until: Stage,
        limits: dict[str, Any],
        on_result: Callable[[BaselineResult], None],
    ) -> None:
        self._place, self._study, self.baselines = place, beside.study, beside.baselines
        self._task, self._until, self._limits, self._on_result = task, until, limits, on_result

    def result(self, baseline: Baseline) -> BaselineResult:
        return _result(baseline, self._shelf(baseline))

    def training(self) -> list[_Work]:
        """Training of what is not there yet with these settings."""
        return [
            self._training(baseline, settings)
            for baseline in self.baselines
            if self._shelf(baseline).training(settings := self._training_settings(baseline)) is None
        ]

    def _training(self, baseline: Baseline, settings: dict[str, Any]) -> _Work:
        def done(value: Any) -> None:
            found = TrainedBaseline(failure=value) if isinstance(value, Failure) else value
            self._shelf(baseline).keep_training(settings, found)

        arguments = (baseline.spec.to_dict(), baseline.recipes, self._seed(baseline), self._budget())
        return self._work(baseline, train_baseline, arguments, done)

    def hardware(self) -> list[_Work]:
        """Tracing or synthesis of what is not there yet; tells of what is."""
        works = []
        for baseline in self.baselines:
            network = self._shelf(baseline).network()
            settings = self._hardware_settings(baseline, network)
            kept = self._shelf(baseline).hardware(settings)
            if network is None or (kept is not None and kept.serves(self._stage(baseline), self._limits)):
                self._on_result(self.result(baseline))
            else:
                works.append(self._hardware(baseline, network, settings))
        return works

    def _hardware(self, baseline: Baseline, network: bytes, settings: dict[str, Any]) -> _Work:
        def done(value: Any) -> None:
            shelf, failed = self._shelf(baseline), isinstance(value, Failure)
            before = shelf.hardware(settings)  # a trace, if a synthesis took its worker with it
            records = value.records if not failed else () if before is None else before.records
            failure = value if failed else value.failure
            seconds = sum(record.wall_time_s for record in records)
            found = RealisedBaseline(tuple(records), failure, self._stage(baseline), self._limits, seconds)
            shelf.keep_hardware(settings, found)
            self._on_result(self.result(baseline))

        order = self._order(baseline)
        if baseline.by_parts:
            return self._work(baseline, trace_parts, (network, order.target, order.timeout_s), done)
        return self._work(baseline, synthesise_candidate, (network, order), done)

    def _work(
        self, baseline: Baseline, call: Callable[..., Any], arguments: tuple[Any, ...], done: Callable[[Any], None]
    ) -> _Work:
        job = Job(f"{self._place}/{baseline.name}", on_task, (self._place, call, arguments))
        return _Work(job, done, float(analytic_costs([baseline.spec]).bops[0]))

    def _shelf(self, baseline: Baseline) -> Shelf:
        return Shelf(self._study.directory / FOLDER / baseline.name)

    def _budget(self) -> Training:
        training = self._study.config.training
        clip = clip_of(self._task)
        return Training(training.epochs, training.batch_size, clip, training.max_rows, training.weight_decay)

    def _seed(self, baseline: Baseline) -> int:
        return derive(self._study.config.seed, "baseline", baseline.spec.digest)

    def _training_settings(self, baseline: Baseline) -> dict[str, Any]:
        recipes, seed = [dataclasses.astuple(recipe) for recipe in baseline.recipes], self._seed(baseline)
        named = {"spec": baseline.spec.to_dict(), "recipes": recipes, "seed": seed, "task": self._task.digest}
        return named | dataclasses.asdict(self._budget())

    def _stage(self, baseline: Baseline) -> Stage:
        return Stage.TRACED if baseline.by_parts else self._until

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
