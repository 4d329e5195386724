"""Training examples in an order of their own, so that a fit does not depend on the order in which they come."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

from surrogates.errors import SurrogateError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from surrogates.table import Floats

Example = TypeVar("Example")


def ordered(
    examples: Sequence[Example], weights: Floats | None, name: str, key: Callable[[Example], str]
) -> tuple[tuple[Example, ...], Floats]:
    """Examples and relative weights (n,) in an order that depends on their content alone; the largest weight becomes 1.

    `key` says what an example holds. Without weights all are equal; raises `SurrogateError`, which calls an example by
    `name`, if they are not n finite positive numbers.
    """
    mass = np.ones(len(examples)) if weights is None else np.asarray(weights, dtype=np.float64)
    if mass.shape != (len(examples),) or not (np.isfinite(mass).all() and (mass > 0).all()):
        raise SurrogateError(f"weights must be {len(examples)} finite positive numbers, one for each {name}")
    keys = [(key(example), -mass[row], row) for row, example in enumerate(examples)]
    order = [row for *_, row in sorted(keys)]
    return tuple(examples[row] for row in order), mass[order] / mass.max()
