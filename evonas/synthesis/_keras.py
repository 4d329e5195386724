"""The door to keras (an extra; with HGQ2 for its quantised layers): the only module that imports them."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

from evonas.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path


def load(path: Path) -> Any:
    """The network of a `.keras` or `.h5` file. Raises `DataError`, and `ImportError` without keras."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    with contextlib.suppress(ImportError):
        import hgq  # noqa: F401 - registers its layers
    try:
        return keras.saving.load_model(str(path), compile=False)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"keras cannot read it: {error}", path) from error
