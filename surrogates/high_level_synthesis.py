"""Closed forms of dense layers that high-level synthesis makes of hls4ml's C++: other hardware than our own Verilog.

Strategy "resource" (here "reuse"): n_in * n_out / R multipliers take R weights each, one after the other, from block
RAM, chosen by counters; sums wait in registers of the width of a word. Strategy "latency" (here
"distributed_arithmetic"), and R = 1: every product by itself, as additions where the constant has few digits and in a
DSP slice where it has many. At each of several positions, words that are read one after the other ("stream") meet the
same products; else each position has products of its own, or takes its turn at multipliers.

The constants were read off two public sets of single dense layers with words of 16 bits, wa-hls4ml-search (Vitis HLS)
and N-TORC (Vivado HLS, word after word), see `experiments/benchmarks/surrogates`. They give cycles, interval, DSP
slices and block RAM all but exactly, flip-flops within a few per cent, and LUTs within tens of per cent; the learned
residual does the rest. All functions give an array (L,) over the layers of a table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from surrogates.table import Floats, LayerTable

NARROWEST_IN_DSP = 6  # bits of a weight from which on a shared multiplier is a DSP slice
BLOCK_RAM_WIDTHS = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2))  # words in 18 Kbit, bits of each
WORD_LUT, STREAMED_WORD_LUT = 2.0, 3.3  # for each bit of the input, which counters choose from
SUM_LUT = 2.8  # for each bit of the sums, which have counters of their own
BESIDE_LUT, BESIDE_FF = 15.6, 5.0  # for each bit of a product where several of one sum are computed at the same time
CHOICE_LUT = 0.27  # for each bit of a product and each sum that it may be added to,
FEW_SUMS = 2  # if they are more than these
WIDEST_CHOICE = 256  # inputs; with more, sums are addressed otherwise
LONG_TURNS, LONG_WORDS = 256, 6.0  # from so many turns on, words of a register for each turn, if products are beside
CONTROL_LUT, STREAMED_CONTROL_LUT = 4500.0, 200.0
CONTROL_FF = 113.0
STREAMED_TURN, STREAMED_ENDS = 10.0, 2.0  # cycles of a position beside its turns, and positions to begin and to end
SHIFTED_8 = 0.75  # share of 8-bit constants whose products are shifts and additions,
SHIFTED_PER_BIT = 0.655  # and how it falls with each further bit
NARROW_8, NARROW_PER_BIT = 0.53, 0.574  # likewise of products by themselves that cross no register


def multipliers(table: LayerTable) -> Floats:
    """Products that are computed at the same time."""
    return np.ceil(table.weights / table.reuse)


def dsp(table: LayerTable, *, stream: bool = False) -> Floats:
    """DSP slices: one for each shared multiplier of wide enough weights, and for constants of many digits."""
    wide = np.where(table.weight_bits >= NARROWEST_IN_DSP, multipliers(table), 0.0)
    return np.where(_shared(table), wide, _products(table, stream) * _in_dsp(table))


def bram_18k(table: LayerTable) -> Floats:
    """Blocks of 18 Kbit: one word of all multipliers' weights per cycle, R words deep."""
    width = np.ones(len(table.reuse))
    for depth, bits in reversed(BLOCK_RAM_WIDTHS):
        width = np.where(table.reuse <= depth, bits, width)
    return np.where(_shared(table), np.ceil(multipliers(table) * table.weight_bits / width) + 1, 0.0)


def interval(table: LayerTable, *, stream: bool = False) -> Floats:
    """Cycles from one input to the next: R for each position, in a stream with those of `cycles`."""
    turns = table.reuse * table.copies
    if stream:
        turns = np.where(table.copies > 1, _streamed_turns(table), turns)
    return np.where(_shared(table), turns, table.copies if stream else 1.0)


def cycles(table: LayerTable, *, stream: bool = False) -> Floats:
    """Clock cycles from input to output: R for each position and two to begin and to end.

    An interface that reads and writes word after word takes more, for words in groups; with several positions the
    multipliers stand still between them.
    """
    turns = table.reuse * table.copies + 2
    if not stream:
        return np.where(_shared(table), turns, 1.0)
    alone = np.where(_shared(table), turns, table.copies) + 5 + table.n_in / 16
    return np.where(_shared(table) & (table.copies > 1), _streamed_turns(table), alone)


def lut(table: LayerTable, *, stream: bool = False) -> Floats:
    """LUTs: choice of the input word and of the sum where multipliers are shared, adders for each product elsewhere."""
    word, control = (STREAMED_WORD_LUT, STREAMED_CONTROL_LUT) if stream else (WORD_LUT, CONTROL_LUT)
    beside = table.reuse < table.n_in
    sums = np.where(beside, np.minimum(table.reuse, table.n_out), table.reuse / table.n_in)  # of one multiplier
    choice = np.where((sums > FEW_SUMS) & ~(beside & (table.n_in > WIDEST_CHOICE)), CHOICE_LUT * table.n_out, 0.0)
    each = np.where(beside, BESIDE_LUT, 0.0) + choice
    words = word * table.n_in + SUM_LUT * table.n_out + each * multipliers(table) + _turns(table)
    shared = table.in_bits * words + control
    digits = table.in_bits + 4 * np.maximum(table.weight_bits - 4, 0)  # bits added for a product of shifts
    in_dsp = _in_dsp(table)
    alone = in_dsp * 1.5 * table.in_bits + (1 - in_dsp) * digits
    return np.where(_shared(table), shared, _products(table, stream) * alone)


def ff(table: LayerTable, *, stream: bool = False) -> Floats:
    """Flip-flops: words of sums and of products; for each product by itself fewer bits, and none if it is narrow.

    An interface that takes word after word holds four copies of the input.
    """
    sums, products = table.in_bits * table.n_out * (3.4 if stream else 1.0), _products(table, stream)
    narrow = np.minimum(NARROW_8 * NARROW_PER_BIT ** (table.weight_bits - 8), 1.0)
    kept = np.where(table.unrolled, np.minimum(0.28 * table.weight_bits, 3.0), 0.56 * table.in_bits * (1 - narrow))
    words = np.where(table.reuse < table.n_in, BESIDE_FF, 1.0) * multipliers(table) + _turns(table)
    shared = sums + table.in_bits * words + CONTROL_FF
    held = 4 * table.in_bits * table.n_in if stream else 0.0
    return np.where(_shared(table), shared, sums + kept * products) + held


def _shared(table: LayerTable) -> NDArray[np.bool_]:
    return ~table.unrolled & (table.reuse > 1)


def _products(table: LayerTable, stream: bool) -> Floats:
    """Products by themselves, each of a weight that is not zero."""
    return table.nonzero * (1.0 if stream else table.copies)


def _streamed_turns(table: LayerTable) -> Floats:
    """Cycles of several positions at shared multipliers, which a stream brings one after the other."""
    return (table.reuse + STREAMED_TURN) * (table.copies + STREAMED_ENDS)


def _turns(table: LayerTable) -> Floats:
    """Words of registers that count turns, where they are many and several inputs are multiplied at the same time."""
    return np.where((table.reuse >= LONG_TURNS) & (table.reuse < table.n_in), LONG_WORDS * table.reuse, 0.0)


def _in_dsp(table: LayerTable) -> Floats:
    """Share of constants of so many bits whose products take a DSP slice."""
    return np.maximum(1 - SHIFTED_8 * SHIFTED_PER_BIT ** (table.weight_bits - 8), 0.0)
