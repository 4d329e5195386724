"""Closed forms for the cost of a network: where they come from and in which unit is said at each of them.

Layers that are computed by multipliers in DSP slices have their own (`surrogates.shared_multipliers`). What a layer of
distributed arithmetic is in hardware: every weight is a constant, and a constant is a few signed powers of two
(canonical signed digits), so a product is a few shifted copies of the input and a layer is a forest of adders. An
adder of w bits takes about w look-up tables (one per bit, with the carry chain beside it). The constants below that
are called "measured" were fitted once to layers traced by a distributed-arithmetic compiler; a learned residual
(`surrogates.estimators`) corrects what is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from surrogates import shared_multipliers
from surrogates.layers import ACTIVATIONS, TABLE_MARGIN, TABLES, WIDEST_TABLE
from surrogates.table import Floats, LayerTable, layer_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from surrogates.spec import ModelSpec

SHARING_EXPONENT = 0.85  # measured: adders left after common-subexpression sharing = (adders before) ** exponent
LUT_PER_ADDER_BIT = 0.55  # measured: shifted operands overlap in part, the rest of an adder is wire
STAGE_DELAY = 5.0  # unit delays of an adder that one pipeline stage holds


@final
@dataclass(frozen=True)
class AnalyticCost:
    """Closed-form costs of n networks, each an array of shape (n,).

    `macs`, `bops`, `ebops` in operations; `lut`, `ff`, `dsp` in cells; `bram_18k` in blocks of 18 Kbit;
    `latency_cycles` and `initiation_interval` in clock cycles.
    """

    macs: Floats
    bops: Floats
    ebops: Floats
    lut: Floats
    ff: Floats
    dsp: Floats
    bram_18k: Floats
    latency_cycles: Floats
    initiation_interval: Floats


def analytic_costs(specs: Sequence[ModelSpec]) -> AnalyticCost:
    """All closed forms of `specs`."""
    return table_costs(layer_table(specs))


def table_costs(table: LayerTable) -> AnalyticCost:
    """All closed forms of the networks of a layer table."""
    return AnalyticCost(
        macs=table.total(layer_macs(table)),
        bops=table.total(layer_bops(table)),
        ebops=table.total(layer_ebops(table)),
        lut=table.total(layer_lut(table)),
        ff=table.total(layer_ff(table)),
        dsp=table.total(layer_dsp(table)),
        bram_18k=table.total(layer_bram(table)),
        latency_cycles=network_cycles(table),
        initiation_interval=table.total(layer_interval(table)),
    )


def alive_shares(table: LayerTable) -> tuple[Floats, Floats]:
    """Expected shares of live inputs and live outputs of each layer, two arrays (L,) within [0, 1].

    Pruning leaves words that nothing computes (a unit without a surviving weight is a constant) or that nothing reads;
    logic synthesis removes both, and all that feeds them. With weights pruned independently of each other a unit of a
    layer of density d and n live inputs has a weight left with probability 1 - (1 - d)^n; the same holds backwards.
    """
    density = table.nonzero / table.weights
    rows = np.zeros((table.n_specs, int(table.depth.max(initial=1))), dtype=np.intp)
    rows[table.owner, table.position] = np.arange(len(table.owner))
    live_in, live_out = np.ones(len(table.owner)), np.ones(len(table.owner))
    for place in range(1, rows.shape[1]):
        at = np.flatnonzero(table.depth > place)
        layer, before = rows[at, place], rows[at, place - 1]
        live_in[layer] = 1 - (1 - density[before]) ** (table.n_in[before] * live_in[before])
    for place in range(rows.shape[1] - 1, 0, -1):
        at = np.flatnonzero(table.depth > place)
        layer, before = rows[at, place], rows[at, place - 1]
        live_out[before] = 1 - (1 - density[layer]) ** (table.n_out[layer] * live_out[layer])
    return live_in, live_out


def layer_macs(table: LayerTable) -> Floats:
    """Multiplications of each layer (L,), pruned ones too, and those of two variables behind it."""
    return table.weights * table.copies + table.joined_macs


def layer_bops(table: LayerTable) -> Floats:
    """Bit operations of each layer (L,): m n ((1 - p) a w + a + w + log2 n), m outputs, n inputs, p pruned share.

    Source: Baskin et al., UNIQ (arXiv:1804.10969), with the pruned fraction of Hawks et al. (arXiv:2102.11289).
    """
    a, w = table.in_bits, table.weight_bits
    own = table.copies * (table.nonzero * a * w + table.weights * (a + w + np.log2(table.n_in)))
    return own + table.joined_bops


def layer_ebops(table: LayerTable) -> Floats:
    """Effective bit operations of each layer (L,): surviving weights x weight bits x input bits.

    Follows the idea of Sun et al., HGQ (arXiv:2405.00645), with the declared width of a weight in place of the span
    of its non-zero bits, which is not known before training.
    """
    return table.copies * table.nonzero * table.weight_bits * table.in_bits + table.joined_ebops


def signed_digits(weight_bits: Floats) -> Floats:
    """Mean number of non-zero canonical signed digits of a weight of so many bits: b/3 + 1/9, at least 1.

    Source: Reitwieser, Binary Arithmetic, Advances in Computers 1 (1960): a third of the digits are non-zero.
    """
    return np.maximum(weight_bits / 3 + 1 / 9, 1.0)


def accumulator_bits(table: LayerTable) -> Floats:
    """Width of a full-precision sum of each layer (L,): input bits + weight bits + log2 of the terms per output."""
    return table.in_bits + table.weight_bits + np.log2(np.maximum(terms_per_output(table), 1.0))


def terms_per_output(table: LayerTable) -> Floats:
    """Surviving weights per output of each layer, (L,)."""
    return table.nonzero / table.n_out


def tree_depth(table: LayerTable) -> Floats:
    """Levels of the adder tree of each layer (L,): log2 of the signed digits summed per output."""
    return np.log2(np.maximum(terms_per_output(table) * signed_digits(table.weight_bits), 1.0))


def layer_dsp(table: LayerTable) -> Floats:
    """DSP slices of each layer (L,): 0 with distributed arithmetic, else one for each multiplier.

    To them come those of large products of two variables behind the layer.
    """
    return np.where(table.unrolled, 0.0, shared_multipliers.multipliers(table)) + table.joined_dsp


def layer_bram(table: LayerTable) -> Floats:
    """Blocks of 18 Kbit of each layer (L,): 0 unless many weights share a multiplier."""
    return np.where(table.unrolled, 0.0, shared_multipliers.block_rams(table))


def layer_interval(table: LayerTable) -> Floats:
    """What each layer adds to the cycles from one input of its network to the next (L,).

    The slowest layer sets them, by its reuse factor, so it counts in full (the first of equals) and the others for 0.
    """
    return slowest(table, np.where(table.unrolled, 1.0, table.reuse * table.copies))


def slowest(table: LayerTable, cycles: Floats) -> Floats:
    """Cycles (L,) of the slowest layer of each network, the first of equals, and 0 of the others."""
    rows = np.flatnonzero(cycles == table.largest(cycles)[table.owner])
    _, first = np.unique(table.owner[rows], return_index=True)
    result = np.zeros(len(cycles))
    result[rows[first]] = cycles[rows[first]]
    return result


def activation_lut(table: LayerTable) -> Floats:
    """LUTs of rounding and saturation of each layer (L,): an increment, a clamp per output bit and a range check.

    Where the activation is a table, what is rounded is its input of k bits, and the table has 2^k entries of b bits:
    b * 2^(k - 6) look-up tables of six inputs.
    """
    tabled = np.isin(table.activation, [ACTIVATIONS.index(name) for name in TABLES])
    bits = np.where(tabled, np.minimum(table.activation_bits + TABLE_MARGIN, WIDEST_TABLE), table.activation_bits)
    excess = np.maximum(accumulator_bits(table) - bits, 0.0)
    looked_up = np.where(tabled, table.activation_bits * np.exp2(np.maximum(bits - 6, 0.0)), 0.0)
    per_word = 2 * bits + excess / 5 + looked_up
    return np.where(table.activation_bits > 0, table.copies * table.n_out * per_word, 0.0)


def layer_lut(table: LayerTable) -> Floats:
    """LUTs of each layer (L,).

    Distributed arithmetic: (signed digits of live weights)^0.85 adders of (input bits + half of the weight bits +
    2) bits, 0.55 LUT per bit: most adders sit near the leaves of the tree.
    """
    live_in, live_out = alive_shares(table)
    digits = table.nonzero * live_in * live_out * signed_digits(table.weight_bits)
    adders = digits**SHARING_EXPONENT + table.n_out * live_out
    trees = LUT_PER_ADDER_BIT * adders * (table.in_bits + table.weight_bits / 2 + 2)
    shared = shared_multipliers.lut(table, accumulator_bits(table))
    return np.where(table.unrolled, table.copies * trees, shared) + activation_lut(table) + table.joined_lut


def logic_stages(table: LayerTable) -> Floats:
    """Pipeline stages of each layer's adders and activation as a real number (L,): unit delays over the stage delay.

    With multipliers only the activation is such logic.
    """
    activation = np.where(table.activation_bits > 0, 3.0, 0.0)
    trees = np.where(table.unrolled, 1.5 * tree_depth(table), 0.0)
    return (trees + activation + 1.5 * table.joined_levels) / STAGE_DELAY


def layer_stages(table: LayerTable) -> Floats:
    """Pipeline stages of each layer as a real number (L,), with the exact cycles of multipliers."""
    return logic_stages(table) + np.where(table.unrolled, 0.0, shared_multipliers.cycles(table))


def exact_cycles(table: LayerTable) -> Floats:
    """Clock cycles of each network that no estimate is needed for (n_specs,).

    Those of layers with multipliers, and one for each piece of logic before, between and behind them: it has a register
    more than stages.
    """
    schedules = np.where(table.unrolled, 0.0, shared_multipliers.cycles(table))
    registers: Floats = (_logic_pieces(table) >= 0).sum(axis=1).astype(np.float64)
    return table.total(schedules) + registers


def network_cycles(table: LayerTable) -> Floats:
    """Latency of each network in clock cycles, (n_specs,): pieces of logic in whole stages, and the exact cycles."""
    pieces = _logic_pieces(table)
    stages: Floats = np.where(pieces >= 0, np.maximum(np.rint(pieces), 1.0), 0.0).sum(axis=1)
    return np.maximum(stages + exact_cycles(table), 1.0)


def _logic_pieces(table: LayerTable) -> Floats:
    """Stages of the logic before the first layer with multipliers, behind it, behind the second, and so on.

    (n_specs, layers of the deepest + 1); -1 where there is none.
    """
    pieces = int(table.depth.max(initial=0)) + 1
    multiplied = np.where(table.unrolled, 0, 1)
    behind = np.cumsum(multiplied)  # layers with multipliers so far, of all networks
    start = np.flatnonzero(table.position == 0)
    earlier = (behind[start] - multiplied[start])[table.owner]  # of the networks before
    place = table.owner * pieces + behind - earlier
    size = table.n_specs * pieces
    stages = np.bincount(place, weights=logic_stages(table), minlength=size)
    there = np.bincount(place, weights=table.unrolled | (table.activation_bits > 0), minlength=size) > 0
    return np.where(there, stages, -1.0).reshape(table.n_specs, pieces)


def layer_ff(table: LayerTable) -> Floats:
    """Flip-flops of each layer (L,): what crosses a pipeline register.

    Distributed arithmetic: a register crosses the tree about once per stage; half way up a tree as many partial
    sums are alive as the square root of its terms, per output, of accumulator width. Behind multipliers the activation
    has registers in front and behind.
    """
    bits = accumulator_bits(table)
    alive = table.copies * table.n_out * np.sqrt(np.maximum(terms_per_output(table), 1.0)) * bits
    unrolled = logic_stages(table) * alive / 2
    activation = np.where(table.activation_bits > 0, table.copies * table.n_out * (bits + table.activation_bits), 0.0)
    return np.where(table.unrolled, unrolled, shared_multipliers.ff(table, bits) + activation)
