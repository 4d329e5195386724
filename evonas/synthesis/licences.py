"""At most so many runs of a licensed tool at one time, over all processes of a user on one machine.

Each licence is a file that a run locks; the kernel releases the lock when the process that holds it ends, however.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from evonas.errors import FailureKind, ToolError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

POLL_S = 0.1


@contextlib.contextmanager
def licence(
    tool: str, count: int | None, *, timeout_s: float, cancelled: Callable[[], bool] | None = None
) -> Iterator[None]:
    """Hold one of `count` licences of `tool` for the length of a `with` block; None means without limit.

    Raises `ToolError`: TOOL_TIMEOUT or CANCELLED when none became free before, TOOL_LICENCE when the folder of the
    locks cannot be used.
    """
    if count is None:
        yield
        return
    deadline = time.monotonic() + timeout_s
    paths = [_folder() / f"{tool}-{index}.lock" for index in range(count)]
    while (held := next((lock for path in paths if (lock := _try(path)) is not None), None)) is None:
        if cancelled is not None and cancelled():
            raise ToolError(FailureKind.CANCELLED, f"{tool} was cancelled while it waited for a licence")
        if time.monotonic() > deadline:
            message = f"none of {count} licence(s) of {tool} became free in {timeout_s:.3g} s"
            raise ToolError(FailureKind.TOOL_TIMEOUT, message)
        time.sleep(POLL_S)
    try:
        yield
    finally:
        fcntl.flock(held, fcntl.LOCK_UN)  # also for a process that was forked in between and has the file open
        os.close(held)


def _folder() -> Path:
    """The user's own folder for the locks, made if needed."""
    folder = Path(tempfile.gettempdir()) / f"evonas-licences-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        owner = folder.stat().st_uid
    except OSError as error:
        raise ToolError(FailureKind.TOOL_LICENCE, f"no folder for the locks of licences: {error}") from error
    if owner != os.getuid():
        raise ToolError(FailureKind.TOOL_LICENCE, f"{folder} belongs to another user")
    return folder


def _try(path: Path) -> int | None:
    """The file descriptor of the lock, or None if another run holds it."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ToolError(FailureKind.TOOL_LICENCE, f"no lock of a licence: {error}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
