"""The door to keras (an extra; with HGQ2 for its quantised layers): the only module that imports them."""

from __future__ import annotations

import contextlib
import os
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

import h5py

from evonas.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path


DAMAGED = (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)
MEND = "save it again with `model.save`"


def load(path: Path) -> Any:
    """The network of a `.keras` or `.h5` file. Raises `DataError`, and `ImportError` without keras."""
    if not _is_whole(path):  # keras says of half a .keras file that there is none
        raise DataError(f"is no {path.suffix} file, or not all of one: {MEND}", path)
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    with contextlib.suppress(ImportError):
        import hgq  # noqa: F401 - registers its layers
    try:
        return keras.saving.load_model(str(path), compile=False)
    except DAMAGED as error:
        what = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise DataError(f"keras cannot read it: {what}; if the file is damaged, {MEND}", path) from error


def tensor(shape: tuple[int | None, ...], name: str) -> Any:
    """A symbolic tensor, the batch first in its shape."""
    import keras

    return keras.KerasTensor(shape, name=name)


def _is_whole(path: Path) -> bool:
    """Whether the container can be opened: a zip archive, or HDF5."""
    if path.suffix == ".keras":
        return zipfile.is_zipfile(path)
    try:
        with h5py.File(path):
            return True
    except OSError:
        return False
