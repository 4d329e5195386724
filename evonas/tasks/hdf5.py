"""A task from an HDF5 file of the user's own.

    [task]
    name = "hdf5"
    path = "events.h5"
    x = "events/features"        # data sets in the file; "x" and "y" by default
    y = "events/label"

The data set `x` is (rows, features), (rows, positions, features) or (rows, height, width, channels); `y` holds one
text or whole number per row, or the targets (rows,) or (rows, n_outputs) of a regression. Names may be in the data sets
`feature_names`, `class_names` and `target_names` beside `x`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evonas.errors import DataError
from evonas.tasks.arrays import NAMES
from evonas.tasks.own_data import OwnData, own_task

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from evonas.tasks.base import ArrayTask, Goal
    from evonas.tasks.preparation import Standardise


def hdf5(
    path: Path | str,
    x: str = "x",
    y: str = "y",
    goal: Goal = "classification",
    normal: str | float | None = None,
    name: str | None = None,
    seed: int = 0,
    standardise: Standardise = "columns",
    clip: float = 4.0,
    unit: str = "",
    metric: str | None = None,
    metric_as_error: bool = False,
) -> ArrayTask:
    """The task in the HDF5 file at `path`.

    `x` and `y` are the data sets of inputs and of what is to be learnt, `normal` is the value of normal rows in anomaly
    detection, `name` defaults to the file's name, `unit` is that of the targets; the rest is as in `ArrayTask`.

    Raises: `DataError` naming file and data set for whatever is wrong; `ConfigurationError` for an option.
    """
    import h5py

    if not Path(path).is_file():
        raise DataError("no such file; check the path", path)
    try:
        with h5py.File(path, "r") as file:
            inputs, learnt = _values(file, x, path), _values(file, y, path)
            beside = x.rpartition("/")[0]
            features, kinds, targets = (_names(file, f"{beside}/{key}".lstrip("/"), path) for key in NAMES)
    except OSError as error:
        raise DataError(f"is not a readable HDF5 file ({error}); write or fetch it again", path) from error
    return own_task(
        OwnData(inputs, learnt, str(path), features, kinds, targets, target=y),
        name=name,
        seed=seed,
        goal=goal,
        normal=normal,
        standardise=standardise,
        clip=clip,
        unit=unit,
        metric=metric,
        metric_as_error=metric_as_error,
    )


def _values(file: Any, key: str, path: Path | str) -> NDArray[Any]:
    """A data set, its texts decoded."""
    import h5py

    entry = file.get(key)
    if not isinstance(entry, h5py.Dataset):
        known: list[str] = []
        file.visititems(lambda name, item: known.append(name) if isinstance(item, h5py.Dataset) else None)
        raise DataError(f"no data set {key}; the file has {', '.join(known[:30])}", path)
    values = entry.asstr()[()] if h5py.check_string_dtype(entry.dtype) else entry[()]
    return np.asarray(values)


def _names(file: Any, key: str, path: Path | str) -> tuple[str, ...] | None:
    """The texts of a data set, or None where there is none."""
    if key not in file:
        return None
    values = _values(file, key, path)
    names = tuple(str(value) for value in values.reshape(-1).tolist())
    if values.ndim != 1 or len(set(names)) != len(names):
        raise DataError(f"{key} must be a list of texts, each once", path)
    return names
