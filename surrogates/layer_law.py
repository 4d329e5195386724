"""The closed form with its exponents freed: cost = sum over layers of (closed form of the layer) x (a power law).

A network's cost adds up over its layers, which no feature of the whole network shows a regressor. Fitting a power
law per layer through that sum needs a dozen numbers, bends the closed form to the tool at hand, and extrapolates like
physics: this is the part of the surrogate that is trusted past the edge of the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from surrogates.analytic import alive_shares, layer_dsp, layer_ff, layer_lut, layer_stages

if TYPE_CHECKING:
    from surrogates.table import Floats, LayerTable

SHRINKAGE = 1.0  # weight of the prior "the closed form is right", in units of one record with a log error of 1/10
NOISE = 0.1
CAP = 3.0  # a layer's correction never exceeds exp(3): logarithms extrapolate without bound
_STEPS = 25


def closed_form(table: LayerTable, target: str) -> Floats:
    """Closed-form cost of each layer (L,) for one of the four targets, in cells or cycles."""
    forms = {"lut": layer_lut, "ff": layer_ff, "dsp": layer_dsp, "latency_cycles": layer_stages}
    return forms[target](table)


def _factors(table: LayerTable) -> Floats:
    """Logarithmic properties of each layer, (L, 10), about zero for a middling layer."""
    live_in, live_out = alive_shares(table)
    floor = 1e-2
    return np.column_stack(
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
            np.where(table.unrolled, 0.0, 1.0),
        ]
    )


@final
@dataclass(frozen=True)
class LayerLaw:
    """A fitted law of one target; `exponents` has one entry per factor, all zero for the plain closed form."""

    target: str
    exponents: Floats

    @classmethod
    def plain(cls, target: str) -> LayerLaw:
        """The closed form itself, without a record."""
        return cls(target, np.zeros(10))

    @classmethod
    def fit(cls, table: LayerTable, values: Floats, weights: Floats, target: str) -> LayerLaw:
        """Fit exponents to `values` (n,) of the networks of `table` with `weights` (n,), shrunk towards zero.

        Damped Gauss-Newton on log1p costs with Huber weights, because a network whose logic is optimised away
        altogether says nothing about the others.
        """
        factors, forms, truth = _factors(table), closed_form(table, target), np.log1p(values)

        def evaluate(theta: Floats) -> tuple[Floats, Floats]:
            parts = forms * np.exp(np.clip(factors @ theta, -CAP, CAP))
            total = 1.0 + table.total(parts)
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
        return cls(target, theta)

    def log_cost(self, table: LayerTable) -> Floats:
        """log(1 + cost) of each network of `table`, (n,)."""
        correction = np.exp(np.clip(_factors(table) @ self.exponents, -CAP, CAP))
        return np.log1p(table.total(closed_form(table, self.target) * correction))
