"""The multiplication of a layer with weights, for several members at once: dense at each position, or a convolution.

The words under all windows, written out, would be nine times the image for a kernel of 3 x 3, so a convolution over
several channels is taken apart otherwise (`evonas.models.convolution`). Of one channel they are few, and one matrix
product is faster. Sums of words on a fixed-point grid are exact, whatever the order of their terms, up to 24 bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
from torch import Tensor, nn

from evonas.models.convolution import convolved
from evonas.models.products import affine

if TYPE_CHECKING:
    from surrogates import LayerSpec


@final
class Contraction(nn.Module):
    """Where the words that a layer of this spec multiplies are, and how they are multiplied.

    `group` is how many of its inputs are the channels of one place: of a dense layer behind an image that has been
    flattened these are not all `n_in`.
    """

    def __init__(self, spec: LayerSpec, group: int | None = None) -> None:
        super().__init__()
        self.group = group or (spec.n_in if spec.n_in > 1 else spec.fan_in)
        window = spec.window
        self.pointwise = window is None or (window.kernel, window.stride, window.padding) == (1, 1, 0)
        self.window = None if self.pointwise or spec.n_in == 1 else window
        reads = [] if window is None or self.pointwise or self.window is not None else window.reads()
        self.register_buffer("reads", torch.tensor(reads, dtype=torch.long))

    reads: Tensor

    def arrange(self, x: Tensor) -> Tensor:
        """Words x (P, batch, positions, channels) as `multiply` wants them: (P, rows, n_in), or images.

        The rows of a convolution over one channel are the words under its windows; images are (P, batch, height,
        width, channels).
        """
        if self.window is not None:
            return x.reshape(*x.shape[:2], self.window.height, self.window.width, x.shape[3])
        if not self.pointwise:
            padded = torch.cat([x, torch.zeros_like(x[:, :, :1])], dim=2)  # -1 reads a zero
            x = padded[:, :, self.reads].flatten(3)
        return x.flatten(1, 2)

    def multiply(self, x: Tensor, weight: Tensor, bias: Tensor, *, exact: bool = True) -> Tensor:
        """Sums (P, rows, n_out) of arranged words, weights (P, n_in, n_out) and biases; rows are samples and places.

        `exact` says that all are codes, whose sums do not depend on the order of their terms.
        """
        if self.window is None:
            return affine(x, weight, bias, 0 if exact else self.group)
        return convolved(x, weight, bias, self.window, exact)
