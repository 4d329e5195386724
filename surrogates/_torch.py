"""The one door to torch: trains layer-graph networks and deep ensembles, whose results need numpy alone.

The loss of a layer-graph network is minus the log likelihood of what synthesis said: Laplace for the logarithms of LUTs
and flip-flops, a logistic distribution cut at half cycles for the latency.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch
from torch import Tensor

from surrogates.deep_ensemble import LOG_SPREAD
from surrogates.layer_graph import CAP, LEARNT, ROUNDS, SPREAD, shapes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from surrogates.graph_table import GraphTable
    from surrogates.table import Floats

_FIXED = ("shift", "scale")
# of a deep ensemble: hidden widths, steps on all rows, learning rate, and a decay that keeps what little data says near
# zero (a tenth to three made no difference on 150 records)
PERCEPTRON, PERCEPTRON_STEPS, PERCEPTRON_RATE, PERCEPTRON_DECAY = (32, 32), 150, 0.01, 0.3


@final
@dataclass(frozen=True)
class Recipe:
    """`epochs` over all networks, `batch` of them at a time, by AdamW with a one-cycle rate up to `learning_rate`."""

    width: int = 64
    epochs: int = 60
    batch: int = 256
    learning_rate: float = 3e-3
    weight_decay: float = 1e-3


def train_member(
    tables: Sequence[GraphTable],
    truth: Floats,
    weights: Sequence[Floats],
    recipe: Recipe,
    seed: int,
    progress: Callable[[int, float], None] = lambda _epoch, _loss: None,
) -> dict[str, NDArray[np.float32]]:
    """A member of a `LayerGraph`.

    `tables` lay the same n networks out in different ways (weights known or not), of which each step takes one; `truth`
    (n, 3) are LUTs, flip-flops and cycles, NaN where they are not known; `weights` (n,) are relative, for each table,
    and zero for networks that it tells nothing of.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    held = _initial(tables, recipe.width)
    learnt = [value for name, value in held.items() if name not in _FIXED]
    steps = recipe.epochs * -(-len(truth) // recipe.batch)
    optimiser = torch.optim.AdamW(learnt, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.learning_rate, total_steps=steps, pct_start=0.2)
    for epoch in range(recipe.epochs):
        total = 0.0
        order = rng.permutation(len(truth))
        for first in range(0, len(order), recipe.batch):
            chosen = np.sort(order[first : first + recipe.batch])
            way = int(rng.integers(len(tables)))
            chosen = chosen[weights[way][chosen] > 0]
            if len(chosen) == 0:
                rates.step()
                continue
            batch = _Batch.of(tables[way].select(chosen))
            loss = _loss(held, batch, *(torch.from_numpy(part[chosen]).float() for part in (truth, weights[way])))
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(learnt, 1.0)
            optimiser.step()
            rates.step()
            total += float(loss.detach()) * len(chosen) / len(truth)
        progress(epoch + 1, total)
    return {name: value.detach().numpy().astype(np.float32) for name, value in held.items()}


def train_perceptrons(
    inputs: Floats, targets: Floats, weights: Floats, seed: int, n_members: int
) -> list[dict[str, Floats]]:
    """Members of a `surrogates.deep_ensemble`, on inputs (n, p), targets and weights (n,), by AdamW on all rows.

    They are trained side by side. After a third of the steps, which fit the mean alone, the loss is minus the log
    likelihood of a normal distribution.
    """
    generator = torch.Generator().manual_seed(seed)
    rows, truth, mass = (
        torch.from_numpy(np.ascontiguousarray(part)).float() for part in (inputs, targets, weights / weights.mean())
    )
    sizes = (inputs.shape[1], *PERCEPTRON, 2)
    held: dict[str, Tensor] = {}
    for name, fan_in, fan_out in zip("ABC", sizes[:-1], sizes[1:], strict=True):
        scale = math.sqrt(2 / max(fan_in, 1)) * (0.1 if name == "C" else 1.0)
        start = torch.randn(n_members, fan_in, fan_out, generator=generator) * scale
        held[name] = start.requires_grad_()
        held[name.lower()] = torch.zeros(n_members, 1, fan_out, requires_grad=True)
    optimiser = torch.optim.AdamW(list(held.values()), lr=PERCEPTRON_RATE, weight_decay=PERCEPTRON_DECAY)
    rates = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, PERCEPTRON_STEPS)
    for step in range(PERCEPTRON_STEPS):
        hidden = torch.relu(torch.relu(rows @ held["A"] + held["a"]) @ held["B"] + held["b"])
        mean, spread = (hidden @ held["C"] + held["c"]).unbind(dim=2)
        loss = (truth - mean) ** 2
        if 3 * step >= PERCEPTRON_STEPS:
            spread = torch.clamp(spread, *LOG_SPREAD)
            loss = loss / 2 * torch.exp(-2 * spread) + spread
        optimiser.zero_grad()
        (loss * mass).mean(dim=1).sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        rates.step()
    arrays = {name: value.detach().double().numpy() for name, value in held.items()}
    return [
        {name: value[member] if name.isupper() else value[member, 0] for name, value in arrays.items()}
        for member in range(n_members)
    ]


def _initial(tables: Sequence[GraphTable], width: int) -> dict[str, Tensor]:
    features = np.concatenate([table.features for table in tables])
    spread = features.std(axis=0)
    held: dict[str, Tensor] = {}
    for name, shape in shapes(features.shape[1], width).items():
        start = torch.zeros(shape)
        if len(shape) == 2 and name not in ("leave", "spread"):
            start = torch.randn(shape) * math.sqrt(2 / shape[0]) * (1.0 if name == "enter" else 0.3)
        held[name] = start.requires_grad_(name not in _FIXED)
    with torch.no_grad():
        held["shift"] = torch.from_numpy(features.mean(axis=0)).float()
        held["scale"] = torch.from_numpy(np.where(spread > 1e-6, spread, 1.0)).float()
        held["spread_bias"] += torch.tensor([-2.0, -2.0, -1.0])
    return held


@final
@dataclass(frozen=True)
class _Batch:
    """A `GraphTable` as tensors."""

    n_specs: int
    owner: Tensor
    features: Tensor
    source: Tensor
    sink: Tensor
    forms: Tensor
    cycles: Tensor

    @classmethod
    def of(cls, table: GraphTable) -> _Batch:
        def real(values: NDArray[Any]) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(values)).float()

        source, sink = (torch.from_numpy(np.ascontiguousarray(column)) for column in table.edges.T)
        forms = real(np.stack([table.lut, table.ff, table.stages], axis=1))
        owner = torch.from_numpy(table.owner)
        return cls(table.n_specs, owner, real(table.features), source, sink, forms, real(table.cycles))


def _mean(values: Tensor, sink: Tensor, rows: int) -> Tensor:
    sums = torch.zeros(rows, values.shape[1]).index_add(0, sink, values)
    counts = torch.zeros(rows).index_add(0, sink, torch.ones(len(sink)))
    return sums / counts.clamp(min=1)[:, None]


def _forward(held: Mapping[str, Tensor], batch: _Batch) -> tuple[Tensor, Tensor]:
    """As `surrogates.layer_graph` has it: log(1 + LUT), log(1 + FF) and cycles (n, 3), logarithms of spreads (n, 3)."""
    h = torch.relu((batch.features - held["shift"]) / held["scale"] @ held["enter"] + held["enter_bias"])
    for step in range(ROUNDS):
        before = _mean(h[batch.source] @ held[f"before{step}"], batch.sink, len(h))
        behind = _mean(h[batch.sink] @ held[f"behind{step}"], batch.source, len(h))
        h = h + torch.relu(h @ held[f"own{step}"] + before + behind + held[f"bias{step}"])
    factors = torch.exp(torch.clamp(h @ held["leave"] + held["leave_bias"], -CAP, CAP))
    totals = torch.zeros(batch.n_specs, len(LEARNT)).index_add(0, batch.owner, batch.forms * factors)
    spread = torch.clamp(_mean(h @ held["spread"], batch.owner, batch.n_specs) + held["spread_bias"], *SPREAD)
    cycles = batch.cycles + totals[:, 2] + held["offset"]
    return torch.cat([torch.log1p(totals[:, :2]), cycles[:, None]], dim=1), spread


def forward(member: Mapping[str, NDArray[np.float32]], table: GraphTable) -> tuple[Floats, Floats]:
    """Means (3, n) and logarithms of spreads (3, n), as `LayerGraph` computes them with numpy."""
    with torch.no_grad():
        mean, spread = _forward({name: torch.from_numpy(value) for name, value in member.items()}, _Batch.of(table))
    return mean.T.double().numpy(), spread.T.double().numpy()


def _loss(held: Mapping[str, Tensor], batch: _Batch, truth: Tensor, weights: Tensor) -> Tensor:
    mean, spread = _forward(held, batch)
    known = torch.isfinite(truth)
    wanted = torch.where(known, truth, torch.zeros(()))
    cells = (torch.log1p(wanted[:, :2]) - mean[:, :2]).abs() * torch.exp(-spread[:, :2]) + spread[:, :2]
    scale = torch.exp(-spread[:, 2])
    # P(cycles) = sigmoid(a) - sigmoid(b), a > b, written so that neither tail vanishes
    above, below = (wanted[:, 2] + 0.5 - mean[:, 2]) * scale, (wanted[:, 2] - 0.5 - mean[:, 2]) * scale
    likely = torch.nn.functional.logsigmoid(above) + torch.nn.functional.logsigmoid(-below)
    cycles = -(likely + torch.log(-torch.expm1(below - above)))
    each = torch.cat([cells, cycles[:, None]], dim=1) * known
    return (each.sum(dim=1) * weights).sum() / weights.sum()
