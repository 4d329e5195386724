"""The operations without weights, exactly, in numpy: what `surrogates.layers.OperationSpec` names.

Tensors are (n, positions, channels).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from evonas.models.fixed_point import FixedPoint
from evonas.models.softmax import Softmax

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from surrogates import OperationSpec
    from surrogates.layers import Shape


def halvings(terms: int) -> int:
    """By how many powers of two a mean of `terms` words divides: the least that are not below `terms`."""
    return (terms - 1).bit_length()


def ordered_pairs(positions: int) -> tuple[list[int], list[int]]:
    """Receivers and senders of all ordered pairs of different positions, by receiver."""
    pairs = [(a, b) for a in range(positions) for b in range(positions) if a != b]
    return [a for a, _ in pairs], [b for _, b in pairs]


@final
@dataclass(frozen=True)
class QuantisedOperation:
    """An operation whose result is cast to `output_type`; None keeps every bit."""

    spec: OperationSpec
    output_type: FixedPoint | None = None

    def result_type(self, shape: Shape, *inputs: FixedPoint) -> FixedPoint:
        """Type of what leaves it, from the shape of the (first) operand and the types of all."""
        return self.output_type or self.exact_type(shape, *inputs)

    def exact_type(self, shape: Shape, *inputs: FixedPoint) -> FixedPoint:
        """The type that holds every bit of the result, of a softmax every bit of its products."""
        positions, channels = shape
        if self.spec.kind == "matmul":
            return product_type(channels, *inputs)
        if self.spec.kind == "softmax":
            return self.softmax(channels).exact_type
        kind = common_type(inputs)
        growth = {"sum": halvings(positions // self.spec.groups), "mean": 0, "add": 1}.get(self.spec.kind, 0)
        finer = halvings(positions // self.spec.groups) if self.spec.kind == "mean" else 0
        return FixedPoint(kind.signed, kind.width + growth + finer, kind.integer + growth)

    def softmax(self, terms: int) -> Softmax:
        """Types and tables of a softmax over rows of `terms` words."""
        return Softmax(self.spec.activation_bits, terms)

    def forward(self, *inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Exact results (n, positions, channels) of inputs on their grids."""
        result = self._join(inputs)
        return result if self.output_type is None else self.output_type.quantise(result)

    def _join(self, inputs: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        x, kind, groups = inputs[0], self.spec.kind, self.spec.groups
        n, positions, channels = x.shape
        if kind in ("sum", "mean", "max"):
            parts = x.reshape(n, groups, positions // groups, channels)
            if kind == "max":
                return np.asarray(parts.max(axis=2))
            total = np.asarray(parts.sum(axis=2))
            return total * 2.0 ** -halvings(parts.shape[2]) if kind == "mean" else total
        if kind == "pairs":
            receivers, senders = ordered_pairs(positions)
            return np.concatenate([x[:, receivers], x[:, senders]], axis=2)
        if kind == "broadcast":
            return np.repeat(x, groups, axis=1)
        if kind == "concatenate":
            return np.concatenate(inputs, axis=2)
        if kind == "add":
            return np.asarray(x + inputs[1])
        if kind == "matmul":
            return np.asarray(x @ inputs[1])
        if kind == "softmax":
            return self.softmax(channels).forward(x)
        if kind == "select":
            return x[:, self.spec.start : self.spec.start + self.spec.length]
        return x.transpose(0, 2, 1) if kind == "transpose" else x.reshape(n, 1, -1)


def product_type(terms: int, first: FixedPoint, second: FixedPoint) -> FixedPoint:
    """The narrowest type that holds every sum of `terms` products of words of two types."""
    ends = [a * b for a in (first.low, first.high) for b in (second.low, second.high)]
    return FixedPoint.holding(terms * min(ends), terms * max(ends), first.fraction + second.fraction)


def common_type(kinds: Sequence[FixedPoint]) -> FixedPoint:
    """The narrowest type that holds every value of all `kinds`."""
    signed = any(kind.signed for kind in kinds)
    integer = max(kind.integer + (signed and not kind.signed) for kind in kinds)
    fraction = max(kind.fraction for kind in kinds)
    return FixedPoint(signed, integer + fraction, integer)
