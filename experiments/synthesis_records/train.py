"""Train the layer-graph network that the package ships on the training part of the data set that it ships.

    python experiments/synthesis_records/train.py                 # members are trained one by one, a minute or two each

Architectures of the other parts (`surrogates.splits.part_of`), and those of `start_records`, are never looked at: they
calibrate the surrogate that studies start with (`pretrain.py`) and test it (`own.py` of the benchmarks).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.progress import Progress

import surrogates.pretrained
from surrogates._torch import Recipe, train_member
from surrogates.columns import read_columns
from surrogates.graph_law import FILE
from surrogates.graph_table import GraphTable
from surrogates.layer_graph import LayerGraph
from surrogates.pretrained import DATASET, start_records
from surrogates.splits import part_of

if TYPE_CHECKING:
    from surrogates.records import SynthesisRecord

PACKAGE = Path(surrogates.pretrained.__file__).parent
SYNTHESISED_WEIGHT = 3.0  # of a record of logic synthesis, which is what is asked for, against a traced one


def laid_out(records: list[SynthesisRecord], *, known: bool) -> GraphTable:
    """The networks of `records`, with the counts of their weights if these are to be `known`."""
    weights = [record.weights or None for record in records] if known else None
    stages = [record.stage for record in records]
    return GraphTable.of([r.spec for r in records], [r.target for r in records], weights, stages)


def taught(records: list[SynthesisRecord], trained: list[bool], recipe: Recipe, members: int) -> LayerGraph:
    """Members from different seeds; each sees every network with its weights, and the trained ones without as well.

    What random weights leave of a network is a matter of their scale, which no description says.
    """
    tables = [laid_out(records, known=known) for known in (True, False)]
    rows = [[r.lut, np.nan if r.ff is None else r.ff, r.latency_cycles] for r in records]
    weights = np.array([SYNTHESISED_WEIGHT if r.stage.label == "synthesised" else 1.0 for r in records])
    both = [weights, weights * np.array(trained)]
    found = []
    with Progress() as progress:
        for seed in range(members):
            bar = progress.add_task(f"member {seed + 1} of {members}", total=recipe.epochs)

            def told(epoch: int, loss: float, bar: object = bar, seed: int = seed) -> None:
                progress.update(bar, completed=epoch, description=f"member {seed + 1}, loss {loss:.3f}")  # type: ignore[arg-type]

            found.append(train_member(tables, np.array(rows, np.float64), both, recipe, seed, told))
    return LayerGraph(tuple(found))


def main() -> None:
    """Write the network into the package that this process imports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=Path, default=PACKAGE / DATASET, metavar="FILE")
    parser.add_argument("--to", type=Path, default=PACKAGE / FILE, metavar="FILE")
    parser.add_argument("--members", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=100)
    options = parser.parse_args()
    started = {record.spec.topology for record in start_records()}
    dataset = read_columns(options.records)
    held = [r for r in dataset.records if part_of(r.spec) == "training" and r.spec.topology not in started]
    trained = [dataset.origin(record.spec).weights == "trained" for record in held]
    graph = taught(held, trained, Recipe(epochs=options.epochs), options.members)
    graph.save(options.to)
    print(f"{options.to}: {graph.digest}, {len(held)} records, {options.to.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
