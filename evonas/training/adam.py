"""Adam for a stack of members, each with its own learning rate (Kingma and Ba, arXiv 1412.6980).

torch's optimisers have one rate per parameter tensor; here every tensor holds all members along its first dimension.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable


@final
class StackedAdam:
    """Adam on parameters (P, ...) with one learning rate per member, `rates` (P,)."""

    def __init__(self, parameters: Iterable[torch.nn.Parameter], rates: torch.Tensor) -> None:
        self.parameters = list(parameters)
        self.rates = [rates.view(-1, *([1] * (p.dim() - 1))) for p in self.parameters]
        self.first = [torch.zeros_like(p) for p in self.parameters]
        self.second = [torch.zeros_like(p) for p in self.parameters]
        self.steps = 0

    @torch.no_grad()
    def step(self, schedule: float, beta1: float = 0.9, beta2: float = 0.99, epsilon: float = 1e-8) -> None:
        """Move by `schedule` times each member's rate and forget the gradients."""
        self.steps += 1
        correction = (1 - beta2**self.steps) ** 0.5 / (1 - beta1**self.steps)
        for parameter, rate, first, second in zip(
            self.parameters, self.rates, self.first, self.second, strict=True
        ):
            if parameter.grad is None:
                continue
            first.lerp_(parameter.grad, 1 - beta1)
            second.mul_(beta2).addcmul_(parameter.grad, parameter.grad, value=1 - beta2)
            parameter.sub_(rate * (schedule * correction) * first / (second.sqrt() + epsilon))
            parameter.grad = None
