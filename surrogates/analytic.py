"""Closed forms for the cost of a network: where they come from and in which unit is said at each of them.

What a fully unrolled layer is in hardware: every weight is a constant, and a constant is a few signed powers of two
(canonical signed digits), so a product is a few shifted copies of the input and a layer is a forest of adders. An
adder of w bits takes about w look-up tables (one per bit, with the carry chain beside it). The constants below that
are called "measured" were fitted once to layers traced by a distributed-arithmetic compiler; a learned residual
(`surrogates.estimators`) corrects what is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from surrogates.table import Floats, LayerTable, layer_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from surrogates.spec import ModelSpec

DSP_PRODUCT_BITS = 9  # yosys maps a product of at least so many bits to a DSP slice, a smaller one to LUTs
SHARING_EXPONENT = 0.85  # measured: adders left after common-subexpression sharing = (adders before) ** exponent
LUT_PER_ADDER_BIT = 0.55  # measured: shifted operands overlap in part, the rest of an adder is wire
STAGE_DELAY = 5.0  # unit delays of an adder that one pipeline stage holds


@final
@dataclass(frozen=True)
class AnalyticCost:
    """Closed-form costs of n networks, each an array of shape (n,).

    `macs`, `bops`, `ebops` in operations; `lut`, `ff`, `dsp` in cells; `latency_cycles` and `initiation_interval`
    in clock cycles.
    """

    macs: Floats
    bops: Floats
    ebops: Floats
    lut: Floats
    ff: Floats
    dsp: Floats
    latency_cycles: Floats
    initiation_interval: Floats


def analytic_costs(specs: Sequence[ModelSpec]) -> AnalyticCost:
    """All closed forms of `specs`. Raises `SpecError` for a network of more than seven layers."""
    return table_costs(layer_table(specs))


def table_costs(table: LayerTable) -> AnalyticCost:
    """All closed forms of the networks of a layer table."""
    return AnalyticCost(
        macs=table.total(table.weights),
        bops=table.total(layer_bops(table)),
        ebops=table.total(layer_ebops(table)),
        lut=table.total(layer_lut(table)),
        ff=table.total(layer_ff(table)),
        dsp=table.total(layer_dsp(table)),
        latency_cycles=network_cycles(table),
        initiation_interval=np.maximum(table.largest(np.where(table.unrolled, 1.0, table.reuse)), 1.0),
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


def layer_bops(table: LayerTable) -> Floats:
    """Bit operations of each layer (L,): m n ((1 - p) a w + a + w + log2 n), m outputs, n inputs, p pruned share.

    Source: Baskin et al., UNIQ (arXiv:1804.10969), with the pruned fraction of Hawks et al. (arXiv:2102.11289).
    """
    a, w = table.in_bits, table.weight_bits
    return table.nonzero * a * w + table.weights * (a + w + np.log2(table.n_in))


def layer_ebops(table: LayerTable) -> Floats:
    """Effective bit operations of each layer (L,): surviving weights x weight bits x input bits.

    Follows the idea of Sun et al., HGQ (arXiv:2405.00645), with the declared width of a weight in place of the span
    of its non-zero bits, which is not known before training.
    """
    return table.nonzero * table.weight_bits * table.in_bits


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


def multipliers(table: LayerTable) -> Floats:
    """Multipliers of each layer under reuse (L,): ceil(weights / reuse factor).

    At reuse factor 1 each weight has its own multiplier and a pruned one has none; above it weights come from a
    memory and a zero occupies its slot like any other.
    """
    return np.where(table.reuse > 1, np.ceil(table.weights / table.reuse), table.nonzero)


def layer_dsp(table: LayerTable) -> Floats:
    """DSP slices of each layer (L,): 0 with distributed arithmetic, else one per multiplier of >= 9 product bits."""
    wide = table.weight_bits + table.in_bits >= DSP_PRODUCT_BITS
    return np.where(~table.unrolled & wide, multipliers(table), 0.0)


def activation_lut(table: LayerTable) -> Floats:
    """LUTs of rounding and saturation of each layer (L,): an increment, a clamp per output bit and a range check."""
    excess = np.maximum(accumulator_bits(table) - table.activation_bits, 0.0)
    per_word = 2 * table.activation_bits + excess / 5
    return np.where(table.activation_bits > 0, table.n_out * per_word, 0.0)


def layer_lut(table: LayerTable) -> Floats:
    """LUTs of each layer (L,).

    Distributed arithmetic: (signed digits of live weights)^0.85 adders of (input bits + half of the weight bits +
    2) bits, 0.55 LUT per bit: most adders sit near the leaves of the tree. Reuse: per multiplier an adder of the
    product's width, a weight memory read by LUTs above reuse 1, and a soft multiplier (weight bits x input bits)
    where the product is too small for a DSP slice.
    """
    live_in, live_out = alive_shares(table)
    digits = table.nonzero * live_in * live_out * signed_digits(table.weight_bits)
    adders = digits**SHARING_EXPONENT + table.n_out * live_out
    trees = LUT_PER_ADDER_BIT * adders * (table.in_bits + table.weight_bits / 2 + 2)
    product = table.weight_bits + table.in_bits
    memory = np.where(table.reuse > 1, table.weight_bits * np.ceil(table.reuse / 64), 0.0)
    soft = np.where(product >= DSP_PRODUCT_BITS, 0.0, table.weight_bits * table.in_bits)
    shared = multipliers(table) * (product + 4 + memory + soft)
    return np.where(table.unrolled, trees, shared) + activation_lut(table)


def layer_stages(table: LayerTable) -> Floats:
    """Pipeline stages of each layer as a real number (L,), unit delays of tree and activation over the stage delay.

    Under reuse a layer takes its reuse factor + 2 cycles (830 of 906 published single-layer syntheses agree).
    """
    delay = 1.5 * tree_depth(table) + np.where(table.activation_bits > 0, 3.0, 0.0)
    return np.where(table.unrolled, delay / STAGE_DELAY, table.reuse + 2)


def network_cycles(table: LayerTable) -> Floats:
    """Latency of each network in clock cycles, (n_specs,): the stages of its layers in sequence, at least 1."""
    return np.maximum(np.ceil(table.total(layer_stages(table))), 1.0)


def layer_ff(table: LayerTable) -> Floats:
    """Flip-flops of each layer (L,): what crosses a pipeline register.

    Distributed arithmetic: a register crosses the tree about once per stage; half way up a tree as many partial
    sums are alive as the square root of its terms, per output, of accumulator width. Reuse: one product register per
    multiplier and above reuse 1 the held inputs and two accumulators per output.
    """
    alive = table.n_out * np.sqrt(np.maximum(terms_per_output(table), 1.0)) * accumulator_bits(table)
    unrolled = layer_stages(table) * alive / 2
    product = table.weight_bits + table.in_bits
    held = np.where(table.reuse > 1, table.n_in * table.in_bits + 2 * table.n_out * accumulator_bits(table), 0.0)
    return np.where(table.unrolled, unrolled, multipliers(table) * product + held)
