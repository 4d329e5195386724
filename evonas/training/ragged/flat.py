"""The parameters of one layer of all members as one vector, in which each member has a matrix of its own size."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, final

import torch
from torch import Tensor

from evonas.training.ragged.words import aligned

if TYPE_CHECKING:
    from evonas.models.stacked_dense import StackedDense


@final
class Flat:
    """Where weights (P, n_in, n_out) and biases (P, 1, n_out) of a padded layer are in the vector.

    A member's matrix is (n_out, n_in + 1), biases last. What lies between two of them is nobody's and stays zero.
    """

    def __init__(self, layer: StackedDense) -> None:
        self.padded = layer.weight.shape
        members, n_in, n_out = self.padded
        self._shapes = [(spec.n_out, spec.n_in + 1) for spec in layer.specs]
        starts = [0, *accumulate(aligned(rows * columns) for rows, columns in self._shapes)]
        self.size, self._starts = starts[-1], starts[:-1]
        weights = torch.arange(members * n_in * n_out).view(self.padded)
        outputs = torch.arange(members * n_out).view(members, 1, n_out)
        read: list[Tensor] = []
        places, row_of, biases, of_outputs = [read.copy() for _ in range(4)]
        n_rows = 0
        for member, (start, (rows, columns)) in enumerate(zip(self._starts, self._shapes, strict=True)):
            own = outputs[member, :, :rows]
            read.append(torch.cat([weights[member, : columns - 1, :rows], weights.numel() + own]).t().flatten())
            places.append(torch.arange(start, start + rows * columns))
            biases.append(places[-1][columns - 1 :: columns])
            of_outputs.append(own.flatten())
            row_of.append((n_rows + torch.arange(rows)).repeat_interleave(columns))
            n_rows += rows
        self._read, self._places = torch.cat(read), torch.cat(places)
        self._outputs = torch.cat(of_outputs)
        self.biases = torch.cat(biases)
        """Where the bias of each row, an output of a member, is in the vector."""
        self.row_of = torch.zeros(self.size, dtype=torch.long)
        """The row of each number in the vector; the first for what is nobody's."""
        self.row_of[self._places] = torch.cat(row_of)
        self.starts = torch.cat(biases) - torch.cat([torch.full((r,), c - 1) for r, c in self._shapes])
        """Where each row begins."""

    def matrices(self, vector: Tensor) -> list[Tensor]:
        """Views (n_out, n_in + 1) of a vector, one for each member."""
        return [vector[s : s + r * c].view(r, c) for s, (r, c) in zip(self._starts, self._shapes, strict=True)]

    def fill(self, vector: Tensor, weights: Tensor, biases: Tensor) -> None:
        """Take what broadcasts to padded weights and biases into a vector."""
        members, _, n_out = self.padded
        both = weights.expand(self.padded).flatten(), biases.expand(members, 1, n_out).flatten()
        vector[self._places] = torch.cat(both)[self._read]

    def give(self, vector: Tensor, weights: Tensor, biases: Tensor) -> None:
        """Write a vector into padded weights and biases."""
        both = torch.cat([weights.flatten(), biases.flatten()])
        both[self._read] = vector[self._places]
        weights.copy_(both[: weights.numel()].view_as(weights))
        biases.copy_(both[weights.numel() :].view_as(biases))

    def of_rows(self, padded: Tensor) -> Tensor:
        """Numbers (P, 1, n_out) of the outputs, or (P, 1, 1) of members, for each row."""
        return padded.expand(-1, 1, self.padded[2]).flatten()[self._outputs]

    def give_rows(self, rows: Tensor, padded: Tensor) -> None:
        """Write numbers of rows into a tensor (P, 1, n_out)."""
        flat = padded.flatten()
        flat[self._outputs] = rows
        padded.copy_(flat.view_as(padded))
