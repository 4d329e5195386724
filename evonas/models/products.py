"""Matrix products of stacks whose every bit is the same whatever else is in the stack.

The order in which torch sums over rows depends on how many columns there are; that of a matrix product does not, in the
libraries that torch uses on processors. A member that trains beside wider ones therefore gets the gradients that it
would get alone (tested in `tests/properties/test_stacks.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable


def over_rows(x: Tensor) -> Tensor:
    """Sums of x (P, rows, n) over its rows, (P, 1, n)."""
    ones = torch.ones(len(x), 2, x.shape[1], dtype=x.dtype, device=x.device)  # of one row: another order
    return torch.bmm(ones, x)[:, :1]


@final
class _Affine(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return torch.baddbmm(bias, x, weight)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        of_x = torch.bmm(grads[0], weight.transpose(1, 2)) if ctx.needs_input_grad[0] else None
        return of_x, torch.bmm(x.transpose(1, 2), grads[0]), over_rows(grads[0])


affine: Callable[[Tensor, Tensor, Tensor], Tensor] = _Affine.apply
"""Sums (P, rows, n_out) of x (P, rows, n_in), weights (P, n_in, n_out) and biases (P, 1, n_out)."""


@final
class _Scaled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, factor: Tensor) -> Tensor:
        ctx.save_for_backward(weight, factor)
        return weight * factor

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, Tensor]:
        weight, factor = ctx.saved_tensors
        return grads[0] * factor, over_rows(grads[0] * weight)


scaled: Callable[[Tensor, Tensor], Tensor] = _Scaled.apply
"""Weights (P, n_in, n_out) times a factor (P, 1, n_out)."""
