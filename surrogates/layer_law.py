"""The closed form with its exponents freed: cost = sum over layers of (closed form of the layer) x (a power law).

A network's cost adds up over its layers, which no feature of the whole network shows a regressor. Fitting a power
law per layer through that sum needs a dozen numbers, bends the closed form to the tool at hand, and extrapolates like
physics: this is the part of the surrogate that is trusted past the edge of the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, final

import numpy as np

from surrogates import high_level_synthesis
from surrogates.analytic import (
    alive_shares,
    exact_cycles,
    layer_bram,
    layer_dsp,
    layer_ff,
    layer_interval,
    layer_lut,
    logic_stages,
    slowest,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from surrogates.spec import HardwareTarget
    from surrogates.table import Floats, LayerTable

SHRINKAGE = 1.0  # weight of the prior "the closed form is right", in units of one record with a log error of 1/10
NOISE = 0.1
CAP = 3.0  # a layer's correction never exceeds exp(3): logarithms extrapolate without bound
N_FACTORS = 12
Flow = Literal["openrtl", "io_parallel", "io_stream"]
OURS: Literal["openrtl"] = "openrtl"
_STEPS = 25


_OURS: Mapping[str, Callable[[LayerTable], Floats]] = {
    "lut": layer_lut,
    "ff": layer_ff,
    "dsp": layer_dsp,
    "bram_18k": layer_bram,
    "latency_cycles": logic_stages,
    "initiation_interval": layer_interval,
}
_HIGH_LEVEL: Mapping[str, Callable[[LayerTable], Floats]] = {
    "lut": high_level_synthesis.lut,
    "ff": high_level_synthesis.ff,
    "dsp": high_level_synthesis.dsp,
    "bram_18k": high_level_synthesis.bram_18k,
    "latency_cycles": lambda table: np.where(table.unrolled, logic_stages(table), 0.0),
    "initiation_interval": lambda table: slowest(table, high_level_synthesis.interval(table)),
}
_STREAMED: Mapping[str, Callable[[LayerTable], Floats]] = {
    **_HIGH_LEVEL,
    "lut": partial(high_level_synthesis.lut, stream=True),
    "ff": partial(high_level_synthesis.ff, stream=True),
    "dsp": partial(high_level_synthesis.dsp, stream=True),
    "initiation_interval": lambda table: slowest(table, high_level_synthesis.interval(table, stream=True)),
}
_FORMS: Mapping[Flow, Mapping[str, Callable[[LayerTable], Floats]]] = {
    "openrtl": _OURS, "io_parallel": _HIGH_LEVEL, "io_stream": _STREAMED
}  # fmt: skip


def flow_of(target: HardwareTarget) -> Flow:
    """Whose closed forms a target has: our own tools', or those of high-level synthesis with one of its interfaces."""
    return OURS if target.tool == OURS else target.io_type


def closed_form(table: LayerTable, target: str, flow: Flow = OURS) -> Floats:
    """Closed-form cost of each layer (L,) for one of the targets, in cells, blocks or cycles; adds up over layers."""
    return _FORMS[flow][target](table)


def exact_part(table: LayerTable, target: str, flow: Flow = OURS) -> Floats:
    """What a network costs on top of its layers' closed forms (n_specs,), known exactly and so never bent."""
    if target != "latency_cycles":
        return np.zeros(table.n_specs)
    if flow == OURS:
        return exact_cycles(table)
    cycles = high_level_synthesis.cycles(table, stream=flow == "io_stream")
    return table.total(np.where(table.unrolled, cycles - 1, cycles))


def _factors(table: LayerTable) -> Floats:
    """Logarithmic properties of each layer, (L, N_FACTORS), about zero for a middling layer.

    The first of them are of distributed arithmetic, the others of multipliers; each are 0 in layers of the other kind,
    because what bends the one closed form says nothing of the other.
    """
    live_in, live_out = alive_shares(table)
    floor = 1e-2
    adders = np.column_stack(
        [
            np.ones(len(table.owner)),
            np.log(np.maximum(table.nonzero, 0.5) / 200),
            np.log(table.n_out / 16),
            np.log(table.n_in / 16),
            np.log(table.weight_bits / 6),
            np.log(table.in_bits / 8),
            np.log(np.maximum(live_in, floor)),
            np.log(np.maximum(live_out, floor)),
            np.where(table.activation_bits > 0, 1.0, 0.0),
        ]
    )
    multipliers = np.column_stack(
        [
            np.ones(len(table.owner)),
            np.log(table.weights / 256),
            np.log(table.reuse / 8),
        ]
    )
    unrolled = table.unrolled[:, None]
    return np.hstack([np.where(unrolled, adders, 0.0), np.where(unrolled, 0.0, multipliers)])


@final
@dataclass(frozen=True)
class LayerLaw:
    """A fitted law of one target and flow; `exponents` has one entry per factor, all zero for the plain closed form."""

    target: str
    exponents: Floats
    flow: Flow = OURS

    @classmethod
    def plain(cls, target: str, flow: Flow = OURS) -> LayerLaw:
        """The closed form itself, without a record."""
        return cls(target, np.zeros(N_FACTORS), flow)

    @classmethod
    def fit(cls, table: LayerTable, values: Floats, weights: Floats, target: str, flow: Flow = OURS) -> LayerLaw:
        """Fit exponents to `values` (n,) of the networks of `table` with `weights` (n,), shrunk towards zero.

        Damped Gauss-Newton on log1p costs with Huber weights, because a network whose logic is optimised away
        altogether says nothing about the others.
        """
        factors, forms, truth = _factors(table), closed_form(table, target, flow), np.log1p(values)
        exact = exact_part(table, target, flow)

        def evaluate(theta: Floats) -> tuple[Floats, Floats]:
            parts = forms * np.exp(np.clip(factors @ theta, -CAP, CAP))
            total = 1.0 + exact + table.total(parts)
            slopes = np.stack([table.total(parts * column) for column in factors.T], axis=1) / total[:, None]
            return np.log(total) - truth, slopes

        def loss(theta: Floats, error: Floats) -> float:
            size = np.abs(error)
            huber = np.where(size < 2 * NOISE, size**2, 4 * NOISE * size - 4 * NOISE**2)
            return float(np.sum(weights * huber) / NOISE**2 + SHRINKAGE * theta @ theta / NOISE)

        theta = np.zeros(factors.shape[1])
        error, slopes = evaluate(theta)
        for _ in range(_STEPS):
            robust = weights * np.minimum(1.0, 2 * NOISE / np.maximum(np.abs(error), 1e-12)) / NOISE**2
            curvature = (slopes * robust[:, None]).T @ slopes + SHRINKAGE / NOISE * np.eye(len(theta))
            slope = (slopes * robust[:, None]).T @ error + SHRINKAGE / NOISE * theta
            step, now, better = np.linalg.solve(curvature, slope), loss(theta, error), False
            for damping in (1.0, 0.5, 0.25, 0.1, 0.01):
                trial = theta - damping * step
                error_trial, slopes_trial = evaluate(trial)
                if loss(trial, error_trial) < now * (1 - 1e-9):
                    theta, error, slopes, better = trial, error_trial, slopes_trial, True
                    break
            if not better:
                break
        return cls(target, theta, flow)

    def log_cost(self, table: LayerTable) -> Floats:
        """log(1 + cost) of each network of `table`, (n,)."""
        correction = np.exp(np.clip(_factors(table) @ self.exponents, -CAP, CAP))
        bent = table.total(closed_form(table, self.target, self.flow) * correction)
        return np.log1p(exact_part(table, self.target, self.flow) + bent)
