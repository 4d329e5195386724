"""Splits that keep all precisions of one architecture together: a random split would test on near copies."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from surrogates.spec import ModelSpec

Indices = NDArray[np.intp]
Part = Literal["training", "calibration", "test"]


def architecture_groups(specs: Sequence[ModelSpec]) -> tuple[str, ...]:
    """Name of each network's group: its topology, for example `16-32-16-5`, whatever its bits and sparsity."""
    return tuple(spec.topology for spec in specs)


def part_of(spec: ModelSpec) -> Part:
    """Which part of the shipped data set a network belongs to: by a hash of its architecture, whatever else is added.

    Of twenty architectures two are for tests and three for calibration; the layer-graph network has learnt from the
    others alone.
    """
    place = int(hashlib.sha256(spec.topology.encode()).hexdigest()[:8], 16) % 20
    return "test" if place < 2 else "calibration" if place < 5 else "training"


def group_folds(groups: Sequence[str], n_folds: int) -> list[Indices]:
    """Rows of each of at most `n_folds` test folds, no group in two of them, of about equal size.

    Depends on the names and sizes of the groups alone: the largest group goes first into the emptiest fold, groups
    of equal size in the order of a hash of their names. Raises `ValueError` for fewer than two folds.
    """
    if n_folds < 2:
        raise ValueError(f"n_folds = {n_folds}: a split needs at least 2 folds")
    members: dict[str, list[int]] = {}
    for row, group in enumerate(groups):
        members.setdefault(group, []).append(row)
    order = sorted(members, key=lambda g: (-len(members[g]), hashlib.sha256(g.encode()).hexdigest()))
    folds: list[list[int]] = [[] for _ in range(min(n_folds, len(members)))]
    for group in order:
        min(folds, key=len).extend(members[group])
    return [np.array(sorted(fold), dtype=np.intp) for fold in folds]
