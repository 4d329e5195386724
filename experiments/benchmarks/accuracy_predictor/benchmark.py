"""What the accuracy predictor knows of networks it has not seen, and what pre-selection by it gains a search.

    python experiments/benchmarks/accuracy_predictor/benchmark.py --out runs/accuracy_predictor

Trains random networks of the main job's space on the embedded jets, learns from some of them and ranks others, whose
architectures were held out, beside single zero-cost proxies. Then runs small searches with the same number of
trainings, with and without pre-selection. Writes `results.json` into `--out`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evonas.config import StudyConfig, load_config
from evonas.execution import Job, executor
from evonas.seeding import stream
from evonas.study.evolution import make_space
from evonas.study.jobs import TrainedCandidate, Training, TrainingOrder, stack_proxies, train_stack
from evonas.study.study import Study
from evonas.study.training import training_seed
from evonas.tasks import load_task
from evonas.training.grouping import stacks
from surrogates import ErrorSurrogate, MeasuredError, analytic_costs
from surrogates.metrics import coverage, spearman
from surrogates.splits import architecture_groups

if TYPE_CHECKING:
    from evonas.space import Phenotype
    from evonas.tasks import Task

CONFIG = Path(__file__).parents[2] / "jets_hlf" / "experiment.toml"
NETWORKS, SPLITS, LEARNT_FROM, TESTED = 240, 10, (10, 25, 50, 100, 150), 60
PROXIES = ("grad_norm", "snip", "synflow", "naswot", "parameters")
OVERRIDES = ("preset=adders", "training.epochs=5", "training.batch_size=512", "training.max_rows=10000")
ARMS: dict[str, tuple[str, ...]] = {
    "none": (),
    "preselection": ("search.preselection.factor=3", "search.preselection.proxies=false"),
    "preselection with proxies": ("search.preselection.factor=3",),
    "none, twice the trainings": ("search.generations=14",),
}
SEARCH = (
    "search.population_size=16",
    "search.generations=7",
    'search.objectives=[{metric="error"}, {metric="lut"}]',
    "surrogate.recalibrate_every=0",
    "synthesis.front_designs=0",
)


def measured(config: StudyConfig, task: Task, workers: int) -> tuple[list[MeasuredError], dict[str, float]]:
    """Random networks with their errors and proxies, and seconds of one core for each, by what it was spent on."""
    space = make_space(config, task)
    genomes = space.sample(NETWORKS, stream(0, "accuracy predictor"))
    phenotypes = [space.decode(genome) for genome in genomes]
    orders = [
        TrainingOrder(p.spec.to_dict(), p.learning_rate, (training_seed(0, p),), p.norm) for p in phenotypes
    ]
    settings = config.training
    training = Training(settings.epochs, settings.batch_size, task.clip, settings.max_rows)  # type: ignore[attr-defined]
    groups = stacks([p.spec for p in phenotypes], settings.batch_size)
    jobs = [Job(f"train-{n}", train_stack, (tuple(orders[i] for i in g), training)) for n, g in enumerate(groups)]
    jobs += [
        Job(f"proxies-{n}", stack_proxies, (tuple(orders[i] for i in g), training.clip)) for n, g in enumerate(groups)
    ]
    results: dict[int, TrainedCandidate] = {}
    scores: dict[int, dict[str, float]] = {}
    seconds = {"training": 0.0, "proxies": 0.0}
    pool = executor("processes", workers, task)
    try:
        for job in jobs:
            pool.submit(job)
        left = len(jobs)
        while left:
            for outcome in pool.collect():
                left -= 1
                kind, _, number = outcome.key.partition("-")
                seconds["training" if kind == "train" else kind] += outcome.wall_time_s / NETWORKS
                target: dict[int, Any] = results if kind == "train" else scores
                target.update(zip(groups[int(number)], outcome.value or (), strict=True))
    finally:
        pool.close()
    found = []
    for index, phenotype in enumerate(phenotypes):
        if isinstance(results[index], TrainedCandidate):
            error = next(m for m in results[index].measurements if m.metric == "error")
            columns = columns_of(phenotype) | scores[index]
            found.append(MeasuredError(phenotype.spec, error.value, error.std or 0.0, columns))
    return found, seconds


def columns_of(phenotype: Phenotype) -> dict[str, float]:
    """What a study tells the predictor of a training, without proxies."""
    return {"log_learning_rate": float(np.log(phenotype.learning_rate)), "batch_norm": float(phenotype.norm == "batch")}


def chosen_columns(one: MeasuredError, proxies: bool) -> MeasuredError:
    """With or without the proxies among its columns."""
    kept = {name: value for name, value in one.columns.items() if proxies or name not in PROXIES}
    return MeasuredError(one.spec, one.error, one.std, kept)


def ranking(networks: list[MeasuredError]) -> dict[str, Any]:
    """Rank correlations with the measured error on held-out architectures, mean and standard deviation over splits."""
    groups = np.array(architecture_groups([one.spec for one in networks]))
    found: dict[str, list[float]] = {}
    learners: dict[str, list[str]] = {}
    for split in range(SPLITS):
        rng = stream(0, "split", split)
        names = rng.permutation(np.unique(groups))
        held, count = set(), 0
        for name in names:
            if count < TESTED:
                held.add(name)
                count += int((groups == name).sum())
        test = [one for one, group in zip(networks, groups, strict=True) if group in held]
        rest = [one for one, group in zip(networks, groups, strict=True) if group not in held]
        order = rng.permutation(len(rest))
        truth = np.array([one.error for one in test])
        for name in PROXIES:  # each is published as the higher, the better
            add(found, name, spearman(truth, -np.array([one.columns[name] for one in test])))
        add(found, "log LUT, closed form", spearman(truth, -np.log(analytic_costs([one.spec for one in test]).lut)))
        for n in LEARNT_FROM:
            for proxies in (False, True):
                name = f"{n}, with proxies" if proxies else f"{n}"
                train = [chosen_columns(rest[place], proxies) for place in order[:n]]
                surrogate = ErrorSurrogate().fit(train)
                own = [chosen_columns(one, proxies) for one in test]
                columns = {key: np.array([one.columns[key] for one in own]) for key in own[0].columns}
                predicted = surrogate.predict([one.spec for one in own], columns)
                add(found, name, spearman(truth, predicted.mean))
                add(found, f"{name}: coverage", coverage(truth, predicted.lower, predicted.upper))
                add(found, f"{name}: error", float(np.median(np.abs(predicted.mean / truth - 1))))
                learners.setdefault(name, []).append(surrogate.learners["error"])
    summary = {name: [statistics.mean(values), statistics.pstdev(values)] for name, values in found.items()}
    return {"spearman": summary, "learners": learners, "tested": len(test), "architectures": len(set(groups))}


def add(found: dict[str, list[float]], name: str, value: float | None) -> None:
    """A value, 0 where a rank correlation is not defined because all predictions are equal."""
    found.setdefault(name, []).append(value or 0.0)


def searches(task: Task, seeds: int) -> dict[str, Any]:
    """Hypervolume after each generation, by arm and seed, under the reference that the first generation sets."""
    found: dict[str, Any] = {}
    for arm, overrides in ARMS.items():
        for seed in range(seeds):
            config = load_config(CONFIG, [*OVERRIDES, *SEARCH, *overrides, f"seed={seed}"])
            start = time.perf_counter()
            with tempfile.TemporaryDirectory() as directory:
                with Study(config, Path(directory) / "study", task=task) as study:
                    study.run()
                told = [g.told for g in study.state.generations if g.told is not None]
                trained = sum(bool(c.measured) for c in study.state.candidates.values())
                best = min(c.measured["error"].value for c in study.state.candidates.values() if c.measured)
            result = {
                "hypervolume": [event.hypervolume for event in told],
                "rank_correlations": [event.rank_correlations.get("error") for event in told],
                "overhead_s": sum(event.overhead_s for event in told),
                "trained": trained,
                "best_error": best,
                "seconds": time.perf_counter() - start,
            }
            found.setdefault(arm, []).append(result)
            print(arm, seed, json.dumps(result), flush=True)
    return found


def main() -> None:
    """Measure all and write `results.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    config = load_config(CONFIG, OVERRIDES)
    task = load_task(config.task.name, **config.task.options)
    networks, seconds = measured(config, task, arguments.workers)
    results: dict[str, Any] = {"networks": len(networks), "seconds_per_network": seconds, "ranking": ranking(networks)}
    print(json.dumps(results, indent=1), flush=True)
    results["search"] = searches(task, arguments.seeds)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "results.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
