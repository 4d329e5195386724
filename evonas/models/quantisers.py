"""Fake quantisers in torch: forward is exact fixed point, backward is the straight-through estimator.

All scales are powers of two, so a quantised value is `code * 2**-fraction` and equals what `ap_fixed` holds. Straight-
through: Bengio, Leonard and Courville, arXiv 1308.3432; quantisation-aware training: Jacob et al., arXiv 1712.05877.
"""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor

from evonas.models.products import over_rows

_ROWS = 512
_GOLDEN = (5**0.5 - 1) / 2  # multiples of it are spread evenly over the unit interval


@final
class _QuantiseWeight(torch.autograd.Function):
    """Round half up and saturate; the gradient passes unchanged, so that a saturated weight can come back."""

    @staticmethod
    def forward(_ctx: Any, x: Tensor, scale: Tensor, limit: Tensor) -> Tensor:
        return clamped((x * scale).add_(0.5).floor_(), -limit, limit).div_(scale)

    @staticmethod
    def backward(_ctx: Any, *grads: Any) -> tuple[Tensor, None, None]:
        return grads[0], None, None


@final
class _QuantiseActivation(torch.autograd.Function):
    """Activation and its quantiser in one: negative values times `slope`, round half up, saturate (RND, SAT).

    The element-wise work is most of the training time of a small network, and torch's comparisons to booleans, `where`
    and `clamp` by tensors are ten times as slow as arithmetic on floats. So a mask is 1.0 and 0.0, made in place.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, lowest: Tensor, highest: Tensor, slope: Tensor | None) -> Tensor:
        codes, factor = x * scale, None
        if slope is not None:
            factor = codes.clone().ge_(0).mul_(1 - slope).add_(slope)
            codes.mul_(factor)
        held = clamped(codes, lowest, highest)
        mask = codes.eq_(held)  # no gradient where it saturates
        ctx.save_for_backward(mask if factor is None else mask.mul_(factor))
        return held.add_(0.5).floor_().div_(scale)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, None, None, None, None]:
        (factor,) = ctx.saved_tensors
        return grads[0] * factor, None, None, None, None


def clamped(x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """x between two broadcast tensors, as `torch.clamp` has it, which is ten times as slow."""
    held = torch.maximum(x, low)
    return torch.minimum(held, high, out=held)


def quantise_weight(x: Tensor, scale: Tensor, limit: Tensor) -> Tensor:
    """Weights to codes in [-limit, limit] at `scale` codes per unit; shapes broadcast."""
    result: Tensor = _QuantiseWeight.apply(x, scale, limit)  # type: ignore[no-untyped-call]
    return result


def saturation(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """The least and the largest number that round half up to codes in [low, high]; zero, where `low` is zero.

    Nothing below zero is meant for a type without sign: there the rectification is no rounding, and has no gradient.
    """
    return low - 0.5 * (low < 0), torch.nextafter(high + 1, high) - 0.5


def quantise_activation(
    x: Tensor, scale: Tensor, lowest: Tensor, highest: Tensor, slope: Tensor | None = None
) -> Tensor:
    """max(x, slope x) for 0 <= slope <= 1, to codes at `scale` codes per unit; shapes broadcast.

    `lowest` and `highest` are the `saturation` of the codes. Without a slope x is only cast, which is a ReLU where the
    lowest code is zero.
    """
    result: Tensor = _QuantiseActivation.apply(x, scale, lowest, highest, slope)  # type: ignore[no-untyped-call]
    return result


def sampled(x: Tensor) -> Tensor:
    """Some 500 rows of x (P, rows, n), which are enough for a scale: one of each stretch of as many.

    Not the first of each, because rows are often samples times positions, and that would be one position of all.
    """
    stretch = x.shape[1] / _ROWS
    if stretch <= 1:
        return x
    number = torch.arange(_ROWS, dtype=torch.float64)
    rows = ((number + number * _GOLDEN % 1) * stretch).long()
    return x[:, rows.to(x.device)]


def best_scale(
    x: Tensor, low: Tensor, high: Tensor, dims: tuple[int, ...], tries: int, keep: Tensor | None = None
) -> Tensor:
    """Power-of-two scale with the smallest mean squared quantisation error over `dims`.

    `x` values, `low`/`high` code limits (broadcastable), `keep` which values count, all if it is not given. Tries the
    largest scale at which nothing saturates and the `tries` - 1 next larger ones, which saturate more and round less.
    """
    kept = x if keep is None else torch.where(keep, x, torch.zeros_like(x))
    above = torch.amax(kept, dims, True) / torch.clamp(high, min=1)
    below = -torch.amin(kept, dims, True) / torch.clamp(-low, min=1) * (low < 0)
    largest = torch.clamp(torch.maximum(above, below), min=2.0**-12)
    base = torch.floor(-torch.log2(largest))
    best, best_error = base, torch.full_like(base, torch.inf, dtype=torch.float64)
    for step in range(tries):
        scale = torch.exp2(base + step)
        rounded = clamped((kept * scale).add_(0.5).floor_(), low, high).div_(scale)
        error = over_rows(rounded.sub_(kept).square_()).double()
        error = error.sum(dim=2, keepdim=True) if 2 in dims else error
        better = error < best_error * (1 - 1e-6)
        best, best_error = torch.where(better, base + step, best), torch.where(better, error, best_error)
    return torch.exp2(torch.clamp(best, -6.0, 12.0))
