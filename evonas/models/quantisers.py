"""Fake quantisers in torch: forward is exact fixed point, backward is the straight-through estimator.

All scales are powers of two, so a quantised value is `code * 2**-fraction` and equals what `ap_fixed` holds. Straight-
through: Bengio, Leonard and Courville, arXiv 1308.3432; quantisation-aware training: Jacob et al., arXiv 1712.05877.
"""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor


@final
class _QuantiseWeight(torch.autograd.Function):
    """Round half up and saturate; the gradient passes unchanged, so that a saturated weight can come back."""

    @staticmethod
    def forward(_ctx: Any, x: Tensor, scale: Tensor, limit: Tensor) -> Tensor:
        code = torch.floor(x * scale + 0.5)
        return torch.clamp(code, -limit, limit) / scale

    @staticmethod
    def backward(_ctx: Any, *grads: Any) -> tuple[Tensor, None, None]:
        return grads[0], None, None


@final
class _QuantiseActivation(torch.autograd.Function):
    """Activation and its quantiser in one: negative values times `slope`, round half up, saturate (RND, SAT).

    One function instead of four, because the element-wise work is most of the training time of a small network.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Tensor, scale: Tensor, low: Tensor, high: Tensor) -> Tensor:
        factor = torch.where(x < 0, slope, torch.ones(()))
        code = (x * factor).mul_(scale).add_(0.5).floor_()  # in place: what limits it is memory
        held = torch.clamp(code, low, high)
        ctx.save_for_backward(factor.mul_(code == held))  # no gradient where it saturates
        return held.div_(scale)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, None, None, None, None]:
        (factor,) = ctx.saved_tensors
        return grads[0] * factor, None, None, None, None


def quantise_weight(x: Tensor, scale: Tensor, limit: Tensor) -> Tensor:
    """Weights to codes in [-limit, limit] at `scale` codes per unit; shapes broadcast."""
    result: Tensor = _QuantiseWeight.apply(x, scale, limit)  # type: ignore[no-untyped-call]
    return result


def quantise_activation(x: Tensor, slope: Tensor, scale: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """max(x, slope x) for 0 <= slope <= 1, to codes in [low, high] at `scale` codes per unit; shapes broadcast."""
    result: Tensor = _QuantiseActivation.apply(x, slope, scale, low, high)  # type: ignore[no-untyped-call]
    return result


def best_scale(x: Tensor, low: Tensor, high: Tensor, keep: Tensor, dims: tuple[int, ...], tries: int) -> Tensor:
    """Power-of-two scale with the smallest mean squared quantisation error over `dims`.

    `x` values, `keep` which of them count, `low`/`high` code limits (broadcastable). Tries the largest scale at which
    nothing saturates and the `tries` - 1 next larger ones, which saturate more and round less.
    """
    kept = torch.where(keep, x, torch.zeros_like(x))
    above = torch.amax(kept / torch.clamp(high, min=1), dim=dims, keepdim=True)
    below = torch.amax(torch.where(low < 0, -kept / torch.clamp(-low, min=1), torch.zeros_like(kept)), dims, True)
    largest = torch.clamp(torch.maximum(above, below), min=2.0**-12)
    base = torch.floor(-torch.log2(largest))
    best, best_error = base, torch.full_like(base, torch.inf)
    for step in range(tries):
        scale = torch.exp2(base + step)
        rounded = torch.clamp(torch.floor(kept * scale + 0.5), low, high) / scale
        error = ((rounded - kept) ** 2).sum(dim=dims, keepdim=True)
        better = error < best_error * (1 - 1e-6)
        best, best_error = torch.where(better, base + step, best), torch.where(better, error, best_error)
    return torch.exp2(torch.clamp(best, -6.0, 12.0))
