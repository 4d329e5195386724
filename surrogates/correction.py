"""A known quantity bent to a wanted one by a few examples of both, on logarithmic scales.

    wanted = known + offset + slope * (known - mean of known) + residual(features) + noise

Offset and slope are shrunk towards none, so that a handful of examples already help; a learned residual joins from
`MIN_LEARNED` of them on. Folds of held-out architectures give the intervals.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from surrogates.calibration import Calibration
from surrogates.kinds import from_settings
from surrogates.law_choice import N_FOLDS
from surrogates.regressors import MIN_LEARNED, GPResidual, OffsetResidual, Residual
from surrogates.splits import group_folds
from surrogates.target_model import RESIDUAL_CAP

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from surrogates.table import Floats

OFFSET_STD, SLOPE_STD, NOISE_STD = 2.0, 0.3, 0.3  # priors: a factor of seven, a third of a power, of a third
HELD_OUT = Calibration(0.0, 1.0, 0)  # of folds, whose spreads are measured and not corrected


@final
@dataclass(frozen=True)
class Correction:
    """A fitted correction; `error` is its mean absolute error on held-out architectures, None if there are too few."""

    centre: float  # mean of the known quantity, about which the slope turns
    offset: float
    slope: float
    residual: Residual
    calibration: Calibration
    error: float | None = None

    @classmethod
    def fit(
        cls,
        known: Floats,
        wanted: Floats,
        features: Floats,
        weights: Floats,
        groups: Sequence[str],
        foreseen: Sequence[float] = (),
        *,
        learner: Residual | None = None,
    ) -> Correction:
        """Fit to n examples: `known`, `wanted` and `weights` (n,), `features` (n, p) and the architecture of each.

        `learner`, unfitted, is what learns the residual; a Gaussian process by default.
        """
        residual: Residual = (learner or GPResidual()) if len(wanted) >= MIN_LEARNED else OffsetResidual()
        line = _fit_parts(known, wanted, features, weights, residual)
        if len(set(groups)) < 3:
            nothing = np.zeros(len(wanted)), np.ones(len(wanted))
            return cls(*line, residual, Calibration.from_held_out(*nothing, weights, groups))
        errors, stds = np.empty(len(wanted)), np.empty(len(wanted))
        for fold in group_folds(groups, N_FOLDS):
            train, twin = np.setdiff1d(np.arange(len(wanted)), fold), residual.twin()
            parts = _fit_parts(known[train], wanted[train], features[train], weights[train], twin)
            mean, stds[fold] = cls(*parts, twin, HELD_OUT).predict(known[fold], features[fold])
            errors[fold] = wanted[fold] - mean
        calibration = Calibration.from_held_out(errors, stds, weights, groups, foreseen=foreseen)
        return cls(*line, residual, calibration, float(np.mean(np.abs(errors))))

    def settings(self) -> dict[str, Any]:
        """What a fit took time to find, as plain data: see `from_settings`."""
        return {"residual": self.residual.settings(), "calibration": asdict(self.calibration), "error": self.error}

    @classmethod
    def from_settings(
        cls, known: Floats, wanted: Floats, features: Floats, weights: Floats, settings: Mapping[str, Any]
    ) -> Correction:
        """The correction that `settings` were taken of, given what that was fitted to.

        Raises `KeyError`, `TypeError` or `ValueError` for what are not settings.
        """
        residual = from_settings(settings["residual"])
        line, left = _line(known, wanted, weights)
        residual.condition(features, left, weights)
        return cls(*line, residual, Calibration(**settings["calibration"]), settings["error"])

    def predict(self, known: Floats, features: Floats) -> tuple[Floats, Floats]:
        """Mean and spread of what is wanted, (n,) each."""
        mean, std = self.residual.predict(features)
        line = known + self.offset + self.slope * (known - self.centre)
        return line + np.clip(mean, -RESIDUAL_CAP, RESIDUAL_CAP), std


def _fit_parts(
    known: Floats, wanted: Floats, features: Floats, weights: Floats, residual: Residual
) -> tuple[float, float, float]:
    """Centre, offset and slope; the residual learns what they leave over."""
    line, left = _line(known, wanted, weights)
    residual.fit(features, left, weights)
    return line


def _line(known: Floats, wanted: Floats, weights: Floats) -> tuple[tuple[float, float, float], Floats]:
    """Centre, offset and slope by ridge regression, and what they leave over (n,), within its cap."""
    centre = float(np.average(known, weights=weights))
    design = np.column_stack([np.ones(len(known)), known - centre])
    mass = weights / weights.max() / NOISE_STD**2
    curvature = design.T @ (design * mass[:, None]) + np.diag([OFFSET_STD**-2, SLOPE_STD**-2])
    offset, slope = np.linalg.solve(curvature, design.T @ (mass * (wanted - known)))
    left = wanted - known - design @ np.array([offset, slope])
    return (centre, float(offset), float(slope)), np.clip(left, -RESIDUAL_CAP, RESIDUAL_CAP)
