"""Public layers synthesised by vendors' tools, shapes held out: our surrogates beside the usual regressors.

    python experiments/benchmarks/surrogates/public.py --data DIR

DIR holds
- `wa_hls4ml_single_dense/results_format_test.csv` of github.com/Dendendelen/wa-hls4ml-search (Apache-2.0): 987 single
  dense layers that Vitis HLS could synthesise. Those of strategy "latency" with a reuse factor above 1, 54 of them, are
  left out for all: no network here is described so.
- `ntorc/derived_unique_dense.csv`: 124 configurations of dense layers of github.com/HeRCLab/N-TORC (MIT), Vivado HLS
  2019.1, medians over their repetitions. Reuse factors beyond n_in * n_out are that product.
- `ntorc/derived_unique_conv.csv`, likewise: 94 configurations of convolutions of three words over a sequence. Their
  latencies follow (R + 10) (length + 2), with half of the length that is given where there are several channels.

Every model sees the same rows and folds: all layers of one shape (n_in, n_out, length) are in one fold. Then: what 8,
20 and 50 records, drawn at random, teach of the others.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor
from sklearn.metrics import r2_score

from surrogates import (
    TARGETS,
    HardwareTarget,
    LayerSpec,
    ModelSpec,
    Stage,
    SynthesisRecord,
    TransferSurrogate,
    fit_surrogate,
    predict_records,
)
from surrogates.estimators import KINDS, ResidualSurrogate
from surrogates.reuse import nearest_legal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FOLDS = 5
FEW = (8, 20, 50)
KERNEL = 3
PEERS: dict[str, Callable[[], Any]] = {
    "extra trees": lambda: ExtraTreesRegressor(300, random_state=0),
    "gradient boosting": lambda: HistGradientBoostingRegressor(random_state=0),
}


def single_dense(directory: Path) -> list[SynthesisRecord]:
    """The layers of wa-hls4ml-search as records of C synthesis."""
    rows = pd.read_csv(directory / "wa_hls4ml_single_dense" / "results_format_test.csv")
    rows = rows[rows.hls_synth_success & ((rows.strategy == "resource") | (rows.rf == 1))]
    rows = rows.drop_duplicates(["d_in", "d_out", "prec", "rf", "strategy"])
    target = HardwareTarget("xcu250-figd2104-2L-e", 5.0, tool="vitis")
    columns = ("LUT_hls", "FF_hls", "DSP_hls", "BRAM_18K_hls", "WorstLatency_hls", "IntervalMax_hls")
    shapes = rows.assign(length=1)[["d_in", "d_out", "prec", "rf", "length"]].to_numpy(int)
    shared = (rows.strategy == "resource").to_numpy()
    values = rows[[*columns]].to_numpy(float)
    return [_record(*one, target) for one in zip(shapes, shared, values, strict=True)]


def ntorc_dense(directory: Path) -> list[SynthesisRecord]:
    """The dense layers of N-TORC."""
    return _ntorc(pd.read_csv(directory / "ntorc" / "derived_unique_dense.csv").assign(length=1))


def ntorc_convolutions(directory: Path) -> list[SynthesisRecord]:
    """The convolutions of N-TORC: at each position of a sequence, the same weights for three words."""
    rows = pd.read_csv(directory / "ntorc" / "derived_unique_conv.csv")
    length = rows.seq.where(rows.n_in == 1, rows.seq // 2)
    return _ntorc(rows.assign(length=length, n_in=KERNEL * rows.n_in))


def _ntorc(rows: pd.DataFrame) -> list[SynthesisRecord]:
    """Their interval is not known; the reuse factor stands in its place and is not looked at."""
    rows = rows.assign(rf=[nearest_legal(*map(int, row)) for row in rows[["rfc", "n_in", "n_out"]].to_numpy()], bits=16)
    rows = rows.drop_duplicates(["n_in", "n_out", "rf", "length"])
    target = HardwareTarget("xczu7ev-ffvc1156-2-e", 4.0, "io_stream", "vitis")
    shapes = rows[["n_in", "n_out", "bits", "rf", "length"]].to_numpy(int)
    values = rows[["lut", "ff", "dsp48e", "bram_18k", "latency_max", "rf"]].to_numpy(float)
    shared = (rows.rf > 1).to_numpy()
    return [_record(*one, target) for one in zip(shapes, shared, values, strict=True)]


def _record(shape: np.ndarray, shared: bool, values: np.ndarray, target: HardwareTarget) -> SynthesisRecord:
    n_in, n_out, bits, reuse, length = map(int, shape)
    how = ("reuse", reuse) if shared else ("distributed_arithmetic", 1)
    spec = ModelSpec(16, (LayerSpec(n_in, n_out, bits, 0, "linear", 0.0, *how, positions=length),))
    costs = dict(zip(TARGETS, map(float, values), strict=True))
    return SynthesisRecord(spec, target, Stage.CSYNTH, "HLS", **costs | {"initiation_interval": int(values[-1])})


def folds(some: list[SynthesisRecord], seed: int) -> np.ndarray:
    """Fold of each record; a shape is in one fold."""
    shapes = sorted({_shape(r) for r in some})
    order = np.random.default_rng(seed).permutation(len(shapes))
    fold = {shapes[place]: number % FOLDS for number, place in enumerate(order)}
    return np.array([fold[_shape(r)] for r in some])


def _shape(record: SynthesisRecord) -> tuple[int, int, int]:
    layer = record.spec.layers[0]
    return layer.n_in, layer.n_out, layer.positions


def hand_features(some: list[SynthesisRecord]) -> np.ndarray:
    """What people give a regressor: shape, bits, reuse and simple products of them, on logarithmic scales."""
    layers = [r.spec.layers[0] for r in some]
    rows = [(q.n_in, q.n_out, q.weight_bits, q.reuse_factor, q.positions) for q in layers]
    n, m, bits, reuse, length = np.array(rows, float).T
    shared = np.array([q.strategy == "reuse" for q in layers], float)
    products = np.ceil(n * m / reuse)
    logs = (np.log2(part) for part in (n, m, reuse, products, n * m * bits, length, length * reuse))
    return np.column_stack([*logs, bits, shared])


def smape(truth: np.ndarray, found: np.ndarray) -> float:
    """200 / n * sum |y - p| / (|y| + |p| + 1), as wa-hls4ml defines it, in per cent."""
    return float(200 * np.mean(np.abs(truth - found) / (np.abs(truth) + np.abs(found) + 1)))


def compare(name: str, some: list[SynthesisRecord], kinds: Sequence[str], seeds: int) -> None:
    """Print the scores of all models on one set."""
    targets = [t for t in TARGETS if t != "initiation_interval" or "N-TORC" not in name]
    truth = {target: np.array([getattr(r, target) for r in some], float) for target in targets}
    features = hand_features(some)
    scores: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for seed in range(seeds):
        fold = folds(some, seed)
        found = {(model, target): np.zeros(len(some)) for model in [*PEERS, *kinds] for target in targets}
        for number in range(FOLDS):
            train, test = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
            for model in PEERS:
                for target in targets:
                    fitted = PEERS[model]().fit(features[train], np.log1p(truth[target][train]))
                    found[model, target][test] = np.expm1(fitted.predict(features[test]))
            for kind in kinds:
                surrogate = fit_surrogate([some[i] for i in train], kind, stage=Stage.CSYNTH)
                predicted = predict_records(surrogate, [some[i] for i in test])
                for target in targets:
                    found[kind, target][test] = predicted.mean[target]
        for (model, target), values in found.items():
            pair = float(r2_score(truth[target], values)), smape(truth[target], values)
            scores.setdefault((model, target), []).append(pair)
    print(f"{name}: {len(some)} layers, {seeds} splits into {FOLDS} folds; mean R2 / SMAPE %, least R2 in brackets")
    for model in [*PEERS, *kinds]:
        pairs = {target: np.array(scores[model, target]).T for target in targets}
        cells = [f"{t} {r2.mean():.4f}/{percent.mean():.1f} [{r2.min():.3f}]" for t, (r2, percent) in pairs.items()]
        print(f"{model:18s} " + "  ".join(cells), flush=True)


def few_records(directory: Path, seeds: int) -> None:
    """Print errors after few records of one tool, learnt alone and as corrections of a surrogate of the other tool."""
    print(f"few records, drawn at random {seeds} times: median relative error % [share within the 90 % interval]")
    for name, other in (DENSE, tuple(reversed(DENSE))):
        some, known = SETS[name](directory), SETS[other](directory)
        base = fit_surrogate(known, stage=Stage.CSYNTH)
        for number in FEW:
            found: dict[tuple[str, str], list[tuple[float, float]]] = {}
            for seed in range(seeds):
                order = np.random.default_rng(seed).permutation(len(some))
                train, test = ([some[i] for i in part] for part in (order[:number], order[number:]))
                fresh = {"alone": ResidualSurrogate(stage=Stage.CSYNTH),
                         "transfer": TransferSurrogate(base, known[0].target, stage=Stage.CSYNTH)}  # fmt: skip
                for how, surrogate in fresh.items():
                    predicted = predict_records(surrogate.fit(train), test)
                    for target in ("lut", "ff", "dsp", "bram_18k", "latency_cycles"):
                        truth = np.array([getattr(r, target) for r in test], float)
                        error = np.median(np.abs(predicted.mean[target] - truth) / np.maximum(truth, 1))
                        inside = (predicted.lower[target] <= truth) & (truth <= predicted.upper[target])
                        found.setdefault((how, target), []).append((100 * float(error), float(np.mean(inside))))
            for how in ("alone", "transfer"):
                cells = [(t, np.mean(pairs, axis=0)) for (h, t), pairs in found.items() if h == how]
                line = "  ".join(f"{t} {error:.1f} [{inside:.2f}]" for t, (error, inside) in cells)
                print(f"{name}, {number} records, {how}: {line}", flush=True)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS))
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    options = parser.parse_args()
    for name in options.sets:
        compare(name, SETS[name](options.data), options.kinds, options.seeds)
    if len(options.sets) == len(SETS):
        few_records(options.data, 2 * options.seeds)


DENSE = "wa-hls4ml single dense", "N-TORC dense"
SETS = dict(zip((*DENSE, "N-TORC convolutions"), (single_dense, ntorc_dense, ntorc_convolutions), strict=True))


if __name__ == "__main__":
    main()
