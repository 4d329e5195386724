"""Saturation and rounding of all members' sums of a layer or an operation to the codes that leave it."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
from torch import Tensor

if TYPE_CHECKING:
    from evonas.training.ragged.words import Words


@final
class Rounding:
    """Sums in codes of the output to codes between `lowest` and `highest` (P, 1, 1), as `quantise_activation` has it.

    Negative sums are multiplied by `slope` (P, 1, 1) before that, if there is one. Straight-through, and no gradient
    where a sum saturates.
    """

    def __init__(self, words: Words) -> None:
        self.words = words
        self.lowest = self.highest = torch.ones(len(words.values), 1)
        self.slope: Tensor | None = None

    def load(self, lowest: Tensor, highest: Tensor, slope: Tensor | None = None) -> None:
        """Take the limits of an epoch; the constants of the words stay 1."""
        self.lowest, self.highest = self.words.per_row(lowest, 1.0), self.words.per_row(highest, 1.0)
        self.slope = None if slope is None else self.words.per_row(slope, 1.0)

    def forward(self) -> None:
        """From the sums of the words to their values; the sums become the factors of the gradient."""
        sums, values, factor = self.words.sums, self.words.values, None
        if self.slope is not None:
            factor = sums.clone().ge_(0).mul_(1 - self.slope).add_(self.slope)
            sums.mul_(factor)
        torch.maximum(sums, self.lowest, out=values)
        torch.minimum(values, self.highest, out=values)
        sums.eq_(values)
        if factor is not None:
            sums.mul_(factor)
        values.add_(0.5).floor_()

    def backward(self) -> None:
        """From the gradients of the values to those of the sums, in place."""
        self.words.gradients.mul_(self.words.sums)
