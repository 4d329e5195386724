"""The peer: candidates trained one after the other, by the loop that one writes in plain torch.

A module with fake-quantised layers, `x + (q(x) - x).detach()`, torch's Adam with a one-cycle rate, magnitude pruning
and new scales once an epoch. Rows are shuffled by index, which is several times as fast as a `DataLoader`.
Descriptions, epochs, batches, schedules and the choice of scales are those of population training; only biases are not
quantised.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from surrogates import LayerSpec, ModelSpec

if TYPE_CHECKING:
    from evonas.study.jobs import Training, TrainingOrder
    from evonas.tasks import Task

SLOPES = {"relu": 0.0, "leaky_relu": 0.125}


def fake(x: Tensor, scale: Tensor, low: float, high: float) -> Tensor:
    """Quantised forward, straight through backward."""
    quantised = torch.clamp(torch.floor(x * scale + 0.5), low, high) / scale
    return x + (quantised - x).detach()


def best_scale(x: Tensor, low: float, high: float, tries: int) -> Tensor:
    """Powers of two with the least squared error, one for each column of x: from where nothing saturates on."""
    largest = torch.maximum(x.amax(dim=0) / max(high, 1.0), -x.amin(dim=0) / max(-low, 1.0) * (low < 0))
    first = torch.floor(-torch.log2(largest.clamp(min=2.0**-12)))
    scales = torch.exp2(first + torch.arange(tries).view(-1, 1))
    errors = [(fake(x, scale, low, high) - x).square().sum(dim=0) for scale in scales]
    return scales.gather(0, torch.stack(errors).argmin(dim=0, keepdim=True))[0]


class Layer(nn.Module):
    """A dense layer with fake quantisation."""

    def __init__(self, spec: LayerSpec) -> None:
        super().__init__()
        self.spec, self.linear = spec, nn.Linear(spec.n_in, spec.n_out)
        nn.init.normal_(self.linear.weight, std=(2 / spec.n_in) ** 0.5)
        nn.init.zeros_(self.linear.bias)
        self.mask = torch.ones_like(self.linear.weight)
        self.weight_scale, self.output_scale = torch.ones(spec.n_out, 1), torch.ones(())
        self.calibrating = False

    def forward(self, x: Tensor) -> Tensor:
        """Quantised outputs of quantised inputs."""
        limit = 2.0 ** (self.spec.weight_bits - 1) - 1
        if self.calibrating:
            self.weight_scale = best_scale((self.linear.weight * self.mask).T, -limit, limit, 3).view(-1, 1)
        weight = fake(self.linear.weight, self.weight_scale, -limit, limit) * self.mask
        x = nn.functional.linear(x, weight, self.linear.bias)
        if self.spec.activation == "linear":
            return x
        bits = self.spec.activation_bits
        low, high = (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1) if self.spec.signed else (0.0, 2.0**bits - 1)
        x = torch.maximum(x, x * SLOPES[self.spec.activation]) if self.spec.activation in SLOPES else x
        if self.calibrating and self.spec.activation == "hard_tanh":
            self.output_scale = torch.tensor(high + 1)
        elif self.calibrating:
            self.output_scale = best_scale(x.reshape(-1, 1), low, high, 5)[0]
        scale = self.output_scale
        return fake(torch.clamp(x, float(low / scale), float(high / scale)), scale, low, high)

    def prune(self, share: float) -> None:
        """Zero the smallest weights, up to a share of the sparsity."""
        count = round(share * (self.spec.n_weights - self.spec.n_nonzero))
        order = (self.linear.weight * self.mask).abs().flatten().argsort()
        mask = torch.ones(self.spec.n_weights)
        mask[order[:count]] = 0.0
        self.mask = mask.view_as(self.linear.weight)


def train_alone(task: Task, order: TrainingOrder, training: Training) -> float:
    """Validation accuracy of one candidate trained by the loop."""
    torch.manual_seed(order.seeds[0])
    spec, data, validation = ModelSpec.from_dict(order.spec), task.split("train"), task.split("validation")
    step = training.clip / 2 ** (spec.input_bits - 1)

    def entering(x: object) -> Tensor:
        return torch.clamp(torch.round(torch.as_tensor(x) / step) * step, -training.clip, training.clip - step)

    x, y = entering(data.x), torch.from_numpy(data.y)
    layers = [Layer(layer) for layer in spec.weighted]
    network, loss_of = nn.Sequential(*layers), nn.CrossEntropyLoss()
    optimiser = torch.optim.Adam(network.parameters(), lr=order.learning_rate, betas=(0.9, 0.99))
    batches = len(x) // training.batch_size
    steps = batches * training.epochs
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda done: one_cycle((done + 1) / steps))
    for epoch in range(training.epochs):
        begin_epoch(layers, network, x[:2048], epoch / training.epochs)
        for rows in torch.randperm(len(x))[: batches * training.batch_size].split(training.batch_size):
            optimiser.zero_grad()
            loss_of(network(x[rows]), y[rows]).backward()
            optimiser.step()
            schedule.step()
    with torch.no_grad():
        right = network(entering(validation.x)).argmax(dim=1) == torch.from_numpy(validation.y)
    return float(right.float().mean())


def begin_epoch(layers: list[Layer], network: nn.Module, sample: Tensor, progress: float) -> None:
    """Prune by the cubic schedule, and choose scales until they are frozen."""
    position = min(max((progress - 0.1) / 0.5, 0.0), 1.0)
    for layer in layers:
        layer.prune(1 - (1 - position) ** 3)
        layer.calibrating = progress < 0.7
    with torch.no_grad():
        network(sample)
    for layer in layers:
        layer.calibrating = False


def one_cycle(progress: float) -> float:
    """Factor on the learning rate."""
    return min(progress / 0.05, 1.0) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
