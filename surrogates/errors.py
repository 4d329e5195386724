"""What can go wrong between records and predictions.

SurrogateError (a ValueError)
+-- NotFittedError        predict before fit
+-- MixedRecordsError     records of several stages or tools in one training set
+-- PersistenceError      a file that this version cannot read
"""

from __future__ import annotations

from typing import final


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
