"""A task from a table of the user's own: a CSV or Parquet file with one row per sample.

    [task]
    name = "table"
    path = "readings.csv"
    target = "state"             # texts or whole numbers: classification
    # target = ["pt", "eta"], goal = "regression": quantities
    # target = "state", goal = "anomaly", normal = "ok": learns the rows where state is ok

Rows are counted from 1 below the header; blank lines of a CSV file are skipped.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evonas.errors import ConfigurationError, DataError
from evonas.tasks.own_data import OwnData, more, own_task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from evonas.tasks.base import ArrayTask, Goal
    from evonas.tasks.preparation import Standardise

CSV, PARQUET = (".csv", ".tsv", ".txt"), (".parquet", ".pq")


def table(
    path: Path | str,
    target: str | Sequence[str],
    features: Sequence[str] | None = None,
    goal: Goal = "classification",
    normal: str | float | None = None,
    separator: str | None = None,
    n_positions: int = 1,
    name: str | None = None,
    seed: int = 0,
    standardise: Standardise = "columns",
    clip: float = 4.0,
    unit: str = "",
    metric: str | None = None,
    metric_as_error: bool = False,
) -> ArrayTask:
    """The task in the table at `path`.

    Parameters:
        path: a file `.csv`, `.tsv` (or `.txt`) in UTF-8 with a header, or `.parquet` (needs pyarrow).
        target: the column to be learnt; for a regression it may be several.
        features: the columns that are inputs, in this order; by default all others.
        normal: for anomaly detection, the value of the target in normal rows; 0 by default, where the others are 1.
        separator: of a CSV file's cells; a comma by default, a tab in `.tsv`.
        n_positions: for columns that go position by position, such as `pt0, eta0, pt1, eta1`: how many positions.
        name: of the task; by default the file's.
        seed: fixes the splits.
        unit: of the targets of a regression.
        standardise, clip, metric, metric_as_error: see `ArrayTask`.

    Raises: `DataError` naming file, column and row for whatever is wrong; `ConfigurationError` for an option.
    """
    targets = _names(target, "task.target")
    if len(targets) > 1 and goal != "regression":
        raise ConfigurationError("task.target", list(targets), 'several targets need goal = "regression"')
    columns = read_table(path, separator)
    source = str(path)
    _check_present(columns, targets, "task.target", source)
    inputs = tuple(c for c in columns if c not in targets) if features is None else _names(features, "task.features")
    _check_present(columns, inputs, "task.features", source)
    if both := [c for c in inputs if c in targets]:
        raise ConfigurationError("task.features", both[0], "is the target; a network must not see it")
    if not inputs:
        raise DataError(f"has no column beside {', '.join(targets)}; features are needed", source)
    wanted = (*inputs, *targets) if goal == "regression" else inputs
    numbers = as_numbers({c: columns[c] for c in wanted}, source)
    x = np.stack([numbers[c] for c in inputs], axis=1)
    if n_positions < 1 or len(inputs) % n_positions:
        raise ConfigurationError("task.n_positions", n_positions, f"must divide the {len(inputs)} columns of features")
    if n_positions > 1:
        x = x.reshape(len(x), n_positions, -1)
    regression = goal == "regression"
    y = np.stack([numbers[c] for c in targets], axis=1) if regression else columns[targets[0]]
    return own_task(
        OwnData(x, y, source, inputs, target_names=targets, target=f"column {targets[0]}", place=_place),
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


def read_table(path: Path | str, separator: str | None = None) -> dict[str, NDArray[Any]]:
    """The columns (rows,) of a table by name: numbers where all cells are, else texts.

    Raises: `DataError` for a file that is missing, damaged or empty; `ConfigurationError` for one of another kind.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in (*CSV, *PARQUET):
        raise ConfigurationError("task.path", str(path), f"must end in {', '.join((*CSV, *PARQUET))}")
    if separator is not None and (ending in PARQUET or len(separator) != 1):
        raise ConfigurationError("task.separator", separator, "must be one character, for a CSV file")
    if not path.is_file():
        missing = f"no such file; a path is relative to the folder you are in, {Path.cwd()}"
        raise DataError(missing if not path.exists() else "is not a file", path)
    from evonas.tasks import _pandas

    if ending in PARQUET:
        columns = _pandas.read_parquet(path)
    else:
        columns = _pandas.read_csv(path, separator or ("\t" if ending == ".tsv" else ","))
    if not columns or not len(next(iter(columns.values()))):
        raise DataError(f"holds no row below the header {', '.join(columns)}", path)
    return columns


def as_numbers(columns: dict[str, NDArray[Any]], source: str) -> dict[str, NDArray[np.float64]]:
    """The columns as finite numbers within the range of float32.

    Raises `DataError` for the first cell that is none, by column and row, with the number of all others.
    """
    numbers = {name: _numbers(values) for name, values in columns.items()}
    with np.errstate(over="ignore"):
        bad = {name: np.flatnonzero(~np.isfinite(v.astype(np.float32))) for name, v in numbers.items()}
    total = sum(len(rows) for rows in bad.values())
    for name, rows in bad.items():
        if not len(rows):
            continue
        cell = columns[name][int(rows[0])]
        if isinstance(cell, str):
            what = f"is {cell!r}, not a finite number" if cell else "is empty"
        else:
            what = "is empty or not a number" if np.isnan(cell) else f"is {cell}, beyond the range of float32"
        if len(rows) == len(numbers[name]):
            mend = "leave the column out: name the others in `features`"
        else:
            mend = "fill in such cells, or remove their rows"
        raise DataError(f"{_place(f'column {name}', int(rows[0]))} {what}{more(total - 1)}; {mend}", source)
    return numbers


def _numbers(values: NDArray[Any]) -> NDArray[np.float64]:
    """Values (rows,) as numbers, NaN where a text is none."""
    if values.dtype.kind != "O":
        return values.astype(np.float64)
    found = np.full(len(values), np.nan)
    for row, text in enumerate(values.tolist()):
        try:
            found[row] = float(text)
        except ValueError:
            continue
    return found


def _place(field: str, row: int) -> str:
    return f"{field}, row {row + 1}"


def _names(names: str | Sequence[str], option: str) -> tuple[str, ...]:
    """One name or several, each once."""
    found = (names,) if isinstance(names, str) else tuple(names)
    if not found or not all(isinstance(n, str) for n in found) or len(set(found)) != len(found):
        raise ConfigurationError(option, names, "must be names of columns, each once")
    return found


def _check_present(columns: dict[str, Any], wanted: Sequence[str], option: str, source: str) -> None:
    """Raise `DataError` for a column that the table does not have."""
    missing = [name for name in wanted if name not in columns]
    if missing:
        known = list(columns)
        hint = ""
        if len(known) == 1 and (mark := next((m for m in ";\t|" if m in known[0]), None)):
            hint = f"; set separator = {mark!r}"
        shown = ", ".join(known[:30]) + (", ..." if len(known) > 30 else "")
        raise DataError(f"no column {', '.join(missing)} ({option}); the table has {shown}{hint}", source)
