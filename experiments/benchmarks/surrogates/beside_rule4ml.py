"""Our surrogates and rule4ml on the same single dense layers, side by side.

    python -m venv rule4ml && rule4ml/bin/pip install rule4ml==0.2.0
    rule4ml/bin/pip uninstall triton       # where importing it beside TensorFlow crashes
    python experiments/benchmarks/surrogates/beside_rule4ml.py --data DIR --python rule4ml/bin/python

DIR is that of `public.py`. rule4ml runs in an environment of its own (GPL-3.0; nothing of it is in this package) and
has never seen these layers; ours has seen others of the same set, but none of the same shape, so this is what one gets
without any synthesis of one's own against what one gets with some. Costs are those of C synthesis by Vitis HLS.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from public import FOLDS, folds, single_dense, smape
from sklearn.metrics import r2_score
from speed import networks

from surrogates import HardwareTarget, Stage, SynthesisRecord, fit_surrogate, predict_records, start_surrogate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Costs = dict[str, NDArray[np.float64]]

NAMES = {
    "lut": "lut", "ff": "ff", "dsp": "dsp", "bram_18k": "bram", "latency_cycles": "cycles",
    "initiation_interval": "interval",
}  # fmt: skip


def theirs(records: list[SynthesisRecord], python: Path) -> tuple[Costs, float, dict[str, Any]]:
    """Costs by rule4ml, seconds of processor time, and the versions of the tools that it was asked about."""
    layers = [
        {
            "n_in": (layer := record.spec.layers[0]).n_in,
            "n_out": layer.n_out,
            "bits": layer.weight_bits,
            "reuse_factor": layer.reuse_factor,
            "strategy": "latency" if layer.strategy == "distributed_arithmetic" else "resource",
        }
        for record in records
    ]
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "layers.json", Path(folder) / "predicted.json"
        source.write_text(json.dumps(layers))
        script = Path(__file__).with_name("predict_with_rule4ml.py")
        subprocess.run([python.absolute(), script, source, target], check=True, env={**os.environ, "PYTHONPATH": ""})
        found = json.loads(target.read_text())
    costs = {ours: np.array([row.get(own, np.nan) for row in found["predicted"]]) for ours, own in NAMES.items()}
    return costs, found["cpu_s"], found["versions"]


def ours(records: list[SynthesisRecord]) -> Costs:
    """Costs by the default surrogate, each layer by one that has not seen its shape."""
    fold, found = folds(records, 0), {name: np.zeros(len(records)) for name in NAMES}
    for number in range(FOLDS):
        train, test = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        surrogate = fit_surrogate([records[row] for row in train], stage=Stage.CSYNTH)
        mean = predict_records(surrogate, [records[row] for row in test]).mean
        for name in NAMES:
            found[name][test] = mean[name]
    return found


def row(name: str, records: list[SynthesisRecord], costs: Costs) -> str:
    """R2, symmetric and median relative error of each cost."""
    cells = []
    for target in NAMES:
        truth = np.array([getattr(record, target) for record in records], np.float64)
        error = np.median(np.abs(costs[target] - truth) / np.maximum(truth, 1.0))
        cells.append(f"{r2_score(truth, costs[target]):.3f} / {smape(truth, costs[target]):.0f} / {error:.0%}")
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    """Print errors and times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--python", type=Path, required=True, help="the interpreter of the environment with rule4ml")
    options = parser.parse_args()
    records = single_dense(options.data)
    costs, cpu_s, versions = theirs(records, options.python)
    print(f"{len(records)} layers; rule4ml for {versions}\n\n| | {' | '.join(NAMES)} |\n|{'---|' * (len(NAMES) + 1)}")
    print(row("rule4ml", records, costs))
    print(row("ours, shapes held out", records, ours(records)))
    specs, surrogate = networks(10_000, np.random.default_rng(0)), start_surrogate()
    start = time.process_time()
    surrogate.predict(specs, HardwareTarget())
    own_s = (time.process_time() - start) / len(specs)
    each_s = cpu_s / len(records)
    print(f"\nprocessor time: rule4ml {each_s:.4f} s a network, ours {own_s:.6f} s, {each_s / own_s:,.0f} times less")


if __name__ == "__main__":
    main()
