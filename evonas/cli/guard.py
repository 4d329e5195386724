"""From exceptions to exit codes and one clear line: 0 done, 1 failed, 2 bad input, 130 interrupted."""

from __future__ import annotations

import os
import shlex
import sys
import traceback
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING

from evonas.cli._typer import Exit, echo
from evonas.errors import (
    ConfigurationError,
    DataError,
    EvonasError,
    StudyExistsError,
    StudyInterruptedError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BAD_INPUT = (ConfigurationError, DataError, StudyExistsError)
CRASH_FILE = "crash.txt"


class ExitCode(IntEnum):
    """What the shell is told."""

    DONE = 0
    FAILED = 1
    BAD_INPUT = 2
    INTERRUPTED = 130


def debugging() -> bool:
    """Whether EVONAS_DEBUG asks for tracebacks."""
    return os.environ.get("EVONAS_DEBUG", "") not in ("", "0")


def resume_command(study: Path) -> str:
    """The line that continues a study, to be pasted into a shell."""
    return f"evonas resume {shlex.quote(str(study))}"


def is_study(directory: Path) -> bool:
    """Whether the directory holds the log of a study."""
    return (directory / "study.sqlite").is_file()


def interrupted_message(study: Path | None) -> str:
    """What to say after an interruption."""
    if study is None or not is_study(study):
        return "Interrupted."
    return f"Interrupted; nothing finished is lost. Continue with:\n  {resume_command(study)}"


@contextmanager
def guarded(study: Path | None = None) -> Iterator[None]:
    """Run the body of a command; raises nothing but `Exit` with the right code, after one line on standard error.

    `study` is the directory that can be resumed after an interruption and that a crash is described in.
    """
    try:
        yield
    except Exit:
        raise
    except (KeyboardInterrupt, StudyInterruptedError) as error:
        _debug()
        echo(interrupted_message(study), err=True)
        raise Exit(ExitCode.INTERRUPTED) from error
    except BrokenPipeError as error:  # the reader of our output left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        raise Exit(ExitCode.FAILED) from error
    except Exception as error:  # the boundary to the user, who gets one line; what nobody foresaw is kept in a file
        code = _explain(error, study)
        raise Exit(code) from error


def fail(message: str, code: ExitCode = ExitCode.FAILED) -> Exit:
    """Say what is wrong on standard error; the caller raises what is returned."""
    echo(f"evonas: {message}", err=True)
    return Exit(code)


def _explain(error: Exception, study: Path | None) -> ExitCode:
    """Say on standard error what happened and return the exit code for it."""
    if isinstance(error, EvonasError) or _of_surrogates(error):
        _debug()
        echo(f"evonas: {error}", err=True)
        bad = isinstance(error, BAD_INPUT) or type(error).__name__ == "SpecError"
        return ExitCode.BAD_INPUT if bad else ExitCode.FAILED
    if isinstance(error, ImportError) and (mend := _foreign_surrogates()) is not None:
        _debug()
        echo(f"evonas: {mend}", err=True)
        return ExitCode.FAILED
    _crash(error, study)
    return ExitCode.FAILED


def _of_surrogates(error: Exception) -> bool:
    """Whether `surrogates` raised it on purpose; known by name, since loading that package may be what failed."""
    bases = {f"{c.__module__}.{c.__name__}" for c in type(error).__mro__}
    return bool(bases & {"surrogates.errors.SpecError", "surrogates.errors.SurrogateError"})


def _foreign_surrogates() -> str | None:
    """What to do when another package of the name `surrogates` is in the way."""
    found = sys.modules.get("surrogates")
    if found is None or getattr(found, "PACKAGE", None) == "evonas":
        return None
    where = getattr(found, "__file__", None) or "an unknown place"
    return f"another package called 'surrogates' is imported from {where}; remove it, then try `evonas doctor`"


def _crash(error: Exception, study: Path | None) -> None:
    """Keep the traceback of what nobody foresaw where it can be found."""
    summary = f"evonas: unexpected {type(error).__name__}: {str(error) or 'no message'}".splitlines()[0]
    trace = "".join(traceback.format_exception(error))
    written = None
    if study is not None and study.is_dir():
        try:
            (study / CRASH_FILE).write_text(trace, encoding="utf-8")
            written = study / CRASH_FILE
        except OSError:
            written = None
    if written is None or debugging():
        echo(trace, err=True, nl=False)
    echo(summary, err=True)
    if written is not None:
        echo(f"The traceback is in {written}", err=True)
    if study is not None and is_study(study):
        echo(f"What finished is kept; continue with:\n  {resume_command(study)}", err=True)


def _debug() -> None:
    """The traceback in hand, if EVONAS_DEBUG asks for it."""
    if debugging():
        echo(traceback.format_exc(), err=True, nl=False)
