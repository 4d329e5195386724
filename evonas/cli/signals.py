"""Ctrl-C, SIGTERM and a lost terminal end a study in good order; a second one ends it at once."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, NoReturn

from evonas.cli.guard import ExitCode, interrupted_message
from evonas.cli.machine import kill_descendants

if TYPE_CHECKING:
    from pathlib import Path
    from types import FrameType

STOPPING = "\nStopping; what is finished is safe. Once more to stop at once.\n"
SHOW_CURSOR = "\x1b[?25h"


def make_interruptible(study: Path) -> None:
    """From now on the first signal raises KeyboardInterrupt and the second ends this process with code 130.

    The log is written event by event, so either way leaves a study that can be resumed. This holds until the process
    ends, because the end (joining workers) may be what somebody wants to interrupt. Forked children do not inherit it.
    """
    seen = 0

    def handle(_number: int, _frame: FrameType | None) -> None:
        nonlocal seen
        seen += 1
        if seen > 1:
            _end_now(study)
        _say(STOPPING)
        raise KeyboardInterrupt

    for number in _watched():
        signal.signal(number, handle)
    os.register_at_fork(after_in_child=_restore)


def _watched() -> list[signal.Signals]:
    """SIGHUP is left alone where it is ignored, as below nohup."""
    watched = [signal.SIGINT, signal.SIGTERM]
    return [*watched, signal.SIGHUP] if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN else watched


def _restore() -> None:
    """Python's own handling, for a forked child."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in _watched()[1:]:
        signal.signal(number, signal.SIG_DFL)


def _end_now(study: Path) -> NoReturn:
    """Kill what was started and leave without unwinding anything."""
    for number in _watched():
        signal.signal(number, signal.SIG_IGN)
    kill_descendants()
    cursor = SHOW_CURSOR if os.isatty(2) else ""
    _say(f"{cursor}\n{interrupted_message(study)}\n")
    os._exit(ExitCode.INTERRUPTED)


def _say(text: str) -> None:
    """Write to standard error without any buffer or lock that the interrupted code may hold."""
    try:
        os.write(2, text.encode())
    except OSError:
        return
