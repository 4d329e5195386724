"""From raw rows to what a network sees: the cut into splits, and mean and scale of every input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SplitName = Literal["train", "validation", "test"]
SPLIT_NAMES: tuple[SplitName, ...] = ("train", "validation", "test")

# columns: each input by its own mean and deviation; features: each feature by those over all positions, so that the
# positions stay interchangeable; none: left as they are.
Standardise = Literal["columns", "features", "none"]

Rows = dict[SplitName, "NDArray[np.int64]"]


def cut(n_rows: int, seed: int, fractions: tuple[float, float, float]) -> Rows:
    """Rows 0..n_rows - 1 permuted by `seed` and cut into the three splits by `fractions`."""
    order = np.random.default_rng(seed).permutation(n_rows)
    first = round(fractions[0] * n_rows)
    second = first + round(fractions[1] * n_rows)
    return dict(zip(SPLIT_NAMES, np.split(order, [first, second]), strict=True))


def cut_normal(anomalous: NDArray[np.bool_], seed: int, fractions: tuple[float, float, float]) -> Rows:
    """As `cut` for the normal rows; the anomalous ones go to validation and test alone, in the ratio of these two."""
    normal, rest = np.flatnonzero(~anomalous), np.flatnonzero(anomalous)
    rows = {name: normal[part] for name, part in cut(len(normal), seed, fractions).items()}
    share = fractions[1] / (fractions[1] + fractions[2])
    odd = cut(len(rest), seed, (0.0, share, 1.0 - share))
    return {name: np.concatenate([rows[name], rest[odd[name]]]) for name in SPLIT_NAMES}


def moments(
    x: NDArray[np.floating], standardise: Standardise, n_positions: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and scale (n_inputs,) that standardise rows `x` (n, n_inputs); the scale of a constant is 1."""
    n_inputs = x.shape[1]
    if standardise == "none":
        return np.zeros(n_inputs), np.ones(n_inputs)
    columns = x if standardise == "columns" else x.reshape(-1, n_inputs // n_positions)
    mean, scale = columns.mean(axis=0, dtype=np.float64), columns.std(axis=0, dtype=np.float64)
    scale[scale == 0] = 1.0  # a constant carries nothing; it becomes 0
    repeats = n_inputs // columns.shape[1]
    return np.tile(mean, repeats), np.tile(scale, repeats)


def as_targets(y: Any) -> NDArray[np.float64]:
    """Regression targets (n, n_outputs) from (n,) or (n, n_outputs) numbers."""
    targets = np.asarray(y, np.float64)
    return targets[:, None] if targets.ndim == 1 else targets
