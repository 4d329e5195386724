"""The Keras peer, for an interpreter that has Keras: `keras_fit.py DATA.npz EPOCHS BATCH WIDTHS...` prints JSON."""

from __future__ import annotations

import json
import sys
import time

import keras
import numpy as np


def fit(path: str, epochs: int, batch_size: int, widths: list[int]) -> dict[str, float | str]:
    """Seconds of `fit` of a network without quantisation, its accuracy on the validation split, and versions."""
    with np.load(path) as data:
        x, y, x_validation, y_validation = (data[name] for name in ("x", "y", "x_validation", "y_validation"))
    layers = [keras.layers.Dense(width, activation="relu") for width in widths]
    network = keras.Sequential([keras.Input((x.shape[1],)), *layers, keras.layers.Dense(int(y.max()) + 1)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(optimizer=keras.optimizers.Adam(0.01), loss=loss, metrics=["accuracy"])
    network.fit(x[: 4 * batch_size], y[: 4 * batch_size], batch_size=batch_size, verbose=0)  # compiles what it compiles
    start = time.perf_counter()
    network.fit(x, y, batch_size=batch_size, epochs=epochs, verbose=0)
    seconds = time.perf_counter() - start
    accuracy = float(network.evaluate(x_validation, y_validation, verbose=0)[1])
    return {"seconds": seconds, "accuracy": accuracy, "keras": keras.__version__, "backend": keras.backend.backend()}


if __name__ == "__main__":
    path, epochs, batch_size, *widths = sys.argv[1:]
    print(json.dumps(fit(path, int(epochs), int(batch_size), list(map(int, widths)))))
