"""Exact fixed-point arithmetic in numpy, with the semantics of `ap_fixed`, and a layer with weights made of it.

All arithmetic is in float64, which is exact here: no accumulator of a supported network needs more than 53 bits
(`QuantisedDense.accumulator_type` raises otherwise).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, final, get_args

import numpy as np

from evonas.errors import ConfigurationError
from evonas.models import activations

if TYPE_CHECKING:
    from numpy.typing import NDArray

Rounding = Literal["TRN", "TRN_ZERO", "RND", "RND_ZERO", "RND_INF", "RND_MIN_INF", "RND_CONV"]
Overflow = Literal["WRAP", "SAT", "SAT_ZERO", "SAT_SYM"]
ROUNDINGS: tuple[Rounding, ...] = get_args(Rounding)
OVERFLOWS: tuple[Overflow, ...] = get_args(Overflow)
LEAKY_SLOPE = 0.125  # a power of two, so that leaky ReLU is exact in hardware


def _round(x: NDArray[np.float64], mode: Rounding) -> NDArray[np.float64]:
    """Whole numbers near x; by the exact distance to the floor, because x + 0.5 can itself round up."""
    if mode == "RND_CONV":
        return np.asarray(np.rint(x))
    if mode == "TRN_ZERO":
        return np.asarray(np.trunc(x))
    floor = np.floor(x)
    if mode == "TRN":
        return np.asarray(floor)
    distance = x - floor
    if mode == "RND":
        return np.asarray(floor + (distance >= 0.5))
    tie_goes_up = {"RND_MIN_INF": np.False_, "RND_ZERO": x < 0, "RND_INF": x > 0}[mode]
    return np.asarray(floor + ((distance > 0.5) | ((distance == 0.5) & tie_goes_up)))


@final
@dataclass(frozen=True)
class FixedPoint:
    """A type `ap_[u]fixed<width, integer, rounding, overflow>`; `integer` includes the sign bit, as in HLS.

    Rounding: TRN floors, TRN_ZERO cuts towards zero; the others take the nearest value and differ in ties: RND up,
    RND_MIN_INF down, RND_ZERO towards zero, RND_INF away from it, RND_CONV to even. Overflow: WRAP keeps the low
    bits, SAT saturates, SAT_SYM saturates at -high as well, SAT_ZERO gives zero (Vitis HLS user guide UG1399,
    "Arbitrary precision fixed-point data types").
    """

    signed: bool
    width: int
    integer: int
    rounding: Rounding = "TRN"
    overflow: Overflow = "WRAP"

    def __post_init__(self) -> None:
        if not 1 <= self.width <= 53:
            raise ConfigurationError("fixed-point width", self.width, "must lie between 1 and 53 bits")

    @property
    def fraction(self) -> int:
        """Number of fraction bits (may be negative)."""
        return self.width - self.integer

    @property
    def lsb(self) -> float:
        """Value of the least significant bit."""
        return 2.0**-self.fraction

    @property
    def low(self) -> float:
        """Smallest representable value."""
        return -(2.0 ** (self.integer - 1)) if self.signed else 0.0

    @property
    def high(self) -> float:
        """Largest representable value."""
        return 2.0 ** (self.integer - (1 if self.signed else 0)) - self.lsb

    @property
    def kif(self) -> tuple[int, int, int]:
        """(keep negative, integer bits without the sign, fraction bits), the notation of HGQ and alkaid."""
        return int(self.signed), self.integer - int(self.signed), self.fraction

    def codes(self, x: NDArray[np.floating]) -> NDArray[np.int64]:
        """Integer codes of x (any shape): value = code * lsb."""
        return np.asarray(self._codes(x), np.int64)

    def _codes(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        rounded = _round(np.asarray(x, np.float64) * 2.0**self.fraction, self.rounding)
        low, high = self.low / self.lsb, self.high / self.lsb
        if self.overflow == "WRAP":
            codes = np.mod(rounded - low, 2.0**self.width) + low
        elif self.overflow == "SAT_ZERO":
            codes = np.where((rounded < low) | (rounded > high), 0.0, rounded)
        else:
            codes = np.clip(rounded, -high if self.signed and self.overflow == "SAT_SYM" else low, high)
        return np.asarray(codes, np.float64)

    def quantise(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """Nearest representable values of x by this type's rounding and overflow; float64, exact."""
        return np.asarray(self._codes(x) * self.lsb, np.float64)

    def __str__(self) -> str:
        """In hls4ml's notation, for instance `ufixed<6,2,RND,SAT>`."""
        prefix = "fixed" if self.signed else "ufixed"
        return f"{prefix}<{self.width},{self.integer},{self.rounding},{self.overflow}>"

    @classmethod
    def parse(cls, text: str) -> FixedPoint:
        """Read `[ap_][u]fixed<width,integer[,rounding[,overflow]]>`."""
        match = re.fullmatch(r"(?:ap_)?(u?)fixed<(\d+),\s*(-?\d+)(?:,\s*(?:AP_)?(\w+))?(?:,\s*(?:AP_)?(\w+))?>", text)
        rounding, overflow = (match[4] or "TRN", match[5] or "WRAP") if match else ("", "")
        if match is None or rounding not in ROUNDINGS or overflow not in OVERFLOWS:
            raise ConfigurationError("fixed-point type", text, "must look like fixed<8,3,RND,SAT>")
        return cls(not match[1], int(match[2]), int(match[3]), rounding, overflow)

    @classmethod
    def holding(cls, low: float, high: float, fraction: int) -> FixedPoint:
        """Narrowest type with `fraction` fraction bits that holds [low, high] without overflow."""
        signed = low < 0
        integer = int(signed) - fraction
        while True:
            kind = cls(signed, max(integer + fraction, 1), max(integer, 1 - fraction))
            if kind.low <= low and high <= kind.high:
                return kind
            integer += 1


@final
@dataclass(frozen=True, eq=False)
class QuantisedDense:
    """y = cast(activation(x W + b)) with integer codes for weights (n_in, n_out) and biases (n_out,).

    A convolution is the same on the words under its window, `n_in` of them.

    `output_type` None keeps the accumulator at full precision (the last layer). Leaky ReLU multiplies negative
    accumulators by 1/8; hard tanh is the saturating cast itself, to a type whose range is [-1, 1). `table_type` is what
    accumulators are cast to ahead of an activation that is looked up (`evonas.models.activations`); the others have
    none.
    """

    weight_codes: NDArray[np.int64]
    weight_type: FixedPoint
    bias_codes: NDArray[np.int64]
    bias_type: FixedPoint
    activation: str
    output_type: FixedPoint | None
    table_type: FixedPoint | None = None

    @property
    def weight(self) -> NDArray[np.float64]:
        """Weights (n_in, n_out) as real numbers."""
        return np.asarray(self.weight_codes * self.weight_type.lsb, np.float64)

    @property
    def bias(self) -> NDArray[np.float64]:
        """Biases (n_out,) as real numbers."""
        return np.asarray(self.bias_codes * self.bias_type.lsb, np.float64)

    def accumulator_type(self, input_type: FixedPoint) -> FixedPoint:
        """The narrowest type in which no partial sum in any order rounds or overflows."""
        magnitude = max(abs(input_type.low), abs(input_type.high))
        bound = float((np.abs(self.weight).sum(axis=0) * magnitude + np.abs(self.bias)).max(initial=0.0))
        fraction = max(input_type.fraction + self.weight_type.fraction, self.bias_type.fraction)
        mantissa, exponent = math.frexp(bound + 2.0**-fraction)  # exact, where log2 would round
        integer = 1 + max(exponent - (mantissa == 0.5), 1 - fraction)
        if integer + fraction > 53:
            raise ConfigurationError("accumulator width", integer + fraction, "must be at most 53 bits")
        return FixedPoint(True, integer + fraction, integer)

    @cached_property
    def table(self) -> NDArray[np.float64]:
        """Outputs of an activation that is looked up, for the codes of `table_type` in ascending order."""
        assert self.table_type is not None
        assert self.output_type is not None
        return activations.table(self.activation, self.table_type, self.output_type)

    def result_type(self, input_type: FixedPoint) -> FixedPoint:
        """Type of what leaves the layer."""
        return self.output_type or self.accumulator_type(input_type)

    def forward(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Exact outputs (..., n_out) for inputs (..., n_in) that lie on the input type's grid."""
        accumulator = x @ self.weight + self.bias
        if self.table_type is not None:
            return self.table[self.table_type.codes(accumulator) + len(self.table) // 2]
        if self.activation == "relu":
            accumulator = np.maximum(accumulator, 0.0)
        elif self.activation == "leaky_relu":
            accumulator = np.where(accumulator < 0, accumulator * LEAKY_SLOPE, accumulator)
        return accumulator if self.output_type is None else self.output_type.quantise(accumulator)
