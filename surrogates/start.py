"""Surrogates that are ready to use: fitted on the records that the package ships."""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import TYPE_CHECKING

from surrogates.errors import PersistenceError
from surrogates.estimators import DEFAULT, fit_surrogate
from surrogates.persistence import load_surrogate, load_trace_surrogate
from surrogates.pretrained import SURROGATE, TRACE_SURROGATE, start_records, traced_records
from surrogates.trace import TraceSurrogate

if TYPE_CHECKING:
    from surrogates.estimators import Kind, ResidualSurrogate


def start_surrogate(kind: Kind = DEFAULT, *, seed: int = 0) -> ResidualSurrogate:
    """Fitted on `start_records()`: read from the package as it is by default, else fitted, which takes seconds.

    Raises `SurrogateError` if the records are missing.

    >>> surrogate = start_surrogate()                            # doctest: +SKIP
    >>> surrogate.predict([spec], HardwareTarget()).mean["lut"]  # doctest: +SKIP
    """
    if (kind, seed) == (DEFAULT, 0):
        try:
            with as_file(files("surrogates.pretrained") / SURROGATE) as path:
                return load_surrogate(path)
        except (FileNotFoundError, PersistenceError):  # a checkout whose code is newer than the file
            pass
    return fit_surrogate(start_records(), kind, seed=seed)


def trace_surrogate(*, seed: int = 0) -> TraceSurrogate:
    """Fitted on `traced_records()`: read from the package as it is by default, else fitted, which takes a second.

    Raises `SurrogateError` if the records are missing.

    >>> record = trace_design(network, vectors, HardwareTarget())       # doctest: +SKIP
    >>> trace_surrogate().predict([record]).mean["lut"]                 # doctest: +SKIP
    """
    if seed == 0:
        try:
            with as_file(files("surrogates.pretrained") / TRACE_SURROGATE) as path:
                return load_trace_surrogate(path)
        except (FileNotFoundError, PersistenceError):  # a checkout whose code is newer than the file
            pass
    return TraceSurrogate(seed=seed).fit(traced_records())
