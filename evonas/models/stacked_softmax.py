"""The softmax of several networks: forward is what hardware computes, backward the gradient of the real softmax."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch
from torch import Tensor, nn

from evonas.models.operations import QuantisedOperation
from evonas.models.softmax import Softmax

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evonas.models.fixed_point import FixedPoint
    from evonas.models.stacked_dense import Place
    from surrogates import OperationSpec

_SINGLE_BITS = 24  # what single precision holds exactly


@final
class StackedSoftmax(nn.Module):
    """Softmax over rows of `terms` words, of P members that differ in the bits of the result."""

    def __init__(self, specs: Sequence[OperationSpec], terms: int) -> None:
        super().__init__()
        self.specs = tuple(specs)
        exact = [Softmax(spec.activation_bits, terms) for spec in specs]
        widest = max(max(softmax.exact_type.width, softmax.accumulator.width) for softmax in exact)
        precision = torch.float32 if widest <= _SINGLE_BITS else torch.float64
        self.register_buffer("difference", _scale_and_highest([s.difference for s in exact], precision))
        self.register_buffer("total", _scale_and_highest([s.total for s in exact], precision))
        self.register_buffer("output", _scale_and_highest([s.output_type for s in exact], precision))
        self.register_buffer("exp", _tables([softmax.exp for softmax in exact], precision))
        self.register_buffer("inverse", _tables([softmax.inverse for softmax in exact], precision))
        self.register_buffer("output_scale", self.output[0, :, :, 0].float())

    difference: Tensor  # codes per unit and highest code (2, P, 1, 1, 1)
    total: Tensor
    output: Tensor
    exp: Tensor  # (P, words)
    inverse: Tensor
    output_scale: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Results (P, batch, positions, channels) of quantised words of that form."""
        result: Tensor = _Softmax.apply(x, self)  # type: ignore[no-untyped-call]
        return result

    def exactly(self, x: Tensor) -> Tensor:
        """The same without a gradient, in a precision that holds every product of two words of tables."""
        words = x.to(self.exp.dtype)
        exps = _looked_up(self.exp, _codes(words.amax(dim=3, keepdim=True) - words, self.difference))
        inverse = _looked_up(self.inverse, _codes(exps.sum(dim=3, keepdim=True), self.total))
        result = _codes(exps.mul_(inverse), self.output).div_(self.output[0])
        return result.to(x.dtype)

    def calibrate(self, inputs: Sequence[Tensor], _scales: Sequence[Tensor]) -> Tensor:
        """Results of the one operand: its types follow from the bits, so that nothing is to be chosen."""
        return self.forward(inputs[0])

    def places(self, _member: int) -> dict[str, Place]:
        """As in `StackedDense`: training changes nothing here."""
        return {}

    def export(self, member: int) -> QuantisedOperation:
        """The exact operation of one member."""
        spec = self.specs[member]
        return QuantisedOperation(spec, Softmax(spec.activation_bits, 1).output_type)


@final
class _Softmax(torch.autograd.Function):
    """Straight through every cast: the gradient of the real softmax, where that of tables would be zero."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, softmax: StackedSoftmax) -> Tensor:
        ctx.save_for_backward(torch.softmax(x, dim=3))
        return softmax.exactly(x)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, None]:
        (weights,) = ctx.saved_tensors
        products = grads[0] * weights
        return products - weights * products.sum(dim=3, keepdim=True), None


def _scale_and_highest(kinds: Sequence[FixedPoint], precision: torch.dtype) -> Tensor:
    values = [[2.0**kind.fraction for kind in kinds], [kind.high / kind.lsb for kind in kinds]]
    return torch.tensor(values, dtype=precision).view(2, -1, 1, 1, 1)


def _tables(tables: Sequence[np.ndarray[Any, np.dtype[np.float64]]], precision: torch.dtype) -> Tensor:
    """One table for each member (P, words of the longest)."""
    longest = max(map(len, tables))
    return torch.from_numpy(np.stack([np.pad(table, (0, longest - len(table))) for table in tables])).to(precision)


def _codes(x: Tensor, kind: Tensor) -> Tensor:
    """Codes of positive x, in its place: rounded to the nearest, halves up, and saturated."""
    codes = x.mul_(kind[0]).add_(0.5).floor_()
    return torch.minimum(codes, kind[1], out=codes)


def _looked_up(tables: Tensor, codes: Tensor) -> Tensor:
    places = torch.nan_to_num(codes).int().flatten(1)  # a member that has diverged reads the first word
    words = [table.index_select(0, place) for table, place in zip(tables, places, strict=True)]
    return torch.stack(words).view_as(codes)
