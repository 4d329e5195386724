"""Checks of a data set: one clear `DataError` for the first thing that is wrong, naming row and column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from evonas.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

NORMAL_OR_NOT = ("normal", "anomalous")  # what the labels 0 and 1 of anomaly detection mean


def check_arrays(
    x: NDArray[np.float32],
    y: NDArray[np.int64],
    class_names: Sequence[str],
    feature_names: Sequence[str],
    source: str | None,
) -> None:
    """Raise `DataError` unless `x` (n, n_inputs) is finite and `y` (n,) holds at least two of the classes."""
    check_inputs(x, feature_names, source)
    if y.shape != (len(x),):
        raise DataError(f"y has shape {y.shape}; it must be ({len(x)},), one label per row of x", source)
    outside = np.flatnonzero((y < 0) | (y >= len(class_names)))
    if len(outside):
        row = int(outside[0])
        raise DataError(f"y[{row}] is {y[row]}; labels must lie in 0..{len(class_names) - 1}", source)
    if len(np.unique(y)) < 2:
        raise DataError("only one class is present; at least two are needed", source)


def check_targets(
    x: NDArray[np.float32],
    y: NDArray[np.floating],
    target_names: Sequence[str],
    feature_names: Sequence[str],
    source: str | None,
) -> None:
    """Raise `DataError` unless `x` (n, n_inputs) and `y` (n, n_outputs) are finite and there are at least ten rows."""
    check_inputs(x, feature_names, source)
    if y.shape != (len(x), len(target_names)) or not target_names:
        wanted = f"({len(x)}, {len(target_names)}), one row of targets per row of x: {', '.join(target_names)}"
        raise DataError(f"y has shape {y.shape}; it must be {wanted}", source)
    _check_finite(y, "y", target_names, source)
    if len(x) < 10:
        raise DataError(f"{len(x)} rows are too few for three splits; give at least 10", source)


def check_inputs(x: NDArray[np.float32], feature_names: Sequence[str], source: str | None) -> None:
    """Raise `DataError` unless `x` is (n, n_inputs), finite, not empty and has a name for each column."""
    if x.ndim != 2 or len(x) == 0:
        raise DataError(f"x has shape {x.shape}; it must be (rows, features) with at least one row", source)
    if len(feature_names) != x.shape[1]:
        raise DataError(f"{len(feature_names)} feature names for {x.shape[1]} columns of x", source)
    _check_finite(x, "x", feature_names, source)


def _check_finite(values: NDArray[Any], what: str, names: Sequence[str], source: str | None) -> None:
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        row, column = (int(i) for i in bad[0])
        raise DataError(
            f"{what}[{row}, {column}] ({names[column]}) is {values[row, column]}, and {len(bad) - 1} more values "
            "are not finite; remove or impute those rows",
            source,
        )
