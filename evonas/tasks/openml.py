"""The public jet set on OpenML: data set 42468, `hls4ml_lhc_jets_hlf`, 830 000 jets with sixteen features.

The data are one ARFF file; the class is one of the names g, q, t, w, z. Both the features and the classes are
matched by name. Origin: Pierini, Duarte, Tran, Freytsis, "hls4ml LHC jet dataset (HLF)".
"""

from __future__ import annotations

import csv
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from evonas.errors import DataError
from evonas.tasks.download import describe, fetch
from evonas.tasks.jet_features import CLASSES, FEATURES, RawJets, columns_of, public_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

BASE_URL = "https://www.openml.org"
DATA_ID = 42468
LABEL = "class"
BLOCK_ROWS = 20_000


def load(base_url: str | None = None, cache_dir: Path | str | None = None) -> RawJets:
    """Download (once) and read the OpenML set. Raises: `DataError` as `fetch` and `read_arff` do."""
    address = f"{(base_url or BASE_URL).rstrip('/')}/api/v1/json/data/{DATA_ID}"
    url, checksum = describe(address, _file_entry, f"openml_{DATA_ID}.json", cache_dir)
    return read_arff(fetch(url, f"openml_{DATA_ID}.arff", checksum, cache_dir))


def _file_entry(description: Any) -> tuple[str, str]:
    """Address and checksum in the description of the data set."""
    entry = description["data_set_description"]
    return str(entry["url"]), f"md5:{entry['md5_checksum']}"


def read_arff(path: Path | str) -> RawJets:
    """Read an ARFF file with the sixteen features and the class, block by block.

    Returns: all rows, features in the order of `FEATURES`.
    Raises: `DataError` naming the line for a malformed row, an unknown class or a missing column.
    """
    source = str(path)
    try:
        with Path(path).open(encoding="utf-8") as file:
            names, line = _header(file, source)
            label_column = columns_of([LABEL], names, source, "attribute")[0]
            bare = [name.removeprefix("j_") for name in names]
            columns = columns_of([public_name(f) for f in FEATURES], bare, source, "attribute")
            blocks = []
            while block := list(islice(file, BLOCK_ROWS)):
                blocks.append(_parse(block, line, names, columns, label_column, source))
                line += len(block)
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror}); check the path", source) from error
    except UnicodeDecodeError as error:
        raise DataError("is not text; an ARFF file is expected", source) from error
    if not sum(len(y) for _, y in blocks):
        raise DataError("has no rows after @data; the file is empty or cut short", source)
    x, y = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    return RawJets(x, y, f"OpenML {DATA_ID} hls4ml_lhc_jets_hlf (public simulation)", source)


def _header(file: TextIO, source: str) -> tuple[list[str], int]:
    """Attribute names in file order, and the number of lines up to and including `@data`."""
    names = []
    for number, line in enumerate(file, start=1):
        text = line.strip()
        keyword = text.split(maxsplit=1)[0].lower() if text else ""
        if keyword == "@attribute":
            names.append(_attribute_name(text, number, source))
        elif keyword == "@data":
            return names, number
    raise DataError("has no @data section; is it an ARFF file, and complete?", source)


def _attribute_name(text: str, number: int, source: str) -> str:
    """The name in `@attribute name type`, quoted or bare."""
    rest = text.split(maxsplit=1)[1].strip() if len(text.split()) > 2 else ""
    if not rest:
        raise DataError(f"line {number}: @attribute without a name and a type", source)
    if rest[0] in "'\"":
        return rest[1:].partition(rest[0])[0]
    return rest.split()[0]


def _parse(
    block: Sequence[str], before: int, names: list[str], columns: list[int], label_column: int, source: str
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Features (n, 16) and labels (n,) of the data lines in `block`; `before` lines precede it in the file."""
    rows, numbers = [], []
    for number, line in enumerate(block, start=before + 1):
        text = line.strip()
        if not text or text.startswith("%"):
            continue
        if text.startswith("{"):
            raise DataError(f"line {number}: sparse ARFF rows are not supported; save the file as dense", source)
        rows.append(next(csv.reader([text], quotechar="'", skipinitialspace=True)))
        numbers.append(number)
        if len(rows[-1]) != len(names):
            raise DataError(
                f"line {number} has {len(rows[-1])} values for {len(names)} attributes; "
                "the file is damaged or cut short, download it again",
                source,
            )
    labels = np.empty(len(rows), np.int64)
    for i, row in enumerate(rows):
        label = row[label_column].strip().strip('"').lower()
        if label not in CLASSES:
            raise DataError(
                f"line {numbers[i]}: class {label!r} is none of {', '.join(CLASSES)}; classes go by name", source
            )
        labels[i] = CLASSES.index(label)
    values = np.empty((len(rows), len(columns)), np.float32)
    for k, column in enumerate(columns):
        cells = [row[column] for row in rows]
        try:
            with np.errstate(over="ignore"):  # found below
                values[:, k] = np.array(cells, dtype=str).astype(np.float64)
        except ValueError as error:
            bad = next(i for i, cell in enumerate(cells) if not _is_number(cell))
            raise DataError(
                f"line {numbers[bad]}, attribute {names[column]}: {cells[bad]!r} is not a number; "
                "remove or impute that row",
                source,
            ) from error
    infinite = np.argwhere(~np.isfinite(values))
    if len(infinite):
        i, k = (int(index) for index in infinite[0])
        raise DataError(
            f"line {numbers[i]}, attribute {names[columns[k]]}: {values[i, k]} is not finite; "
            "remove or impute that row",
            source,
        )
    return values, labels


def _is_number(cell: str) -> bool:
    """Whether `cell` reads as a float."""
    try:
        float(cell)
    except ValueError:
        return False
    return True
