"""Make the synthesis records that every study starts from: random and trained networks of all families.

    python experiments/synthesis_records/generate.py --out runs/synthesis_records --units 1000

Units of up to 24 networks (`networks.py`) are trained or filled with random weights, traced one by one, and about one
network in twelve goes through logic synthesis as well; each is checked bit for bit. What a tool cannot do within its
limits of time and memory is kept as a label. OUT/units.jsonl has a line for each unit that is done, and the same
command goes on with what is missing; `pack.py` makes a small file of it. Units depend on the seed and their number
alone, so several machines may make different ones (`--first`).
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from networks import Unit, rows, unit
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from evonas.errors import Failure
from evonas.execution import executor
from evonas.execution.base import Job
from evonas.seeding import derive
from surrogates import Stage, analytic_costs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evonas.models.quantised_network import QuantisedNetwork
    from evonas.tasks.base import Split

EPOCHS, BATCH_SIZE, CLIP = 3, 256, 4.0
VECTORS = 64
MEMORY_LIMIT_BYTES = 2 << 30
LIMIT_S = {Stage.TRACED: 60.0, Stage.SYNTHESISED: 600.0}
SYNTHESISED_SHARES = ((1_000, 0.3), (4_000, 0.17), (12_000, 0.07), (40_000, 0.008))  # of networks below so many LUTs


def make(_context: None, seed: int, number: int, scratch: str) -> list[dict[str, Any]]:
    """All networks of a unit, each as plain data; none if all that were drawn are too small or too large."""
    chosen = unit(seed, number)
    if not chosen.phenotypes:
        return []
    data = rows(chosen, seed)
    made = []
    for place, network in enumerate(_networks(chosen, data, seed)):
        if isinstance(network, Failure):
            continue  # a training that diverged is no synthesis
        about = {
            "spec": chosen.phenotypes[place].spec.to_dict(),
            "target": chosen.target.to_dict(),
            "family": chosen.family,
            "data": chosen.data,
            "weights": chosen.weights,
            "layers": [layer.to_list() for layer in network.layer_weights],
        }
        until, directory = _stage(chosen, place, seed), Path(scratch) / f"{number}" / f"{place}"
        made.append(about | _synthesised(network, data, chosen, until, directory))
    shutil.rmtree(Path(scratch) / f"{number}", ignore_errors=True)
    return made


def _networks(chosen: Unit, data: Split, seed: int) -> list[QuantisedNetwork | Failure]:
    """Trained for a few epochs, or as they are initialised, pruned and scaled."""
    from evonas.training.grouping import stacks
    from evonas.training.trainer import Member, Population

    found: list[QuantisedNetwork | Failure | None] = [None] * len(chosen.phenotypes)
    for stack in stacks([p.spec for p in chosen.phenotypes], BATCH_SIZE):
        phenotypes = [chosen.phenotypes[index] for index in stack]
        members = [Member(p.spec, p.learning_rate, derive(seed, p.digest) % 2**31) for p in phenotypes]
        population = Population(members, data, clip=CLIP, epochs=EPOCHS, batch_size=BATCH_SIZE)
        if chosen.weights == "trained":
            population.train()
        else:
            population.stack.prune(1.0)
        for index, result in zip(stack, population.results(), strict=True):
            found[index] = result if isinstance(result, Failure) else result.network
    return [network for network in found if network is not None]


def _stage(chosen: Unit, place: int, seed: int) -> Stage:
    """How far this network goes; by its digest, so that part of the work is a fair sample of all."""
    phenotype = chosen.phenotypes[place]
    (lut,) = analytic_costs([phenotype.spec]).lut
    share = next((share for below, share in SYNTHESISED_SHARES if lut < below), 0.0)
    drawn = derive(seed, "synthesise", phenotype.digest) % 10_000 / 10_000
    return Stage.SYNTHESISED if drawn < share else Stage.TRACED


def _synthesised(
    network: QuantisedNetwork, data: Split, chosen: Unit, until: Stage, directory: Path
) -> dict[str, Any]:
    """Records of one network and, where a tool ended without, how and after how long."""
    from evonas.synthesis import choose

    directory.mkdir(parents=True)
    backend = choose("openrtl", csim="never", memory_limit_bytes=MEMORY_LIMIT_BYTES)
    began = time.monotonic()
    result = backend.synthesise(
        network, data.x[:VECTORS], chosen.target, directory, until=until, timeout_s=LIMIT_S[until]
    )
    shutil.rmtree(directory, ignore_errors=True)
    found: dict[str, Any] = {"records": [record.to_dict() for record in result.records]}
    if result.failure is not None:
        stage = until if result.records else Stage.TRACED
        found["failure"] = {
            "stage": stage.label,
            "kind": result.failure.kind.value,
            "message": result.failure.message[:300],
            "wall_time_s": time.monotonic() - began,
            "limit_s": LIMIT_S[until],
            "memory_limit_bytes": MEMORY_LIMIT_BYTES,
        }
    return found


def done_units(path: Path) -> dict[int, list[dict[str, Any]]]:
    """Units of a file whose last line may be cut off."""
    found = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            data = json.loads(line)
        except json.JSONDecodeError:
            continue
        found[data["unit"]] = data["networks"]
    return found


def counts(units: Mapping[int, Sequence[Mapping[str, Any]]]) -> str:
    """What is there, in one line."""
    networks = [network for each in units.values() for network in each]
    stages = [record["stage"] for network in networks for record in network["records"]]
    failed = sum("failure" in network for network in networks)
    return f"{stages.count('traced')} traced, {stages.count('synthesised')} synthesised, {failed} failed"


def main() -> None:
    """Run the generator."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--first", type=int, default=0, help="number of the first unit")
    parser.add_argument("--units", type=int, default=1000, help="how many from there")
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--seed", type=int, default=2026)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    path, scratch = options.out / "units.jsonl", options.out / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    done = done_units(path)
    pool = executor("processes", options.workers, None)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    try:
        with path.open("a") as file, Progress(*columns) as progress:
            if path.stat().st_size and not path.read_bytes().endswith(b"\n"):
                file.write("\n")  # behind a line that was cut off
            bar = progress.add_task(counts(done), total=options.units, completed=len(done))
            for number in sorted(set(range(options.first, options.first + options.units)) - set(done)):
                pool.submit(Job(f"{number}", make, (options.seed, number, str(scratch.resolve()))))
            while outcomes := pool.collect():
                for outcome in outcomes:
                    if outcome.failure is not None:
                        progress.console.print(f"unit {outcome.key}: {outcome.failure.message[:200]}")
                        continue
                    done[int(outcome.key)] = outcome.value
                    file.write(json.dumps({"unit": int(outcome.key), "networks": outcome.value}) + "\n")
                    file.flush()
                    progress.update(bar, advance=1, description=counts(done))
    finally:
        pool.close()
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
