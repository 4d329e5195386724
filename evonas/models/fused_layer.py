"""A dense layer with a ReLU or none as one step of automatic differentiation: quantise, multiply, saturate, round.

Equal bit for bit to `quantise_weight`, a matrix product and `quantise_activation` one after the other. Here the product
is already in codes of the output, because weights and biases carry the (power-of-two) scale; and there is one node of
the graph for what would be eight, which is what counts for networks of a few thousand weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, final

import torch
from torch import Tensor

from evonas.models.products import over_rows, product
from evonas.models.quantisers import clamped

if TYPE_CHECKING:
    from collections.abc import Callable


class Scales(NamedTuple):
    """Codes per unit of a layer's weights and biases (P, 1, n_out) and outputs (P, 1, 1), and their limits.

    `lowest` and `highest` are the outputs' `saturation`.
    """

    weight: Tensor
    weight_limit: Tensor
    bias: Tensor
    bias_limit: float
    output: Tensor
    lowest: Tensor
    highest: Tensor


@final
class _FusedLayer(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, mask: Tensor, scales: Scales) -> Tensor:
        weights = clamped((weight * scales.weight).add_(0.5).floor_(), -scales.weight_limit, scales.weight_limit)
        weights.mul_(scales.output / scales.weight).mul_(mask)
        biases = (bias * scales.bias).add_(0.5).floor_().clamp_(-scales.bias_limit, scales.bias_limit)
        codes = product(x, weights, biases.mul_(scales.output / scales.bias))
        held = clamped(codes, scales.lowest, scales.highest)
        ctx.save_for_backward(x, weights, mask, codes.eq_(held), scales.output)
        return held.add_(0.5).floor_().div_(scales.output)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, Tensor, Tensor, None, None]:
        x, weights, mask, inside, scale = ctx.saved_tensors
        passed = inside * grads[0]  # no gradient where it saturates; not in place, so that backward can run twice
        of_x = product(passed, weights.transpose(1, 2)).div_(scale) if ctx.needs_input_grad[0] else None
        of_weight = product(x.transpose(1, 2), passed).mul_(mask)
        return of_x, of_weight, over_rows(passed), None, None


fused_layer: Callable[[Tensor, Tensor, Tensor, Tensor, Scales], Tensor] = _FusedLayer.apply
"""Outputs (P, rows, n_out) of x (P, rows, n_in), weights (P, n_in, n_out), biases (P, 1, n_out), the weights' mask."""
