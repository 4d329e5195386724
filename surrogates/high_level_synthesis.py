"""Closed forms of dense layers that high-level synthesis makes of hls4ml's C++: other hardware than our own Verilog.

Strategy "resource" (here "reuse"): n_in * n_out / R multipliers take R weights each, one after the other, from block
RAM, chosen by counters; sums wait in registers of the width of a word. Strategy "latency" (here
"distributed_arithmetic"), and R = 1: every product by itself, as additions where the constant has few digits and in a
DSP slice where it has many.

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
WORD_LUT, CONTROL_LUT = 2.0, 200.0  # for each bit of the input (chosen by counters), and for the counters
SUM_LUT = 2.8  # for each bit of the sums, which have their own counters
FEW_SUMS, FEW_SUMS_LUT = 2, 8.0  # for each bit of a product that is added to one of so few sums,
MANY_SUMS_LUT = 18.0  # and, beside what all outputs take, to one of more
BESIDE_LUT, BESIDE_FF = 25.0, 5.0  # likewise where products of one sum are computed at the same time
CONTROL_FF = 113.0
SHIFTED_8 = 0.75  # share of 8-bit constants whose products are shifts and additions,
SHIFTED_PER_BIT = 0.655  # and how it falls with each further bit
NARROW_8, NARROW_PER_BIT = 0.53, 0.574  # likewise of products by themselves that cross no register


def multipliers(table: LayerTable) -> Floats:
    """Products that are computed at the same time."""
    return np.ceil(table.weights / table.reuse)


def dsp(table: LayerTable) -> Floats:
    """DSP slices: one for each shared multiplier of wide enough weights, and for constants of many digits."""
    wide = np.where(table.weight_bits >= NARROWEST_IN_DSP, multipliers(table), 0.0)
    return np.where(_shared(table), wide, table.copies * table.nonzero * _in_dsp(table))


def bram_18k(table: LayerTable) -> Floats:
    """Blocks of 18 Kbit: one word of all multipliers' weights per cycle, R words deep."""
    width = np.ones(len(table.reuse))
    for depth, bits in reversed(BLOCK_RAM_WIDTHS):
        width = np.where(table.reuse <= depth, bits, width)
    return np.where(_shared(table), np.ceil(multipliers(table) * table.weight_bits / width) + 1, 0.0)


def interval(table: LayerTable) -> Floats:
    """Cycles from one input to the next: R for each position."""
    return np.where(_shared(table), table.reuse * table.copies, 1.0)


def cycles(table: LayerTable) -> Floats:
    """Clock cycles from input to output: R for each position and two to begin and to end."""
    return np.where(_shared(table), table.reuse * table.copies + 2, 1.0)


def lut(table: LayerTable) -> Floats:
    """LUTs: choice of the input word and of the sum where multipliers are shared, adders for each product elsewhere."""
    outputs = table.reuse / table.n_in  # that take turns at a multiplier
    added = np.where(outputs > FEW_SUMS, table.n_out / 4 + MANY_SUMS_LUT, FEW_SUMS_LUT)
    each = np.where(_beside(table), BESIDE_LUT, added)
    words = WORD_LUT * table.n_in + SUM_LUT * table.n_out + each * multipliers(table)
    chosen = table.in_bits * words + CONTROL_LUT
    digits = table.in_bits + 4 * np.maximum(table.weight_bits - 4, 0)  # bits added for a product of shifts
    in_dsp = _in_dsp(table)
    alone = in_dsp * 1.5 * table.in_bits + (1 - in_dsp) * digits
    return np.where(_shared(table), chosen, table.copies * table.nonzero * alone)


def ff(table: LayerTable) -> Floats:
    """Flip-flops: words of sums and of products; for each product by itself fewer bits, and none if it is narrow."""
    sums, products = table.in_bits * table.n_out, table.copies * table.nonzero
    narrow = np.minimum(NARROW_8 * NARROW_PER_BIT ** (table.weight_bits - 8), 1.0)
    kept = np.where(table.unrolled, np.minimum(0.28 * table.weight_bits, 3.0), 0.56 * table.in_bits * (1 - narrow))
    words = np.where(_beside(table), BESIDE_FF, 1.0) * multipliers(table)
    shared = sums + table.in_bits * words + CONTROL_FF
    return np.where(_shared(table), shared, sums + kept * products)


def stream_ff(table: LayerTable) -> Floats:
    """Flip-flops of an interface that takes word after word: four copies of the input."""
    return 4 * table.in_bits * table.n_in


def stream_cycles(table: LayerTable) -> Floats:
    """Cycles that an interface takes which reads and writes word after word, beside those of the layer."""
    return 5 + table.n_in / 16


def _shared(table: LayerTable) -> NDArray[np.bool_]:
    return ~table.unrolled & (table.reuse > 1)


def _beside(table: LayerTable) -> NDArray[np.bool_]:
    """Reuse factors below n_in: several inputs are multiplied at the same time."""
    return table.reuse < table.n_in


def _in_dsp(table: LayerTable) -> Floats:
    """Share of constants of so many bits whose products take a DSP slice."""
    return np.maximum(1 - SHIFTED_8 * SHIFTED_PER_BIT ** (table.weight_bits - 8), 0.0)
