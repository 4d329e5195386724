"""Adam for a stack of members, each with its own learning rate (Kingma and Ba, arXiv 1412.6980).

torch's optimisers have one rate per parameter tensor; here every tensor holds all members along its first dimension.
The moments of all tensors are one matrix, because the parameters of small networks are many small tensors, and each
operation on one costs more than its arithmetic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

_BETA1, _BETA2, _EPSILON = 0.9, 0.99, 1e-8


@final
class StackedAdam:
    """Adam on named parameters (P, ...) with one learning rate per member, `rates` (P,).

    Those named weight lose `decays` (P,) times the learning rate of themselves at each step (AdamW, arXiv 1711.05101).
    """

    def __init__(
        self, parameters: Mapping[str, torch.nn.Parameter], rates: torch.Tensor, decays: torch.Tensor | None = None
    ) -> None:
        self.names, self.parameters = list(parameters), list(parameters.values())
        self.rates = rates.view(-1, 1)
        self.decaying = decays is not None
        self.decays = torch.zeros_like(rates) if decays is None else decays
        self.sizes = [p[0].numel() for p in self.parameters]
        self.first = torch.zeros(len(rates), sum(self.sizes), device=rates.device)
        self.second = torch.zeros_like(self.first)
        self.steps = 0

    @torch.no_grad()
    def step(self, schedule: float) -> None:
        """Move by `schedule` times each member's rate and forget the gradients; one that is missing counts as zero."""
        self.steps += 1
        every = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters]
        gradients = torch.cat([gradient.flatten(1) for gradient in every], dim=1)
        moves = direction(self.first, self.second, gradients)
        moves.mul_(self.rates * (schedule * correction(self.steps)))
        parts = torch.split(moves, self.sizes, dim=1)
        for name, parameter, move in zip(self.names, self.parameters, parts, strict=True):
            if self.decaying and name.endswith("weight"):
                parameter.sub_(parameter * ((self.decays.view(-1, 1) * self.rates)[:, :, None] * schedule))
            parameter.sub_(move.view_as(parameter))
            parameter.grad = None

    def moments(self) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        """Both moments of every parameter, in its shape and by its name; writing to them changes those of Adam."""
        parts = zip(*(torch.split(moment, self.sizes, dim=1) for moment in (self.first, self.second)), strict=True)
        named = zip(self.names, self.parameters, parts, strict=True)
        return {name: (first.view_as(p), second.view_as(p)) for name, p, (first, second) in named}


def direction(first: torch.Tensor, second: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
    """Update both moments by `gradients`, which is lost, and return their ratio, in the shape of all three."""
    # no `lerp` and `addcmul`: where a number lies in memory decides whether they round once or twice
    first.mul_(_BETA1).add_(gradients * (1 - _BETA1))
    second.mul_(_BETA2).add_(gradients.square_().mul_(1 - _BETA2))
    return first / second.sqrt().add_(_EPSILON)


def correction(steps: int) -> float:
    """Factor on `direction` after so many steps, because moments begin with zero."""
    return float((1 - _BETA2**steps) ** 0.5 / (1 - _BETA1**steps))
