"""The words of several members between two layers, one row for each channel, members below one another.

A step of training a small network is elementwise work for the most part. Here that is one operation for all members,
and none of it is spent on room that narrower members do not need; a product is made for each member, of its own size.
Members begin where a cache line does, because libraries promise the same bits of a product for equal alignment alone.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, final

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

LINE = 16  # floats of a cache line


def aligned(size: int) -> int:
    """The next multiple of a cache line."""
    return -(-size // LINE) * LINE


@final
class Words:
    """Codes of members with `widths` channels each, at so many positions of so many samples; position by position.

    With `constant` a row of ones follows each member's channels: the input of its biases. Gradients are in the memory
    of `gradients`, which others may share that are not in use at the same time.
    """

    def __init__(
        self, widths: Sequence[int], positions: int, batch: int, gradients: Tensor, *, constant: bool = True
    ) -> None:
        self.widths, self.positions, self.batch = tuple(widths), positions, batch
        self.columns = positions * batch
        heights = [width + constant for width in widths]
        starts = [0, *accumulate(heights)]
        shape = starts[-1], aligned(self.columns)
        self.values, self.sums = torch.ones(shape), torch.zeros(shape)
        self.gradients = gradients[: self.values.numel()].view(shape)
        self.member = torch.repeat_interleave(torch.arange(len(heights)), torch.tensor(heights))
        self.constants = torch.tensor(starts[1:]) - 1 if constant else torch.zeros(0, dtype=torch.long)

        def parts(of: Tensor, beyond: int = 0) -> list[Tensor]:
            rows = zip(starts, widths, strict=False)
            return [of[start : start + width + beyond, : self.columns] for start, width in rows]

        self.inputs = parts(self.values, int(constant))  # with the constant
        self.transposed = [words.t() for words in self.inputs]
        self.own_sums, self.own_gradients = parts(self.sums), parts(self.gradients)

    def per_row(self, values: Tensor, constant: float) -> Tensor:
        """One number per member (P, 1, 1) for each row (rows, 1), another for the constants."""
        found = values.flatten()[self.member]
        found[self.constants] = constant
        return found[:, None]

    @staticmethod
    def size(widths: Sequence[int], positions: int, batch: int) -> int:
        """Numbers that `gradients` must have."""
        return (sum(widths) + len(widths)) * aligned(positions * batch)

    def by_sample(self, of: Tensor) -> Tensor:
        """A view of rows as (P, channels, positions, batch), the constants last, for members of equal width."""
        return of[:, : self.columns].view(len(self.widths), -1, self.positions, self.batch)
