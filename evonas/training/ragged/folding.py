"""Batch normalisation folded into the weights of those members that have it, and its derivative.

The same formulas as `evonas.models.folding`, which says what they mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np
import torch
from torch import Tensor

from evonas.models.folding import EPSILON

if TYPE_CHECKING:
    from evonas.models.folding import Folding
    from evonas.training.ragged.flat import Flat
    from evonas.training.ragged.words import Words


@final
class RaggedFolding:
    """Folding of one layer; numbers of outputs have one row for each output of each member."""

    def __init__(self, folding: Folding, flat: Flat, inputs: Words, outputs: Words) -> None:
        self.folding, self.flat, self.inputs = folding, flat, inputs
        self.normalised = flat.of_rows(folding.normalised.float())
        self.members = [m for m, found in enumerate(folding.normalised.flatten()) if found]
        self.own = self.normalised.nonzero()[:, 0]
        widths, columns = [outputs.widths[m] for m in self.members], inputs.columns
        self.sums = torch.zeros(sum(widths), columns)
        self.own_sums = torch.split(self.sums, widths)
        self.folded, self._plain, self._of_sums = torch.zeros(flat.size), torch.zeros(flat.size), torch.zeros(flat.size)
        self._unquantised = torch.zeros(flat.size)
        self._matrices, self._of_matrices = flat.matrices(self._unquantised), flat.matrices(self._of_sums)
        self.mean = self.variance = self._factor = self._spread = torch.zeros(0)

    def load(self, gamma: Tensor, beta: Tensor, *, plain: Tensor, of_batch: bool) -> None:
        """Take the parameters of rows (views of what is trained), and what weights are multiplied by to see codes."""
        self.gamma, self.beta, self._plain, self.of_batch = gamma, beta, plain, of_batch
        self.mean = self.flat.of_rows(self.folding.mean)
        self.variance = self.flat.of_rows(self.folding.variance)

    def forward(self, weights: Tensor) -> Tensor:
        """Folded weights and biases, by the statistics of the batch, or by those of the last calibration."""
        if self.of_batch:
            self._measure(weights)
        deviation = torch.sqrt(self.variance + EPSILON)
        self._factor = self.gamma / deviation * self.normalised + (1 - self.normalised)
        self._spread = self._factor[self.flat.row_of]
        torch.mul(weights, self._spread, out=self.folded)
        biases = weights[self.flat.biases]
        shifted = self.beta + (biases - self.mean) * self._factor
        self.folded[self.flat.biases] = shifted * self.normalised + biases * (1 - self.normalised)
        return self.folded

    def _measure(self, weights: Tensor) -> None:
        """Mean and variance of each output over the batch, with unquantised weights."""
        torch.mul(weights, self._plain, out=self._unquantised)
        for member, sums in zip(self.members, self.own_sums, strict=True):
            torch.mm(self._matrices[member], self.inputs.inputs[member], out=sums)
        mean = self.sums.mean(1)
        self.sums.sub_(mean[:, None])
        self.mean[self.own], self.variance[self.own] = mean, self.sums.square().mean(1)

    def backward(
        self, weights: Tensor, gradient: Tensor, of_gamma: Tensor, of_beta: Tensor, *, to_inputs: bool
    ) -> None:
        """From the gradient of what is folded to that of weights and biases, in place, and of gamma and beta."""
        of_biases, deviation = gradient[self.flat.biases], torch.sqrt(self.variance + EPSILON)
        products = gradient * weights
        products[self.flat.biases] = of_biases * (weights[self.flat.biases] - self.mean)
        # the rows of a vector lie behind one another, and numpy sums each in an order of its own
        of_factor = torch.from_numpy(np.add.reduceat(products.numpy(), self.flat.starts.numpy())) * self.normalised
        gradient.mul_(self._spread)
        of_gamma.copy_(of_factor / deviation)
        of_beta.copy_(of_biases * self.normalised)
        if self.of_batch:
            of_mean = -of_biases * self._factor
            of_variance = of_factor * self.gamma * -0.5 / (deviation * deviation * deviation)
            self._through_statistics(of_mean[self.own], of_variance[self.own], gradient, to_inputs)

    def _through_statistics(self, of_mean: Tensor, of_variance: Tensor, gradient: Tensor, to_inputs: bool) -> None:
        columns = self.inputs.columns
        self.sums.mul_((of_variance * (2 / columns))[:, None]).add_((of_mean / columns)[:, None])
        for member, sums in zip(self.members, self.own_sums, strict=True):
            torch.mm(sums, self.inputs.inputs[member].t(), out=self._of_matrices[member])
            if to_inputs:
                own = self.inputs.own_gradients[member]
                torch.addmm(own, self._matrices[member][:, :-1].t(), sums, out=own)
        gradient.add_(self._of_sums.mul_(self._plain))
