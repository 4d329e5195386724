"""Do intervals keep their promise, and errors their size, where a search goes?

    python experiments/benchmarks/surrogates/shift.py [--family mlp] [--searches 40]

Searches replayed over trained and traced networks of the data set that the package ships: each starts from 40 of one
target, then four times chooses eight, three quarters from its predicted front, and learns what they cost. The front is
of as much capacity (bits of weights that are not zero) for as few predicted LUTs as possible, which favours networks
that are predicted too cheap. Searches start anywhere, or, which is a shift, among the largest networks. The layer-graph
network, which has learnt from these networks, is left out.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import numpy as np

from surrogates import Stage, SynthesisRecord, predict_records, shipped_dataset
from surrogates.estimators import KINDS, ResidualSurrogate
from surrogates.metrics import relative_errors
from surrogates.table import layer_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

START, CHOSEN, OF_FRONT, FRONT, ROUNDS = 40, 8, 6, 12, 4
TARGETS = ("lut", "ff", "latency_cycles")


def pool(family: str, most: int) -> list[SynthesisRecord]:
    """Trained and traced networks of a family, of the target that most of them have: `most` of these at random."""
    dataset = shipped_dataset([Stage.TRACED])
    found = [r for r in dataset.of(Stage.TRACED, weights="trained") if dataset.origin(r.spec).family == family]
    targets = [record.target for record in found]
    usual = max(targets, key=targets.count)
    kept = [record for record in found if record.lut > 0 and record.target == usual]
    return [kept[row] for row in np.sort(np.random.default_rng(0).permutation(len(kept))[:most])]


def front(capacity: Floats, lut: Floats) -> list[int]:
    """The first few of the successive non-dominated fronts."""
    left, found = np.arange(len(lut)), []
    while len(found) < FRONT and len(left):
        best, layer = np.inf, []
        for place in left[np.lexsort((lut[left], -capacity[left]))]:
            if lut[place] < best:
                best = lut[place]
                layer.append(place)
        found += layer
        left = np.setdiff1d(left, layer)
    return [int(place) for place in found[:FRONT]]


def search(records: list[SynthesisRecord], kind: str, rng: np.random.Generator, *, far: bool, told: bool) -> Floats:
    """Of each round and target (ROUNDS + 1, 3, 4): coverage and median error at random, and on the front."""
    table = layer_table([record.spec for record in records])
    capacity = np.log1p(table.total(table.nonzero * table.weight_bits * table.copies))
    order = np.argsort(-capacity + 0.5 * rng.standard_normal(len(records))) if far else rng.permutation(len(records))
    known, left = [records[row] for row in order[:START]], order[START:]
    surrogate = ResidualSurrogate(kind, stage=Stage.TRACED, law="closed forms").fit(known)  # type: ignore[arg-type]
    found = np.empty((ROUNDS + 1, len(TARGETS), 4))
    for turn in range(ROUNDS + 1):
        tested = [records[row] for row in left]
        predicted = predict_records(surrogate, tested)
        chosen = front(capacity[left], predicted.mean["lut"])
        for place, name in enumerate(TARGETS):
            truth = np.array([getattr(record, name) for record in tested], np.float64)
            inside = (predicted.lower[name] <= truth) & (truth <= predicted.upper[name])
            errors = relative_errors(truth, predicted.mean[name])
            found[turn, place] = inside.mean(), np.median(errors), inside[chosen].mean(), np.median(errors[chosen])
        others = np.setdiff1d(np.arange(len(left)), chosen)
        picks = [*rng.permutation(chosen)[:OF_FRONT], *rng.permutation(others)[: CHOSEN - OF_FRONT]]
        fresh = [tested[place] for place in picks]
        known, left = [*known, *fresh], np.delete(left, picks)
        scores = predict_records(surrogate, fresh).scores(fresh) if told else {}
        surrogate = surrogate.fresh(scores).fit(known)
    return found


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", default="mlp")
    parser.add_argument("--kind", choices=KINDS, default="gp")
    parser.add_argument("--searches", type=int, default=40)
    parser.add_argument("--networks", type=int, default=1000, help="at most so many to search among")
    options = parser.parse_args()
    records = pool(options.family, options.networks)
    print(f"{len(records)} networks, {options.searches} searches, kind {options.kind}")
    print("\n| start | intervals | | " + " | ".join(f"{turn}" for turn in range(ROUNDS + 1)) + " |")
    print("|---" * (ROUNDS + 4) + "|")
    for far in (False, True):
        for told in (False, True):
            seeds = range(options.searches)
            runs = [search(records, options.kind, np.random.default_rng(s), far=far, told=told) for s in seeds]
            mean = np.mean(runs, axis=0)
            start = "the largest" if far else "anywhere"
            intervals = "with scores of the search" if told else "held-out records alone"
            for place, name in enumerate(TARGETS):
                cells = [f"{t[0]:.2f}, {t[2]:.2f} ({t[1]:.1%}, {t[3]:.1%})" for t in mean[:, place]]
                print(f"| {start} | {intervals} | {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
