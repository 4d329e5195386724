"""How often a surrogate says that a network with more in it costs less.

    python experiments/benchmarks/surrogates/monotonicity.py

Random networks as in `speed.py`; in each, one layer gets one bit more for its weights or for its activations, or a
tenth less of it is pruned. The surrogate is the one that comes with the package.
"""

from __future__ import annotations

import os
from dataclasses import replace

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from speed import networks

from surrogates import HardwareTarget, ModelSpec, start_surrogate

NETWORKS, SAME = 1000, 1e-9  # of log costs


def grown(spec: ModelSpec, what: str, rng: np.random.Generator) -> ModelSpec:
    """The network with a little more in one of its layers; the last layer's outputs stay as wide as they get."""
    layers = list(spec.weighted)
    place = int(rng.integers(len(layers) - (what == "activation_bits")))
    now = getattr(layers[place], what)
    layers[place] = replace(layers[place], **{what: max(now - 0.1, 0.0) if what == "sparsity" else now + 1})
    return ModelSpec(spec.input_bits, tuple(layers))


def main() -> None:
    """Print a line for each change and cost."""
    rng, surrogate, target = np.random.default_rng(1), start_surrogate(), HardwareTarget()
    specs = networks(NETWORKS, rng)
    before = surrogate.predict(specs, target).mean
    print("| | | cheaper | by more than 1 % | by at most |\n|---|---|---|---|---|")
    for what, words in (
        ("weight_bits", "one bit more for weights"),
        ("activation_bits", "one bit more for activations"),
        ("sparsity", "a tenth less pruned"),
    ):
        after = surrogate.predict([grown(spec, what, rng) for spec in specs], target).mean
        for cost in ("lut", "ff"):
            step = np.log1p(after[cost]) - np.log1p(before[cost])
            shares = f"{np.mean(step < -SAME):.1%} | {np.mean(step < -0.01):.1%}"
            print(f"| {words} | {cost.upper()} | {shares} | {-np.expm1(min(step.min(), 0.0)):.1%} |")


if __name__ == "__main__":
    main()
