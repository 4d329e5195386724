"""Steps of training a chain of dense layers and pooling, members of different widths side by side.

A padded stack (`evonas.models.stacked_network`) stays the owner of all that training changes: it prunes, calibrates,
evaluates and exports. From one calibration to the next, which is an epoch, its parameters and Adam's moments are lent
to vectors in which no member is padded; a step on them is that of the stack, up to the order of sums in the gradients.
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, final

import torch
from torch import Tensor

from evonas.models.stacked_dense import StackedDense
from evonas.models.stacked_operation import StackedOperation
from evonas.training.adam import correction, direction
from evonas.training.ragged.dense import RaggedDense
from evonas.training.ragged.pooling import RaggedPooling
from evonas.training.ragged.words import Words
from evonas.training.recipe import losses

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evonas.models.stacked_network import StackedNetwork
    from evonas.training.adam import StackedAdam


@final
class RaggedNetwork:
    """The members of a stack, all of them `needs_no_room`, for steps with `batch` samples each."""

    def __init__(self, stack: StackedNetwork, optimiser: StackedAdam, batch: int) -> None:
        self.stack, self.optimiser = stack, optimiser
        shapes = stack.room.shapes
        widths = [[spec.shapes[n][1] for spec in stack.specs] for n in range(len(shapes))]
        # a step needs the gradients of one part's inputs and outputs at a time
        largest = max(Words.size(each, positions, batch) for each, (positions, _) in zip(widths, shapes, strict=True))
        gradients = torch.zeros(2, largest)
        words = [
            Words(each, shapes[n][0], batch, gradients[n % 2], constant=n < len(shapes) - 1)
            for n, each in enumerate(widths)
        ]
        self.parts: list[RaggedDense | RaggedPooling] = []
        for n, owner in enumerate(stack.parts):
            if isinstance(owner, StackedDense):
                self.parts.append(RaggedDense(owner, words[n], words[n + 1], first=n == 0))
            else:
                assert isinstance(owner, StackedOperation)
                self.parts.append(RaggedPooling(owner, words[n], words[n + 1]))
        self._entering, last = words[0], words[-1]
        self._inputs = words[0].by_sample(words[0].values)[:, :-1].permute(0, 3, 2, 1)
        self._outputs = last.by_sample(last.sums)[:, :, 0].transpose(1, 2)
        self._of_outputs = last.by_sample(last.gradients)[:, :, 0].transpose(1, 2)
        dense = {f"parts.{n}.": part for n, part in enumerate(self.parts) if isinstance(part, RaggedDense)}
        places = pairwise(accumulate((part.size for part in dense.values()), initial=0))
        self._lent = [(name, part, slice(*place)) for (name, part), place in zip(dense.items(), places, strict=True)]
        vectors = torch.zeros(6, sum(part.size for part in dense.values()))
        self._parameters, self._gradients, self._first, self._second, self._rates, self._decays = vectors
        rates, decays = (numbers.view(-1, 1, 1) for numbers in (optimiser.rates, optimiser.decays))
        for _, part, place in self._lent:
            part.pack(self._rates[place], dict.fromkeys(part.names, rates))
            part.pack(self._decays[place], dict.fromkeys(part.names, 0 * decays) | {"weight": rates * decays})

    def load(self) -> None:
        """Take what an epoch begins with from the stack and its optimiser."""
        entering, stack = self._entering, self.stack
        self._scale = entering.per_row(stack.input_scale, 1.0)
        self._low, self._high = entering.per_row(stack.input_low, 1.0), entering.per_row(stack.input_high, 1.0)
        for vector, tensors in self._owned():
            for name, dense, place in self._lent:
                dense.pack(vector[place], {key: tensors[name + key] for key in dense.names})
        for _, dense, place in self._lent:
            dense.lend(self._parameters[place], self._gradients[place])
        scale = stack.input_scale
        for part in self.parts:
            part.load(scale)
            scale = part.owner.output_scale

    def store(self) -> None:
        """Give the stack and its optimiser what an epoch has come to."""
        for vector, tensors in self._owned():
            for name, part, place in self._lent:
                part.unpack(vector[place], {key: tensors[name + key] for key in part.names})

    def _owned(self) -> list[tuple[Tensor, Mapping[str, Tensor]]]:
        """Each vector that is lent, and the padded tensors that it is of, by name."""
        moments = self.optimiser.moments()
        first, second = ({name: pair[which] for name, pair in moments.items()} for which in (0, 1))
        parameters = {name: parameter.data for name, parameter in self.stack.named_parameters()}
        return [(self._parameters, parameters), (self._first, first), (self._second, second)]

    def step(self, x: Tensor, wanted: Tensor, schedule: float) -> Tensor:
        """One step on inputs (P, batch, n_inputs) and what is wanted; losses of the members before it, (P,)."""
        with torch.no_grad():
            self._enter(x)
            for part in self.parts:
                part.forward()
        outputs = self._outputs.contiguous().requires_grad_()
        loss = losses(outputs, wanted)
        loss.sum().backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            assert outputs.grad is not None
            self._of_outputs.copy_(outputs.grad)
            for part in reversed(self.parts):
                part.backward()
            self._move(schedule)
        return loss.detach()

    def _enter(self, x: Tensor) -> None:
        """Inputs to codes, as `StackedNetwork.quantise_input` has them."""
        self._inputs.copy_(x.view(self._inputs.shape))
        codes = self._entering.values.mul_(self._scale).round_()
        torch.maximum(codes, self._low, out=codes)
        torch.minimum(codes, self._high, out=codes)

    def _move(self, schedule: float) -> None:
        self.optimiser.steps += 1
        moves = direction(self._first, self._second, self._gradients)
        moves.mul_(self._rates * (schedule * correction(self.optimiser.steps)))
        if self.optimiser.decaying:
            self._parameters.sub_(self._parameters * (self._decays * schedule))
        self._parameters.sub_(moves)
