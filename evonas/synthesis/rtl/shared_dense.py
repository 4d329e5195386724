"""A dense layer whose multipliers are shared: each computes one product per clock cycle, one after the other."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, final

import numpy as np

from evonas.errors import ConfigurationError, FailureKind, ToolError
from evonas.synthesis.graph import Port
from evonas.synthesis.rtl.schedule import DenseSchedule
from surrogates.reuse import legal_reuse_factors, nearest_legal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from evonas.models.fixed_point import FixedPoint

Storage = Literal["distributed", "block"]
EXACT_BITS = 53  # of float64: wider products are not bounded
PRODUCT_BITS = 9  # yosys makes no DSP of a narrower product of unsigned numbers


@final
@dataclass(frozen=True, eq=False)
class SharedDense:
    """x W + b as a Verilog module `name`, exact in every bit of hls4ml's arithmetic.

    `weight` (n_in, n_out) and `bias` (n_out,) are real numbers, the weights on the grid of `weight_type`. The sum
    starts from the bias cast to `accumulator`; each product is cast to it on its own (cut off below its last bit),
    and every sum wraps. The words that leave have the type `accumulator`. A new input may come every `reuse_factor`
    clock cycles. The weights are in LUTs (`storage` "distributed") or block RAM ("block").

    Raises `ConfigurationError` for what does not fit together, a reuse factor that is not legal included, and
    `ToolError` (UNSUPPORTED) where the accumulator would round other than by cutting off, or might saturate.
    """

    name: str
    inputs: Port
    weight: NDArray[np.float64]
    weight_type: FixedPoint
    bias: NDArray[np.float64]
    accumulator: FixedPoint
    reuse_factor: int = 1
    storage: Storage = "distributed"

    def __post_init__(self) -> None:
        words, shape = len(self.inputs.widths), self.weight.shape
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", self.name):
            raise ConfigurationError("name", self.name, "must be a Verilog identifier")
        if len(shape) != 2 or shape[0] != words or not self.weight.size:
            raise self._wrong("weight.shape", shape, f"must be ({words}, n_out): one row for each input word")
        if not any(self.inputs.widths):
            raise self._wrong("inputs", self.inputs, "no word has any bits")
        if self.bias.shape != shape[1:]:
            raise self._wrong("bias.shape", self.bias.shape, f"must be {shape[1:]}")
        if not np.array_equal(self.weight_type.quantise(self.weight), self.weight):
            raise self._wrong("weight_type", str(self.weight_type), "must hold every weight")
        if self.storage not in ("distributed", "block"):
            raise self._wrong("storage", self.storage, "must be distributed or block")
        if self.reuse_factor not in legal_reuse_factors(*shape):
            nearest = nearest_legal(self.reuse_factor, *shape)
            raise self._wrong("reuse_factor", self.reuse_factor, f"is not legal for {shape}; the nearest is {nearest}")
        self._check_accumulator()

    def _wrong(self, field: str, value: object, mend: str) -> ConfigurationError:
        return ConfigurationError(f"{self.name}: {field}", value, mend)

    @property
    def schedule(self) -> DenseSchedule:
        """Which multiplier does what when."""
        return DenseSchedule(self.weight.shape[0], self.weight.shape[1], self.reuse_factor)

    @property
    def outputs(self) -> Port:
        """The accumulators, one word per output."""
        signed, integer, fraction = self.accumulator.kif
        n_out = self.weight.shape[1]
        return Port((bool(signed),) * n_out, (integer,) * n_out, (fraction,) * n_out)

    @property
    def initiation_interval(self) -> int:
        """Clock cycles from one input to the next: the reuse factor."""
        return self.reuse_factor

    @property
    def latency_cycles(self) -> int:
        """Clock edges from the one that takes the input, counted, to the one after which the result stands."""
        return self.schedule.latency_cycles

    @property
    def multipliers(self) -> int:
        """Multipliers that synthesis makes of the Verilog: n_in * n_out / R, less those that only ever meet zeros.

        With R = 1 weights are constants: those of the form +-2^n take no multiplier, equal products of one input are
        one, as synthesis merges them, and narrow products of two numbers without signs are made of LUTs.
        """
        return int(self.tap_multipliers.sum())

    @property
    def tap_multipliers(self) -> NDArray[np.int64]:
        """Multipliers at each tap."""
        used = self.live & ~self.shifted
        if self.reuse_factor > 1:
            return np.asarray(used.sum(axis=0))
        codes = (np.unique(self.codes[used[:, tap], tap, 0]).tolist() for tap in range(used.shape[1]))
        return np.array([sum(not self._narrow(code) for code in tap) for tap in codes])

    def _narrow(self, code: int) -> bool:
        """Whether a product with this constant, without trailing zeros, has too few bits for a DSP."""
        if code < 0 or self.operands.signed[0]:
            return False
        significant = code // (code & -code)
        return self.operands.widths[0] + significant.bit_length() < PRODUCT_BITS

    @property
    def memory_bits(self) -> int:
        """Bits of the memory that holds the weights; 0 for R = 1, where they are constants."""
        return 0 if self.reuse_factor == 1 else self.reuse_factor * int(self.live.sum()) * self.weight_type.width

    @property
    def operands(self) -> Port:
        """The type that all input words are brought to, as a port of as many words."""
        port = self.inputs
        used = [word for word, width in enumerate(port.widths) if width]
        signed = any(port.signed[word] for word in used)
        integer = max(port.integer[word] for word in used)
        fraction = max(port.fraction[word] for word in used)
        n_in = len(port.widths)
        return Port((signed,) * n_in, (integer,) * n_in, (fraction,) * n_in)

    @property
    def product_widths(self) -> tuple[int, int]:
        """Bits of the two operands of each multiplier, both signed: an input, a weight."""
        kind = self.weight_type
        return self.operands.widths[0] + (not self.operands.signed[0]), kind.width + (not kind.signed)

    @property
    def product_fraction(self) -> int:
        """Fraction bits of a product before it is cast."""
        return self.operands.fraction[0] + self.weight_type.fraction

    @cached_property
    def codes(self) -> NDArray[np.int64]:
        """Weight codes (lane, tap, cycle): what each multiplier meets."""
        present = np.array(self.inputs.widths)[:, None] > 0  # a word of no bits is zero, whatever its weight
        return self.schedule.arrange(np.where(present, self.weight_type.codes(self.weight), 0))

    @cached_property
    def live(self) -> NDArray[np.bool_]:
        """Of each lane and tap: whether it ever meets a weight that is not zero."""
        return np.asarray(np.any(self.codes != 0, axis=2))

    @cached_property
    def shifted(self) -> NDArray[np.bool_]:
        """Of each lane and tap: whether its only weight is a power of two but for the sign."""
        magnitude = np.abs(self.codes[:, :, 0])
        return np.asarray(self.live & (self.reuse_factor == 1) & (magnitude & (magnitude - 1) == 0))

    def _check_accumulator(self) -> None:
        """Raise `ToolError` (UNSUPPORTED) unless cutting off and wrapping is what the accumulator does."""
        kind = self.accumulator
        if kind.rounding != "TRN" and self.product_fraction > kind.fraction:
            message = f"{self.name}: shared multipliers cannot round products to {kind}, only cut them off (TRN)"
            raise ToolError(FailureKind.UNSUPPORTED, message)
        if kind.overflow != "WRAP" and not self._fits():
            message = f"{self.name}: the accumulator {kind} might overflow, and shared multipliers can only WRAP"
            raise ToolError(FailureKind.UNSUPPORTED, message)

    def _fits(self) -> bool:
        """Whether no product and no partial sum, in any order, can leave the accumulator's range."""
        if sum(self.product_widths) > EXACT_BITS:
            return False
        kind = self.accumulator
        low, high = (end[:, None] * self.weight for end in _range(self.inputs))
        least = np.floor(np.minimum(low, high) / kind.lsb) * kind.lsb  # cutting off keeps the order of products
        most = np.floor(np.maximum(low, high) / kind.lsb) * kind.lsb
        start = kind.quantise(self.bias)
        lowest = min(least.min(), (start + np.minimum(least, 0.0).sum(axis=0)).min())
        highest = max(most.max(), (start + np.maximum(most, 0.0).sum(axis=0)).max())
        return bool(kind.low <= lowest and highest <= kind.high)


def _range(port: Port) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Smallest and largest value of each word."""
    used = np.array(port.widths) > 0
    top = np.where(used, np.exp2(np.array(port.integer, np.float64)), 0.0)
    lsb = np.exp2(-np.array(port.fraction, np.float64))
    return np.where(port.signed, -top, 0.0), np.where(used, top - lsb, 0.0)
