"""From the values of a user's own data to a task, whatever kind of file they come from.

Classes may be texts, whole numbers or truth values: the sorted values become the classes. Anomaly detection takes the
same and `normal`, the value of normal rows; without it 0 is normal and 1 is not. What cannot be used is a `DataError`
that names the source and the first offending cell, and says how many more there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

from evonas.errors import ConfigurationError, DataError
from evonas.tasks.arrays import numeric
from evonas.tasks.base import ArrayTask
from evonas.tasks.checks import check_inputs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from evonas.tasks.base import Goal
    from evonas.tasks.preparation import Standardise

    Place = Callable[[str, int], str]  # how a source calls a row of one of its fields

FEWEST_ROWS = 10  # of a class, so that each of the three splits can have some


def in_array(field: str, row: int) -> str:
    """An element of an array: `y[17]`, counted from 0."""
    return f"{field}[{row}]"


@final
@dataclass(frozen=True)
class OwnData:
    """What a loader found.

    `x` is (rows, features), (rows, positions, features) or an image per row, (rows, height, width, channels); `y`
    (rows,) texts or numbers, or (rows, n_outputs) targets of a regression. `class_names` are for `y` of indices into
    them; `place` says where in the source a row of the field `target` is.
    """

    x: NDArray[Any]
    y: NDArray[Any]
    source: str
    feature_names: tuple[str, ...] | None = None
    class_names: tuple[str, ...] | None = None
    target_names: tuple[str, ...] | None = None
    target: str = "y"
    place: Place = in_array


def own_task(
    data: OwnData,
    *,
    name: str | None,
    seed: int,
    goal: Goal,
    normal: str | float | None,
    standardise: Standardise,
    clip: float,
    unit: str,
    metric: str | None,
    metric_as_error: bool,
) -> ArrayTask:
    """The task that `data` are for. Raises `DataError` and `ConfigurationError` as said above."""
    if normal is not None and goal != "anomaly":
        raise ConfigurationError("task.normal", normal, 'is for anomaly detection; set goal = "anomaly"')
    x, n_positions, image = _inputs(data)
    names = data.feature_names
    if names is None:
        names = tuple(f"x{i}" for i in range(x.shape[1]))
    check_inputs(x, names, data.source)
    y, outputs = _learnt(data, goal, normal)
    return ArrayTask(
        name=name or Path(data.source).stem,
        x=x,
        y=y,
        output_names=outputs,
        feature_names=names,
        provenance=f"user data {Path(data.source).name}",
        seed=seed,
        clip=clip,
        source=data.source,
        goal=goal,
        n_positions=n_positions,
        standardise=standardise,
        image=image,
        unit=unit,
        metric=metric,
        metric_as_error=metric_as_error,
    )


def _inputs(data: OwnData) -> tuple[NDArray[np.float32], int, tuple[int, int] | None]:
    """Inputs (rows, n), the number of positions, and the (height, width) of images."""
    x = numeric(data.x, "x", data.source)
    if x.ndim not in (2, 3, 4) or 0 in x.shape:
        wanted = "(rows, features), (rows, positions, features) or (rows, height, width, channels), and not be empty"
        raise DataError(f"x has shape {x.shape}; it must be {wanted}", data.source)
    if len(data.y) != len(x):
        raise DataError(f"{len(data.y)} rows of {data.target} for {len(x)} rows of x", data.source)
    image = (x.shape[1], x.shape[2]) if x.ndim == 4 else None
    n_positions = int(np.prod(x.shape[1:-1]))
    return x.reshape(len(x), -1), n_positions, image


def _learnt(data: OwnData, goal: Goal, normal: str | float | None) -> tuple[NDArray[Any], tuple[str, ...]]:
    """What the network learns and the names of its outputs, none for anomaly detection."""
    if goal == "regression":
        return _targets(data)
    labels, names = classes(data.y, data.class_names, data.target, data.place, data.source)
    if goal == "anomaly":
        labels, names = _normal_or_not(labels, names, normal), ("normal", "anomalous")
    check_rows(labels, names, data.target, data.source)
    return labels, () if goal == "anomaly" else names


def _targets(data: OwnData) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    y = numeric(data.y, data.target, data.source)
    if y.ndim not in (1, 2):
        raise DataError(f"{data.target} has shape {y.shape}; it must be (rows,) or (rows, n_outputs)", data.source)
    y = y.reshape(len(y), -1)
    names = data.target_names
    if names is None:
        names = tuple(f"y{i}" for i in range(y.shape[1]))
    if len(names) == y.shape[1]:
        for name, column in zip(names, y.T, strict=True):
            if np.all(column == column[0]):
                raise DataError(f"target {name} is {column[0]:g} in all rows; there is nothing to learn", data.source)
    return y, names


def classes(
    values: NDArray[Any], names: Sequence[str] | None, field: str, place: Place, source: str
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Class indices (rows,) and the names of the classes, sorted, of texts, whole numbers or truth values (rows,).

    With `names` the values are indices into them. Raises `DataError` for empty cells, fractions and NaN, one-hot rows,
    indices without a name, and for a single class.
    """
    if values.ndim != 1:
        wanted = "(rows,), one class per row (argmax of one-hot rows)"
        raise DataError(f"{field} has shape {values.shape}; it must be {wanted}", source)
    if values.dtype.kind == "f":
        bad = np.flatnonzero(~np.isfinite(values) | (values != np.round(values)))
        mend = 'classes are texts or whole numbers; for a quantity set goal = "regression"'
        refuse(bad, lambda row: f"is {values[row]}", mend, field, place, source)
        values = values.astype(np.int64)
    if values.dtype.kind in "OSU":
        values = np.array([v.decode() if isinstance(v, bytes) else str(v) for v in values.tolist()], dtype=object)
        empty = np.flatnonzero(values == "")
        refuse(empty, lambda _: "is empty", "fill it in or remove the row", field, place, source)
    elif values.dtype.kind not in "iub":
        raise DataError(f"{field} has type {values.dtype}; it must hold texts or whole numbers", source)
    if names is not None and values.dtype.kind != "O":
        bad = np.flatnonzero((values < 0) | (values >= len(names)))
        refuse(bad, lambda row: f"is {values[row]}", f"must lie in 0..{len(names) - 1}", field, place, source)
        return values.astype(np.int64), tuple(names)
    found, indices = np.unique(values, return_inverse=True)
    if len(found) < 2:
        raise DataError(f"{field} is {found[0]} in all rows; there is nothing to learn", source)
    return indices.astype(np.int64).reshape(-1), tuple(str(value) for value in found.tolist())


def _normal_or_not(labels: NDArray[np.int64], names: tuple[str, ...], normal: str | float | None) -> NDArray[np.int64]:
    """0 for rows of the class `normal` and 1 for all others."""
    if normal is None:
        if names == ("0", "1"):
            return labels
        raise ConfigurationError("task.normal", None, f"say which value is normal: {', '.join(names[:20])}")
    if str(normal) not in names:
        raise ConfigurationError("task.normal", normal, f"must be one of {', '.join(names[:20])}")
    return np.asarray(labels != names.index(str(normal)), np.int64)


def check_rows(labels: NDArray[np.int64], names: Sequence[str], field: str, source: str) -> None:
    """Raise `DataError` for classes of fewer than ten rows."""
    counts = np.bincount(labels, minlength=len(names)).tolist()
    few = [f"{name} {count}" for name, count in zip(names, counts, strict=True) if count < FEWEST_ROWS]
    if few:
        found = ", ".join(few[:5]) + more(len(few[5:]))
        mend = f"for the three splits each needs {FEWEST_ROWS} at least: add rows, or merge or leave out classes"
        raise DataError(f"{field} has too few rows of a class: {found}; {mend}", source)


def refuse(
    bad: NDArray[np.int64], what: Callable[[int], str], mend: str, field: str, place: Place, source: str
) -> None:
    """Raise `DataError` for the first of the rows `bad`, if there is any."""
    if len(bad):
        row = int(bad[0])
        raise DataError(f"{place(field, row)} {what(row)}{more(len(bad) - 1)}; {mend}", source)


def more(others: int) -> str:
    """` (and 3 more)`, or nothing."""
    return f" (and {others} more)" if others else ""
