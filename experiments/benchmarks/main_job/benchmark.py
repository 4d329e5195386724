"""Measure the main job: time, memory, what it found, how good the surrogate was, and what the driver cost.

    python experiments/benchmarks/main_job/benchmark.py --out runs/main_job

Runs `evonas run experiments/jets_hlf/experiment.toml` as a user would and samples the memory of the whole process tree,
then trains a float 16-64-32-32-5 network on the same data, synthesises some more candidates that the surrogate has
never seen, and writes `results.json` into `--out`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import psutil
import torch
from scipy.stats import spearmanr

import evonas
from evonas.errors import Failure
from evonas.execution import executor
from evonas.execution.base import Job
from evonas.seeding import stream
from evonas.study.forecast import Forecast
from evonas.study.jobs import SynthesisOrder, synthesise_candidate
from evonas.tasks import Task, load_task
from surrogates import Stage, SynthesisRecord

CONFIG = Path(__file__).parents[2] / "jets_hlf" / "experiment.toml"


def run(out: Path, overrides: list[str]) -> tuple[float, float]:
    """Run the study as a subprocess; wall time in seconds and peak proportional memory of the tree in GB."""
    command = [sys.executable, "-m", "evonas", "run", str(CONFIG), "--out", str(out)]
    for override in overrides:
        command += ["--set", override]
    start = time.perf_counter()
    process = subprocess.Popen(command)
    peak = 0
    while process.poll() is None:
        peak = max(peak, tree_memory(process.pid))
        time.sleep(0.5)
    if process.returncode:
        raise SystemExit(f"the study ended with exit code {process.returncode}")
    return time.perf_counter() - start, peak / 1e9


def tree_memory(pid: int) -> int:
    """Resident memory of a process and its descendants, shared pages counted once (PSS), in bytes."""
    total = 0
    try:
        root = psutil.Process(pid)
        for process in [root, *root.children(recursive=True)]:
            try:
                total += process.memory_full_info().pss
            except psutil.Error:
                continue
    except psutil.Error:
        pass
    return total


def float_reference(task: Task, seeds: int = 2, epochs: int = 60) -> dict[str, float]:
    """Accuracy of a float 16-64-32-32-5 network, trained with Adam and a cosine; mean over seeds."""
    train, validation, test = (task.split(name) for name in ("train", "validation", "test"))
    scores: dict[str, list[float]] = {"validation": [], "test": []}
    for seed in range(seeds):
        torch.manual_seed(seed)
        widths = (task.n_inputs, 64, 32, 32, task.n_outputs)
        layers: list[torch.nn.Module] = []
        for n_in, n_out in pairwise(widths):
            layers += [torch.nn.Linear(n_in, n_out), torch.nn.ReLU()]
        model = torch.nn.Sequential(*layers[:-1])
        optimiser = torch.optim.Adam(model.parameters(), lr=0.005)
        steps = epochs * (len(train) // 512)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        x, y = torch.from_numpy(train.x), torch.from_numpy(train.y)
        best = (0.0, 0.0)
        for _ in range(epochs):
            for rows in torch.randperm(len(y))[: len(y) // 512 * 512].view(-1, 512):
                optimiser.zero_grad()
                torch.nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
                optimiser.step()
                schedule.step()
            with torch.no_grad():
                accuracy = [
                    task.score(model(torch.from_numpy(s.x)).numpy(), s)["accuracy"] for s in (validation, test)
                ]
            best = max(best, (accuracy[0], accuracy[1]))  # early stopping, chosen on validation
        scores["validation"].append(best[0])
        scores["test"].append(best[1])
    return {name: statistics.mean(values) for name, values in scores.items()}


def unseen_records(study: evonas.Study, task: Task, extra: int, out: Path) -> list[SynthesisRecord]:
    """Records the last surrogate never saw: the final front's, and `extra` random candidates synthesised now."""
    records = [
        record
        for event in study.state.synthesised
        if event.purpose == "front" and event.failure is None
        for record in event.records
        if record.stage == Stage.SYNTHESISED
    ]
    untouched = [c for c in study.state.candidates.values() if c.network and not c.synthesis]
    picks = stream(0, "unseen").permutation(len(untouched))[:extra]
    pool = executor("processes", None, task)
    try:
        for index in picks:
            candidate = untouched[index]
            directory = str(out / "unseen" / str(candidate.candidate))
            order = SynthesisOrder("openrtl", {"csim": "never"}, study.config.target, directory, 600, 64)
            network = study.network(candidate.candidate).to_bytes()
            pool.submit(Job(str(candidate.candidate), synthesise_candidate, (network, order)))
        while outcomes := pool.collect():
            for outcome in outcomes:
                if outcome.failure is None and not isinstance(outcome.value, Failure):
                    record = outcome.value.record(Stage.SYNTHESISED)
                    records += [record] if record is not None else []
    finally:
        pool.close()
    return records


def surrogate_quality(study: evonas.Study, records: list[SynthesisRecord]) -> dict[str, dict[str, float]]:
    """Rank correlation, median relative error and coverage of the 90 % intervals of the last surrogate."""
    forecast = Forecast(study.config)
    if study.state.recalibrations:
        forecast.refit(study.state, study.state.recalibrations[-1])
    prediction = forecast.surrogate.predict([r.spec for r in records], forecast.target)
    quality = {}
    for metric in ("lut", "ff", "latency_cycles"):
        truth = np.array([getattr(r, metric) for r in records], float)
        mean, low, high = (np.asarray(v[metric]) for v in (prediction.mean, prediction.lower, prediction.upper))
        quality[metric] = {
            "n": len(truth),
            "spearman": float(spearmanr(mean, truth).statistic),
            "median_relative_error": float(np.median(np.abs(mean - truth) / truth)),
            "coverage_of_90_percent": float(np.mean((low <= truth) & (truth <= high))),
        }
    return quality


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--set", action="append", default=[], metavar="a.b=c", dest="overrides")
    parser.add_argument("--extra", type=int, default=20, help="unseen candidates synthesised after the run")
    parser.add_argument("--analyse", action="store_true", help="analyse the finished study in --out, do not run")
    options = parser.parse_args()

    results: dict[str, object] = {}
    if not options.analyse:
        seconds, gigabytes = run(options.out, options.overrides)
        results |= {"wall_time_s": seconds, "peak_memory_gb": gigabytes}
    study = evonas.load_study(options.out)
    state, task = study.state, load_task(study.config.task.name, **study.config.task.options)
    told = [g.told for g in state.generations if g.told is not None]
    verified = [e for e in state.synthesised if e.failure is None and e.records]
    reference = float_reference(task)
    designs = [
        {
            "candidate": c.candidate,
            "topology": c.spec.topology,
            "validation_accuracy": c.measured["accuracy"].value,
            "test_accuracy": c.tested["accuracy"].value,
            "synthesised_lut": record.lut,
            "synthesised_latency_ns": record.latency_ns,
        }
        for c in study.front("synthesised")
        if (record := c.record(Stage.SYNTHESISED)) is not None
    ]
    results |= {
        "candidates_trained": sum(bool(c.measured) for c in state.candidates.values()),
        "candidates_failed": sum(c.failure is not None for c in state.candidates.values()),
        "candidates_dropped": sum(c.asked.dropped for c in state.candidates.values()),
        "recalibrations": len(state.recalibrations),
        "designs_synthesised_and_verified": len({e.candidate for e in verified}),
        "synthesis_failures": len(state.synthesised) - len(verified),
        "driver_overhead_s": sum(t.overhead_s for t in told),
        "generations_wall_time_s": sum(t.wall_time_s for t in told),
        "hypervolume_by_generation": [t.hypervolume for t in told],
        "float_reference_accuracy": reference,
        "designs": designs,
        "surrogate_on_unseen": surrogate_quality(study, unseen_records(study, task, options.extra, options.out)),
    }
    (options.out / "results.json").write_text(json.dumps(results, indent=1))
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
