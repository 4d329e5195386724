"""Make the synthesis records that every study starts from: real networks, trained and really synthesised.

    python experiments/start_records/generate.py --out surrogates/pretrained/records.jsonl.gz --designs 300

Specs are drawn from the default MLP space, half of them from its small end, because fronts live there, and half as many
more from the same space with shared multipliers in some layers. Each network is trained on the embedded jets for a few
epochs (cost depends on where weights end up, so random weights would teach the wrong thing), synthesised for the
default target, and checked bit for bit. Resumable: what `--out` plus ".parts" holds is not made again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from rich.progress import Progress

from evonas.errors import Failure
from evonas.execution import executor
from evonas.execution.base import Job
from evonas.seeding import derive, stream
from evonas.space import MlpSpace, Phenotype
from evonas.study.jobs import SynthesisOrder, Training, synthesise_candidate, train_candidate
from evonas.tasks import Task, load_task
from surrogates import HardwareTarget, Stage, SynthesisRecord, write_records

LARGEST = 5000  # nonzero weights times weight bits; larger ones take minutes each
IMPLEMENTATIONS = ("distributed_arithmetic", 1, 2, 4, 8, 16, 32, 64)


def make(task: Task, phenotype: dict, seed: int, training: Training, order: SynthesisOrder) -> list[dict] | Failure:
    """Train and synthesise one network; records as plain data."""
    trained = train_candidate(task, phenotype["spec"], phenotype["learning_rate"], seed, training)
    if isinstance(trained, Failure):
        return trained
    result = synthesise_candidate(task, trained.network, order)
    return result.failure or [record.to_dict() for record in result.records]


def draw(space: MlpSpace, n: int, rng: np.random.Generator, *, shared: bool = False) -> list[Phenotype]:
    """`n` different phenotypes, about half of them with fewer than 1,500 weight bits; `shared`: in some layer."""
    chosen: dict[str, Phenotype] = {}
    small = 0
    while len(chosen) < n:
        for genome in space.sample(64, rng):
            phenotype = space.decode(genome)
            if shared and all(layer.strategy == "distributed_arithmetic" for layer in phenotype.spec.layers):
                continue
            bits = sum(layer.n_nonzero * layer.weight_bits for layer in phenotype.spec.layers)
            if bits > LARGEST or (bits > 1500 and len(chosen) - small >= n // 2) or len(chosen) >= n:
                continue
            small += (phenotype.digest not in chosen) and bits <= 1500
            chosen[phenotype.digest] = phenotype
    return list(chosen.values())


def main() -> None:
    """Run the generator."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--designs", type=int, default=300)
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--scratch", type=Path, default=Path("runs/start_records"))
    options = parser.parse_args()

    task = load_task("jets")
    space = MlpSpace(task.n_inputs, task.n_outputs)
    mixed = MlpSpace(task.n_inputs, task.n_outputs, implementations=IMPLEMENTATIONS)
    phenotypes = draw(space, options.designs, stream(options.seed, "start records"))
    phenotypes += draw(mixed, options.designs // 2, stream(options.seed, "shared start records"), shared=True)
    order = np.argsort([p.digest for p in phenotypes])  # a prefix of the work is a fair sample of the whole
    parts = options.out.with_name(options.out.name + ".parts")
    done: dict[str, list[dict]] = {}
    if parts.exists():
        done = {line["digest"]: line["records"] for line in map(json.loads, parts.read_text().splitlines())}
    pool = executor("processes", options.workers, task)
    training = Training(options.epochs, 1024, 4.0)
    try:
        with parts.open("a") as file, Progress() as progress:
            bar = progress.add_task("designs", total=len(phenotypes), completed=0)
            for index in order:
                phenotype = phenotypes[index]
                if phenotype.digest in done:
                    progress.advance(bar)
                    continue
                directory = options.scratch / phenotype.digest[:16]
                job = SynthesisOrder(
                    "openrtl", {"csim": "never"}, HardwareTarget(), str(directory), 300.0, 64
                )
                seed = derive(options.seed, phenotype.digest)
                pool.submit(Job(phenotype.digest, make, (phenotype.to_dict(), seed, training, job)))
            while outcomes := pool.collect():
                for outcome in outcomes:
                    progress.advance(bar)
                    failure = outcome.failure or (outcome.value if isinstance(outcome.value, Failure) else None)
                    if failure is not None:
                        progress.console.print(f"{outcome.key[:8]}: {failure.kind}: {failure.message[:200]}")
                        continue
                    done[outcome.key] = outcome.value
                    file.write(json.dumps({"digest": outcome.key, "records": outcome.value}) + "\n")
                    file.flush()
    finally:
        pool.close()
    records = [SynthesisRecord.from_dict(r) for key in sorted(done) for r in done[key]]
    write_records([r for r in records if r.stage == Stage.SYNTHESISED], options.out)


if __name__ == "__main__":
    main()
