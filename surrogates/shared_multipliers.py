"""Closed forms of layers that are computed by multipliers in DSP slices, shared between weights or not.

With reuse factor R a layer of n_in x n_out weights has n_in * n_out / R multipliers, in lanes of taps: a lane adds its
products in a tree, accumulates the sums of several positions of its inputs, and computes one group of outputs after the
other. Where a layer is applied at many positions, these come to the same multipliers one after the other. What depends
on the schedule alone is exact (cycles). What depends on which weights are zero is an expectation over weights pruned
and drawn independently of each other (multipliers), exact where nothing is pruned. LUTs and flip-flops count the bits
of adders and registers; their constants were measured once on 24 such layers mapped to cells. All functions give an
array (L,) over the layers of a table, with no meaning where a layer is unrolled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from surrogates.table import Floats, LayerTable

BLOCK_RAM_WORDS = 64  # weights that take turns at a multiplier from which on they are kept in block RAM
BLOCK_RAM_WIDTH = 36  # bits that a block of 18 Kbit gives at once, with up to BLOCK_RAM_DEPTH words
BLOCK_RAM_DEPTH = 512
FIXED_CYCLES = 3  # registers of operands, products and accumulators
CONTROL_CELLS = 30.0  # measured: LUTs and flip-flops of counters and flags
CONSTANT_TREE_LUT = 0.9  # measured: constant weights leave bits of their products and sums unused
CONSTANT_FF = 0.88  # measured: likewise
DELAY_LEVELS = 3  # a delay of so many cycles is a shift register in LUTs
CHOICE = 4  # words of which a LUT of six inputs chooses one bit


def taps(table: LayerTable) -> Floats:
    """Inputs that a lane multiplies in one cycle."""
    return np.maximum(np.floor(table.n_in / table.reuse), 1.0)


def groups(table: LayerTable) -> Floats:
    """Outputs that a lane computes one after the other."""
    return np.maximum(np.floor(table.reuse / table.n_in), 1.0)


def positions(table: LayerTable) -> Floats:
    """Cycles that one output takes."""
    return table.n_in / taps(table)


def tree_levels(table: LayerTable) -> Floats:
    """Registered levels of a lane's adder tree."""
    return np.ceil(np.log2(taps(table)))


def cycles(table: LayerTable) -> Floats:
    """Clock cycles from input to accumulators, exactly: R (none for R = 1), the tree's levels and three registers.

    The last of several positions waits for all others, R cycles each, and for one that holds the input.
    """
    waiting = np.where(table.copies > 1, 1 + (table.copies - 1) * table.reuse, 0.0)
    return waiting + np.where(table.reuse > 1, table.reuse, 0.0) + tree_levels(table) + FIXED_CYCLES


def multipliers(table: LayerTable) -> Floats:
    """Expected multipliers, each one DSP slice: up to 16-bit weights and activations fit its 27 x 18 bits.

    R > 1: n_in * n_out / R, less those that meet nothing but zeros, a share p^R at pruned share p: pruning saves next
    to nothing. R = 1: weights are constants; zeros and powers of two take none, and equal products of one input are
    computed once.
    """
    pruned = 1 - table.nonzero / table.weights
    shared = table.weights / table.reuse * (1 - pruned**table.reuse)
    return np.where(table.reuse > 1, shared, _distinct_products(table, powers_of_two=False))


def block_rams(table: LayerTable) -> Floats:
    """Block RAMs of 18 Kbit: one word of all multipliers' weights per cycle, from `BLOCK_RAM_WORDS` words on."""
    halvings = np.ceil(np.log2(np.maximum(table.reuse / BLOCK_RAM_DEPTH, 1.0)))
    width = np.maximum(np.floor(BLOCK_RAM_WIDTH / 2**halvings), 1.0)
    blocks = np.ceil(multipliers(table) * table.weight_bits / width)
    return np.where(table.reuse >= BLOCK_RAM_WORDS, blocks, 0.0)


def lut(table: LayerTable, accumulator_bits: Floats) -> Floats:
    """LUTs: one for each bit that is added, accumulated, chosen or delayed, and for each different bit of a weight."""
    added, _, delayed = _trees(table)
    shared = table.reuse > 1
    accumulators = np.where(shared, _live_lanes(table) * accumulator_bits, 0.0)
    inputs = taps(table) * table.in_bits * np.ceil((positions(table) - 1) / 3)
    weights = np.where(table.reuse < BLOCK_RAM_WORDS, _weight_registers(table), 0.0)
    trees = (added + delayed) * np.where(shared, 1.0, CONSTANT_TREE_LUT)
    return trees + accumulators + inputs + weights + CONTROL_CELLS + np.where(table.copies > 1, _walk_lut(table), 0.0)


def _walk_lut(table: LayerTable) -> Floats:
    """LUTs that choose the words of one position after the other, of four each, then of four such choices."""
    chosen, block = np.zeros(len(table.copies)), CHOICE
    while block < CHOICE * table.copies.max(initial=0):
        chosen += np.where(block < CHOICE * table.copies, np.ceil(table.copies / block), 0.0)
        block *= CHOICE
    return chosen * table.n_in * table.in_bits + CONTROL_CELLS


def _walk_ff(table: LayerTable, accumulator_bits: Floats) -> Floats:
    """Flip-flops that hold the words of all positions, and the results of all but the last."""
    earlier = (table.copies - 1) * table.n_out * accumulator_bits
    return table.words * table.in_bits + earlier + CONTROL_CELLS


def ff(table: LayerTable, accumulator_bits: Floats) -> Floats:
    """Flip-flops: held inputs, operands, weights, products, trees, accumulators and earlier outputs of a lane."""
    shared = table.reuse > 1
    inputs = taps(table) * table.in_bits + np.where(shared, table.n_in * table.in_bits, 0.0)
    products = np.where(shared, multipliers(table), _distinct_products(table, powers_of_two=True))
    words = products * (table.in_bits + table.weight_bits) + _trees(table)[1]
    outputs = _live_lanes(table) * groups(table) * accumulator_bits
    total = inputs + _weight_registers(table) + words + outputs
    walk = np.where(table.copies > 1, _walk_ff(table, accumulator_bits), 0.0)
    return total * np.where(shared, 1.0, CONSTANT_FF) + CONTROL_CELLS + walk


def _live_terms(table: LayerTable) -> Floats:
    """Expected products, of all lanes together, that are not always zero."""
    return np.where(table.reuse > 1, multipliers(table), table.nonzero)


def _live_lanes(table: LayerTable) -> Floats:
    """Expected lanes with such a product, of those that are computed at the same time."""
    lanes = table.n_out / groups(table)
    share = np.minimum(_live_terms(table) / (lanes * taps(table)), 1.0)
    return lanes * (1 - (1 - share) ** taps(table))


def _distinct_products(table: LayerTable, *, powers_of_two: bool) -> Floats:
    """Different products of constants, over all inputs; those with powers of two are shifts, no multipliers."""
    bits = np.maximum(table.weight_bits - 1, 1)  # without the sign
    magnitudes = 2.0**bits - 1
    values = 2 * (magnitudes if powers_of_two else magnitudes - bits)
    each = table.nonzero / table.weights / (2 * magnitudes)  # probability that a weight has a given value
    return -table.n_in * values * np.expm1(table.n_out * np.log1p(-each))


def _weight_registers(table: LayerTable) -> Floats:
    """Different bits of the weights that the multipliers meet: of R bits in a row there are only 2^R - 2 patterns."""
    bits = multipliers(table) * table.weight_bits
    patterns = 2.0 ** np.clip(table.reuse, 2, 40) - 2
    different = -patterns * np.expm1(bits * np.log1p(-1 / patterns))
    return np.where(table.reuse > 1, different, 0.0)


def _trees(table: LayerTable) -> tuple[Floats, Floats, Floats]:
    """Bits of all adder trees: added, in registers behind additions, and in delays of lone terms made of LUTs.

    A sum has a bit more than its terms, which takes no LUT of its own. A term that is alone in its lane waits for the
    tree's other levels, in a shift register if those are several.
    """
    product, levels, lanes = table.in_bits + table.weight_bits, tree_levels(table), np.maximum(_live_lanes(table), 1e-9)
    terms = np.maximum(_live_terms(table) / lanes, 1.0)  # of a lane that has any
    added, registers, delayed = (np.zeros(len(terms)) for _ in range(3))
    for level in range(1, int(levels.max(initial=0)) + 1):
        there, left = level <= levels, np.maximum(terms / 2, 1.0)
        alone = terms == 1
        waits = levels - level + 1 >= DELAY_LEVELS
        added += np.where(there, (terms - left) * (product + level - 1), 0.0)
        registers += np.where(there & ~(alone & waits), left * (product + level), 0.0)
        delayed = np.where(there & alone & waits & (delayed == 0), product + level, delayed)
        terms = left
    return added * lanes, registers * lanes, delayed * lanes
