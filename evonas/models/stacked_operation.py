"""One operation without weights of several networks, with fake quantisation of its result."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
from torch import Tensor, nn

from evonas.models.fixed_point import FixedPoint
from evonas.models.operations import QuantisedOperation, halvings, ordered_pairs
from evonas.models.products import multiplied
from evonas.models.quantisers import best_scale, quantise_activation, sampled, saturation
from evonas.models.stacked_dense import Place, column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from surrogates import OperationSpec

_TRIES = 5


@final
class StackedOperation(nn.Module):
    """An operation of P members; they differ in the bits of its result. `signed` says whether it can be negative."""

    def __init__(self, specs: Sequence[OperationSpec], signed: Sequence[bool]) -> None:
        super().__init__()
        self.specs, self.signed, self.kind, self.groups = tuple(specs), tuple(signed), specs[0].kind, specs[0].groups
        bits = [spec.activation_bits for spec in specs]
        self.register_buffer("cast", column([float(b > 0) for b in bits]) > 0)
        self.any_cast, self.all_cast = any(bits), all(bits)
        low = [-(2.0 ** (b - 1)) if sign and b else 0.0 for b, sign in zip(bits, signed, strict=True)]
        high = [2.0 ** (b - sign) - 1 if b else 1.0 for b, sign in zip(bits, signed, strict=True)]
        self.register_buffer("low", column(low))
        self.register_buffer("high", column(high))
        lowest, highest = saturation(self.low, self.high)
        self.register_buffer("lowest", lowest)
        self.register_buffer("highest", highest)
        self.register_buffer("output_scale", torch.ones(len(specs), 1, 1))

    cast: Tensor
    low: Tensor
    high: Tensor
    lowest: Tensor
    highest: Tensor
    output_scale: Tensor

    def forward(self, *inputs: Tensor) -> Tensor:
        """Results (P, batch, positions, channels) of quantised inputs of that form."""
        result = self.join(inputs)
        return self._quantised(result) if self.any_cast else result

    def _quantised(self, x: Tensor) -> Tensor:
        flat = x.flatten(2)
        cut = quantise_activation(flat, self.output_scale, self.lowest, self.highest)
        return (cut if self.all_cast else torch.where(self.cast, cut, flat)).view_as(x)

    def join(self, inputs: Sequence[Tensor]) -> Tensor:
        """What the operation makes of its operands, before anything is cut off."""
        x = inputs[0]
        members, batch, positions, channels = x.shape
        if self.kind in ("sum", "mean", "max"):
            parts = x.reshape(members, batch, self.groups, positions // self.groups, channels)
            if self.kind == "max":
                return parts.amax(dim=3)
            total = parts.sum(dim=3)
            return total * 2.0 ** -halvings(parts.shape[3]) if self.kind == "mean" else total
        if self.kind == "pairs":
            receivers, senders = ordered_pairs(positions)
            return torch.cat([x[:, :, receivers], x[:, :, senders]], dim=3)
        if self.kind == "broadcast":
            return torch.cat([x] * self.groups, dim=2)  # the gradient of `expand` is summed as torch likes
        if self.kind == "concatenate":
            return torch.cat(list(inputs), dim=3)
        if self.kind == "add":
            return x + inputs[1]
        if self.kind == "matmul":
            products = multiplied(x.flatten(0, 1), inputs[1].flatten(0, 1))
            return products.view(members, batch, positions, -1)
        if self.kind == "select":
            return x.narrow(2, self.specs[0].start, self.specs[0].length)
        return x.transpose(2, 3) if self.kind == "transpose" else x.flatten(2)[:, :, None]

    @torch.no_grad()
    def calibrate(self, inputs: Sequence[Tensor], scales: Sequence[Tensor]) -> Tensor:
        """Choose the binary point of the result from inputs with `scales` (P, 1, 1) steps per unit; return it."""
        result = self.join(inputs)
        exact = torch.stack(list(scales)).amax(dim=0) if self.kind != "matmul" else scales[0] * scales[1]
        if self.kind == "mean":
            exact = exact * 2.0 ** halvings(inputs[0].shape[2] // self.groups)
        if not self.any_cast:
            self.output_scale = exact
            return result
        best = best_scale(sampled(result.flatten(1, 2)), self.low, self.high, (1, 2), _TRIES)
        self.output_scale = torch.where(self.cast, torch.minimum(best, exact), exact)
        return self._quantised(result)

    def places(self, member: int) -> dict[str, Place]:
        """As in `StackedDense`."""
        return {"output_scale": (member,)}

    def export(self, member: int) -> QuantisedOperation:
        """The exact operation of one member."""
        spec, signed = self.specs[member], self.signed[member]
        if not spec.activation_bits:
            return QuantisedOperation(spec)
        fraction = round(float(torch.log2(self.output_scale[member]).item()))
        bits = spec.activation_bits
        return QuantisedOperation(spec, FixedPoint(signed, bits, bits - fraction, "RND", "SAT"))
