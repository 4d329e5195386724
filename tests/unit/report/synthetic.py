"""A small but complete study from hand-written events: three generations, two recalibrations, a verified front."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

from evonas.errors import Failure, FailureKind
from evonas.objectives import Measurement
from evonas.study.events import (
    Asked,
    AskedCandidate,
    Chosen,
    Event,
    Failed,
    Finished,
    HandedOver,
    Measured,
    Pick,
    Recalibrated,
    Started,
    Synthesised,
    Told,
)
from evonas.study.state import StudyState
from surrogates import HardwareTarget, LayerSpec, ModelSpec, Stage, SynthesisRecord

POPULATION = 16
GENERATIONS = 3
TARGET = HardwareTarget()
TOOL = "alkaid 0.8.2, pyosys 0.70"
OBJECTIVES = ("error", "latency_ns", "lut", "dsp")
WIDTHS = ((8,), (16, 8), (32,), (24, 16), (32, 16), (12, 8, 8), (48, 24), (64, 32, 32))


def spec(number: int) -> ModelSpec:
    """A network that differs from those of the neighbouring numbers in shape, bits and sparsity."""
    widths = (16, *WIDTHS[number % len(WIDTHS)], 5)
    layers = []
    for index, (n_in, n_out) in enumerate(pairwise(widths)):
        last = index == len(widths) - 2
        bits = 3 + (number * 7 + index * (number % 3)) % 6
        activation = {"activation": "linear", "activation_bits": 0} if last else {"activation_bits": bits}
        layers.append(LayerSpec(n_in, n_out, bits, sparsity=round(0.1 * (number % 8), 2), **activation))
    return ModelSpec(8, tuple(layers))


def cells(number: int) -> float:
    """The LUT count that synthesis finds."""
    network = spec(number)
    return round(sum(0.9 * layer.n_nonzero * layer.weight_bits for layer in network.layers) + 60)


def predicted(number: int, version: str = "forest-1", factor: float | None = None) -> tuple[Measurement, ...]:
    """Predictions with a bias that depends on the candidate, or a given factor."""
    factor = factor if factor is not None else 0.7 + 0.5 * ((number * 5) % 7) / 6
    lut = cells(number) * factor
    cycles = float(len(spec(number).layers) + 2)

    def one(metric: str, value: float, std: float | None) -> Measurement:
        return Measurement(metric, round(value, 2), version, std, Stage.PREDICTED)

    return (
        one("lut", lut, 0.15 * lut),
        one("ff", 0.42 * lut, None),
        one("dsp", 0.0, None),
        one("latency_cycles", cycles, 0.4),
        one("latency_ns", cycles * TARGET.clock_period_ns, None),
    )


def record(number: int, stage: Stage = Stage.SYNTHESISED) -> SynthesisRecord:
    """What synthesis says; a traced record knows neither delay nor carry."""
    lut = cells(number) * (0.95 if stage == Stage.TRACED else 1.0)
    real = stage == Stage.SYNTHESISED
    return SynthesisRecord(
        spec(number),
        TARGET,
        stage,
        TOOL if real else "alkaid 0.8.2",
        lut=round(lut),
        ff=round(0.4 * lut),
        dsp=0,
        bram_18k=0,
        latency_cycles=len(spec(number).layers) + 2 + number % 2,
        initiation_interval=1,
        carry=round(lut / 9) if real else None,
        delay_ns=round(5.6 + 0.031 * number, 3) if real else None,
        verified_vectors=256 if real else 0,
        wall_time_s=round(3 + lut / 250, 1),
        peak_memory_bytes=int(150e6 + 15000 * lut),
    )


def accuracy(number: int) -> float:
    """Validation accuracy, rising with size and with diminishing returns, with some scatter."""
    return round(0.80 - 0.9 / math.log(cells(number) + 50) ** 1.3 + 0.008 * math.sin(number * 12.9), 4)


def measurements(value: float, split: str) -> tuple[Measurement, ...]:
    """Accuracy and error of one split."""
    error = round(math.sqrt(value * (1 - value) / 20000), 6)
    return (Measurement("accuracy", value, split, error), Measurement("error", round(1 - value, 6), split, error))


def started(task: str = "jets", objectives: tuple[str, ...] = OBJECTIVES) -> Started:
    """The first event."""
    search = {
        "algorithm": "nsga2",
        "objectives": [{"metric": m, "direction": "minimise"} for m in objectives],
        "constraints": [{"metric": "lut", "upper": 20000.0, "lower": None}],
        "population": POPULATION,
        "generations": GENERATIONS,
    }
    synthesis = {"backend": "auto", "part": TARGET.part, "clock_period_ns": TARGET.clock_period_ns}
    rows = {"train": 70000, "validation": 20000, "test": 20000}
    return Started(
        config={"seed": 7, "task": {"name": task}, "search": search, "synthesis": synthesis},
        versions={"evonas": "0.1.0", "torch": "2.13.0", "alkaid": "0.8.2", "pyosys": "0.70", "python": "3.11.9"},
        digests={"space": "a1" * 32, "task": "b2" * 32},
        task={
            "name": task,
            "goal": "classification",
            "provenance": "own simulation",
            "n_inputs": 16,
            "n_outputs": 5,
            "rows": rows,
        },
    )


def asked(generation: int, version: str = "forest-1") -> Asked:
    """A generation; candidate 20 repeats 4, candidate 21 is dropped by a constraint."""
    candidates = []
    for number in range(generation * POPULATION, (generation + 1) * POPULATION):
        source = 4 if number == 20 else number
        violations = {"lut": 0.4} if number == 21 else {}
        phenotype: dict[str, Any] = {"spec": spec(source).to_dict()}
        copy = 4 if number == 20 else None
        guess = predicted(source, version)
        candidates.append(
            AskedCandidate(number, (number, 1, 2), phenotype, guess, violations, copy, dropped=number == 21)
        )
    return Asked(generation, tuple(candidates), version)


def results(generation: int) -> list[Event]:
    """Training of a generation: 5 diverges, 30 dies, the others are measured."""
    failures = {
        5: Failure(FailureKind.DIVERGED, "loss became NaN in epoch 3"),
        30: Failure(FailureKind.WORKER_DIED, "signal 9 after 12.0 s"),
    }
    events: list[Event] = []
    for number in range(generation * POPULATION, (generation + 1) * POPULATION):
        if number in failures:
            events.append(Failed(number, failures[number]))
        elif number not in (20, 21):
            values = measurements(accuracy(number), "validation")
            events.append(Measured(number, values, f"{number:064x}", 20, 2.5))
    return events


def told(generation: int, hypervolume: float, objectives: tuple[str, ...] = OBJECTIVES) -> Told:
    """The end of a generation."""
    reference = {"error": 1.0, "latency_ns": 100.0, "lut": 50000.0, "dsp": 100.0}
    return Told(generation, {}, tuple(reference[m] for m in objectives), hypervolume, 61.5, 0.4)


def synthesised(number: int, generation: int, purpose: str) -> Synthesised:
    """A synthesis that succeeds, with a traced record on its way."""
    records = (record(number, Stage.TRACED), record(number))
    files = {"verilog": f"synthesis/{number:04d}/verilog"}
    return Synthesised(number, purpose, "front", generation, records, None, files, 12.0)


def timed_out(number: int, generation: int) -> Synthesised:
    """A synthesis that traces and then runs out of time."""
    failure = Failure(FailureKind.TOOL_TIMEOUT, "yosys was stopped after 600 s")
    records = (record(number, Stage.TRACED),)
    return Synthesised(number, "recalibration", "random", generation, records, failure, {}, 600.0)


def chosen(generation: int, purpose: str, numbers: tuple[int, ...]) -> Chosen:
    """The choice that comes before synthesis."""
    return Chosen(generation, purpose, tuple(Pick(number, "front") for number in numbers))


def measure(n: int, error: float | None, coverage: float | None) -> dict[str, Any]:
    """What `surrogates.metrics.Accuracy.to_dict` writes, in part."""
    return {"n": n, "median_relative_error": error, "coverage": coverage, "spearman": None if n < 3 else 0.91}


def recalibrated(generation: int, rescored: dict[int, tuple[Measurement, ...]]) -> Recalibrated:
    """A refit, with and without re-scoring."""
    before = {
        "all": {"lut": measure(8, 0.171, 0.625), "latency_cycles": measure(8, 0.2, 0.9)},
        "front": {"lut": measure(6, 0.183, 0.667)},
        "diverse": {"lut": measure(0, None, None)},
        "random": {"lut": measure(2, 0.142, None)},
    }
    after = {
        "all": {"lut": measure(8, 0.066, 0.875), "latency_cycles": measure(8, 0.05, 1.0)},
        "front": {"lut": measure(6, 0.064, 0.8333)},
        "diverse": {"lut": measure(0, None, None)},
        "random": {"lut": measure(2, None, None)},
    }
    summary = {"n_old": 40, "n_new": 8, "after_method": "5-fold cross-validation", "before": before, "after": after}
    summary["learners"] = {"lut": "gp", "ff": "trees", "dsp": "closed form", "latency_cycles": "gp"}
    return Recalibrated(generation, f"forest-{generation + 2}", summary, rescored, 4.2)


def complete_events(task: str = "jets") -> list[Event]:
    """Every kind of event, in the order in which a study logs them."""
    rescored = {n: predicted(n, "forest-2", 0.97) for n in (*range(5), *range(6, POPULATION))}
    events: list[Event] = [started(task), asked(0), *results(0), told(0, 0.412)]
    events += [chosen(0, "recalibration", (0, 1, 3, 6, 7, 9, 15))]
    events += [synthesised(n, 0, "recalibration") for n in (0, 1, 3, 6, 7, 9)] + [timed_out(15, 0)]
    events += [recalibrated(0, rescored), asked(1, "forest-2"), *results(1), told(1, 0.405)]
    events += [synthesised(n, 1, "recalibration") for n in (16, 18, 23, 28)]
    events += [recalibrated(1, {}), asked(2, "forest-3"), *results(2), told(2, 0.447)]
    events += [chosen(2, "front", (8, 12, 14, 24, 32, 38, 40, 46))]
    events += [synthesised(n, 2, "front") for n in (8, 12, 14, 24, 32, 38, 40, 46)]
    events.append(HandedOver(40, "designs/40", measurements(0.7311, "test")))
    return [*events, Finished("all generations done", 214.0)]


def complete_study(task: str = "jets") -> StudyState:
    """The fold of `complete_events`."""
    return StudyState(complete_events(task))
