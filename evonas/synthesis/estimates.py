"""LUTs and flip-flops of a design before synthesis, from its very operations: no technology mapping, milliseconds.

In a mapped design almost every LUT computes one bit of an adder, of a selection or of a table, so those bits are
counted, and of those only what some output depends on. Adding a constant, negating and comparing with a constant are
carry chains without LUTs. `experiments/benchmarks/synthesis/fit_estimates.py` makes the coefficients again and says
how far the estimates are from logic synthesis.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from surrogates.joining import product_cells

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from evonas.synthesis.rtl import SharedDense

    Bits = tuple[int, int]  # the lowest and one above the highest; a bit counts 2**position

# LUTs for each bit of `LogicBits`; a sum's one, and what narrow constant adders take besides.
SUM_LUT = 1.07
BORROW_LUT = 0.49  # the carry from below takes a LUT more where it is not merged into what reads the difference
SELECTION_LUT = 0.95
FLIP_FLOPS_PER_REGISTER_BIT = 0.94  # equal and constant register bits are merged and dropped

# Flip-flops for each register bit of a shared layer.
MERGED_FF = 0.75  # of weights, sums and accumulators
CONTROL_FF = 16.0  # the counters and flags of a layer with a reuse factor
DELAY_CYCLES = 3  # a delay of so many is a shift register in one LUT per bit, without flip-flops
MEMORY_WORDS = 64  # of one bit in a LUT
SELECT_WORDS = 3  # that a LUT adds to a choice

# opcodes
INPUT, NEGATION, SUM, DIFFERENCE, RECTIFY, WRAP, ADD_CONSTANT, CONSTANT, SELECT = -1, -2, 0, 1, 2, 3, 4, 5, 6
PRODUCT = 7


@final
@dataclass(frozen=True)
class LogicBits:
    """What logic made of adders consists of, in bits that some output depends on.

    `sums` are adder bits at which both operands vary; `borrows` are those of them where the difference also takes a
    carry from bits that only the subtrahend has; `selections` are bits chosen from two words or set to zero; `tables`
    are LUTs of truth tables and other functions, as the arithmetic compiler counts them, and of small products of two
    variables; `dsp` are the large ones, which take a DSP slice each (`surrogates.joining.product_cells`).
    """

    sums: int
    borrows: int
    selections: int
    tables: float
    dsp: int = 0

    @property
    def lut(self) -> float:
        """Estimated LUTs."""
        return SUM_LUT * self.sums + BORROW_LUT * self.borrows + SELECTION_LUT * self.selections + self.tables


def logic_bits(logic: Any) -> LogicBits:
    """Count the bits of alkaid's combinational logic, from its outputs back to its inputs."""
    return _counted(logic, _Needs(logic.ops, logic.out_idxs))


def logic_bits_of(logic: Any, wanted: Sequence[Bits]) -> tuple[LogicBits, dict[int, Bits]]:
    """Count only what the `wanted` bits of each output depend on; and the bits of each input that they depend on."""
    needs = _Needs(logic.ops, ())
    for index, shift, negative, (low, high) in zip(
        logic.out_idxs, logic.out_shifts, logic.out_negs, wanted, strict=True
    ):
        if index >= 0:
            bottom = needs.words[index][0] if negative else low - shift  # a carry comes from the last bit on
            needs.need(index, min(bottom, low - shift), high - shift)
    found = _counted(logic, needs)
    inputs = {op.data[0]: bits for op, bits in zip(logic.ops, needs.bits, strict=True) if op.opcode == INPUT}
    return found, inputs


def _counted(logic: Any, needs: _Needs) -> LogicBits:
    sums = borrows = selections = dsp = 0
    tables = 0.0
    for index in range(len(logic.ops) - 1, -1, -1):
        op, (low, high) = logic.ops[index], needs.bits[index]
        if low >= high:
            continue
        if op.opcode in (SUM, DIFFERENCE):
            bits, borrow = needs.add(op, low, high)
            sums += bits
            borrows += bits * borrow
        elif op.opcode == SELECT or (op.opcode == RECTIFY and needs.signed[op.addr[0]]):
            selections += high - low
            needs.select(op, low, high)
        elif op.opcode in (RECTIFY, WRAP):
            shift = op.data[0] if op.opcode == WRAP else 0
            needs.need(op.addr[0], low - shift, high - shift)
        elif op.opcode == ADD_CONSTANT:
            value, fraction = op.data
            needs.need(op.addr[0], min(low, (value & -value).bit_length() - 1 - fraction), high)
        elif op.opcode == NEGATION:
            needs.need(op.addr[0], needs.words[op.addr[0]][0], high)
        elif op.opcode == PRODUCT:
            lut, slices = product_cells(*(needs.words[word][1] - needs.words[word][0] for word in op.addr))
            tables += lut
            dsp += int(slices)
            needs.need_all(op.addr)
        elif op.opcode not in (INPUT, CONSTANT):
            tables += op.cost
            needs.need_all(op.addr)
    return LogicBits(sums, borrows, selections, tables, dsp)


class _Needs:
    """For each word the range of bits (lowest, one above the highest) that is needed; a bit counts 2**position."""

    def __init__(self, ops: list[Any], outputs: Iterable[int]) -> None:
        kifs = [op.qint.kif for op in ops]
        self.words = [(-int(fraction), int(sign) + int(integer)) for sign, integer, fraction in kifs]
        self.signed = [bool(op.qint.min < 0) for op in ops]
        self.bits = [(top, bottom) for bottom, top in self.words]  # empty
        self.need_all(index for index in outputs if index >= 0)

    def need(self, index: int, low: int, high: int) -> None:
        """Somebody reads the bits from `low` up to `high`; what lies above the word is its sign."""
        if low >= high:
            return
        bottom, top = self.words[index]
        before = self.bits[index]
        self.bits[index] = min(before[0], max(min(low, top - 1), bottom)), max(before[1], min(high, top))

    def need_all(self, indices: Iterable[int]) -> None:
        """Somebody reads these words."""
        for index in indices:
            self.need(index, *self.words[index])

    def add(self, op: Any, low: int, high: int) -> tuple[int, bool]:
        """Bits of an adder at which both operands vary, and whether it takes a borrow; marks what it reads.

        Below the first bit of either operand the other one passes, and above an operand without a sign too. The sum's
        leading bit, above both operands, is computed from the same two signs as the bit below it.
        """
        (first, second), shift = op.addr, op.data[0]
        (bottom, top), (other_bottom, other_top) = self.words[first], self.words[second]
        other_bottom, other_top = other_bottom + shift, other_top + shift
        start, end = max(bottom, other_bottom), min(high, max(top, other_top))
        end = end if self.signed[first] else min(end, top)
        end = end if self.signed[second] else min(end, other_top)
        borrow = op.opcode == DIFFERENCE and other_bottom < bottom
        self.need(first, min(low, start), high)
        self.need(second, (other_bottom if borrow else min(low, start)) - shift, high - shift)
        return max(end - start, 0), borrow

    def select(self, op: Any, low: int, high: int) -> None:
        """Mark what a selection reads: two words and the leading bit of a third; or one word and its own sign."""
        self.need(op.addr[0], low, high)
        key = op.addr[-1]
        self.need(key, self.words[key][1] - 1, self.words[key][1])
        if op.opcode == SELECT:
            self.need(op.addr[1], low - op.data[0], high - op.data[0])


def logic_ff(register_bits: int) -> float:
    """Estimated flip-flops of pipelined logic."""
    return FLIP_FLOPS_PER_REGISTER_BIT * register_bits


@final
@dataclass(frozen=True)
class DenseBits:
    """What a layer with shared multipliers consists of besides them, in bits.

    A LUT each: `additions` and `delays` of its adder trees, `accumulators`, `choices` of an input from several, and
    `weights` as they differ between cycles. Registers: `kept` are held inputs, products and earlier outputs; `merged`
    are weights, sums and accumulators, of which synthesis saves a part. `shared` is whether there is a reuse factor.
    """

    additions: int
    delays: int
    accumulators: int
    choices: int
    weights: int
    kept: int
    merged: int
    shared: bool

    @property
    def lut(self) -> float:
        """Estimated LUTs, in the form of `surrogates.shared_multipliers.lut`."""
        return float(self.additions + self.delays + self.accumulators + self.choices + self.weights)

    @property
    def ff(self) -> float:
        """Estimated flip-flops, in the form of `surrogates.shared_multipliers.ff`."""
        return self.kept + MERGED_FF * self.merged + CONTROL_FF * self.shared


def dense_bits(layer: SharedDense) -> DenseBits:
    """Count the bits of a shared layer."""
    plan, trees, weights = layer.schedule, _trees(layer), _weight_bits(layer)
    lanes, taps = int(layer.live.any(axis=1).sum()), np.flatnonzero(layer.live.any(axis=0)).tolist()
    held = sum(layer.inputs.widths[position * plan.taps + tap] for tap in taps for position in range(plan.positions))
    shared, width = layer.reuse_factor > 1, layer.accumulator.width
    return DenseBits(
        additions=trees.additions,
        delays=trees.delays,
        accumulators=shared * lanes * width,
        choices=len(taps) * layer.operands.widths[0] * math.ceil((plan.positions - 1) / SELECT_WORDS),
        weights=_memory_lut(layer, weights),
        kept=shared * held + trees.products + lanes * (plan.groups - 1) * width,
        merged=trees.registers + lanes * width + len(weights),
        shared=shared,
    )


def dense_lut(layer: SharedDense) -> float:
    """LUTs of a shared layer."""
    return dense_bits(layer).lut


def dense_ff(layer: SharedDense) -> float:
    """Flip-flops of a shared layer."""
    return dense_bits(layer).ff


@final
@dataclass
class _Trees:
    """Bits of adder trees: added, in registers of products and of sums, and in delays that are shift registers."""

    additions: int = 0
    products: int = 0
    registers: int = 0
    delays: int = 0

    def wait(self, bits: int, cycles: int) -> None:
        """A word was delayed for so many cycles."""
        if cycles < DELAY_CYCLES:
            self.registers += bits * cycles
        else:
            self.delays += bits


def _trees(layer: SharedDense) -> _Trees:
    """The adder trees of all lanes. Terms are bits from `low` up to `high`, and the cycles that they have waited."""
    trees, widest = _Trees(), layer.product_fraction - layer.accumulator.fraction + layer.accumulator.width
    levels, products = layer.schedule.tree_levels, _products(layer)
    for codes, live, shifted in zip(layer.codes[:, :, 0], layer.live, layer.shifted, strict=True):
        terms = []
        for code, alone in zip(codes[live].tolist(), shifted[live].tolist(), strict=True):
            low, high = products[code]
            trees.products += 0 if alone else high - low
            terms.append((low, high, int(alone)))
        for _ in range(levels):
            terms = [_sum(trees, terms[index : index + 2], widest) for index in range(0, len(terms), 2)]
        for low, high, age in terms:
            trees.wait(min(high, widest) - low, age)
    return trees


def _sum(trees: _Trees, terms: list[tuple[int, int, int]], widest: int) -> tuple[int, int, int]:
    """The sum of two terms, or one term a cycle later."""
    if len(terms) == 1:
        low, high, age = terms[0]
        return low, high, age + 1
    (low, high, age), (other_low, other_high, other_age) = terms
    trees.wait(high - low, age)
    trees.wait(other_high - other_low, other_age)
    top = max(high, other_high)  # the bit above it comes from the same two signs
    trees.additions += max(min(top, widest) - max(low, other_low), 0)
    return min(low, other_low), min(top + 1, widest), 1


def _products(layer: SharedDense) -> dict[int, tuple[int, int]]:
    """For each first weight code the lowest bit of a product and one above its highest; R = 1 makes it a constant."""
    left, right = layer.product_widths
    cut = min(layer.product_fraction - layer.accumulator.fraction, left + right - 1)  # below the accumulator's last bit
    if layer.reuse_factor > 1:
        return dict.fromkeys(np.unique(layer.codes[:, :, 0]).tolist(), (max(cut, 0), left + right))
    found = {}
    for code in np.unique(layer.codes).tolist():
        low, high = (code & -code).bit_length() - 1, left + min(right, abs(code).bit_length() + 1)
        found[code] = max(low, min(cut, high - 1)), high
    return found


def _weight_bits(layer: SharedDense) -> NDArray[np.int64]:
    """Bits of weights that change between cycles (n, R)."""
    if layer.reuse_factor == 1:
        return np.empty((0, 1), np.int64)
    places = np.arange(layer.weight_type.width)[:, None]
    bits = (layer.codes[layer.live][:, None, :] >> places & 1).reshape(-1, layer.reuse_factor)
    return bits[bits.any(axis=1) & ~bits.all(axis=1)]


def _memory_lut(layer: SharedDense, bits: NDArray[np.int64]) -> int:
    """LUTs of the weights' memory: equal bits share one, or one for each 64 cycles."""
    if layer.storage == "block":
        return 0
    return len(np.unique(bits, axis=0)) * math.ceil(layer.reuse_factor / MEMORY_WORDS)
