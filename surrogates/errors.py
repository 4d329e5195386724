"""What can go wrong between records and predictions.

SpecError (a ValueError)  the description of a network is impossible
SurrogateError (a ValueError)
+-- NotFittedError        predict before fit
+-- MixedRecordsError     records of several stages or tools in one training set
+-- PersistenceError      a file that this version cannot read
"""

from __future__ import annotations

from typing import final


@final
class SpecError(ValueError):
    """A description of a network is impossible: names the field, the value and the mend."""

    def __init__(self, field: str, value: object, mend: str) -> None:
        self.field, self.value, self.mend = field, value, mend
        super().__init__(f"{field} = {value!r}: {mend}")


class SurrogateError(ValueError):
    """Base of all errors of fitted surrogates."""


@final
class NotFittedError(SurrogateError):
    """`predict` was called before `fit`."""


@final
class MixedRecordsError(SurrogateError):
    """Records of different provenance were offered as one training set."""


@final
class PersistenceError(SurrogateError):
    """A saved surrogate cannot be read; the message says what to do."""
