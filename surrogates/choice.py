"""Which learner to trust: what each predicts for architectures that it has not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from surrogates.metrics import spearman
from surrogates.regressors import BlendResidual, blended

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from surrogates.regressors import Residual
    from surrogates.table import Floats

BETTER, RANK_TOLERANCE = 0.95, 0.001
BLEND = "ensemble"


@final
@dataclass(frozen=True)
class HeldOut:
    """Truth, prediction and spread of log costs on folds that the model had not seen, (n,) each."""

    truth: Floats
    means: Floats
    stds: Floats

    @classmethod
    def blend(cls, parts: Iterable[HeldOut]) -> HeldOut:
        """Of the blend of learners on the same folds."""
        listed = list(parts)
        return cls(listed[0].truth, *blended(*(np.stack([getattr(p, f) for p in listed]) for f in ("means", "stds"))))

    @property
    def errors(self) -> Floats:
        """Truth minus prediction."""
        return self.truth - self.means

    @property
    def error(self) -> float | None:
        """Mean absolute error, None where there is nothing."""
        return float(np.mean(np.abs(self.errors))) if len(self.truth) else None

    @property
    def rank_correlation(self) -> float | None:
        """Spearman's, None where it is not defined."""
        return spearman(self.truth, self.means)


def with_blend(
    learners: Mapping[str, Residual], held_out: Mapping[str, HeldOut], baseline: str
) -> tuple[dict[str, Residual], dict[str, HeldOut]]:
    """Both with the blend of all learners as the last, if there are several to choose from.

    `baseline` is what is already known without learning: no part of the blend, but it may be the better choice.
    """
    if len(learners) < 2:
        return dict(learners), dict(held_out)
    parts = [name for name in learners if name != baseline]
    blend = BlendResidual(tuple(learners[name] for name in parts))
    return {**learners, BLEND: blend}, {**held_out, BLEND: HeldOut.blend(held_out[name] for name in parts)}


def chosen(held_out: Mapping[str, HeldOut], weights: Floats) -> str:
    """Name of the learner to take: the last, unless another is better on folds by error and no worse by rank.

    Better means a weighted mean absolute error of log costs that is lower by a twentieth, and ranks by Spearman's
    correlation: what a search needs is first the order, then the number (after Lu et al., NSGANetV2, arXiv:2007.10396,
    who switch surrogates by rank correlation). So close a race is not worth leaving a blend, which errs less often.
    """
    *others, default = held_out
    if not others or len(held_out[default].truth) == 0:
        return default

    def error(name: str) -> float:
        return float(np.average(np.abs(held_out[name].errors), weights=weights))

    def rank(name: str) -> float:
        return held_out[name].rank_correlation or 0.0

    least = rank(default) - RANK_TOLERANCE
    better = [name for name in others if error(name) < BETTER * error(default) and rank(name) >= least]
    return min(better, key=error, default=default)
