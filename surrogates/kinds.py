"""Kinds of learners by name: what can be asked for, and what settings were taken of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

from surrogates.boosting import BoostingResidual
from surrogates.deep_ensemble import DeepEnsembleResidual
from surrogates.features import COMPACT
from surrogates.forest import Forest
from surrogates.regressors import (
    BlendResidual,
    GPResidual,
    NoResidual,
    OffsetResidual,
    Residual,
    RidgeResidual,
    Standardiser,
    TreesResidual,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["gp", "ridge", "trees", "boosting", "deep_ensemble", "ensemble", "auto"]
KINDS: tuple[Kind, ...] = get_args(Kind)
DEFAULT: Kind = "auto"  # no kind alone is better for every target and tool


def unfitted(kind: Kind, seed: int, smooth: int = len(COMPACT)) -> dict[str, Residual]:
    """The learner of a kind by name, or, for "auto", those to choose from; smooth ones read `smooth` columns."""
    if kind == "boosting":
        return {kind: BoostingResidual(seed)}
    if kind == "deep_ensemble":
        return {kind: DeepEnsembleResidual(seed, smooth=smooth)}
    parts: dict[str, Residual] = {
        "gp": GPResidual(smooth=smooth),
        "ridge": RidgeResidual(smooth=smooth),
        "trees": TreesResidual(seed),
    }
    if kind == "auto":
        return parts
    return {kind: parts[kind] if kind in parts else BlendResidual(tuple(parts.values()))}


def from_settings(settings: Mapping[str, Any]) -> Residual:
    """The learner that `settings` were taken of, once it is conditioned on what that was fitted to.

    Raises `KeyError`, `TypeError` or `ValueError` for what are not settings.
    """
    kind = settings["kind"]
    if kind == "offset":
        return OffsetResidual()
    if kind == "law":
        return NoResidual()
    if kind == "ridge":
        return RidgeResidual(float(settings["penalty"]), int(settings["smooth"]))
    if kind == "gp":
        from surrogates.gaussian_process import Kernel

        return GPResidual(Standardiser.from_dict(settings["scale"]), Kernel.from_dict(settings["kernel"]))
    if kind == "trees":
        forest = Forest.from_dict(settings["forest"])
        return TreesResidual(int(settings["seed"]), int(settings["n_trees"]), forest)
    if kind == "boosting":
        return BoostingResidual.from_settings(settings)
    if kind == "deep_ensemble":
        return DeepEnsembleResidual.from_settings(settings)
    if kind == "ensemble":
        return BlendResidual(tuple(from_settings(part) for part in settings["parts"]))
    raise ValueError(f"no learner is called {kind!r}")
