"""Measure population training: candidates per second beside the loops that one writes, and where the time goes.

    python experiments/benchmarks/training/benchmark.py --out runs/training_benchmark
    python experiments/benchmarks/training/benchmark.py --out runs/training_benchmark --keras VENV/bin/python

`speed`: the same random candidates trained by a study's stacks on all cores, and one after the other by `loop.py`, in
one process as torch takes its threads and in one process for each core. `limits`: arithmetic and its share of what the
matrix product of one core can do, by kind of operation. `memory`: of stacks of 16, 64 and 256 members. `alone`: what a
stack is worth on one core. `halving`: successive halving beside whole trainings of 256 candidates. `gpu`: a stack of
512 beside one network at a time on the same GPU, where there is one. Other work on the machine falsifies wall times;
`load` has its average before and after.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from gpu import gpu
from halving import halving
from loop import train_alone

from evonas.errors import Failure
from evonas.execution import Job, executor
from evonas.space import MlpSpace
from evonas.study.jobs import TrainedCandidate, Training, TrainingOrder, train_stack
from evonas.tasks import load_task
from evonas.training.grouping import stacks
from surrogates import LayerSpec, ModelSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from evonas.execution.base import Executor
    from evonas.tasks import Task

HERE = Path(__file__).parent
PARTS = ("speed", "limits", "memory", "alone", "halving", "gpu")
SPACE = {"depth": (1, 4), "widths": (8, 12, 16, 24, 32, 48, 64), "sparsity": (0.0, 0.2, 0.35, 0.5, 0.7, 0.9)}
PRODUCTS = ("mm", "addmm", "bmm", "baddbmm")
LARGEST = (16, 64, 64, 64, 64, 5)  # network of that space
KERAS_WIDTHS = (64, 32, 32)
# not `ru_maxrss`, which a process inherits from the one that started it
MEMORY = """import sys
from evonas.tasks import load_task
from evonas.training.trainer import Member, train
sys.path.insert(0, {here!r})
from benchmark import LARGEST, network
data = load_task("jets", inputs="hlf").split("train")
members = [Member(network(*LARGEST), 0.01, seed) for seed in range({members})]
train(members, data, clip=4.0, epochs=1, batch_size=1024)
(peak,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM:")]
print(int(peak.split()[1]) * 1024 / 1e9)
"""


def candidates(n: int, seed: int) -> list[TrainingOrder]:
    """Random candidates of the main job's widths, bits and sparsities."""
    space = MlpSpace(16, 5, **SPACE)
    phenotypes = [space.decode(genome) for genome in space.sample(n, np.random.default_rng(seed))]
    return [TrainingOrder(p.spec.to_dict(), p.learning_rate, (number,)) for number, p in enumerate(phenotypes)]


def network(*widths: int) -> ModelSpec:
    """Dense layers of 6 bits, hidden ones half pruned."""
    *hidden, last = pairwise(widths)
    parts = [LayerSpec(n_in, n_out, 6, 6, "relu", 0.5) for n_in, n_out in hidden]
    return ModelSpec(6, (*parts, LayerSpec(*last, 6, 0, "linear")))


def in_stacks(
    task: Task, orders: Sequence[TrainingOrder], training: Training, workers: int
) -> tuple[list[float], float]:
    """Validation accuracies of candidates trained as a study trains a generation, and seconds."""
    specs = [ModelSpec.from_dict(order.spec) for order in orders]
    groups = {f"{n}": stack for n, stack in enumerate(stacks(specs, training.batch_size))}
    jobs = [Job(key, train_stack, (tuple(orders[i] for i in stack), training)) for key, stack in groups.items()]
    found = [0.0] * len(orders)
    results, seconds = _run(task, jobs, workers)
    for key, value in results:
        for index, result in zip(groups[key], value, strict=True):
            assert isinstance(result, TrainedCandidate), result
            found[index] = next(m.value for m in result.measurements if m.metric == "accuracy")
    return found, seconds


def one_by_one(
    task: Task, orders: Sequence[TrainingOrder], training: Training, workers: int
) -> tuple[list[float], float]:
    """As `in_stacks`, by the plain loop, in `workers` processes of one thread each."""
    jobs = [Job(f"{n}", _alone_on_one_thread, (order, training)) for n, order in enumerate(orders)]
    results, seconds = _run(task, jobs, workers)
    found = {int(key): value for key, value in results}
    return [found[n] for n in range(len(orders))], seconds


def _alone_on_one_thread(task: Task, order: TrainingOrder, training: Training) -> float:
    import torch

    torch.set_num_threads(1)
    return train_alone(task, order, training)


def _warm(task: Task, seconds: float) -> None:
    """Load what training and scoring need, and leave the other workers time to take such a job too."""
    train_stack(task, candidates(1, 1), Training(1, 128, 4.0, max_rows=256))
    time.sleep(seconds)


def _run(task: Task, jobs: Sequence[Job], workers: int) -> tuple[list[tuple[str, Any]], float]:
    """Results by key, and the seconds that the jobs took in workers that have started and loaded torch before."""
    pool = executor("processes", workers, task)
    try:
        _collected(pool, [Job(f"warm{n}", _warm, (1.0,)) for n in range(workers)])
        start = time.perf_counter()
        return _collected(pool, jobs), time.perf_counter() - start
    finally:
        pool.close()


def _collected(pool: Executor, jobs: Sequence[Job]) -> list[tuple[str, Any]]:
    ended: list[tuple[str, Any]] = []
    for job in jobs:
        pool.submit(job)
    while len(ended) < len(jobs):
        for outcome in pool.collect():
            if isinstance(outcome.failure, Failure):
                raise SystemExit(f"{outcome.key}: {outcome.failure.message}")
            ended.append((outcome.key, outcome.value))
    return ended


def speed(task: Task, n: int, epochs: int, batch_size: int, workers: int) -> dict[str, Any]:
    """Candidates per second of both ways and their accuracies, for one batch size."""
    orders, training = candidates(n, 1), Training(epochs, batch_size, 4.0)
    ours, ours_s = in_stacks(task, orders, training, workers)
    few = orders[:: max(n // 16, 1)]  # as every candidate takes the loop about as long
    start = time.perf_counter()
    threaded = [train_alone(task, order, training) for order in few]
    threaded_s = (time.perf_counter() - start) / len(few)
    theirs, theirs_s = one_by_one(task, orders, training, workers)
    difference = np.array(ours) - np.array(theirs)
    return {
        "candidates": n,
        "epochs": epochs,
        "batch_size": batch_size,
        "stacks_candidates_per_s": n / ours_s,
        "loop_candidates_per_s": 1 / threaded_s,
        "loop_in_processes_candidates_per_s": n / theirs_s,
        "times_the_loop": threaded_s * n / ours_s,
        "times_the_loop_in_processes": theirs_s / ours_s,
        "accuracy_stacks": float(np.mean(ours)),
        "accuracy_loop": float(np.mean(theirs)),
        "accuracy_loop_threaded": float(np.mean(threaded)),
        "difference": float(difference.mean()),
        "difference_standard_error": float(difference.std(ddof=1) / np.sqrt(n)),
    }


def keras(task: Task, python: str, n: int, epochs: int, batch_size: int, workers: int, out: Path) -> dict[str, Any]:
    """Keras' `fit` of one float network beside a stack of quantised ones of the same widths."""
    data, validation = task.split("train"), task.split("validation")
    path = out / "keras_data.npz"
    np.savez(path, x=data.x, y=data.y, x_validation=validation.x, y_validation=validation.y)
    command = [python, str(HERE / "keras_fit.py"), str(path), str(epochs), str(batch_size), *map(str, KERAS_WIDTHS)]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    spec = network(16, *KERAS_WIDTHS, 5)
    orders = [TrainingOrder(spec.to_dict(), 0.01, (seed,)) for seed in range(n)]
    ours_s = in_stacks(task, orders, Training(epochs, batch_size, 4.0), workers)[1] / n
    return found | {"stacks_s": ours_s, "times_keras": found["seconds"] / ours_s, "epochs": epochs}


def limits(task: Task, members: int, batch_size: int, rows: int) -> dict[str, Any]:
    """FLOP/s of a stack on one core, of its largest matrix product, and the shares of its operations."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    from evonas.training.recipe import single_threaded
    from evonas.training.trainer import Member, train

    data, spec = task.split("train").head(rows), network(*LARGEST)
    stack = [Member(spec, 0.01, seed) for seed in range(members)]
    options: dict[str, Any] = {"clip": 4.0, "epochs": 2, "batch_size": batch_size}
    train(stack, data, **options)
    cpu_s = _cpu_s(lambda: train(stack, data, **options))
    with single_threaded():
        matrix = torch.randn(1024, 1024)
        gemm = 2 * 1024**3 * 10 / _cpu_s(lambda: [matrix @ matrix for _ in range(10)])
        with profile(activities=[ProfilerActivity.CPU]) as seen:
            train(stack, data, **options)
    shares: dict[str, float] = defaultdict(float)
    for event in seen.key_averages():
        name = event.key.removeprefix("aten::")
        if event.key.startswith("aten::"):
            shares["products" if name in PRODUCTS else "elementwise"] += event.self_cpu_time_total / 1e6 / cpu_s
    shares["python"] = 1 - sum(shares.values())
    products = 3 * sum(layer.n_weights for layer in spec.weighted) * (len(data) // batch_size) * batch_size * 2
    achieved = 2 * products * members / cpu_s
    named = {f"share_{kind}": value for kind, value in shares.items()}
    return {"flops_per_s": achieved, "gemm_flops_per_s": gemm, "share_of_gemm": achieved / gemm, **named}


def _cpu_s(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def memory() -> dict[str, float]:
    """Peak resident memory in GB of a process that trains so many of the largest network."""
    found = {}
    for members in (16, 64, 256):
        program = MEMORY.format(here=str(HERE), members=members)
        run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
        found[f"members_{members}_gb"] = float(run.stdout)
    return found


def alone(task: Task, batch_size: int, rows: int) -> dict[str, float]:
    """CPU seconds for each member and epoch, by the number of members of a stack of 16-64-32-32-5 networks."""
    from evonas.training.trainer import Member, train

    data, spec, found = task.split("train").head(rows), network(16, *KERAS_WIDTHS, 5), {}
    for members in (1, 2, 4, 8, 16, 32):
        stack = [Member(spec, 0.01, seed) for seed in range(members)]
        seconds = _cpu_s(lambda stack=stack: train(stack, data, clip=4.0, epochs=2, batch_size=batch_size))
        found[f"members_{members}_cpu_s"] = seconds / members / 2
    return found


def main() -> None:
    """Run the chosen parts and write `results.json`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--candidates", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--keras", metavar="PYTHON", help="an interpreter that has Keras, for one more peer")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    task = load_task("jets", inputs="hlf")
    from evonas.training.trainer import Member

    results: dict[str, Any] = {"load_before": os.getloadavg()[0], "cores": options.workers}
    if "speed" in options.parts:
        for batch_size in (128, 512):
            found = speed(task, options.candidates, options.epochs, batch_size, options.workers)
            results[f"speed_{batch_size}"] = found
            print(json.dumps(found, indent=1), flush=True)
    if options.keras:
        results["keras_128"] = keras(task, options.keras, 64, 3, 128, options.workers, options.out)
    if "limits" in options.parts:
        results["limits"] = {f"batch_{size}": limits(task, 8, size, 20_000) for size in (128, 512, 1024)}
    if "memory" in options.parts:
        results["memory"] = memory()
    if "alone" in options.parts:
        results["alone"] = {f"batch_{size}": alone(task, size, 20_000) for size in (128, 1024)}
    if "halving" in options.parts:
        results["halving"] = halving(_run, task, candidates(256, 2), options.workers, 512)
    if "gpu" in options.parts:
        members = [Member(network(16, *KERAS_WIDTHS, 5), 0.01, seed) for seed in range(512)]
        results["gpu"] = {f"batch_{size}": gpu(members, task.split("train"), 2, size) for size in (128, 512)}
    results["load_after"] = os.getloadavg()[0]
    (options.out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
