"""Public layers synthesised by vendors' tools, shapes held out: our surrogates beside the usual regressors.

    python experiments/benchmarks/surrogates/public.py --data DIR

DIR holds `wa_hls4ml_single_dense/results_format_test.csv` of github.com/Dendendelen/wa-hls4ml-search (Apache-2.0): 987
single dense layers that Vitis HLS could synthesise. Layers of strategy "latency" with a reuse factor above 1, 54 of them,
are left out for all: no network here is described so. Every model sees the same rows and folds: all layers of one shape
(n_in, n_out) are in one fold.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor
from sklearn.metrics import r2_score

from surrogates import HardwareTarget, LayerSpec, ModelSpec, Stage, SynthesisRecord, fit_surrogate, predict_records

FOLDS = 5
VITIS = HardwareTarget("xcu250-figd2104-2L-e", 5.0, tool="vitis")
COLUMNS = {
    "lut": "LUT_hls", "ff": "FF_hls", "dsp": "DSP_hls", "bram_18k": "BRAM_18K_hls", "latency_cycles": "WorstLatency_hls",
    "initiation_interval": "IntervalMax_hls",
}  # fmt: skip
KINDS = ("trees", "gp", "ridge", "ensemble")


def records(path: Path) -> list[SynthesisRecord]:
    """The layers as records of C synthesis."""
    rows = pd.read_csv(path)
    rows = rows[rows.hls_synth_success & ((rows.strategy == "resource") | (rows.rf == 1))]
    rows = rows.drop_duplicates(["d_in", "d_out", "prec", "rf", "strategy"])
    found = []
    for row in rows.to_dict("records"):
        how = ("reuse", int(row["rf"])) if row["strategy"] == "resource" else ("distributed_arithmetic", 1)
        layer = LayerSpec(int(row["d_in"]), int(row["d_out"]), int(row["prec"]), 0, "linear", 0.0, *how)
        values = {target: float(row[column]) for target, column in COLUMNS.items()}
        values["initiation_interval"] = int(values["initiation_interval"])
        found.append(SynthesisRecord(ModelSpec(16, (layer,)), VITIS, Stage.CSYNTH, "Vitis HLS", **values))
    return found


def folds(some: list[SynthesisRecord], seed: int) -> np.ndarray:
    """Fold of each record; a shape is in one fold."""
    shapes = sorted({r.spec.topology for r in some})
    order = np.random.default_rng(seed).permutation(len(shapes))
    fold = {shapes[place]: number % FOLDS for number, place in enumerate(order)}
    return np.array([fold[r.spec.topology] for r in some])


def hand_features(some: list[SynthesisRecord]) -> np.ndarray:
    """What people give a regressor: shape, bits, reuse and simple products of them, on logarithmic scales."""
    layers = [r.spec.layers[0] for r in some]
    n, m, bits, reuse = (np.array(v, float) for v in zip(*((q.n_in, q.n_out, q.weight_bits, q.reuse_factor) for q in layers), strict=True))
    shared = np.array([q.strategy == "reuse" for q in layers], float)
    products = np.ceil(n * m / reuse)
    return np.column_stack([np.log2(n), np.log2(m), bits, np.log2(reuse), shared, np.log2(products), np.log2(n * m * bits)])


def smape(truth: np.ndarray, found: np.ndarray) -> float:
    """200 / n * sum |y - p| / (|y| + |p| + 1), as wa-hls4ml defines it, in per cent."""
    return float(200 * np.mean(np.abs(truth - found) / (np.abs(truth) + np.abs(found) + 1)))


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS))
    options = parser.parse_args()
    some = records(options.data / "wa_hls4ml_single_dense" / "results_format_test.csv")
    truth = {name: np.array([getattr(r, name) for r in some], float) for name in COLUMNS}
    features = hand_features(some)
    peers = {
        "extra trees": lambda: ExtraTreesRegressor(300, random_state=0),
        "gradient boosting": lambda: HistGradientBoostingRegressor(random_state=0),
    }
    scores: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for seed in range(options.seeds):
        fold = folds(some, seed)
        found = {(model, name): np.zeros(len(some)) for model in [*peers, *options.kinds] for name in COLUMNS}
        for number in range(FOLDS):
            train, test = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
            for peer, make in peers.items():
                for name in COLUMNS:
                    fitted = make().fit(features[train], np.log1p(truth[name][train]))
                    found[peer, name][test] = np.expm1(fitted.predict(features[test]))
            for kind in options.kinds:
                surrogate = fit_surrogate([some[i] for i in train], kind, stage=Stage.CSYNTH)
                predicted = predict_records(surrogate, [some[i] for i in test])
                for name in COLUMNS:
                    found[kind, name][test] = predicted.mean[name]
        for (model, name), values in found.items():
            pair = r2_score(truth[name], values), smape(truth[name], values)
            scores.setdefault((model, name), []).append(pair)
    print(f"{len(some)} layers, {options.seeds} splits of {FOLDS} folds; mean R2 / SMAPE %, least R2 in brackets")
    for model in [*peers, *options.kinds]:
        cells = []
        for name in COLUMNS:
            r2, percent = np.array(scores[model, name]).T
            cells.append(f"{name} {r2.mean():.4f}/{percent.mean():.1f} [{r2.min():.3f}]")
        print(f"{model:18s} " + "  ".join(cells))


if __name__ == "__main__":
    main()
