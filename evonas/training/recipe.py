"""How a member is trained, whoever is beside it: its loss, the schedules of rate and pruning, one thread of torch.

Pruning follows the cubic schedule of Zhu and Gupta (arXiv 1710.01878); the rate is a one-cycle cosine.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

_PRUNE_FROM, _PRUNE_TO = 0.1, 0.6  # fractions of the training
_WARM_UP = 0.05
FREEZE_FROM = 0.7  # binary points no longer move from here on


def losses(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Loss of each member, (P,), from outputs (P, batch, n_outputs).

    Mean cross-entropy (nats) for classes (P, batch), mean squared error for float targets (P, batch, n_outputs).
    """
    if targets.is_floating_point():
        return (outputs - targets).square().mean(dim=(1, 2))
    each = torch.nn.functional.cross_entropy(outputs.flatten(0, 1), targets.flatten(), reduction="none")
    return each.view(len(outputs), -1).mean(dim=1)


def schedule(progress: float) -> float:
    """Factor on the learning rate: a short linear rise, then a cosine to zero."""
    return min(progress / _WARM_UP, 1.0) * 0.5 * (1 + math.cos(math.pi * progress))


def pruned(fraction: float) -> float:
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
