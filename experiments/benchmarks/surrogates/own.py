"""How well surrogates predict synthesised networks of architectures that nothing was fitted to.

    python experiments/benchmarks/surrogates/own.py [--studies DIR ...]

The trained networks of the test part of the data set that the package ships, all families; with --studies also the
networks that these studies have synthesised, which are trained and chosen. "Traced first" knows the weights, and what
the arithmetic compiler makes of them; it has learnt from networks of the other parts. Peers are regressors that people
use, on the features of the same records: those that the surrogate of studies starts from and, as they have no
layer-graph network that has seen it, the training part as well.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor

from surrogates import (
    Stage,
    SynthesisRecord,
    TraceSurrogate,
    analytic_costs,
    feature_matrix,
    fit_surrogate,
    predict_records,
    shipped_dataset,
    start_records,
    start_surrogate,
)
from surrogates.graph_law import shipped
from surrogates.graph_table import GraphTable
from surrogates.metrics import coverage, spearman
from surrogates.splits import part_of
from surrogates.trace import traced_and_synthesised

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Pair = tuple[SynthesisRecord, SynthesisRecord]
    Costs = Mapping[str, Floats]

TARGETS = ("lut", "ff", "dsp", "latency_cycles")
SIZES = ((0, 1_000), (1_000, 5_000), (5_000, 40_000), (40_000, 1_000_000))
HEAD = "| | LUT | FF | DSP exact | cycles exact | LUT ranks | 90 % LUT | 90 % FF |\n|---|---|---|---|---|---|---|---|"


def of_studies(directories: Sequence[Path]) -> list[Pair]:
    """What studies have synthesised, each network once, traced and synthesised."""
    from evonas import load_study

    found = {}
    for directory in directories:
        for event in load_study(directory).state.synthesised:
            for pair in traced_and_synthesised(event.records if event.failure is None else ()):
                found[pair[1].spec.digest, pair[1].weights] = pair
    return list(found.values())


def values(records: Sequence[SynthesisRecord], name: str) -> Floats:
    """What the tool reported."""
    return np.array([getattr(record, name) for record in records], dtype=np.float64)


def regression(make: Callable[[], object], train: Sequence[SynthesisRecord], test: Sequence[SynthesisRecord]) -> Costs:
    """A regressor of logarithmic costs on the features of `surrogates.feature_matrix`."""
    rows = [feature_matrix([r.spec for r in part], [r.target for r in part]) for part in (train, test)]
    found = {}
    for name in TARGETS:
        model = make()
        model.fit(rows[0], np.log1p(values(train, name)))  # type: ignore[attr-defined]
        found[name] = np.expm1(model.predict(rows[1]))  # type: ignore[attr-defined]
    return found


def graph(records: Sequence[SynthesisRecord], *, known: bool) -> Costs:
    """The layer-graph network alone, with the counts of trained weights if they are `known`."""
    network = shipped()
    assert network is not None, "train it: experiments/synthesis_records/train.py"
    weights = [record.weights or None for record in records] if known else None
    stages = [record.stage for record in records]
    mean = network.predict(GraphTable.of([r.spec for r in records], [r.target for r in records], weights, stages)).mean
    cells = {name: np.expm1(mean[name]) for name in ("lut", "ff")}
    return cells | {"latency_cycles": mean["latency_cycles"]}


def row(name: str, records: Sequence[SynthesisRecord], costs: Costs, bounds: tuple[Costs, Costs] | None = None) -> str:
    """A line of a table: median relative errors, exact shares, rank correlation, and coverage of the intervals."""
    cells = []
    for target in ("lut", "ff"):
        truth = values(records, target)
        cells.append(f"{np.median(np.abs(costs[target] - truth) / np.maximum(truth, 1)):.1%}")
    for target in ("dsp", "latency_cycles"):
        exact = target in costs and np.mean(np.round(costs[target]) == values(records, target))
        cells.append(f"{exact:.1%}" if target in costs else "")
    ranks = spearman(values(records, "lut"), costs["lut"])
    cells.append("" if ranks is None else f"{ranks:.3f}")
    for target in ("lut", "ff"):
        covered = coverage(values(records, target), bounds[0][target], bounds[1][target]) if bounds else None
        cells.append("" if covered is None else f"{covered:.2f}")
    return f"| {name} | {' | '.join(cells)} |"


def table(
    title: str, train: Sequence[SynthesisRecord], pairs: Sequence[Pair], of_traces: TraceSurrogate, *, families: bool
) -> None:
    """Print all models on one set of networks."""
    traced, test = ([pair[k] for pair in pairs] for k in (0, 1))
    print(f"\n{title}: {len(test)} networks\n\n{HEAD}")
    closed = analytic_costs([record.spec for record in test])
    forms = {name: np.asarray(getattr(closed, name), np.float64) for name in ("lut", "ff", "dsp")}
    print(row("closed forms", test, forms))
    trees = regression(lambda: ExtraTreesRegressor(200, min_samples_leaf=2, random_state=0), train, test)
    print(row(f"extra trees on {len(train)}", test, trees))
    boosted = regression(lambda: HistGradientBoostingRegressor(random_state=0), train, test)
    print(row(f"gradient boosting on {len(train)}", test, boosted))
    found = predict_records(fit_surrogate(train, law="closed forms"), test)
    print(row(f"closed forms and residual on {len(train)}", test, found.mean, (found.lower, found.upper)))
    print(row("layer-graph network alone", test, graph(test, known=False)))
    print(row("the same, weights known", test, graph(test, known=True)))
    found = predict_records(start_surrogate(), test)
    print(row("**start surrogate**", test, found.mean, (found.lower, found.upper)))
    own_traces = of_traces.predict(traced)
    print(row("**traced first**", test, own_traces.mean, (own_traces.lower, own_traces.upper)))
    for name, places in groups(test, forms["lut"], families=families).items():
        both = found.mean, found.lower, found.upper
        mean, low, high = ({target: column[places] for target, column in part.items()} for part in both)
        print(row(f"{name} ({len(places)})", [test[place] for place in places], mean, (low, high)))


def groups(test: Sequence[SynthesisRecord], lut: Floats, *, families: bool) -> dict[str, list[int]]:
    """Places of the networks by size, as the closed form of `lut` has it, and by family."""
    found: dict[str, list[int]] = {f"{low:,} to {high:,} LUTs": [] for low, high in SIZES}
    for place, cells in enumerate(lut):
        for low, high in SIZES:
            if low <= cells < high:
                found[f"{low:,} to {high:,} LUTs"].append(place)
    origins = shipped_dataset([Stage.SYNTHESISED]).origins if families else {}
    named = [(origins[r.spec.digest].family, place) for place, r in enumerate(test) if r.spec.digest in origins]
    for family, place in sorted(named):
        found.setdefault(family, []).append(place)
    return {name: places for name, places in found.items() if places}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=Path, nargs="*", default=[], metavar="DIR")
    options = parser.parse_args()
    dataset = shipped_dataset([Stage.TRACED, Stage.SYNTHESISED], complete=True)
    held = [record for record in dataset.records if dataset.origin(record.spec).weights == "trained"]
    train = [r for r in held if r.stage == Stage.SYNTHESISED and part_of(r.spec) == "training"]
    of_traces = TraceSurrogate().fit(record for record in held if part_of(record.spec) != "test")
    tested = traced_and_synthesised(record for record in held if part_of(record.spec) == "test")
    print(f"start surrogate: {start_surrogate().learners}")
    table("Architectures held out", [*start_records(), *train], tested, of_traces, families=True)
    if options.studies:
        table("Networks of studies", [*start_records(), *train], of_studies(options.studies), of_traces, families=False)


if __name__ == "__main__":
    main()
