"""Random quantised networks: to try a tool chain without training anything."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from evonas.models.fixed_point import FixedPoint, Overflow, QuantisedDense, Rounding
from evonas.models.quantised_network import QuantisedNetwork
from surrogates import LayerSpec, ModelSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from surrogates.layers import Activation

DEFAULT_INPUT = FixedPoint(True, 8, 3)


def random_network(
    seed: int,
    topology: Sequence[int],
    *,
    weight_bits: int = 6,
    activation_bits: int = 6,
    activation: Activation = "relu",
    sparsity: float = 0.5,
    rounding: Rounding = "RND_CONV",
    overflow: Overflow = "SAT",
    input_type: FixedPoint = DEFAULT_INPUT,
    bias_type: FixedPoint | None = None,
) -> QuantisedNetwork:
    """A network with `topology` (n_inputs, hidden..., n_outputs) and normal weights of which a share is zero.

    Hidden layers have `activation`; the last is linear. `bias_type` defaults to ten bits with two before the point.
    """
    rng = np.random.default_rng(seed)
    weight_type = FixedPoint(True, weight_bits, 1, "RND", "SAT")
    biases = bias_type or FixedPoint(True, 10, 2, "RND", "SAT")
    layers: list[QuantisedDense] = []
    specs: list[LayerSpec] = []
    for index, (n_in, n_out) in enumerate(pairwise(topology)):
        last = index == len(topology) - 2
        weights = weight_type.codes(rng.normal(0, 0.5, (n_in, n_out)))
        weights[rng.random((n_in, n_out)) < sparsity] = 0
        signed = activation != "relu"
        output = FixedPoint(signed, activation_bits, 1 if activation == "hard_tanh" else 2, rounding, overflow)
        kind: Activation = "linear" if last else activation
        codes = biases.codes(rng.normal(0, 0.3, n_out))
        layers.append(QuantisedDense(weights, weight_type, codes, biases, kind, None if last else output))
        zeros = float(np.mean(weights == 0))
        specs.append(LayerSpec(n_in, n_out, weight_bits, 0 if last else activation_bits, kind, zeros))
    return QuantisedNetwork(ModelSpec(input_type.width, tuple(specs)), input_type, tuple(layers))
