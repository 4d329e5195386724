"""Batch normalisation that is folded into its layer: training has it, the hardware has no trace of it.

With mean mu and deviation sigma of a layer's sums, gamma (x W + b - mu) / sigma + beta is the layer with the weights
W gamma / sigma and the biases beta + (b - mu) gamma / sigma. These are what is quantised, so that training sees the
network that is exported (Jacob et al., arXiv 1712.05877, section 3.2; Krishnamoorthi, arXiv 1806.08342). Training takes
mu and sigma from the batch; evaluation takes those of the rows of the last calibration, which are of the weights as
they are and do not lag like a moving average (Wu and Johnson, arXiv 2105.07576).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor, nn

from evonas.models.products import over_rows, scaled

if TYPE_CHECKING:
    from collections.abc import Sequence

EPSILON = 1e-3  # added to variances: an output that hardly varies is not blown up by more than about 30


@final
class Folding(nn.Module):
    """Scale and shift of `n_out` outputs of P members; `normalised` says of which members, the others keep theirs.

    `group` is that of the layer's `Contraction`.
    """

    def __init__(self, normalised: Sequence[bool], n_out: int, group: int) -> None:
        super().__init__()
        self.group = group
        shape = len(normalised), 1, n_out
        self.gamma = nn.Parameter(torch.ones(shape))
        self.beta = nn.Parameter(torch.zeros(shape))
        self.register_buffer("normalised", torch.tensor(list(normalised)).view(-1, 1, 1))
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("variance", torch.ones(shape))

    normalised: Tensor
    mean: Tensor
    variance: Tensor

    @torch.no_grad()
    def measure(self, sums: Tensor) -> None:
        """Keep the statistics of `sums` (P, rows, n_out) for evaluation."""
        self.mean, self.variance = _statistics(sums)

    def forward(self, weight: Tensor, bias: Tensor, sums: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Folded weights (P, n_in, n_out) and biases (P, 1, n_out), by the statistics of `sums` if they are given."""
        mean, variance = (self.mean, self.variance) if sums is None else _statistics(sums)
        factor = torch.where(self.normalised, self.gamma / torch.sqrt(variance + EPSILON), 1.0)
        shifted = torch.where(self.normalised, self.beta + (bias - mean) * factor, bias)
        return scaled(weight, factor, self.group), shifted


@final
class _Moments(torch.autograd.Function):
    """Mean and variance in one, because the gradient of both is one pass over the sums."""

    @staticmethod
    def forward(ctx: Any, sums: Tensor) -> tuple[Tensor, Tensor]:
        mean = over_rows(sums) / sums.shape[1]
        distances = sums - mean
        ctx.save_for_backward(distances)
        return mean, over_rows(distances * distances) / sums.shape[1]

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Tensor:
        (distances,) = ctx.saved_tensors
        of_mean, of_variance = (grad / distances.shape[1] for grad in grads)
        found: Tensor = (distances * (2 * of_variance)).add_(of_mean)
        return found


def _statistics(sums: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance (P, 1, n_out) of sums (P, rows, n_out) over rows."""
    found: tuple[Tensor, Tensor] = _Moments.apply(sums)  # type: ignore[no-untyped-call]
    return found
