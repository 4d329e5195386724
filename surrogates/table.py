"""Many networks as one flat table of layers, so that formulas and features are computed by numpy, not by loops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from numpy.typing import NDArray

from surrogates.joining import joining
from surrogates.layers import ACTIVATIONS, LayerSpec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from surrogates.spec import ModelSpec

Floats = NDArray[np.float64]
JOINED = 6  # columns of operations without weights, the last ones


@final
@dataclass(frozen=True)
class LayerTable:
    """One row per layer of all networks: (L,) arrays; `owner` is the network and `position` the layer's place in it.

    `n_in` counts the words that one output is computed from, `copies` the positions at which the same weights are
    applied, each with adders of its own or in turn at the same multipliers; `words` enter the layer in all.
    `in_bits` is the width of each word that enters the layer: the network's input or what is before it. Operations
    without weights have no row: what they take (`surrogates.joining.Joining`, each name with `joined_` ahead) stands
    with the layer before them.
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
    copies: Floats
    words: Floats
    joined_lut: Floats
    joined_levels: Floats
    joined_dsp: Floats
    joined_macs: Floats
    joined_bops: Floats
    joined_ebops: Floats

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
    """Lay the layers of `specs` out as a table."""
    rows: list[tuple[float, ...]] = []
    for owner, spec in enumerate(specs):
        rows += [(owner, position, *row) for position, row in enumerate(_rows(spec))]
    table = np.array(rows, dtype=np.float64).reshape(-1, 19)
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
        copies=table[:, 11],
        words=table[:, 12],
        joined_lut=table[:, 13],
        joined_levels=table[:, 14],
        joined_dsp=table[:, 15],
        joined_macs=table[:, 16],
        joined_bops=table[:, 17],
        joined_ebops=table[:, 18],
    )


def _rows(spec: ModelSpec) -> Iterator[tuple[float, ...]]:
    """The rows of one network without owner and position."""
    bits = [float(spec.input_bits)]  # of the words that leave the input and each part
    rows: list[list[float]] = []
    before = [0.0] * JOINED  # operations ahead of the first layer
    for part, sources, shape in zip(spec.layers, spec.sources, spec.shapes[1:], strict=True):
        entering = [bits[source + 1] for source in sources]
        if isinstance(part, LayerSpec):
            bits.append(float(part.activation_bits))
            unrolled = part.strategy == "distributed_arithmetic"
            activation = ACTIVATIONS.index(part.activation)
            rows.append([part.fan_in, part.n_out, part.n_nonzero, part.weight_bits, entering[0]])
            rows[-1] += [part.activation_bits, activation, unrolled, part.reuse_factor, shape[0]]
            rows[-1] += [part.positions * part.n_in, *before]
            before = [0.0] * JOINED
            continue
        joined = joining(part, [spec.shapes[source + 1] for source in sources], entering)
        bits.append(joined.bits)
        added = joined.lut, joined.levels, joined.dsp, joined.macs, joined.bops, joined.ebops
        sums = rows[-1] if rows else before
        sums[-JOINED:] = [one + other for one, other in zip(sums[-JOINED:], added, strict=True)]
    return (tuple(row) for row in rows)
