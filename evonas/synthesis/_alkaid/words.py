"""One word of a circuit, and what can be done with it: adders, selections, products, truth tables.

alkaid keeps the interval of each variable as an affine form over earlier variables, and three of its short cuts give
wrong bits without an error. So nothing here relies on them: every cut of bits and every selection is made directly
with its exact interval, the key of a selection always has a sign bit that is a sign (or is one bit), and `settled`
forgets the affine form before its coefficients outgrow the single precision in which alkaid finds their last bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, final

import numpy as np
from alkaid.trace import FVArray, HWConfig
from alkaid.trace.fixed_variable import FVariable

from evonas.errors import FailureKind, ToolError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from evonas.models.fixed_point import FixedPoint

HARDWARE = HWConfig(1, 1, -1)  # (1, -1, -1) makes products of two variables fail
SOLVER = {"hard_dc": 2}  # levels of adders that a shared sub-expression may add to the shortest tree
CONSTANT_BITS = 24  # alkaid finds the least significant bit of a constant in single precision
WORD_BITS = 53  # beyond, neither float64 bounds nor the interpreter are exact
TABLE_BITS = 31  # a table's words are 32-bit integers


def unsupported(message: str) -> ToolError:
    """The error of what cannot become logic."""
    return ToolError(FailureKind.UNSUPPORTED, message)


def check_constant(*values: float) -> None:
    """Raise `ToolError` (UNSUPPORTED) for a constant that alkaid would silently change."""
    for value in values:
        if float(np.float32(value)) != value:
            raise unsupported(f"the constant {value!r} needs more than {CONSTANT_BITS} significant bits")


def last_bit(value: float) -> float:
    """The value of the least significant bit; infinite for 0."""
    if value == 0:
        return math.inf
    numerator, denominator = abs(value).as_integer_ratio()
    return (numerator & -numerator) / denominator


@final
@dataclass(frozen=True, eq=False)
class Word:
    """The number `variable + offset`; a constant if there is no variable."""

    variable: FVariable | None
    offset: float = 0.0

    @property
    def low(self) -> float:
        """Smallest value."""
        return self.offset if self.variable is None else float(self.variable.low) + self.offset

    @property
    def high(self) -> float:
        """Largest value."""
        return self.offset if self.variable is None else float(self.variable.high) + self.offset

    @property
    def step(self) -> float:
        """All values are multiples of this power of two."""
        own = math.inf if self.variable is None else float(self.variable.step)
        return min(own, last_bit(self.offset))

    @property
    def count(self) -> int:
        """Number of values on the grid between `low` and `high`."""
        return 1 if self.variable is None else round((self.high - self.low) / self.step) + 1

    def __neg__(self) -> Word:
        return self.times(-1.0)

    def __add__(self, other: Word) -> Word:
        offset = self.offset + other.offset
        if self.variable is None or other.variable is None:
            return Word(other.variable if self.variable is None else self.variable, offset)
        return made(self.variable + other.variable, offset)

    def __sub__(self, other: Word) -> Word:
        return self + -other

    def plus(self, constant: float) -> Word:
        """The word plus a constant, not yet an adder."""
        return replace(self, offset=self.offset + constant)

    def times(self, power: float) -> Word:
        """The word times plus or minus a power of two: wires, and a negation that the next adder takes in."""
        return Word(None if self.variable is None else self.variable * power, self.offset * power)

    def settled(self) -> Word:
        """The same word as one variable without an offset, whose interval depends on no other variable."""
        if self.variable is None or (self.offset == 0 and _is_independent(self.variable)):
            return self
        variable = self.whole()
        return field(variable, float(variable.low), float(variable.high), float(variable.step))

    def whole(self) -> FVariable:
        """The word as one variable, an adder if there is an offset."""
        assert self.variable is not None
        check_constant(self.offset)
        variable = self.variable + self.offset if self.offset else self.variable
        affine = variable._affine
        check_constant(affine.bias, *affine.coeffs.values())
        if max(abs(variable.low), abs(variable.high)) >= 2.0**WORD_BITS * variable.step:
            raise unsupported(f"a word needs more than {WORD_BITS} bits")
        return variable


def made(variable: FVariable, offset: float = 0.0) -> Word:
    """A word that alkaid made: recognises what became constant on the way."""
    if variable.low == variable.high:
        return Word(None, float(variable.low) + offset)
    return Word(variable, offset)


def _is_independent(variable: FVariable) -> bool:
    affine = variable._affine
    return (
        affine.bias == 0  # else it is an adder, with which a later constant would merge
        and len(affine.coeffs) == 1
        and all(math.frexp(abs(coefficient))[0] == 0.5 for coefficient in affine.coeffs.values())
    )


def constant(value: float) -> FVariable:
    """alkaid's form of a constant. Raises `ToolError` (UNSUPPORTED)."""
    check_constant(value)
    return FVariable.from_const(value, HARDWARE)


def array(words: Sequence[Word]) -> FVArray:
    """alkaid's form of a vector of settled words."""
    objects = np.empty(len(words), dtype=object)
    objects[:] = [word.variable for word in words]
    return FVArray(objects, SOLVER, HARDWARE)


def entering(kind: FixedPoint) -> Word:
    """A word that comes from outside, of this type."""
    return Word(FVariable(kind.low, kind.high, kind.lsb, hwconf=HARDWARE, opr="new"))


@final
class Range(NamedTuple):
    """What is known of a word from outside: all values from `low` to `high` in steps of `step`, and when it comes.

    `latency` is that of the logic before it, in alkaid's unit.
    """

    low: float
    high: float
    step: float
    latency: float = 0.0

    @classmethod
    def of_type(cls, kind: FixedPoint) -> Range:
        """All values of a type."""
        return cls(kind.low, kind.high, kind.lsb)

    @classmethod
    def of(cls, word: Word) -> Range:
        """The range of a settled word."""
        if word.variable is None:
            return cls(word.offset, word.offset, 1.0)
        return cls(word.low, word.high, word.step, float(word.variable.latency))


def spanning(span: Range) -> Word:
    """A word that comes from outside, of this range; a constant if there is but one value."""
    low, high, step, latency = span
    if low == high:
        return Word(None, low)
    return Word(FVariable(low, high, step, latency=latency, hwconf=HARDWARE, opr="new"))


def field(variable: FVariable, low: float, high: float, step: float) -> Word:
    """The bits of `variable` that make a word of this interval: what is below `step` or above is dropped."""
    step = max(step, float(variable.step))  # there is nothing below the last bit
    low, high = math.ceil(low / step) * step, math.floor(high / step) * step
    if variable.low >= 0:  # no sign to extend: there is nothing above the highest bit
        high = min(high, math.floor(variable.high / step) * step)
    if low >= high:
        return Word(None, low)
    return made(FVariable(low, high, step, _from=(variable,), _factor=1.0, opr="wrap", hwconf=HARDWARE))


def _select(key: FVariable, first: Word, second: Word, low: float, high: float) -> Word:
    """`first` where the leading bit of `key` is set; `low` and `high` bound the result."""
    operands = [constant(w.offset) if w.variable is None else w.whole() for w in (first, second)]
    factors = [abs(v._factor) for v, w in zip(operands, (first, second), strict=True) if w.variable is not None]
    for index, word in enumerate((first, second)):
        if word.variable is None:  # a constant counts in units of the variable that it stands beside
            operands[index] = operands[index]._with(_factor=(factors or [1.0])[0])
    step = min(first.step, second.step)
    return made(
        FVariable(
            low, high, step, _from=(key, *operands), _factor=abs(operands[0]._factor), opr="msb_mux", hwconf=HARDWARE
        )
    )


def where_negative(key: Word, first: Word, second: Word, low: float = -math.inf, high: float = math.inf) -> Word:
    """`first` where `key` is negative, else `second`; `low` and `high` are known bounds of the result."""
    if key.low >= 0 or key.high < 0:
        return second if key.low >= 0 else first
    step = min(first.step, second.step)
    low = math.ceil(max(low, min(first.low, second.low)) / step) * step
    high = math.floor(min(high, max(first.high, second.high)) / step) * step
    return Word(None, low) if low == high else _select(key.whole(), first, second, low, high)


def is_negative(x: Word) -> Word:
    """1 where x is negative, else 0."""
    if x.low >= 0 or x.high < 0:
        return Word(None, float(x.high < 0))
    variable = x.whole()
    sign = 2.0 ** int(variable.kif[1])
    return field(variable, 0.0, sign, sign).times(1 / sign)


def both(first: Word, second: Word) -> Word:
    """The smaller of two words that are 0 or 1."""
    for one, other in ((first, second), (second, first)):
        if one.variable is None:
            return other if one.offset else one
    one_bit, other_bit = first.settled().variable, second.settled().variable
    assert one_bit is not None
    return made(one_bit & other_bit)


def any_bit(x: Word) -> Word:
    """1 where x is not 0, else 0."""
    if x.count == 2 and x.low == 0:
        return x.times(1 / x.high)
    return x if x.variable is None else made(x.variable.unary_bit_op("any"))


def opposite(bit: Word) -> Word:
    """1 - x for a word that is 0 or 1."""
    return (-bit).plus(1.0).settled()


def maximum(first: Word, second: Word) -> Word:
    """The larger of two words."""
    low, high = max(first.low, second.low), max(first.high, second.high)
    return where_negative(first - second, second, first, low, high)


def minimum(first: Word, second: Word) -> Word:
    """The smaller of two words."""
    low, high = min(first.low, second.low), min(first.high, second.high)
    return where_negative(first - second, first, second, low, high)


def clipped(x: Word, low: float, high: float) -> Word:
    """x where it lies between two constants, else the nearer one."""
    if x.low < low:
        x = maximum(x.settled(), Word(None, low))
    return minimum(x.settled(), Word(None, high)) if x.high > high else x


def rectified(x: Word) -> Word:
    """x where it is positive, else 0."""
    if x.low >= 0 or x.high <= 0:
        return x if x.low >= 0 else Word(None)
    return made(x.whole().relu())


def product(first: Word, second: Word) -> Word:
    """The product of two variable words."""
    one, other = first.settled().variable, second.settled().variable
    assert one is not None
    assert other is not None
    return made(one * other).settled()


def total(words: Sequence[Word]) -> Word:
    """The sum, by a balanced tree of adders."""
    layer = [word for word in words if word.variable is not None] or [Word(None)]
    while len(layer) > 1:
        pairs = [layer[i] + layer[i + 1] for i in range(0, len(layer) - 1, 2)]
        layer = pairs + layer[2 * len(pairs) :]
    return layer[0].plus(sum(word.offset for word in words if word.variable is None))


def looked_up(x: Word, values: NDArray[np.float64]) -> Word:
    """values[i] for the i-th of the `count` values of x, ascending: a truth table."""
    x = x.settled()
    low, high = float(values.min()), float(values.max())
    if x.variable is None or low == high:
        return Word(None, float(values[0]))
    if len(values) == 2:
        bit = x.plus(-x.low).settled().times(1 / (x.high - x.low)).variable
        assert bit is not None
        return _select(bit, Word(None, float(values[1])), Word(None, float(values[0])), low, high)
    check_constant(*values.tolist())
    finest = min(map(last_bit, values.tolist()))
    if max(-low, high) >= 2.0**TABLE_BITS * finest:
        raise unsupported(f"the words of a table need more than {TABLE_BITS + 1} bits")
    return made(x.variable.lookup(values))


def variables(words: Sequence[Word]) -> list[Any]:
    """The words as alkaid's variables, constants too."""
    return [constant(word.offset) if word.variable is None else word.whole() for word in words]
