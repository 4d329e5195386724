"""The exceptions of evonas and the typed reasons for a candidate's failure.

Exceptions are for the person in front of the program; a failed *candidate* is a value (`Failure`),
because a search goes on without it::

    EvonasError
    ├── ConfigurationError     a field of the configuration or an argument is wrong (names field, value, mend)
    ├── DataError              a data file is missing, unreadable or unsound
    ├── StudyError             the study directory cannot be used
    │   ├── StudyExistsError       `run` on an existing study
    │   ├── StudyCorruptError      the log is unreadable or contradicts itself
    │   ├── StudyLockedError       another process is writing to it
    │   └── StudyMismatchError     resumed with another space, seed, task or version
    ├── ProtocolError          ask/tell called out of order or with the wrong shape
    ├── ToolError              a synthesis tool is missing, hangs, crashes or contradicts itself
    └── StudyInterruptedError  stopped by the user; nothing finished is lost
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from pathlib import Path


class EvonasError(Exception):
    """Base of every exception that evonas raises on purpose."""


@final
class ConfigurationError(EvonasError, ValueError):
    """A setting is wrong: names the field, the value and what would be right."""

    def __init__(self, field: str, value: object, mend: str) -> None:
        self.field, self.value, self.mend = field, value, mend
        super().__init__(f"{field} = {value!r}: {mend}")

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return type(self), (self.field, self.value, self.mend)


@final
class DataError(EvonasError):
    """A data file is missing, unreadable or unsound; says where and how to mend it."""

    def __init__(self, message: str, path: Path | str | None = None) -> None:
        self.message, self.path = message, path
        super().__init__(message if path is None else f"{path}: {message}")

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return type(self), (self.message, self.path)


class StudyError(EvonasError):
    """The study directory cannot be used as asked."""


@final
class StudyExistsError(StudyError):
    """`run` was pointed at a directory that already holds a study."""


@final
class StudyCorruptError(StudyError):
    """The event log is unreadable, truncated in the middle, or contradicts a replay."""


@final
class StudyLockedError(StudyError):
    """Another process holds the study's write lock."""


@final
class StudyMismatchError(StudyError):
    """The study was made with another space, seed, task or incompatible version."""


@final
class ProtocolError(EvonasError):
    """Ask and tell were called out of order, or with candidates that were not asked for."""


@final
class StudyInterruptedError(EvonasError):
    """The user stopped the study; it can be resumed and nothing finished is lost."""


class FailureKind(StrEnum):
    """Why a candidate, or the synthesis of one, has no measurement."""

    DIVERGED = "diverged"  # training reached NaN or infinity
    INVALID_MODEL = "invalid_model"  # the phenotype cannot be built
    OUT_OF_MEMORY = "out_of_memory"  # in training, alone
    WORKER_DIED = "worker_died"  # the process was killed or crashed
    TOOL_MISSING = "tool_missing"
    TOOL_TIMEOUT = "tool_timeout"
    TOOL_CRASHED = "tool_crashed"  # non-zero exit
    TOOL_LICENCE = "tool_licence"
    TOOL_MEMORY = "tool_memory"  # killed for memory
    REPORT_MISSING = "report_missing"
    REPORT_BROKEN = "report_broken"
    MISMATCH = "mismatch"  # implementations disagree on a bit
    UNSUPPORTED = "unsupported"  # the tool chain has no path for this network
    CANCELLED = "cancelled"
    STOPPED = "stopped"  # by successive halving


@final
@dataclass(frozen=True)
class Failure:
    """A typed reason why there is no measurement; never a number inside an optimiser."""

    kind: FailureKind
    message: str


class ToolError(EvonasError):
    """A tool failed; carries the `Failure` that the study records."""

    def __init__(self, kind: FailureKind, message: str) -> None:
        self.failure = Failure(kind, message)
        super().__init__(f"{kind.value}: {message}")

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return type(self), (self.failure.kind, self.failure.message)
