"""A dense layer of several members with fake quantisation, forward and backward written out.

Words are codes, so that scales are factors of the weights alone: a code of the output is the sum of codes of the input
times codes of the weights times a power of two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
from torch import Tensor

from evonas.models.stacked_dense import BIAS_LIMIT
from evonas.training.ragged.flat import Flat
from evonas.training.ragged.folding import RaggedFolding
from evonas.training.ragged.rounding import Rounding
from evonas.training.ragged.words import aligned

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evonas.models.stacked_dense import StackedDense
    from evonas.training.ragged.words import Words


@final
class RaggedDense:
    """One layer between two places of words, `first` if it reads the network's input."""

    def __init__(self, owner: StackedDense, inputs: Words, outputs: Words, *, first: bool) -> None:
        self.owner, self.inputs, self.outputs, self.first = owner, inputs, outputs, first
        self.flat = Flat(owner)
        self.rounding = None if owner.last else Rounding(outputs)
        self.folding = None if owner.folding is None else RaggedFolding(owner.folding, self.flat, inputs, outputs)
        self._scale, self._limit, self._least, self._ratio, self._through, self._codes = torch.zeros(6, self.flat.size)
        self._matrices = self.flat.matrices(self._codes)
        # views are made once, because making one takes as long as a small product
        transposed = [matrix[:, :-1].t() for matrix in self._matrices]
        self._back = list(zip(transposed, outputs.own_gradients, inputs.own_gradients, strict=True))
        rows = 0 if self.folding is None else aligned(len(self.flat.biases))
        self._sizes = [self.flat.size, rows, rows]
        self.size = sum(self._sizes)
        """Of the vector of its parameters: weights with biases, gamma and beta."""
        self.names = ("weight", "bias", *(() if self.folding is None else ("folding.gamma", "folding.beta")))

    def _parts(self, vector: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Weights with biases, and numbers of rows that are gamma's and beta's, if there are."""
        flat, gamma, beta = torch.split(vector, self._sizes)
        rows = 0 if self.folding is None else len(self.flat.biases)
        return flat, gamma[:rows], beta[:rows]

    def pack(self, vector: Tensor, padded: Mapping[str, Tensor]) -> None:
        """Fill the vector of its parameters with what is in padded tensors, by their `names`."""
        flat, *rows = self._parts(vector)
        self.flat.fill(flat, padded["weight"], padded["bias"])
        for name, own in zip(self.names[2:], rows, strict=False):
            own.copy_(self.flat.of_rows(padded[name]))

    def unpack(self, vector: Tensor, padded: Mapping[str, Tensor]) -> None:
        """Write the vector of its parameters into padded tensors."""
        flat, *rows = self._parts(vector)
        self.flat.give(flat, padded["weight"], padded["bias"])
        for name, own in zip(self.names[2:], rows, strict=False):
            self.flat.give_rows(own, padded[name])

    def lend(self, parameters: Tensor, gradients: Tensor) -> None:
        """Work on these from now on."""
        self._weights, *self._rows = self._parts(parameters)
        self._gradient, *self._of_rows = self._parts(gradients)
        self._of_matrices = self.flat.matrices(self._gradient)

    def load(self, input_scale: Tensor) -> None:
        """Take masks and scales of an epoch."""
        layer, fill = self.owner, self.flat.fill
        scale = torch.ones_like(layer.output_scale) if layer.last else layer.output_scale
        fill(self._scale, layer.weight_scale, layer.bias_scale)
        fill(self._limit, layer.weight_limit, torch.full_like(scale, BIAS_LIMIT))
        self._least = -self._limit
        fill(self._ratio, layer.mask * (scale / (layer.weight_scale * input_scale)), scale / layer.bias_scale)
        fill(self._through, layer.mask * (scale / input_scale), scale)
        if self.rounding is not None:
            self.rounding.load(layer.lowest, layer.highest, layer.slope if layer.leaky else None)
        if self.folding is not None:
            plain = torch.zeros(self.flat.size)
            fill(plain, layer.mask / input_scale, torch.ones_like(input_scale))
            self.folding.load(*self._rows, plain=plain, of_batch=layer.training)

    def forward(self) -> None:
        """From the values of its inputs to those of its outputs; of a last layer to its sums."""
        weights = self._weights if self.folding is None else self.folding.forward(self._weights)
        codes = torch.mul(weights, self._scale, out=self._codes).add_(0.5).floor_()
        torch.maximum(codes, self._least, out=codes)
        torch.minimum(codes, self._limit, out=codes)
        codes.mul_(self._ratio)
        for matrix, words, sums in zip(self._matrices, self.inputs.inputs, self.outputs.own_sums, strict=True):
            torch.mm(matrix, words, out=sums)
        if self.rounding is not None:
            self.rounding.forward()

    def backward(self) -> None:
        """From the gradients of its outputs to those of its parameters and inputs."""
        if self.rounding is not None:
            self.rounding.backward()
        of_matrices = zip(self.outputs.own_gradients, self.inputs.transposed, self._of_matrices, strict=True)
        for of_sums, words, of_matrix in of_matrices:
            torch.mm(of_sums, words, out=of_matrix)
        for matrix, of_sums, of_words in () if self.first else self._back:
            torch.mm(matrix, of_sums, out=of_words)
        self._gradient.mul_(self._through)
        if self.folding is not None:
            self.folding.backward(self._weights, self._gradient, *self._of_rows, to_inputs=not self.first)
