"""Many networks as one flat table of layers, so that formulas and features are computed by numpy, not by loops."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from numpy.typing import NDArray

from surrogates.layers import ACTIVATIONS, REDUCTIONS, LayerSpec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from surrogates.layers import OperationSpec, Shape
    from surrogates.spec import ModelSpec

Floats = NDArray[np.float64]


@final
@dataclass(frozen=True)
class LayerTable:
    """One row per layer of all networks: (L,) arrays; `owner` is the network and `position` the layer's place in it.

    `n_in` counts the words that one output is computed from, `copies` the positions at which the same weights are
    applied, each with adders of its own. `in_bits` is the width of each word that enters the layer: the network's input
    or what is before it. Operations without weights have no row: their adders and comparators (`joined_lut`) and the
    levels of them (`joined_levels`) stand with the layer before them.
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
    joined_lut: Floats
    joined_levels: Floats

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
    table = np.array(rows, dtype=np.float64).reshape(-1, 14)
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
        joined_lut=table[:, 12],
        joined_levels=table[:, 13],
    )


def _rows(spec: ModelSpec) -> Iterator[tuple[float, ...]]:
    """The rows of one network without owner and position."""
    bits = [float(spec.input_bits)]  # of the words that leave the input and each part
    rows: list[list[float]] = []
    before = (0.0, 0.0)  # operations ahead of the first layer
    for part, sources, shape in zip(spec.layers, spec.sources, spec.shapes[1:], strict=True):
        entering = [bits[source + 1] for source in sources]
        if isinstance(part, LayerSpec):
            bits.append(float(part.activation_bits))
            unrolled = part.strategy == "distributed_arithmetic"
            activation = ACTIVATIONS.index(part.activation)
            rows.append([part.fan_in, part.n_out, part.n_nonzero, part.weight_bits, entering[0]])
            rows[-1] += [part.activation_bits, activation, unrolled, part.reuse_factor, shape[0], *before]
            before = (0.0, 0.0)
            continue
        lut, levels, width = _joining(part, [spec.shapes[source + 1] for source in sources], entering)
        bits.append(width)
        if rows:
            rows[-1][-2] += lut
            rows[-1][-1] += levels
        else:
            before = (before[0] + lut, before[1] + levels)
    return (tuple(row) for row in rows)


def _joining(part: OperationSpec, shapes: Sequence[Shape], bits: Sequence[float]) -> tuple[float, float, float]:
    """LUTs and levels of adders of an operation, and the width of the words that leave it.

    A sum of m words of w bits is m - 1 adders of about w bits; a maximum needs a comparator and a choice for each.
    """
    (positions, channels), width = shapes[0], max(bits)
    if part.kind in REDUCTIONS:
        terms = positions // part.groups
        growth = 0.0 if part.kind == "max" else math.log2(terms)
        each = 1.5 * width if part.kind == "max" else width + growth / 2
        result = part.activation_bits or width + math.ceil(growth)
        return part.groups * channels * (terms - 1) * each, math.ceil(math.log2(terms)), result
    if part.kind == "add":
        return positions * channels * (width + 1), 1.0, part.activation_bits or width + 1
    return 0.0, 0.0, width
