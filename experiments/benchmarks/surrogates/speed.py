"""How many networks a second a surrogate predicts on one core: all targets, in batches and one by one.

    python experiments/benchmarks/surrogates/speed.py

Random dense networks of one to four hidden layers, half of them with shared multipliers. Each kind is fitted on the
records that come with the package, with each law; the default is the one that comes fitted. Descriptions are made
beforehand, because a search has them anyway; their features are part of the time.
"""

from __future__ import annotations

import json
import os
import time
from itertools import pairwise, product

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from surrogates import HardwareTarget, LayerSpec, ModelSpec, fit_surrogate, start_surrogate
from surrogates.estimators import KINDS
from surrogates.law_choice import LAWS
from surrogates.pretrained import start_records
from surrogates.reuse import legal_reuse_factors

BATCHES = (1, 100, 10_000)
REPEATS = 5


def networks(count: int, rng: np.random.Generator) -> list[ModelSpec]:
    """Random descriptions, all different."""
    found = []
    for _ in range(count):
        widths = [16, *rng.integers(4, 65, rng.integers(1, 5)).tolist(), 5]
        shared = rng.random() < 0.5
        layers = []
        for index, (n_in, n_out) in enumerate(pairwise(widths)):
            last = index == len(widths) - 2
            reuse = int(rng.choice(legal_reuse_factors(n_in, n_out))) if shared else 1
            bits = int(rng.integers(2, 9)), 0 if last else int(rng.integers(3, 9))
            strategy = "reuse" if shared else "distributed_arithmetic"
            pruned = round(float(rng.uniform(0, 0.9)), 3)
            layers.append(LayerSpec(n_in, n_out, *bits, "linear" if last else "relu", pruned, strategy, reuse))
        found.append(ModelSpec(int(rng.integers(6, 11)), tuple(layers)))
    return found


def main() -> None:
    """Print networks per second by kind and size of the batch, the best of a few repeats."""
    specs, target = networks(max(BATCHES), np.random.default_rng(0)), HardwareTarget()
    start = time.perf_counter()
    shipped = start_surrogate()
    result: dict[str, object] = {"seconds to load the one that is shipped": round(time.perf_counter() - start, 3)}
    for law, kind in product(LAWS, KINDS):
        default = (kind, law) == (shipped.kind, shipped.law)
        surrogate = shipped if default else fit_surrogate(start_records(), kind, law=law)
        rates = {}
        for batch in BATCHES:
            seconds = []
            for _ in range(REPEATS):
                start = time.perf_counter()
                surrogate.predict(specs[:batch], target)
                seconds.append(time.perf_counter() - start)
            rates[str(batch)] = round(batch / min(seconds))
        result[f"{kind}, {law}"] = rates
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
