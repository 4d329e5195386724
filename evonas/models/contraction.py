"""The multiplication of a layer with weights, for several members at once: dense at each position, or a convolution.

A convolution over several channels is torch's own, one group for each member: the words under all windows, written out,
would be nine times the image for a kernel of 3 x 3. Of one channel they are few, and one matrix product is faster.
Sums of words on a fixed-point grid are exact in either, whatever the order of their terms, up to 24 bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
from torch import Tensor, nn

from evonas.models.products import affine

if TYPE_CHECKING:
    from surrogates import LayerSpec


@final
class Contraction(nn.Module):
    """Where the words that a layer of this spec multiplies are, and how they are multiplied."""

    def __init__(self, spec: LayerSpec) -> None:
        super().__init__()
        window = spec.window
        self.pointwise = window is None or (window.kernel, window.stride, window.padding) == (1, 1, 0)
        self.window = None if self.pointwise or spec.n_in == 1 else window
        reads = [] if window is None or self.pointwise or self.window is not None else window.reads()
        self.register_buffer("reads", torch.tensor(reads, dtype=torch.long))

    reads: Tensor

    def arrange(self, x: Tensor) -> Tensor:
        """Words x (P, batch, positions, channels) as `multiply` wants them: (P, rows, n_in), or images.

        The rows of a convolution over one channel are the words under its windows; images are (batch, P channels,
        height, width).
        """
        members, batch, _, channels = x.shape
        if self.window is not None:
            images = x.reshape(members, batch, self.window.height, self.window.width, channels)
            return images.permute(1, 0, 4, 2, 3).flatten(1, 2)
        if not self.pointwise:
            padded = torch.cat([x, torch.zeros_like(x[:, :, :1])], dim=2)  # -1 reads a zero
            x = padded[:, :, self.reads].flatten(3)
        return x.flatten(1, 2)

    def multiply(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Sums (P, rows, n_out) of arranged words, weights (P, n_in, n_out) and biases; rows are samples and places."""
        if self.window is None:
            return affine(x, weight, bias)
        members, _, n_out = weight.shape
        kernel, window = self.window.kernel, self.window
        kernels = weight.view(members, kernel, kernel, -1, n_out).permute(0, 4, 3, 1, 2).flatten(0, 1)
        stride, padding = window.stride, window.padding
        sums = nn.functional.conv2d(x, kernels, bias.flatten(), stride, padding, groups=members)
        return sums.view(len(x), members, n_out, -1).permute(1, 0, 3, 2).flatten(1, 2)
