"""Quantisation-aware training of candidates with gradual pruning to the genome's sparsity.

Members of one stack share their topology and nothing else: each has its own seed, initial weights, batch order and
learning rate. A stack can stop at any epoch, lose members and grow narrower, and each of them can go on in another.
"""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import torch

from evonas.errors import Failure, FailureKind
from evonas.models.padding import needs_no_room
from evonas.models.stacked_network import StackedNetwork
from evonas.training.adam import StackedAdam
from evonas.training.ragged.network import RaggedNetwork
from evonas.training.recipe import FREEZE_FROM, losses, pruned, schedule, single_threaded
from evonas.training.state import MemberState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from evonas.models.quantised_network import QuantisedNetwork
    from evonas.models.stacked_dense import Place
    from evonas.space.base import Norm
    from evonas.tasks.base import Split
    from surrogates import ModelSpec

_CALIBRATION_ROWS = 1024


@final
@dataclass(frozen=True)
class Member:
    """One candidate to train: network, learning rate, its own seed, and normalisation of the hidden layers.

    `weight_decay` is decoupled, as AdamW has it (Loshchilov and Hutter, arXiv 1711.05101), and of weights alone.
    """

    spec: ModelSpec
    learning_rate: float
    seed: int
    norm: Norm = "none"
    weight_decay: float = 0.0


@final
@dataclass(frozen=True)
class Trained:
    """A trained network in exact fixed point, how long it trained, and its final training loss.

    The loss is the mean cross-entropy (nats) for classes, else the mean square of standardised differences.
    """

    network: QuantisedNetwork
    epochs: int
    train_loss: float
    wall_time_s: float


def train(
    members: Sequence[Member], data: Split, *, clip: float, epochs: int, batch_size: int
) -> list[Trained | Failure]:
    """Train a stack of members of equal topology on `data`; one result per member, in order.

    A member whose loss is not finite becomes a `Failure` (diverged) and does not disturb the others.
    """
    population = Population(members, data, clip=clip, epochs=epochs, batch_size=batch_size)
    population.train()
    return population.results()


@final
class Population:
    """A stack of members in training, that can stop at any epoch, lose members, and go on elsewhere.

    Schedules are those of `epochs` whenever it stops. With `states` (one for each member, of the same epoch and data)
    it goes on where these were taken. `device` is torch's name of where it trains.
    """

    def __init__(
        self,
        members: Sequence[Member],
        data: Split,
        *,
        clip: float,
        epochs: int,
        batch_size: int,
        states: Sequence[MemberState] = (),
        device: str = "cpu",
    ) -> None:
        self.data, self.clip, self.epochs, self.device = data, clip, epochs, torch.device(device)
        self.batch_size = min(batch_size, len(data))
        # one copy for all members; each quantises the rows of its batches
        self._inputs, self._wanted = (torch.from_numpy(part).to(self.device) for part in (data.x, data.y))
        self._gone: dict[int, Trained | Failure] = {}
        self._numbers = list(range(len(members)))  # those that are in the stack, of all that it began with
        self._build(members, states)

    def _build(self, members: Sequence[Member], states: Sequence[MemberState]) -> None:
        if len({state.epoch for state in states}) > 1:
            raise ValueError("members of a stack must be at the same epoch")
        self.members = tuple(members)
        self._generators = [torch.Generator().manual_seed(m.seed) for m in members]
        normalised = [m.norm == "batch" for m in members]
        self.stack = StackedNetwork([m.spec for m in members], self.clip, self._generators, normalised).to(self.device)
        rates = torch.tensor([m.learning_rate for m in members], device=self.device)
        decaying = any(m.weight_decay for m in members)
        decays = torch.tensor([m.weight_decay for m in members], device=self.device) if decaying else None
        self._optimiser = StackedAdam(dict(self.stack.named_parameters()), rates, decays)
        self.epoch = states[0].epoch if states else 0
        self._optimiser.steps = self.epoch * self._batches
        side_by_side = self.device.type == "cpu" and all(needs_no_room(m.spec) for m in members)
        self._ragged = RaggedNetwork(self.stack, self._optimiser, self.batch_size) if side_by_side else None
        self._losses = torch.tensor([state.train_loss for state in states] or [0.0] * len(members), device=self.device)
        self._seconds = [state.wall_time_s for state in states] or [0.0] * len(members)
        for index, state in enumerate(states):
            self._generators[index].set_state(torch.from_numpy(state.stream))
            for name, (tensor, place) in self._places(index).items():
                tensor[place] = torch.from_numpy(state.tensors[name]).to(self.device)

    @property
    def _batches(self) -> int:
        return len(self.data) // self.batch_size

    def _places(self, index: int) -> dict[str, tuple[torch.Tensor, Place]]:
        """Every tensor that training changes, by name, and where one member's numbers are in it."""
        tensors, places = self.stack.state_dict(), self.stack.places(index)
        moments = self._optimiser.moments()
        found = {name: (tensors[name], place) for name, place in places.items()}
        for name in moments.keys() & places.keys():
            for which, moment in enumerate(moments[name]):
                found[f"{name}/moment{which}"] = moment, places[name]
        return found

    @single_threaded()
    def train(
        self,
        until: int | None = None,
        validation: Split | None = None,
        patience: int | None = None,
        epoch_done: Callable[[int, int], None] | None = None,
    ) -> None:
        """Go on until so many epochs are done, or all.

        A member leaves when its loss is not finite, and with `patience` when its loss on `validation` has not become
        less for so many epochs; these are counted from where masks and binary points no longer change.
        `epoch_done(epoch, alive)` is called after each epoch with the number of members that are left.
        """
        lowest, since = [math.inf] * len(self.members), [0] * len(self.members)
        for epoch in range(self.epoch, self.epochs if until is None else until):
            start = time.perf_counter()
            self._train_epoch(epoch)
            stay = [math.isfinite(loss) for loss in self._losses]
            if patience is not None and validation is not None and epoch >= self.epochs * FREEZE_FROM:
                for index, loss in enumerate(self.losses_on(validation)):
                    since[index] = 0 if loss < lowest[index] else since[index] + 1
                    lowest[index] = min(lowest[index], loss)
                    stay[index] &= since[index] < patience
            self._seconds = [s + (time.perf_counter() - start) / len(self.members) for s in self._seconds]
            if not all(stay) and self.epoch < self.epochs:
                kept = [index for index, stays in enumerate(stay) if stays]
                lowest, since = [lowest[i] for i in kept], [since[i] for i in kept]
                self._let_go(kept)
            if epoch_done is not None:
                epoch_done(self.epoch, len(self._numbers))
            if not self._numbers:
                return
        if self.epoch == self.epochs:
            self.stack.prune(1.0)

    def _let_go(self, kept: Sequence[int]) -> None:
        """Note what those that leave have become, and go on with the others."""
        stack = self._settled()
        for index in set(range(len(self.members))) - set(kept):
            self._gone[self._numbers[index]] = self._result(index, stack)
        if kept:
            self.keep(kept)
        else:
            self._numbers = []

    @single_threaded()
    @torch.no_grad()
    def losses_on(self, data: Split) -> list[float]:
        """Loss of each member on other rows, by the network as it is calibrated now."""
        mode, total = self.stack.training, torch.zeros(len(self.members), device=self.device)
        self.stack.eval()
        inputs, wanted = (torch.from_numpy(part).to(self.device) for part in (data.x, data.y))
        for x, y in zip(*(torch.split(part, _CALIBRATION_ROWS) for part in (inputs, wanted)), strict=True):
            outputs = self.stack(self.stack.quantise_input(x[None]).expand(len(self.members), -1, -1))
            total += losses(outputs, y.expand(len(self.members), *y.shape)) * (len(x) / len(data))
        self.stack.train(mode)
        return [float(loss) for loss in total]

    def _train_epoch(self, epoch: int) -> None:
        fraction = epoch / self.epochs
        self.stack.prune(pruned(fraction))
        if epoch == 0 or fraction < FREEZE_FROM:
            self._calibrate(self.stack)
        self.stack.train((epoch + 1) / self.epochs < FREEZE_FROM)  # from the last calibration on, its statistics stay
        order = torch.stack([torch.randperm(len(self.data), generator=g) for g in self._generators]).to(self.device)
        means = torch.zeros(len(self.members), device=self.device)
        if self._ragged is not None:
            self._ragged.load()
        for batch in range(self._batches):
            rows = order[:, batch * self.batch_size : (batch + 1) * self.batch_size]
            progress = (epoch + (batch + 1) / self._batches) / self.epochs
            means += self._step(self._inputs[rows], self._wanted[rows], schedule(progress)) / self._batches
        if self._ragged is not None:
            self._ragged.store()
        self._losses, self.epoch = means, epoch + 1

    def _step(self, x: torch.Tensor, wanted: torch.Tensor, rate: float) -> torch.Tensor:
        """One step of all members at `rate` times their own; their losses before it."""
        if self._ragged is not None:
            return self._ragged.step(x, wanted, rate)
        loss = losses(self.stack(self.stack.quantise_input(x)), wanted)
        loss.sum().backward()  # type: ignore[no-untyped-call]
        self._optimiser.step(rate)
        return loss.detach()

    def _calibrate(self, stack: StackedNetwork) -> None:
        stack.calibrate(stack.quantise_input(self._inputs[None, :_CALIBRATION_ROWS]))

    @single_threaded()
    def results(self) -> list[Trained | Failure]:
        """What each member has become, of those that it began with and that were not let go by `keep`.

        Before the last epoch: what it would be if it were not trained any further.
        """
        stack = self._settled()
        found = self._gone | {number: self._result(index, stack) for index, number in enumerate(self._numbers)}
        return [found[number] for number in sorted(found)]

    def _settled(self) -> StackedNetwork:
        """The stack with the binary points of its weights as they are; those of the last calibration are older.

        A copy, because what is pruned next depends on the statistics of the last calibration.
        """
        settled = not 0 < self.epoch < self.epochs * FREEZE_FROM
        if settled and self.device.type == "cpu":
            return self.stack
        stack = copy.deepcopy(self.stack)
        if not settled:
            self._calibrate(stack)
        return stack.cpu()

    def _result(self, index: int, stack: StackedNetwork) -> Trained | Failure:
        loss, finite = float(self._losses[index]), (torch.isfinite(p[index]).all() for p in stack.parameters())
        if not math.isfinite(loss) or not all(map(bool, finite)):
            return Failure(FailureKind.DIVERGED, f"training loss became {loss} within {self.epoch} epochs")
        return Trained(stack.export(index), self.epoch, loss, self._seconds[index])

    def states(self) -> dict[int, MemberState]:
        """Where each member is that has not left, to go on elsewhere; by its place among those that it began with."""
        return {number: self._state(index) for index, number in enumerate(self._numbers)}

    def _state(self, index: int) -> MemberState:
        tensors = {name: tensor[place].cpu().numpy().copy() for name, (tensor, place) in self._places(index).items()}
        stream = self._generators[index].get_state().numpy().copy()
        return MemberState(self.epoch, float(self._losses[index]), self._seconds[index], tensors, stream)

    def keep(self, indices: Sequence[int]) -> None:
        """Let all but these members go; the stack and its memory shrink to the widest of the others."""
        self._numbers = [self._numbers[index] for index in indices]
        self._build([self.members[index] for index in indices], [self._state(index) for index in indices])
