"""What workers do for a study. Plain data in, plain data out; the context of every job is the task."""

from __future__ import annotations

import math
import shutil
import time
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

from evonas.errors import Failure, FailureKind, StudyError
from evonas.execution import tell
from evonas.models.quantised_network import QuantisedNetwork
from evonas.objectives import Measurement
from evonas.study.observer import Advance
from surrogates import HardwareTarget, ModelSpec, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evonas.space.base import Norm
    from evonas.synthesis.backend import SynthesisResult
    from evonas.tasks import Task
    from evonas.training.state import MemberState
    from evonas.training.trainer import Trained


@final
@dataclass(frozen=True)
class Training:
    """How candidates are trained: `epochs` in all, of which this order may end at `until`."""

    epochs: int
    batch_size: int
    clip: float
    max_rows: int | None = None
    weight_decay: float = 0.0
    patience: int | None = None
    until: int | None = None
    device: str = "cpu"


@final
@dataclass(frozen=True)
class TrainedCandidate:
    """What training gives of a candidate: validation scores and the network as bytes; its share of the stack's time.

    Before the last epoch there are `states` to go on from, by seed, of the trainings that have not failed or ended.
    """

    measurements: tuple[Measurement, ...]
    network: bytes
    epochs: int
    wall_time_s: float
    states: dict[int, MemberState] = field(default_factory=dict)


@final
@dataclass(frozen=True)
class TrainingOrder:
    """One candidate to train: its `ModelSpec` as plain data, and what training needs beside it.

    It is trained once for each of its seeds, from its state where there is one.
    """

    spec: dict[str, Any]
    learning_rate: float
    seeds: tuple[int, ...]
    norm: Norm = "none"
    states: dict[int, MemberState] = field(default_factory=dict)


def train_stack(
    task: Task, orders: Sequence[TrainingOrder], training: Training
) -> tuple[TrainedCandidate | Failure, ...]:
    """Train candidates of one structure together and score their exact fixed-point forms on the validation split.

    Where memory does not suffice for all of them at once, they are trained in two halves. After each epoch it tells
    how far it is (`Advance`).
    """
    return _train_part(task, orders, training, (0.0, 1.0))


def _train_part(
    task: Task, orders: Sequence[TrainingOrder], training: Training, part: tuple[float, float]
) -> tuple[TrainedCandidate | Failure, ...]:
    """The part of a job that lasts from one share of its work to another."""
    from evonas.training.device import out_of_memory  # torch is loaded where it is needed, not in the driver

    try:
        return _train_together(task, orders, training, part)
    except Exception as error:
        if not out_of_memory(error):
            raise
        message = str(error).partition("\n")[0]
    if len(orders) == 1:
        return (Failure(FailureKind.OUT_OF_MEMORY, f"training alone: {message}"),)
    half = len(orders) // 2
    begin, end = part
    middle = begin + (end - begin) * half / len(orders)
    first = _train_part(task, orders[:half], training, (begin, middle))
    return first + _train_part(task, orders[half:], training, (middle, end))


def _train_together(
    task: Task, orders: Sequence[TrainingOrder], training: Training, part: tuple[float, float]
) -> tuple[TrainedCandidate | Failure, ...]:
    from evonas.training.trainer import Member, Population

    data = task.split("train")
    if training.max_rows is not None:
        data = data.head(training.max_rows)
    decay = training.weight_decay
    members = [
        Member(ModelSpec.from_dict(order.spec), order.learning_rate, seed, order.norm, decay)
        for order in orders
        for seed in order.seeds
    ]
    states = [order.states[seed] for order in orders for seed in order.seeds if seed in order.states]
    epochs, batch_size = training.epochs, training.batch_size
    population = Population(
        members, data, clip=training.clip, epochs=epochs, batch_size=batch_size, states=states, device=training.device
    )
    first, last, (begin, end) = population.epoch, training.until or epochs, part

    def epoch_done(epoch: int, alive: int) -> None:
        tell(Advance(begin + (end - begin) * (epoch - first) / (last - first), epoch, alive))

    validation = task.split("validation") if training.patience else None
    population.train(training.until, validation, training.patience, epoch_done)
    going_on = {} if population.epoch == epochs else population.states()
    results = enumerate(population.results())
    return tuple(_repeated(task, order, dict(islice(results, len(order.seeds))), going_on) for order in orders)


def clip_of(task: Task) -> float:
    """Largest magnitude of the task's inputs; 4 (standard deviations) for a task of one's own that does not say."""
    return float(getattr(task, "clip", 4.0))


def stack_proxies(task: Task, orders: Sequence[TrainingOrder], clip: float) -> tuple[dict[str, float], ...]:
    """Zero-cost proxies of candidates of one structure, by name, with the first seed of each."""
    from evonas.training.proxies import proxies
    from evonas.training.trainer import Member

    members = [
        Member(ModelSpec.from_dict(order.spec), order.learning_rate, order.seeds[0], order.norm) for order in orders
    ]
    return tuple(found.to_dict() for found in proxies(members, task.split("train"), clip=clip))


def measure(_task: Task) -> dict[int, float]:
    """Seconds for each member by the size of its stack, on the machine of the worker."""
    from evonas.training.calibration import seconds_per_member

    return seconds_per_member()


def _repeated(
    task: Task, order: TrainingOrder, results: Mapping[int, Trained | Failure], states: Mapping[int, MemberState]
) -> TrainedCandidate | Failure:
    """What trainings of one candidate with different seeds come to; results and states by their place in the stack.

    Scores are means over those that did not fail; the network is the one with the least error. The standard error has a
    part from the seeds, which falls with their number, and one from the validation rows, which does not.
    """
    networks, scores, start = [], [], time.perf_counter()
    for result in results.values():
        if not isinstance(result, Failure):
            networks.append(result)
            scores.append({m.metric: m for m in score(task, result.network, "validation")})
    if not networks:
        return next(result for result in results.values() if isinstance(result, Failure))
    best = min(range(len(networks)), key=lambda n: scores[n]["error"].value)
    measurements = tuple(_mean([each[metric] for each in scores]) for metric in scores[best])
    seconds = sum(result.wall_time_s for result in networks) + time.perf_counter() - start
    going_on = {seed: states[place] for seed, place in zip(order.seeds, results, strict=True) if place in states}
    return TrainedCandidate(measurements, networks[best].network.to_bytes(), networks[best].epochs, seconds, going_on)


def _mean(repeats: Sequence[Measurement]) -> Measurement:
    first, values = repeats[0], np.array([m.value for m in repeats])
    if len(repeats) == 1:
        return first
    of_seeds = float(values.var(ddof=1)) / len(repeats)
    of_rows = float(np.mean([m.std or 0.0 for m in repeats])) ** 2
    return replace(first, value=float(values.mean()), std=math.sqrt(of_seeds + of_rows))


def train_candidate(
    task: Task, spec: dict[str, Any], learning_rate: float, seed: int, training: Training, norm: Norm = "none"
) -> TrainedCandidate | Failure:
    """Train one candidate alone."""
    (found,) = train_stack(task, [TrainingOrder(spec, learning_rate, (seed,), norm)], training)
    return found


def score(task: Task, network: QuantisedNetwork, split_name: str) -> tuple[Measurement, ...]:
    """Scores of the exact network on one split.

    Accuracy carries its binomial standard error, `error` the standard error of a mean where it is one over rows.
    """
    split = task.split(split_name)  # type: ignore[arg-type]
    outputs = network.predict(split.x)
    scores, each = task.score(outputs, split), task.sample_errors(outputs, split)
    stds: dict[str, float] = {} if each is None else {"error": float(np.std(each)) / math.sqrt(len(each))}
    if "accuracy" in scores:
        stds["accuracy"] = math.sqrt(scores["accuracy"] * (1 - scores["accuracy"]) / len(split))
    return tuple(Measurement(metric, value, split_name, stds.get(metric)) for metric, value in scores.items())


@final
@dataclass(frozen=True)
class SynthesisOrder:
    """How a network is to be synthesised."""

    backend: str
    options: dict[str, Any]
    target: HardwareTarget
    directory: str
    timeout_s: float
    vectors: int
    until: Stage = Stage.SYNTHESISED


def synthesise_candidate(task: Task, network: bytes, order: SynthesisOrder) -> SynthesisResult:
    """Synthesise one network in a fresh directory, checked on inputs of the validation split."""
    from evonas.synthesis import choose
    from evonas.synthesis.backend import SynthesisResult

    directory = Path(order.directory)
    try:
        shutil.rmtree(directory, ignore_errors=True)  # what a killed run left half done
        directory.mkdir(parents=True)
    except OSError as error:
        raise StudyError(f"{directory}: {error.strerror}; make room or mend the permissions, then resume") from error
    backend = choose(order.backend, **order.options)
    availability = backend.available()
    if availability.version is None:
        failure = Failure(FailureKind.TOOL_MISSING, f"{backend.name}: {availability.reason}")
        return SynthesisResult(failure=failure)
    vectors = np.asarray(task.split("validation").x[: order.vectors], np.float64)
    if len(vectors) < order.vectors:  # of a small data set; which rows they are does not matter for the bits
        more = task.split("train").x[: order.vectors - len(vectors)]
        vectors = np.concatenate([vectors, np.asarray(more, np.float64)])
    return backend.synthesise(
        QuantisedNetwork.from_bytes(network),
        vectors,
        order.target,
        directory,
        until=order.until,
        timeout_s=order.timeout_s,
    )
