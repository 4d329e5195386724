"""Many networks as one flat table of layers, so that formulas and features are computed by numpy, not by loops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from numpy.typing import NDArray

from surrogates.spec import ACTIVATIONS, SpecError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from surrogates.spec import ModelSpec

Floats = NDArray[np.float64]
MAX_LAYERS = 7


@final
@dataclass(frozen=True)
class LayerTable:
    """One row per layer of all networks: (L,) arrays; `owner` is the network and `position` the layer's place in it.

    `in_bits` is the width of each word that enters the layer: the network's input or the activation before it.
    """

    n_specs: int
    owner: NDArray[np.intp]
    position: NDArray[np.intp]
    depth: NDArray[np.intp]  # (n_specs,) number of layers of each network
    n_in: Floats
    n_out: Floats
    nonzero: Floats
    weight_bits: Floats
    in_bits: Floats
    activation_bits: Floats
    activation: NDArray[np.intp]  # index into ACTIVATIONS
    unrolled: NDArray[np.bool_]  # strategy is distributed arithmetic
    reuse: Floats

    @property
    def weights(self) -> Floats:
        """Number of weights of each layer before pruning, shape (L,)."""
        return self.n_in * self.n_out

    def total(self, values: Floats) -> Floats:
        """Sum of a per-layer quantity (L,) over each network: (n_specs,)."""
        summed: Floats = np.bincount(self.owner, weights=values, minlength=self.n_specs).astype(np.float64)
        return summed

    def largest(self, values: Floats) -> Floats:
        """Largest of a per-layer quantity (L,) in each network: (n_specs,)."""
        result = np.full(self.n_specs, -np.inf)
        np.maximum.at(result, self.owner, values)
        return result


def layer_table(specs: Sequence[ModelSpec]) -> LayerTable:
    """Lay the layers of `specs` out as a table. Raises `SpecError` for a network of more than seven layers."""
    rows: list[tuple[float, ...]] = []
    for owner, spec in enumerate(specs):
        if len(spec.layers) > MAX_LAYERS:
            raise SpecError("layers", len(spec.layers), f"the features describe at most {MAX_LAYERS} layers")
        bits = spec.input_bits
        for position, layer in enumerate(spec.layers):
            rows.append(
                (
                    owner,
                    position,
                    layer.n_in,
                    layer.n_out,
                    layer.n_nonzero,
                    layer.weight_bits,
                    bits,
                    layer.activation_bits,
                    ACTIVATIONS.index(layer.activation),
                    layer.strategy == "distributed_arithmetic",
                    layer.reuse_factor,
                )
            )
            bits = layer.activation_bits
    table = np.array(rows, dtype=np.float64).reshape(-1, 11)
    owner_of = table[:, 0].astype(np.intp)
    return LayerTable(
        n_specs=len(specs),
        owner=owner_of,
        position=table[:, 1].astype(np.intp),
        depth=np.bincount(owner_of, minlength=len(specs)).astype(np.intp),
        n_in=table[:, 2],
        n_out=table[:, 3],
        nonzero=table[:, 4],
        weight_bits=table[:, 5],
        in_bits=table[:, 6],
        activation_bits=table[:, 7],
        activation=table[:, 8].astype(np.intp),
        unrolled=table[:, 9].astype(bool),
        reuse=table[:, 10],
    )
