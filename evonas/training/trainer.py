"""Quantisation-aware training of candidates with gradual pruning to the genome's sparsity.

Members of one stack share their topology and nothing else: each has its own seed, initial weights, batch order and
learning rate. Pruning follows the cubic schedule of Zhu and Gupta (arXiv 1710.01878); the optimiser is Adam with a
one-cycle cosine.
"""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import torch

from evonas.errors import Failure, FailureKind
from evonas.models.stacked_network import StackedNetwork
from evonas.training.adam import StackedAdam

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evonas.models.quantised_network import QuantisedNetwork
    from evonas.space.base import Norm
    from evonas.tasks.base import Split
    from surrogates import ModelSpec

_CALIBRATION_ROWS = 2048
_PRUNE_FROM, _PRUNE_TO = 0.1, 0.6  # fractions of the training
_WARM_UP = 0.05
_FREEZE_FROM = 0.7  # binary points no longer move from here on


@final
@dataclass(frozen=True)
class Member:
    """One candidate to train: network, learning rate, its own seed, and normalisation of the hidden layers."""

    spec: ModelSpec
    learning_rate: float
    seed: int
    norm: Norm = "none"


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
    start = time.perf_counter()
    with single_threaded():
        stack, losses = _fit(members, data, clip, epochs, batch_size)
        seconds = (time.perf_counter() - start) / len(members)
        results: list[Trained | Failure] = []
        for index, loss in enumerate(losses):
            if math.isfinite(loss) and all(bool(torch.isfinite(p[index]).all()) for p in stack.parameters()):
                results.append(Trained(stack.export(index), epochs, loss, seconds))
            else:
                results.append(Failure(FailureKind.DIVERGED, f"training loss became {loss} within {epochs} epochs"))
    return results


def _fit(
    members: Sequence[Member], data: Split, clip: float, epochs: int, batch_size: int
) -> tuple[StackedNetwork, list[float]]:
    generators = [torch.Generator().manual_seed(m.seed) for m in members]
    stack = StackedNetwork([m.spec for m in members], clip, generators, [m.norm == "batch" for m in members])
    inputs = torch.from_numpy(data.x)  # one copy for all members; each quantises the rows of its batches
    sample = stack.quantise_input(inputs[None, :_CALIBRATION_ROWS])
    wanted = torch.from_numpy(data.y)
    batch_size = min(batch_size, len(data))
    batches = len(data) // batch_size
    optimiser = StackedAdam(stack.parameters(), torch.tensor([m.learning_rate for m in members]))
    losses = torch.zeros(len(members))
    for epoch in range(epochs):
        fraction = epoch / epochs
        stack.prune(_pruned(fraction))
        if epoch == 0 or fraction < _FREEZE_FROM:
            stack.calibrate(sample)
            stack.train((epoch + 1) / epochs < _FREEZE_FROM)  # from the last calibration on, its statistics stay
        order = torch.stack([torch.randperm(len(data), generator=g) for g in generators])
        losses = torch.zeros(len(members))
        for batch in range(batches):
            rows = order[:, batch * batch_size : (batch + 1) * batch_size]
            loss = _losses(stack(stack.quantise_input(inputs[rows])), wanted[rows])
            loss.sum().backward()  # type: ignore[no-untyped-call]
            optimiser.step(_schedule((epoch + (batch + 1) / batches) / epochs))
            losses += loss.detach() / batches
    stack.prune(1.0)
    return stack, [float(v) for v in losses]


def _losses(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Loss of each member, (P,), from outputs (P, batch, n_outputs).

    Mean cross-entropy (nats) for classes (P, batch), mean squared error for float targets (P, batch, n_outputs).
    """
    if targets.is_floating_point():
        return (outputs - targets).square().mean(dim=(1, 2))
    each = torch.nn.functional.cross_entropy(outputs.flatten(0, 1), targets.flatten(), reduction="none")
    return each.view(len(outputs), -1).mean(dim=1)


def _schedule(progress: float) -> float:
    """Factor on the learning rate: a short linear rise, then a cosine to zero."""
    return min(progress / _WARM_UP, 1.0) * 0.5 * (1 + math.cos(math.pi * progress))


def _pruned(fraction: float) -> float:
    """Share of the final sparsity at a fraction of the training (cubic)."""
    position = min(max((fraction - _PRUNE_FROM) / (_PRUNE_TO - _PRUNE_FROM), 0.0), 1.0)
    return float(1 - (1 - position) ** 3)


@contextmanager
def single_threaded() -> Iterator[None]:
    """One torch thread: small networks are not faster with more, and sums then have one order on every machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
