"""How long a member takes in stacks of different sizes on this machine."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np

from evonas.tasks.base import Split
from evonas.training.trainer import Member, train
from surrogates import LayerSpec, ModelSpec

SIZES = (1, 2, 4, 8, 16, 32)
_ROWS, _BATCH, _WIDTHS = 128 * 12, 128, (16, 64, 32, 32, 5)  # the network of jets features that peers measure by


def seconds_per_member() -> dict[int, float]:
    """Wall time for each member of a short training, by the size of its stack: the least of three, one thread."""
    rng = np.random.default_rng(0)
    data = Split(rng.normal(size=(_ROWS, _WIDTHS[0])).astype(np.float32), rng.integers(0, _WIDTHS[-1], _ROWS))
    *hidden, last = pairwise(_WIDTHS)
    layers = [LayerSpec(n_in, n_out, 6, 6, "relu", 0.5) for n_in, n_out in hidden]
    spec = ModelSpec(6, (*layers, LayerSpec(*last, 6, 0, "linear")))
    found = {}
    for size in SIZES:
        members, times = [Member(spec, 0.01, seed) for seed in range(size)], []
        for _ in range(3):
            start = time.perf_counter()
            train(members, data, clip=4.0, epochs=1, batch_size=_BATCH)
            times.append(time.perf_counter() - start)
        found[size] = min(times) / size
    return found
