"""Many networks as one graph: a row of features for each part, edges between rows, and each part's closed forms.

What `surrogates.layer_graph` reads. Rows of a network stand in the order of its parts, behind one for its input.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, final

import numpy as np

from surrogates.analytic import (
    STAGE_DELAY,
    alive_shares,
    exact_cycles,
    layer_ff,
    layer_lut,
    logic_stages,
    signed_digits,
)
from surrogates.joining import joining
from surrogates.layers import ACTIVATIONS, OPERATIONS, LayerSpec
from surrogates.records import Stage
from surrogates.table import layer_table
from surrogates.weights import LayerWeights

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from surrogates.spec import HardwareTarget, ModelSpec
    from surrogates.table import Floats, LayerTable

    Known = Sequence[LayerWeights] | None  # of the layers of one network, where it is trained

KINDS = ("input", "dense", "conv", *OPERATIONS)
NUMBERS = (
    "positions", "fan_in", "outputs", "weight_bits", "bits_in", "bits_out", "nonzero", "digits", "most_digits",
    "growth_bits", "live_inputs", "live_outputs", "known", "unrolled", "reuse", "lut", "ff", "stages", "clock",
    "xilinx", "ultrascale", "synthesised",
)  # fmt: skip
FEATURES = (*NUMBERS, *(f"is_{kind}" for kind in KINDS), *(f"is_{name}" for name in ACTIVATIONS))


@final
@dataclass(frozen=True)
class GraphTable:
    """Parts of `n_specs` networks: `owner` (P,), `features` (P, len(FEATURES)), `edges` (E, 2) from row to row.

    `lut`, `ff` and `stages` (P,) are closed forms; `cycles` (n_specs,) are those that need no estimate.
    """

    n_specs: int
    owner: NDArray[np.intp]
    features: Floats
    edges: NDArray[np.intp]
    lut: Floats
    ff: Floats
    stages: Floats
    cycles: Floats

    @classmethod
    def of(
        cls,
        specs: Sequence[ModelSpec],
        targets: Sequence[HardwareTarget],
        weights: Sequence[Known] | None = None,
        stages: Sequence[Stage] | None = None,
        layers: LayerTable | None = None,
    ) -> GraphTable:
        """Lay out `specs`, each for its target and stage (by default synthesised); `weights` of those that are trained.

        Of a network whose weights are not known, `weights` holds None. `layers` are theirs, if laid out already.
        """
        layers = layer_table(specs) if layers is None else layers
        rows, edges = _rows(specs)
        columns = dict(zip(_RAW, np.array(rows, np.float64).reshape(-1, len(_RAW)).T, strict=True))
        at = np.flatnonzero(columns["layer"])  # rows of layers, in the order of the table
        owner = columns["owner"].astype(np.intp)
        clock = np.array([target.clock_period_ns for target in targets])[owner]
        lut = columns["lut"].copy()
        delays = 1.5 * columns["levels"] / STAGE_DELAY
        lut[at] = layer_lut(layers) - layers.joined_lut
        delays[at] = logic_stages(layers) - 1.5 * layers.joined_levels / STAGE_DELAY
        delays *= STAGE_DELAY / clock
        # what crosses registers behind parts without weights: the input, and operations as often as they have stages
        others = columns["positions"] * columns["outputs"] * columns["bits_out"]
        ff = others * np.where(columns["kind"] == 0, 1.0, delays)
        ff[at] = layer_ff(layers)
        numbers = _numbers(columns, layers, at, weights)
        numbers |= {"lut": _log(lut), "ff": _log(ff), "stages": delays, "clock": np.log2(clock / STAGE_DELAY)}
        numbers |= _devices(targets, owner)
        made = [True] * len(specs) if stages is None else [stage == Stage.SYNTHESISED for stage in stages]
        numbers["synthesised"] = np.array(made, np.float64)[owner]
        flags = [columns["kind"] == place for place in range(len(KINDS))]
        flags += [columns["activation"] == place for place in range(len(ACTIVATIONS))]
        features = np.column_stack([*(numbers[name] for name in NUMBERS), *flags]).astype(np.float64)
        return cls(len(specs), owner, features, edges, lut, ff, delays, exact_cycles(layers))

    def select(self, networks: NDArray[np.intp]) -> GraphTable:
        """Some of the networks, in ascending order."""
        place = np.full(self.n_specs, -1)
        place[networks] = np.arange(len(networks))
        rows = np.flatnonzero(place[self.owner] >= 0)
        renumbered = np.full(len(self.owner), -1)
        renumbered[rows] = np.arange(len(rows))
        edges = renumbered[self.edges[renumbered[self.edges[:, 0]] >= 0]]
        parts = (column[rows] for column in (self.features, self.lut, self.ff, self.stages))
        features, lut, ff, stages = parts
        owner = place[self.owner[rows]]
        return GraphTable(len(networks), owner, features, edges, lut, ff, stages, self.cycles[networks])

    def total(self, values: Floats) -> Floats:
        """Sum of a quantity of parts (P,) over each network, (n_specs,)."""
        return np.bincount(self.owner, weights=values, minlength=self.n_specs).astype(np.float64)


_RAW = (
    "owner", "layer", "kind", "activation", "positions", "fan_in", "outputs", "weight_bits", "bits_in", "bits_out",
    "lut", "levels",
)  # fmt: skip

_COUNTS = tuple(count.name for count in fields(LayerWeights))


def _rows(specs: Sequence[ModelSpec]) -> tuple[list[tuple[float, ...]], NDArray[np.intp]]:
    rows: list[tuple[float, ...]] = []
    edges: list[tuple[int, int]] = []
    for owner, spec in enumerate(specs):
        first = len(rows) + 1
        rows += [(owner, *row) for row in _parts(spec)]
        edges += [(first + source, first + place) for source, place in spec.edges]
    return rows, np.array(edges, np.intp).reshape(-1, 2)


def _parts(spec: ModelSpec) -> Iterator[tuple[float, ...]]:
    """The input and the parts of one network, without their owner."""
    bits = [float(spec.input_bits)]
    positions, channels = spec.input_shape
    yield 0, 0, -1, positions, 1, channels, 0, 0, spec.input_bits, 0.0, 0.0
    for part, sources, shape in zip(spec.layers, spec.sources, spec.shapes[1:], strict=True):
        entering = [bits[source + 1] for source in sources]
        if isinstance(part, LayerSpec):
            kind, activation = KINDS.index(part.kind), ACTIVATIONS.index(part.activation)
            leaving = float(part.activation_bits)
            if not leaving:
                leaving = entering[0] + part.weight_bits + math.log2(max(part.n_nonzero / part.n_out, 1.0))
            bits.append(leaving)
            size = shape[0], part.fan_in, part.n_out
            yield 1, kind, activation, *size, part.weight_bits, entering[0], leaving, 0.0, 0.0
            continue
        joined = joining(part, [spec.shapes[source + 1] for source in sources], entering)
        bits.append(joined.bits)
        fan_in = spec.shapes[sources[0] + 1][0] / part.groups
        kind = KINDS.index(part.kind)
        yield 0, kind, -1, shape[0], fan_in, shape[1], 0, max(entering), joined.bits, joined.lut, joined.levels


def _log(values: Floats) -> Floats:
    logarithms: Floats = np.log2(1 + values)
    return logarithms


def _numbers(
    columns: dict[str, Floats], layers: LayerTable, at: NDArray[np.intp], weights: Sequence[Known] | None
) -> dict[str, Floats]:
    """What is known or expected of weights, and the shapes, all on scales of about one to ten."""
    rows = len(columns["owner"])
    counts, known = _counts(layers, weights)
    spread = {name: np.zeros(rows) for name in (*_COUNTS, "known", "unrolled", "reuse")}
    for name, values in zip(_COUNTS, counts.T, strict=True):
        spread[name][at] = values
    spread["known"][at] = known
    spread["unrolled"][at] = layers.unrolled
    spread["reuse"][at] = np.log2(layers.reuse)
    for name in ("nonzero", "digits", "most_digits"):
        spread[name] = _log(spread[name])
    spread["live_inputs"] /= np.maximum(columns["fan_in"], 1)
    spread["live_outputs"] /= np.maximum(columns["outputs"], 1)
    logs = {name: _log(columns[name]) for name in ("positions", "fan_in", "outputs")}
    return spread | logs | {name: columns[name] for name in ("weight_bits", "bits_in", "bits_out")}


def _counts(layers: LayerTable, weights: Sequence[Known] | None) -> tuple[Floats, Floats]:
    """`LayerWeights` of each layer (L, 6), those expected where they are not known, and where they are (L,)."""
    live_in, live_out = alive_shares(layers)
    digits = layers.nonzero * signed_digits(layers.weight_bits)
    each = digits / layers.n_out
    most = each + 2 * np.sqrt(each)  # of some dozen outputs about the second standard deviation
    growth = layers.weight_bits - 1 + np.log2(np.maximum(layers.nonzero / layers.n_out, 1.0))
    counts = np.column_stack([layers.nonzero, digits, most, growth, live_in * layers.n_in, live_out * layers.n_out])
    known = np.zeros(len(counts))
    if weights is not None:
        starts = np.concatenate([[0], np.cumsum(layers.depth)])
        for place, given in enumerate(weights):
            if given is not None:
                counts[starts[place] : starts[place + 1]] = [layer.to_list() for layer in given]
                known[starts[place] : starts[place + 1]] = 1.0
    return counts, known


def _devices(targets: Sequence[HardwareTarget], owner: NDArray[np.intp]) -> dict[str, Any]:
    """What of a part's name decides its cells: look-up tables of six inputs, carry chains of eight bits."""
    names = [target.part.lower() for target in targets]
    xilinx = np.array([name.startswith("xc") for name in names], np.float64)
    ultrascale = np.array([name.startswith("xc") and not name.startswith("xc7") for name in names], np.float64)
    return {"xilinx": xilinx[owner], "ultrascale": ultrascale[owner]}
