"""Convolutions of stacks over several channels, whose gradients are the same bits whatever else is in the stack.

torch's own convolution chooses among algorithms by channels and groups, and they sum in different orders. Where the
sums are exact, as those of codes are, that is no matter, and it is the fastest; elsewhere, which is in all gradients,
a convolution is a sum of `product`s here, one for each place in the kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor, nn

from evonas.models.products import over_rows, product

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from surrogates import Window


def _taps(window: Window) -> Iterator[tuple[int, tuple[slice, ...]]]:
    """Each place in the kernel, and what it meets of padded images (P, batch, height, width, channels)."""
    high, wide = (window.stride * (side - 1) + 1 for side in window.image)
    for place in range(window.kernel**2):
        down, right = divmod(place, window.kernel)
        rows, columns = slice(down, down + high, window.stride), slice(right, right + wide, window.stride)
        yield place, (slice(None), slice(None), rows, columns)


def _by_places(images: Tensor, kernels: Tensor, bias: Tensor, window: Window) -> Tensor:
    members, _, _, _, channels = images.shape
    sums = bias
    for place, met in _taps(window):
        sums = sums + product(images[met].reshape(members, -1, channels), kernels[:, place])
    return sums


def _at_once(images: Tensor, kernels: Tensor, bias: Tensor, window: Window) -> Tensor:
    """By torch's own convolution, one group for each member."""
    members, batch, _, _, channels = images.shape
    grid = kernels.view(members, window.kernel, window.kernel, channels, -1).permute(0, 4, 3, 1, 2).flatten(0, 1)
    beside = images.permute(1, 0, 4, 2, 3).flatten(1, 2)
    sums = nn.functional.conv2d(beside, grid, bias.flatten(), window.stride, groups=members)
    return sums.view(batch, members, bias.shape[2], -1).permute(1, 0, 3, 2).flatten(1, 2)


@final
class _Convolved(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor, window: Window, exact: bool) -> Tensor:
        pad = window.padding
        padded = nn.functional.pad(images, (0, 0, pad, pad, pad, pad)) if pad else images
        kernels = weight.view(len(weight), window.kernel**2, -1, weight.shape[2])
        ctx.save_for_backward(padded, kernels)
        ctx.window = window
        return (_at_once if exact else _by_places)(padded, kernels, bias, window)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, Tensor, Tensor, None, None]:
        (of_sums,) = grads
        padded, kernels = ctx.saved_tensors
        window: Window = ctx.window
        members, batch, _, _, channels = padded.shape
        of_kernels = torch.empty_like(kernels)
        of_padded = torch.zeros_like(padded) if ctx.needs_input_grad[0] else None
        for place, met in _taps(window):
            of_kernels[:, place] = product(padded[met].reshape(members, -1, channels).transpose(1, 2), of_sums)
            if of_padded is not None:
                own = product(of_sums, kernels[:, place].transpose(1, 2))
                of_padded[met] += own.view(members, batch, *window.image, channels)
        rim = slice(window.padding, -window.padding or None)
        of_images = None if of_padded is None else of_padded[:, :, rim, rim]
        return of_images, of_kernels.flatten(1, 2), over_rows(of_sums), None, None


convolved: Callable[[Tensor, Tensor, Tensor, Window, bool], Tensor] = _Convolved.apply
"""Sums (P, rows, n_out) of images (P, batch, height, width, n_in), weights (P, kernel^2 n_in, n_out) and biases.

Rows are samples and windows; biases are (P, 1, n_out). The last argument says that the sums are exact in any order, as
those of codes.
"""
