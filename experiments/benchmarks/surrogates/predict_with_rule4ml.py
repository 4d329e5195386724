"""Predict single dense layers with rule4ml, in an environment that has it: `beside_rule4ml.py` runs this.

    python predict_with_rule4ml.py LAYERS.json PREDICTED.json

LAYERS.json is a list of layers (n_in, n_out, bits, reuse_factor, strategy) on the Alveo U250; PREDICTED.json gets a
list of costs in the same order, and the processor seconds that the predictions took without imports and loading.
"""

import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.pop(0)  # nothing of this folder

import keras
from rule4ml.models.wrappers import MultiModelWrapper

COSTS = ("LUT", "FF", "DSP", "BRAM", "CYCLES", "INTERVAL")


def network(n_in, n_out):
    """One dense layer."""
    inputs = keras.layers.Input(shape=(n_in,))
    model = keras.Model(inputs, keras.layers.Dense(n_out)(inputs), name=f"dense_{n_in}_{n_out}")
    model.build((None, n_in))
    return model


def configuration(layer):
    """Of hls4ml, on the board that the layers were synthesised for."""
    bits, strategy, reuse_factor = layer["bits"], layer["strategy"], layer["reuse_factor"]
    precision = f"ap_fixed<{bits}, {max(bits // 2, 1)}>"
    return {
        "board": "alveo-u250",
        "model": {"strategy": strategy, "precision": precision, "reuse_factor": reuse_factor},
    }


def main(source, target):
    """Predict all layers, those of one shape in one call."""
    layers = json.loads(Path(source).read_text())
    estimator = MultiModelWrapper()
    estimator.load_default_models()
    found = [None] * len(layers)
    shapes = {}
    for place, layer in enumerate(layers):
        shapes.setdefault((layer["n_in"], layer["n_out"]), []).append(place)
    networks = {shape: network(*shape) for shape in shapes}
    maps = next(iter(estimator._models.values())).global_categorical_maps
    versions = {name: [list(maps[name])[-1]] for name in ("hls4ml_version", "vivado_version") if name in maps}
    start = time.process_time()
    for shape, places in shapes.items():
        rows = estimator.predict(
            networks[shape],
            hls_configs=[configuration(layers[place]) for place in places],
            hls4ml_versions=versions.get("hls4ml_version"),
            vivado_versions=versions.get("vivado_version"),
        )
        for place, (_, row) in zip(places, rows.iterrows(), strict=True):
            found[place] = {name.lower(): float(row[name]) for name in COSTS if name in row}
    seconds = time.process_time() - start
    Path(target).write_text(json.dumps({"versions": versions, "cpu_s": seconds, "predicted": found}))


if __name__ == "__main__":
    main(*sys.argv[1:])
