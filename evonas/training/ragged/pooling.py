"""Sum, mean or maximum over positions, of several members."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
from torch import Tensor

from evonas.models.operations import halvings
from evonas.training.ragged.rounding import Rounding

if TYPE_CHECKING:
    from evonas.models.stacked_operation import StackedOperation
    from evonas.training.ragged.words import Words


@final
class RaggedPooling:
    """An operation over groups of positions, as `StackedOperation` has it."""

    def __init__(self, owner: StackedOperation, inputs: Words, outputs: Words) -> None:
        self.owner, self.inputs, self.outputs = owner, inputs, outputs
        self.rounding, self._ratio = Rounding(outputs), torch.ones(len(outputs.values), 1)
        self._largest = torch.zeros(0)

    def load(self, input_scale: Tensor) -> None:
        """Take the scales of an epoch."""
        owner = self.owner
        # what is not cut to fewer bits has the codes of the exact result
        terms = self.inputs.positions // owner.groups
        exact = input_scale * (2.0 ** halvings(terms) if owner.kind == "mean" else 1.0)
        self._ratio = self.outputs.per_row(owner.output_scale / exact, 1.0)
        unbounded = torch.full_like(owner.lowest, torch.inf)
        lowest = torch.where(owner.cast, owner.lowest, -unbounded)
        self.rounding.load(lowest, torch.where(owner.cast, owner.highest, unbounded))

    def forward(self) -> None:
        """From the values of its inputs to those of its outputs."""
        grouped, sums = self._grouped(self.inputs.values), self._of_outputs(self.outputs.sums)
        if self.owner.kind == "max":
            torch.amax(grouped, 2, out=sums)
            self._largest = sums.clone()
        else:
            torch.sum(grouped, 2, out=sums)
        self.outputs.sums.mul_(self._ratio)
        self.rounding.forward()

    def backward(self) -> None:
        """From the gradients of its outputs to those of its inputs."""
        self.rounding.backward()
        gradients = self._of_outputs(self.outputs.gradients.mul_(self._ratio))[:, :, None]
        found = self._grouped(self.inputs.gradients)
        if self.owner.kind != "max":
            found.copy_(gradients.expand_as(found))
            return
        # to all that are the largest in equal parts, as torch does
        found.copy_(self._grouped(self.inputs.values)).eq_(self._largest[:, :, None])
        found.mul_(gradients / found.sum(2, keepdim=True))

    def _grouped(self, of: Tensor) -> Tensor:
        """A view (rows, groups, positions, samples) of the inputs."""
        groups, words = self.owner.groups, self.inputs
        return of[:, : words.columns].view(len(of), groups, words.positions // groups, words.batch)

    def _of_outputs(self, of: Tensor) -> Tensor:
        """A view (rows, groups, samples) of the outputs."""
        return of[:, : self.outputs.columns].view(len(of), self.outputs.positions, self.outputs.batch)
