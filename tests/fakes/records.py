"""Made-up networks and made-up synthesis results, for tests of surrogates and of what uses them.

The costs follow a smooth rule with noise that is not one of the closed forms of the package; they come from no tool,
and `tool_version` says so.
"""

from __future__ import annotations

from importlib.util import find_spec
from itertools import pairwise

import numpy as np

from surrogates.kinds import KINDS
from surrogates.layers import ACTIVATIONS, LayerSpec
from surrogates.records import Stage, SynthesisRecord
from surrogates.spec import HardwareTarget, ModelSpec

TOOL_VERSION = "made up"
SLOW_KINDS = ("boosting", "deep_ensemble")  # to be fitted dozens of times
FITTABLE_KINDS = tuple(kind for kind in KINDS if kind != "deep_ensemble" or find_spec("torch"))
_WIDTHS = (8, 12, 16, 24, 32, 48, 64)


def random_specs(n: int, rng: np.random.Generator, *, reuse: bool = False) -> list[ModelSpec]:
    """`n` chains of two to five layers with 16 inputs and 5 outputs, some of their layers reused if `reuse`."""
    return [_random_spec(rng, reuse=reuse) for _ in range(n)]


def _random_spec(rng: np.random.Generator, *, reuse: bool) -> ModelSpec:
    widths = [16, *(int(w) for w in rng.choice(_WIDTHS, size=int(rng.integers(1, 5)))), 5]
    layers = []
    for place, (n_in, n_out) in enumerate(pairwise(widths)):
        last = place == len(widths) - 2
        shared = reuse and rng.random() < 0.5
        layers.append(
            LayerSpec(
                n_in=n_in,
                n_out=n_out,
                weight_bits=int(rng.integers(3, 9)),
                activation_bits=0 if last else int(rng.integers(3, 9)),
                activation="linear" if last else ACTIVATIONS[int(rng.integers(0, 3))],
                sparsity=round(float(rng.uniform(0.0, 0.8)), 2),
                strategy="reuse" if shared else "distributed_arithmetic",
                reuse_factor=int(rng.choice([1, 2, 4])) if shared else 1,
            )
        )
    return ModelSpec(8, tuple(layers))


def synthetic_record(spec: ModelSpec, rng: np.random.Generator, noise: float = 0.05) -> SynthesisRecord:
    """A made-up result of `spec`: costs with log-normal noise, DSP slices counted on weights drawn at random."""
    lut = ff = depth = dsp = 0.0
    bits = spec.input_bits
    for layer in spec.layers:
        terms = 0.7 * layer.n_nonzero**0.95 * layer.weight_bits**0.8 * (bits + 1) ** 0.7
        lut += terms if layer.strategy == "distributed_arithmetic" else 0.3 * terms + 20 * layer.n_out
        ff += 2.0 * layer.n_out * bits**0.8 * np.log2(2 + layer.n_nonzero / layer.n_out)
        depth += 0.3 * np.log2(2 + layer.n_in) if layer.strategy != "reuse" else layer.reuse_factor + 2
        if layer.strategy == "reuse":
            dsp += _multipliers(layer, rng)
        bits = layer.activation_bits
    factors = np.exp(noise * rng.standard_normal(2))
    return SynthesisRecord(
        spec=spec,
        target=HardwareTarget(),
        stage=Stage.SYNTHESISED,
        tool_version=TOOL_VERSION,
        lut=float(round(lut * factors[0])),
        ff=float(round(ff * factors[1])),
        dsp=float(dsp),
        bram_18k=0.0,
        latency_cycles=float(max(round(depth), 1)),
        initiation_interval=max(layer.reuse_factor for layer in spec.layers),
    )


def _multipliers(layer: LayerSpec, rng: np.random.Generator) -> int:
    """Multipliers that random weights need: with several weights each one that has any, else one per constant."""
    limit = 2 ** (layer.weight_bits - 1) - 1
    magnitudes = rng.integers(1, limit + 1, (layer.n_in, layer.n_out)) * rng.choice([-1, 1], (layer.n_in, layer.n_out))
    magnitudes.flat[rng.permutation(layer.n_weights)[: layer.n_weights - layer.n_nonzero]] = 0
    if layer.reuse_factor > 1:
        return int(magnitudes.reshape(layer.reuse_factor, -1).any(axis=0).sum())
    constants = [{int(v) for v in row if abs(v) & (abs(v) - 1)} for row in magnitudes]
    return sum(map(len, constants))


def synthetic_records(
    n: int, rng: np.random.Generator, *, reuse: bool = False, noise: float = 0.05
) -> list[SynthesisRecord]:
    """Made-up results of `n` random networks."""
    return [synthetic_record(spec, rng, noise) for spec in random_specs(n, rng, reuse=reuse)]
