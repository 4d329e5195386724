"""Small studies: a task that notes what is read, settings, training without training, and what a log says."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from evonas.config import resolve
from evonas.execution.inline import InlineExecutor
from evonas.models.fixed_point import FixedPoint, QuantisedDense
from evonas.models.quantised_network import QuantisedNetwork
from evonas.store.event_log import EventLog, holds_events
from evonas.study.jobs import TrainedCandidate, Training, TrainingOrder, score
from evonas.study.study import Study
from evonas.tasks import ArrayTask, Split
from fakes.backend import InstantBackend
from fakes.surrogate import InstantSurrogate
from surrogates import ModelSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from evonas.errors import Failure
    from evonas.execution import Job, Outcome

N_INPUTS, N_CLASSES = 5, 3
NOISY = ("wall_time_s", "overhead_s", "peak_memory_bytes")  # what differs between two runs of the same study
IN_WORKERS = "EVONAS_TEST_INSTANT_BACKEND"  # set: worker processes that unpickle a task synthesise instantly


COPIED = (
    "name", "goal", "shape", "n_inputs", "n_outputs", "output_names", "feature_names", "provenance",
    "error_definition", "digest", "clip",
)  # fmt: skip


class SpyTask:
    """An `ArrayTask` that notes in `asked` which splits were read."""

    def __init__(self, inner: ArrayTask) -> None:
        self.inner = inner
        self.asked: list[str] = []
        for name in COPIED:
            setattr(self, name, getattr(inner, name))

    def split(self, name: Any) -> Split:
        self.asked.append(name)
        return self.inner.split(name)

    def score(self, outputs: Any, split: Split) -> dict[str, float]:
        return self.inner.score(outputs, split)

    def sample_errors(self, outputs: Any, split: Split) -> Any:
        return self.inner.sample_errors(outputs, split)


def make_task(rows: int = 400, seed: int = 0) -> SpyTask:
    """Three overlapping clouds in five dimensions."""
    rng = np.random.default_rng(11)
    y = rng.integers(0, N_CLASSES, rows)
    x = rng.normal(size=(rows, N_INPUTS)) + 2.0 * np.eye(N_CLASSES, N_INPUTS)[y]
    classes, features = tuple(f"c{i}" for i in range(N_CLASSES)), tuple(f"x{i}" for i in range(N_INPUTS))
    return SpyTask(ArrayTask("clouds", x, y, classes, features, "made up", seed, (0.6, 0.2, 0.2)))


def settings(start_records: Path, *changes: str) -> dict[str, Any]:
    """Plain data of a study of two generations of four candidates, changed by `section.field=value`."""
    data = {
        "name": "small",
        "seed": 3,
        "space": {
            "depth": [1, 2],
            "widths": [2, 3, 4],
            "weight_bits": [2, 3, 4],
            "activation_bits": [3, 4],
            "input_bits": [4, 5],
            "sparsity": [0.0, 0.3],
            "activations": ["relu", "hard_tanh"],
            "learning_rate": [0.01, 0.03],
        },
        "training": {"epochs": 2, "batch_size": 64},
        "search": {"population_size": 4, "generations": 2, "objectives": [{"metric": "error"}, {"metric": "lut"}]},
        "surrogate": {"estimator": "ridge", "start_records": str(start_records), "recalibrate_every": 1, "designs": 1},
        "synthesis": {"backend": "openrtl", "front_designs": 2},
        "execution": {"executor": "inline"},
    }
    return resolve(data, changes).model_dump(mode="json")


def install(setattr_: Callable[..., None], backend: InstantBackend, *, training: bool = True) -> None:
    """Put the stand-ins in place with `setattr_(target, name, value)`."""
    import evonas.study.forecast
    import evonas.study.training
    import evonas.synthesis

    def choose(name: str = "auto", **options: Any) -> InstantBackend:
        backend.options = options
        return backend

    setattr_(evonas.synthesis, "choose", choose)
    setattr_(evonas.study.forecast.Forecast, "_unfitted", lambda _self: InstantSurrogate())
    if training:
        setattr_(evonas.study.training, "train_stack", instant_stack)


def instant_training(
    task: Any, spec: dict[str, Any], learning_rate: float, seed: int, training: Training, norm: str = "none"
) -> TrainedCandidate | Failure:
    """As `train_candidate`, with weights drawn from the seed."""
    task.split("train")
    network = random_network(ModelSpec.from_dict(spec), seed)
    return TrainedCandidate(score(task, network, "validation"), network.to_bytes(), training.epochs, 0.0)


def instant_stack(
    task: Any, orders: Sequence[TrainingOrder], training: Training
) -> tuple[TrainedCandidate | Failure, ...]:
    """As `train_stack`, with `instant_training`."""
    return one_by_one(instant_training)(task, orders, training)


def one_by_one(train: Callable[..., TrainedCandidate | Failure]) -> Callable[..., tuple[Any, ...]]:
    """What trains a stack by calls of what trains a candidate."""

    def stack(task: Any, orders: Sequence[TrainingOrder], training: Training) -> tuple[Any, ...]:
        return tuple(train(task, o.spec, o.learning_rate, o.seeds[0], training, o.norm) for o in orders)

    return stack


def random_network(spec: ModelSpec, seed: int) -> QuantisedNetwork:
    """A network of this description with random codes."""
    rng = np.random.default_rng(seed)
    layers = []
    for layer in spec.layers:
        limit = 2 ** (layer.weight_bits - 1) - 1
        codes = rng.integers(-limit, limit + 1, (layer.n_in, layer.n_out))
        codes.flat[rng.permutation(layer.n_weights)[: layer.n_weights - layer.n_nonzero]] = 0
        signed = layer.activation != "relu"
        bits = layer.activation_bits
        output = None if layer.activation == "linear" else FixedPoint(signed, bits, 2 + signed, "RND", "SAT")
        bias = rng.integers(-3, 4, layer.n_out)
        weight_type = FixedPoint(True, max(layer.weight_bits, 2), 1)
        layers.append(QuantisedDense(codes, weight_type, bias, FixedPoint(True, 5, 3), layer.activation, output))
    return QuantisedNetwork(spec, FixedPoint(True, spec.input_bits, 3, "RND_CONV", "SAT"), tuple(layers))


class ShuffledExecutor:
    """Runs everything inline and hands the outcomes back in another order."""

    capacity = 8

    def __init__(self, context: Any, seed: int) -> None:
        self._inline = InlineExecutor(context)
        self._rng = np.random.default_rng(seed)

    def submit(self, job: Job) -> None:
        self._inline.submit(job)

    def collect(
        self, timeout_s: float | None = None, told: Callable[[str, Any], None] | None = None
    ) -> Sequence[Outcome]:
        outcomes: list[Outcome] = []
        while some := self._inline.collect(told=told):
            outcomes.extend(some)
        return [outcomes[i] for i in self._rng.permutation(len(outcomes))]

    def cancel(self, key: str) -> None:
        self._inline.cancel(key)

    def close(self) -> None:
        self._inline.close()


def story(directory: Path) -> list[tuple[str, Any]]:
    """Kind and body of every event, without times and memory."""
    with EventLog(directory, write=False) as log:
        return [(row.kind, _quiet(row.body)) for row in log.read()]


def told_in_order(events: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """The story with neighbouring results sorted by candidate: the order of completion is not part of the outcome."""
    results: list[tuple[str, Any]] = []
    ordered: list[tuple[str, Any]] = []
    for kind, body in [*events, ("end", {})]:
        if kind in ("measured", "failed", "synthesised"):
            results.append((kind, body))
            continue
        ordered += sorted(results, key=lambda event: event[1]["candidate"])
        results = []
        ordered.append((kind, body))
    return ordered[:-1]


def _quiet(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _quiet(v) for k, v in value.items() if k not in NOISY}
    return [_quiet(v) for v in value] if isinstance(value, list) else value


if os.environ.get(IN_WORKERS):
    install(setattr, InstantBackend(), training=False)


def dies_at_every_event(
    monkeypatch: Any, config: Any, directory: Path, events: list[tuple[str, Any]], alive: int = 0
) -> None:
    """Run a study to the end whose process dies at every event after the first `alive` ones, and is resumed each time.

    At each death the log holds what `events`, of a study that lived, begins with.
    """
    append, deadly = EventLog.append, alive

    def dying(log: EventLog, kind: str, body: Any) -> Any:
        row = append(log, kind, body)
        if len(log) == deadly:
            raise OSError
        return row

    def go_on() -> None:
        begun, task = holds_events(directory), make_task()
        with Study.resume(directory, task=task) if begun else Study(config, directory, task=task) as study:
            study.run()

    monkeypatch.setattr(EventLog, "append", dying)
    while deadly < len(events):
        deadly += 1
        with pytest.raises(OSError):
            go_on()
        assert story(directory) == events[:deadly]
