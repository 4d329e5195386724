"""A surrogate that is ready to use: fitted on the records that the package ships."""

from __future__ import annotations

from typing import TYPE_CHECKING

from surrogates.estimators import DEFAULT, fit_surrogate
from surrogates.pretrained import start_records

if TYPE_CHECKING:
    from surrogates.estimators import Kind, ResidualSurrogate


def start_surrogate(kind: Kind = DEFAULT, *, seed: int = 0) -> ResidualSurrogate:
    """Fit on `start_records()`, which takes seconds. Raises `SurrogateError` if the records are missing.

    >>> surrogate = start_surrogate()                            # doctest: +SKIP
    >>> surrogate.predict([spec], HardwareTarget()).mean["lut"]  # doctest: +SKIP
    """
    return fit_surrogate(start_records(), kind, seed=seed)
