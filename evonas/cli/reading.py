"""A study's state for the commands that only look: read from the log, without a lock and without any heavy import."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

from evonas.cli.machine import running
from evonas.errors import StudyCorruptError, StudyError

if TYPE_CHECKING:
    from evonas.study.state import StudyState

_LOCKS = Path("/proc/locks")


@final
@dataclass(frozen=True)
class Writer:
    """The process that has a study open for writing; its number is None when the lock file does not say."""

    process: int | None


def read_state(directory: Path) -> StudyState:
    """The state of the study in `directory`, also while another process writes to it."""
    from evonas.store.event_log import EventLog
    from evonas.study.events import from_body
    from evonas.study.state import StudyState

    if not directory.is_dir():
        what = "is not a directory" if directory.exists() else "does not exist"
        raise StudyError(f"{directory} {what}; give the directory of a study (`evonas run CONFIG --out DIR` makes one)")
    with EventLog(directory, write=False) as log:
        state = StudyState(from_body(row.kind, row.body) for row in log.read())
    if state.started is None:
        raise StudyCorruptError(f"{directory}: the log holds no event yet; its run stopped before it began")
    return state


def writer(directory: Path) -> Writer | None:
    """Who writes to the study now. Looks at the kernel's table of locks: trying the lock would get in the way."""
    lock = directory / "study.lock"
    try:
        inode = lock.stat().st_ino
        text = lock.read_text(errors="replace").strip()
    except OSError:
        return None
    process = int(text) if text.isdigit() else None
    try:
        locks = _LOCKS.read_text()
    except OSError:  # no such table on this system
        return Writer(process) if process is not None and running(process) else None
    held = any(
        len(fields := entry.split()) >= 6 and "FLOCK" in fields and fields[-3].rsplit(":", 1)[-1] == str(inode)
        for entry in locks.splitlines()
    )
    return Writer(process) if held else None
