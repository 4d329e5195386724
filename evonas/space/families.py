"""The families of networks by name, and how one is fitted to a task.

A family of the user's own is named by its import path, `package.module:Class`.
"""

from __future__ import annotations

from dataclasses import MISSING, fields
from importlib import import_module
from typing import TYPE_CHECKING, Any

from evonas.errors import ConfigurationError
from evonas.space.attention import AttentionSpace
from evonas.space.autoencoder import AutoencoderSpace
from evonas.space.composed import ComposedSpace
from evonas.space.convolution import ConvolutionSpace
from evonas.space.deep_sets import DeepSetsSpace
from evonas.space.interaction import InteractionSpace
from evonas.space.linear_interaction import LinearInteractionSpace
from evonas.space.mixer import MixerSpace
from evonas.space.readout import ReadoutSpace

if TYPE_CHECKING:
    from collections.abc import Mapping

COMPOSED: dict[str, type[ComposedSpace]] = {
    space.family: space
    for space in (
        AttentionSpace,
        AutoencoderSpace,
        ConvolutionSpace,
        DeepSetsSpace,
        InteractionSpace,
        LinearInteractionSpace,
        MixerSpace,
        ReadoutSpace,
    )
}
FROM_TASK = ("constituents", "positions", "features", "n_inputs", "n_outputs", "height", "width", "image_channels")


def space_class(family: str) -> type[ComposedSpace]:
    """The class of a family by its name or import path. Raises `ConfigurationError` for one that does not exist."""
    if family in COMPOSED:
        return COMPOSED[family]
    module, colon, name = family.partition(":")
    if not colon:
        known = ", ".join(("mlp", *sorted(COMPOSED)))
        raise ConfigurationError("space.family", family, f"must be one of {known}, or package.module:Class")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, SyntaxError, TypeError, ValueError) as error:
        raise ConfigurationError("space.family", family, f"cannot be imported: {error}") from error
    if not (isinstance(found, type) and issubclass(found, ComposedSpace)):
        raise ConfigurationError("space.family", family, "must be a subclass of evonas.space.ComposedSpace")
    if lacking := sorted(found.__abstractmethods__):
        raise ConfigurationError("space.family", family, f"must define {', '.join(lacking)}")
    if "__dataclass_fields__" not in vars(found):
        raise ConfigurationError("space.family", family, "must be decorated with @dataclass(frozen=True, kw_only=True)")
    return found


def options(family: str) -> dict[str, Any]:
    """What a user may set of a family, with the defaults."""
    found = {}
    for field in fields(space_class(family)):
        if field.name not in FROM_TASK:
            if field.default is MISSING:
                mend = f"its field {field.name!r} needs a default; only {', '.join(FROM_TASK)} come from the task"
                raise ConfigurationError("space.family", family, mend)
            found[field.name] = field.default
    return found


def fitted(
    family: str,
    chosen: Mapping[str, Any],
    shape: tuple[int, int],
    n_outputs: int,
    image: tuple[int, int] | None = None,
) -> ComposedSpace:
    """The space of a family for inputs of `shape` (positions, features), which may be an `image` (height, width).

    Raises `ConfigurationError` for choices that the family does not have or cannot take.
    """
    positions, features = shape
    known: dict[str, Any] = {"constituents": positions, "positions": positions, "features": features}
    known |= {"n_inputs": positions * features, "n_outputs": n_outputs, "image_channels": features}
    if image is not None:
        known |= {"height": image[0], "width": image[1]}
    space = space_class(family)
    if unknown := sorted(set(chosen) - set(options(family))):
        offered = ", ".join(sorted(options(family)))
        raise ConfigurationError(f"space.{unknown[0]}", chosen[unknown[0]], f"no such field; {family} has {offered}")
    wanted = [field.name for field in fields(space) if field.name in FROM_TASK]
    if missing := [name for name in wanted if name not in known]:
        raise ConfigurationError("space.family", family, f"needs a task of images: {', '.join(missing)} are not known")
    if "constituents" in wanted and positions == 1:
        raise ConfigurationError("space.family", family, "needs a task whose inputs are several constituents")
    made = space(**{name: known[name] for name in wanted}, **chosen)
    made.check_corners()
    return made
