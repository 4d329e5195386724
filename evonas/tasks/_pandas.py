"""Tables in CSV and Parquet files as plain arrays, one per column."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evonas.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def read_csv(path: Path, separator: str) -> dict[str, NDArray[Any]]:
    """The columns of a CSV file in UTF-8 whose first line is the header.

    Nothing counts as missing but a cell that is not there. Raises `DataError` for rows of unequal length.
    """
    options: dict[str, Any] = {"sep": separator, "keep_default_na": False, "skipinitialspace": True}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header
            header = pd.read_csv(path, header=None, nrows=1, dtype=str, **options).iloc[0].tolist()
            _check_header(header, path)
            frame = pd.read_csv(path, index_col=False, low_memory=False, **options)
    except pd.errors.EmptyDataError as error:
        raise DataError("is empty; the first line must name the columns", path) from error
    except pd.errors.ParserWarning as error:
        raise DataError(f"has rows with more cells than the {len(header)} columns of the header", path) from error
    except pd.errors.ParserError as error:
        raise DataError(f"is not a table ({str(error).strip()}); mend that line", path) from error
    except UnicodeDecodeError as error:
        raise DataError(f"is not text in UTF-8 ({error}); save it as UTF-8", path) from error
    except OSError as error:
        raise DataError(f"cannot be read: {error}", path) from error
    return _columns(frame)


def read_parquet(path: Path) -> dict[str, NDArray[Any]]:
    """The columns of a Parquet file. Raises `ConfigurationError` without pyarrow, `DataError` for a damaged file."""
    try:
        frame = pd.read_parquet(path, engine="pyarrow")
    except ImportError as error:
        mend = "Parquet files need pyarrow: pip install 'evonas[parquet]', or save the table as CSV"
        raise ConfigurationError("task.path", str(path), mend) from error
    except (OSError, ValueError) as error:  # pyarrow's errors are of these kinds
        raise DataError(f"is not a readable Parquet file ({error}); write or fetch it again", path) from error
    _check_header([str(name) for name in frame.columns], path)
    return _columns(frame)


def _check_header(names: list[str], path: Path) -> None:
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise DataError(f"has more than one column {twice!r}; names must differ", path)


def _columns(frame: pd.DataFrame) -> dict[str, NDArray[Any]]:
    """Each column (rows,): numbers and truth values as they are, with NaN for missing ones, all else as texts."""
    found: dict[str, NDArray[Any]] = {}
    for name, column in frame.items():
        if not (pd.api.types.is_bool_dtype(column) or pd.api.types.is_numeric_dtype(column)):
            values = column.astype(object).where(column.notna(), "").astype(str).to_numpy(object)
        elif column.hasnans:
            values = column.to_numpy(np.float64, na_value=np.nan)
        else:
            values = column.to_numpy()
            values = values if values.dtype.kind in "biuf" else column.to_numpy(np.float64)
        found[str(name)] = values
    return found
