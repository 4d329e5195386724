"""Matrix products of stacks whose every bit is the same whatever else is in the stack.

The order in which torch sums over rows depends on how many columns there are; that of a matrix product does not, in the
libraries that torch uses on processors, once it is as large as `product` makes it: small ones have kernels of their
own, and what is small depends on the processor. A member that trains beside wider ones therefore gets the gradients
that it would get alone (tested in `tests/properties/test_stacks.py`).

A product sums its first 256 terms, then the next. Where members have different channels at each of several places, the
terms of the narrow are in other blocks than they would be alone. Sums that are not exact in any order are then taken in
groups: over the channels of one place, whose zeros are behind the others, and place after place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable


_ROWS, _TERMS, _COLUMNS = 4, 8, 16  # of the smallest product; fewer than 400 multiplications are torch's own loop


def product(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """a (P, rows, terms) times b (P, terms, columns), plus biases (P, 1, columns) if they are given."""
    rows, columns = a.shape[1], b.shape[2]
    few = a.shape[2] < _TERMS and max(rows, _ROWS) * max(columns, _COLUMNS) * a.shape[2] < 400
    a = _filled(a, _ROWS, _TERMS if few else 0)
    b = _filled(b, _TERMS if few else 0, _COLUMNS)
    found = torch.bmm(a, b) if bias is None else torch.baddbmm(_filled(bias, 0, _COLUMNS), a, b)
    return found if found.shape[1:] == (rows, columns) else found[:, :rows, :columns].contiguous()


def _filled(x: Tensor, rows: int, columns: int) -> Tensor:
    """With zeros to at least so many rows and columns."""
    below, beside = max(rows - x.shape[1], 0), max(columns - x.shape[2], 0)
    return nn.functional.pad(x, (0, beside, 0, below)) if below or beside else x


def product_in_groups(a: Tensor, b: Tensor, bias: Tensor, group: int) -> Tensor:
    """As `product`, summed over so many terms after so many."""
    sums = bias
    for first in range(0, a.shape[2], group):
        sums = sums + product(a[:, :, first : first + group], b[:, first : first + group])
    return sums


def over_rows(x: Tensor) -> Tensor:
    """Sums of x (P, rows, n) over its rows, (P, 1, n)."""
    return product(torch.ones(len(x), _ROWS, x.shape[1], dtype=x.dtype, device=x.device), x)[:, :1]


def over_rows_in_groups(x: Tensor, group: int) -> Tensor:
    """Likewise, so many rows after so many, of which there is a multiple."""
    members, _, columns = x.shape
    sums = over_rows(x.reshape(-1, group, columns)).view(members, -1, columns)
    total = sums[:, :1]
    for place in range(1, sums.shape[1]):
        total = total + sums[:, place : place + 1]
    return total


@final
class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(a, b)
        return product(a, b)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, Tensor]:
        a, b = ctx.saved_tensors
        return product(grads[0], b.transpose(1, 2)), product(a.transpose(1, 2), grads[0])


multiplied: Callable[[Tensor, Tensor], Tensor] = _Product.apply
"""`product` that is differentiated by products."""


@final
class _Affine(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, group: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        return product_in_groups(x, weight, bias, group) if group else product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, Tensor, Tensor, None]:
        x, weight = ctx.saved_tensors
        of_x = product(grads[0], weight.transpose(1, 2)) if ctx.needs_input_grad[0] else None
        return of_x, product(x.transpose(1, 2), grads[0]), over_rows(grads[0]), None


affine: Callable[[Tensor, Tensor, Tensor, int], Tensor] = _Affine.apply
"""Sums (P, rows, n_out) of x (P, rows, n_in), weights (P, n_in, n_out) and biases (P, 1, n_out).

In groups of so many inputs, or, if that is 0, in any order.
"""


@final
class _Scaled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, factor: Tensor, group: int) -> Tensor:
        ctx.save_for_backward(weight, factor)
        ctx.group = group
        return weight * factor

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, Tensor, None]:
        weight, factor = ctx.saved_tensors
        return grads[0] * factor, over_rows_in_groups(grads[0] * weight, ctx.group), None


scaled: Callable[[Tensor, Tensor, int], Tensor] = _Scaled.apply
"""Weights (P, n_in, n_out) times a factor (P, 1, n_out), whose gradient is summed in groups of so many inputs."""
