"""Checks of the choices that a search space is given: what is wrong is named with field, value and mend."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from evonas.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

# of hidden layers; those that a space has unless others are asked for stand first, those behind identity are tables
ACTIVATIONS = ("relu", "leaky_relu", "hard_tanh", "identity", "gelu", "tanh", "sigmoid")
USUAL_ACTIVATIONS = ACTIVATIONS[:3]


def integers(field: str, values: Sequence[Any], low: int, high: int) -> tuple[int, ...]:
    """Sorted integer choices between `low` and `high`."""
    mend = f"must be integers between {low} and {high}, each once"
    chosen = listed(field, values, mend)
    for value in chosen:
        if not is_integer(value) or not low <= value <= high:
            raise ConfigurationError(field, value, mend)
    return unique(field, sorted(int(value) for value in chosen))


def floats(field: str, values: Sequence[Any], low: float, high: float, mend: str) -> tuple[float, ...]:
    """Sorted real choices in [low, high)."""
    chosen = listed(field, values, mend)
    for value in chosen:
        number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or not low <= value < high:
            raise ConfigurationError(field, value, mend)
    return unique(field, sorted(float(value) for value in chosen))


def names(field: str, values: Sequence[Any], known: Sequence[str]) -> tuple[str, ...]:
    """Names among `known`, in that order, because a space must not depend on how a file lists a set."""
    mend = f"must be among {', '.join(known)}, each once"
    chosen = listed(field, values, mend)
    for value in chosen:
        if value not in known:
            raise ConfigurationError(field, value, mend)
    return unique(field, sorted(chosen, key=known.index))


def listed(field: str, values: Any, mend: str) -> tuple[Any, ...]:
    """The values as a tuple; a single value or a text in place of a list is an error, not a list of its parts."""
    if isinstance(values, str | bytes | dict) or not hasattr(values, "__iter__"):
        raise ConfigurationError(field, values, f"must be a list; its entries {mend}")
    chosen = tuple(values)
    if not chosen:
        raise ConfigurationError(field, chosen, f"needs at least one choice; choices {mend}")
    return chosen


def unique(field: str, values: list[Any]) -> tuple[Any, ...]:
    """The sorted values as a tuple; one that is there twice is an error."""
    for first, second in itertools.pairwise(values):
        if first == second:
            raise ConfigurationError(field, first, "appears more than once; name each choice once")
    return tuple(values)


def is_integer(value: Any) -> bool:
    """Whether the value is an integer of Python or numpy, and not a truth value."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def bounds(field: str, values: Sequence[Any], low: int, high: int) -> tuple[int, int]:
    """(lowest, highest), both between `low` and `high`."""
    mend = "must be the lowest and the highest number of layers, in this order"
    found = listed(field, values, mend)
    if len(found) != 2:
        raise ConfigurationError(field, found, mend)
    first, last = (integers(field, (value,), low, high)[0] for value in found)
    if first > last:
        raise ConfigurationError(field, found, mend)
    return first, last
