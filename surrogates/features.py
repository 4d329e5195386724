"""Networks as named feature vectors of fixed length.

First the compact features of the whole network, smooth and few, for models that extrapolate; then features of its
first seven layers by position, padded with zeros, for trees.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from surrogates.analytic import (
    alive_shares,
    layer_bops,
    layer_dsp,
    layer_ebops,
    layer_ff,
    layer_interval,
    layer_lut,
    layer_macs,
    layer_stages,
    terms_per_output,
    tree_depth,
)
from surrogates.layers import ACTIVATIONS
from surrogates.spec import HardwareTarget
from surrogates.table import Floats, LayerTable, layer_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from surrogates.layers import Activation
    from surrogates.spec import ModelSpec

PLACES = 7  # layers with features of their own; those behind count in the features of the whole network
COMPACT: tuple[str, ...] = (
    "log_lut",
    "log_ff",
    "log_live_nonzero",
    "live_share",
    "density",
    "n_layers",
    "weight_bits",
    "in_bits",
    "activation_bits",
    "log_terms",
    "log_max_width",
    "log_min_width",
    "tree_depth",
    "first_share",
    "relu_share",
    "leaky_share",
    "reuse_share",
    "log_reuse",
    "log_interval",
    "log_dsp",
    "log_turns",
    "choice_bits",
    "lane_bits",
    "log_clock",
)
_EXTRA: tuple[str, ...] = ("log_macs", "log_bops", "log_ebops", "stages", "log_outputs", "input_bits")
_PER_LAYER: tuple[str, ...] = (
    "log_n_out",
    "log_nonzero",
    "weight_bits",
    "in_bits",
    "activation_bits",
    "log_lut",
    "log_dsp",
    "log_reuse",
    "shared",
    "log_turns",
    "choice_bits",
    "lane_bits",
)


def feature_names() -> tuple[str, ...]:
    """Names of the columns of `feature_matrix`; the first `len(COMPACT)` are the compact ones."""
    padded = tuple(f"layer{place}_{name}" for place in range(PLACES) for name in _PER_LAYER)
    return COMPACT + _EXTRA + padded


def feature_matrix(specs: Sequence[ModelSpec], targets: HardwareTarget | Sequence[HardwareTarget]) -> Floats:
    """Features of networks on one target for all, or on one target each: shape (n, len(feature_names())).

    Logarithms are to base 2 of 1 + x, bits are bits, shares lie within [0, 1]. Raises `ValueError` if the numbers
    of networks and targets differ.
    """
    listed = [targets] * len(specs) if isinstance(targets, HardwareTarget) else list(targets)
    if len(listed) != len(specs):
        raise ValueError(f"{len(specs)} networks but {len(listed)} targets: give one target, or one for each network")
    return features_of(layer_table(specs), np.array([target.clock_period_ns for target in listed], dtype=np.float64))


def features_of(table: LayerTable, clock: Floats) -> Floats:
    """As `feature_matrix`, of networks that are laid out already; `clock` (n,) are periods in nanoseconds."""
    whole = _network_features(table, clock)
    matrix = np.column_stack([*(whole[name] for name in COMPACT + _EXTRA), _padded(table)])
    return np.ascontiguousarray(matrix)


def _log(values: Floats) -> Floats:
    logarithms: Floats = np.log2(1 + values)
    return logarithms


def _network_features(table: LayerTable, clock: Floats) -> Mapping[str, Floats]:
    live_in, live_out = alive_shares(table)
    live = table.nonzero * table.copies * live_in * live_out
    nonzero = table.total(table.nonzero * table.copies)
    effort = layer_ebops(table)
    weight = table.nonzero + 1e-6  # all weights pruned: plain means
    share = weight / table.total(weight)[table.owner]
    hidden = table.activation_bits > 0
    hidden_words = np.maximum(table.total(np.where(hidden, table.n_out, 0.0)), 1.0)

    def among_hidden(values: Floats) -> Floats:
        """Mean of (L,) over the quantised words of each network."""
        return table.total(np.where(hidden, table.n_out, 0.0) * values) / hidden_words

    def has(activation: Activation) -> Floats:
        """One where the layer has this activation, else zero."""
        return np.where(table.activation == ACTIVATIONS.index(activation), 1.0, 0.0)

    first = table.position == 0
    turns, choice, lanes = _turns(table)
    return {
        "log_lut": _log(table.total(layer_lut(table))),
        "log_ff": _log(table.total(layer_ff(table))),
        "log_live_nonzero": _log(table.total(live)),
        "live_share": table.total(live) / np.maximum(nonzero, 1.0),
        "density": nonzero / table.total(table.weights * table.copies),
        "n_layers": table.depth.astype(np.float64),
        "weight_bits": table.total(share * table.weight_bits),
        "in_bits": table.total(share * table.in_bits),
        "activation_bits": among_hidden(table.activation_bits),
        "log_terms": table.total(share * np.log2(1 + terms_per_output(table))),
        "log_max_width": _log(table.largest(table.n_out)),
        "log_min_width": _log(-table.largest(-table.n_out)),
        "tree_depth": table.total(tree_depth(table)),
        "first_share": table.total(np.where(first, effort, 0.0)) / np.maximum(table.total(effort), 1.0),
        "relu_share": among_hidden(has("relu")),
        "leaky_share": among_hidden(has("leaky_relu")),
        "reuse_share": table.total(share * ~table.unrolled),
        "log_reuse": table.total(share * np.log2(table.reuse)),
        "log_interval": np.log2(table.total(layer_interval(table))),
        "log_dsp": _log(table.total(layer_dsp(table))),
        "log_turns": table.total(share * turns),
        "choice_bits": table.total(share * choice),
        "lane_bits": table.total(share * lanes),
        "log_clock": np.log2(clock),
        "log_macs": _log(table.total(layer_macs(table))),
        "log_bops": _log(table.total(layer_bops(table))),
        "log_ebops": _log(table.total(effort)),
        "stages": table.total(layer_stages(table)),
        "log_outputs": _log(table.total(table.n_out)),
        "input_bits": table.total(np.where(first, table.in_bits, 0.0)),
    }


def _turns(table: LayerTable) -> tuple[Floats, Floats, Floats]:
    """Of layers that share multipliers (L,), else 0: what the choices of words and sums are made of.

    Logarithm of the outputs that take turns at a multiplier; bits that tell outputs, and bits that tell multipliers,
    apart: what is chosen by so many bits costs the same up to the next power of two.
    """
    shared = ~table.unrolled
    turns = np.log2(np.maximum(table.reuse / table.n_in, 1.0))
    lanes = np.ceil(np.log2(np.maximum(table.weights / table.reuse, 1.0)))
    choice = np.ceil(np.log2(table.n_out))
    return np.where(shared, turns, 0.0), np.where(shared, choice, 0.0), np.where(shared, lanes, 0.0)


def _padded(table: LayerTable) -> Floats:
    """Per-layer features by position, (n_specs, PLACES * len(_PER_LAYER)), zeros where there is no layer."""
    turns, choice, lanes = _turns(table)
    columns = {
        "log_n_out": _log(table.n_out),
        "log_nonzero": _log(table.nonzero),
        "weight_bits": table.weight_bits,
        "in_bits": table.in_bits,
        "activation_bits": table.activation_bits,
        "log_lut": _log(layer_lut(table)),
        "log_dsp": _log(layer_dsp(table)),
        "log_reuse": np.log2(table.reuse),
        "shared": np.where(table.unrolled, 0.0, 1.0),
        "log_turns": turns,
        "choice_bits": choice,
        "lane_bits": lanes,
    }
    placed = table.position < PLACES
    padded = np.zeros((table.n_specs, PLACES, len(_PER_LAYER)))
    padded[table.owner[placed], table.position[placed]] = np.column_stack([columns[n][placed] for n in _PER_LAYER])
    return padded.reshape(table.n_specs, PLACES * len(_PER_LAYER))
