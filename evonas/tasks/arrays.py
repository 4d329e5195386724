"""A task from a NumPy archive of the user's own.

The `.npz` file holds `x` (rows, features) or (rows, positions, features) and `y`: integer labels 0..n-1 (rows,) for
classification, targets (rows,) or (rows, n_outputs) for regression, 0 (normal) or 1 (anomalous) for anomaly detection.
If wanted it holds `feature_names` (one per value of a row, position by position), and `class_names` (n,) or
`target_names` (n_outputs,). Nothing is unpickled.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evonas.errors import DataError
from evonas.tasks.base import ArrayTask
from evonas.tasks.checks import check_arrays
from evonas.tasks.preparation import as_targets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from evonas.tasks.base import Goal
    from evonas.tasks.preparation import Standardise

NAMES = ("feature_names", "class_names", "target_names")


def arrays(
    path: Path | str,
    seed: int = 0,
    name: str | None = None,
    goal: Goal = "classification",
    standardise: Standardise = "columns",
    clip: float = 4.0,
    unit: str = "",
    metric: str | None = None,
    metric_as_error: bool = False,
) -> ArrayTask:
    """The task in the archive at `path`.

    `seed` fixes the splits, `name` defaults to the file's name, `unit` is that of the regression targets; the other
    options are those of `ArrayTask`.

    Raises: `DataError` naming file, field, row and column for whatever is wrong; `ConfigurationError` for an option.
    """
    source = str(path)
    found = read_npz(path, required=("x", "y"), optional=NAMES)
    x = numeric(found["x"], "x", source)
    if x.ndim not in (2, 3):
        raise DataError(f"x has shape {x.shape}; it must be (rows, features) or (rows, positions, features)", source)
    n_positions = x.shape[1] if x.ndim == 3 else 1
    x = x.reshape(len(x), int(np.prod(x.shape[1:])))
    feature_names = texts(found.get("feature_names"), "feature_names", source)
    if feature_names is None:
        feature_names = tuple(f"x{i}" for i in range(x.shape[1]))
    y, outputs = _outputs(found, goal, source)
    if goal == "classification":
        check_arrays(x, y, outputs, feature_names, source)
        check_every_class(y, outputs, source)
    return ArrayTask(
        name=name or Path(path).stem,
        x=x,
        y=y,
        output_names=outputs,
        feature_names=feature_names,
        provenance=f"user data {Path(path).name}",
        seed=seed,
        clip=clip,
        source=source,
        goal=goal,
        n_positions=n_positions,
        standardise=standardise,
        unit=unit,
        metric=metric,
        metric_as_error=metric_as_error,
    )


def _outputs(found: dict[str, NDArray[Any]], goal: Goal, source: str) -> tuple[NDArray[Any], tuple[str, ...]]:
    """What the network learns and the names of the outputs, none for anomaly detection."""
    if goal == "regression":
        if found["y"].dtype.kind not in "fiub" or found["y"].ndim not in (1, 2):
            wanted = "real numbers (rows,) or (rows, n_outputs)"
            raise DataError(f"y has type {found['y'].dtype} and shape {found['y'].shape}; it must be {wanted}", source)
        targets = as_targets(found["y"])
        names = texts(found.get("target_names"), "target_names", source)
        return targets, tuple(f"y{i}" for i in range(targets.shape[1])) if names is None else names
    y = labels(found["y"], "y", source)
    if goal == "anomaly":
        return y, ()
    names = texts(found.get("class_names"), "class_names", source)
    return y, tuple(f"class_{i}" for i in range(int(y.max(initial=-1)) + 1)) if names is None else names


def read_npz(path: Path | str, required: Sequence[str], optional: Sequence[str] = ()) -> dict[str, NDArray[Any]]:
    """The named arrays of an `.npz` file, without unpickling.

    Raises: `DataError` if the file is missing, damaged, not an archive, lacks an array or holds Python objects.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError("no such file; check the path" if not path.exists() else "is not a file", path)
    try:
        archive = np.load(path, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise DataError("is a single array; save an archive with numpy.savez(path, x=x, y=y)", path)
        with archive:
            missing = [key for key in required if key not in archive]
            if missing:
                raise DataError(f"no array {', '.join(missing)}; the file has {', '.join(archive.files)}", path)
            return {key: archive[key] for key in (*required, *optional) if key in archive}
    except ValueError as error:
        if "pickle" in str(error):
            raise DataError("holds Python objects or is not an .npz archive; save plain arrays", path) from error
        raise DataError(f"is damaged ({error}); write or fetch it again", path) from error
    except (zipfile.BadZipFile, EOFError, OSError, KeyError) as error:
        raise DataError(f"is not a readable .npz archive ({error}); write or fetch it again", path) from error


def numeric(array: NDArray[Any], field: str, source: str) -> NDArray[np.float32]:
    """`array` as float32, refusing texts and complex numbers, and finite values beyond the range of float32."""
    if array.dtype.kind not in "fiub":
        raise DataError(f"{field} has type {array.dtype}; it must hold real numbers", source)
    with np.errstate(over="ignore"):
        result = array.astype(np.float32)
    lost = np.argwhere(np.isinf(result) & np.isfinite(array))
    if len(lost):
        where = tuple(int(i) for i in lost[0])
        raise DataError(f"{field}{list(where)} is {array[where]}, beyond the range of float32; rescale it", source)
    return result


def labels(array: NDArray[Any], field: str, source: str) -> NDArray[np.int64]:
    """`array` (rows,) as int64 class indices, refusing fractions and one-hot rows."""
    if array.ndim != 1:
        raise DataError(
            f"{field} has shape {array.shape}; it must be (rows,) of class indices (argmax of one-hot rows)", source
        )
    if array.dtype.kind in "iub":
        return array.astype(np.int64)
    if array.dtype.kind != "f":
        raise DataError(f"{field} has type {array.dtype}; it must hold integers 0..n-1", source)
    bad = np.flatnonzero(~np.isfinite(array) | (array != np.round(array)))
    if len(bad):
        raise DataError(f"{field}[{int(bad[0])}] is {array[bad[0]]}; labels must be integers 0..n-1", source)
    return array.astype(np.int64)


def texts(array: NDArray[Any] | None, field: str, source: str) -> tuple[str, ...] | None:
    """`array` as a tuple of distinct texts, or None where there is none."""
    if array is None:
        return None
    if array.ndim != 1 or array.dtype.kind not in "US":
        raise DataError(f"{field} has type {array.dtype} and shape {array.shape}; it must be a list of texts", source)
    names = tuple(n.decode() if isinstance(n, bytes) else str(n) for n in array.tolist())
    if len(set(names)) != len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise DataError(f"{field} holds {twice!r} more than once; names must differ", source)
    return names


def check_every_class(y: NDArray[np.int64], class_names: Sequence[str], source: str) -> None:
    """Raise `DataError` for a class without a single row."""
    counts = np.bincount(y, minlength=len(class_names))
    empty = [name for name, count in zip(class_names, counts, strict=True) if count == 0]
    if empty:
        raise DataError(f"no row of class {', '.join(empty)}; add rows, or take the class out and renumber", source)
