"""Tool runs that can always be stopped: own session, time-out, memory limit, private HOME and TMPDIR, a log file.

A tool is started by a small guardian process (`_guardian.py`) that leads the session, adopts orphaned grandchildren,
measures the tool and kills everything should this process die first. Killing takes well under a second.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import psutil

from evonas.errors import FailureKind, ToolError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

GUARDIAN = Path(__file__).with_name("_guardian.py")
POLL_S = (0.005, 0.1)  # shortest and longest time between two looks at a running tool
OUT_OF_MEMORY = ("std::bad_alloc", "MemoryError", "out of memory", "virtual memory exhausted", "Cannot allocate memory")


@final
@dataclass(frozen=True)
class ToolRun:
    """A tool that ended with exit code 0: seconds of wall time, and the peak of the resident memory of its tree."""

    seconds: float
    peak_memory_bytes: int
    log: Path


@final
class MemoryWatch:
    """The resident memory of a process and all its descendants, and the means to kill them."""

    def __init__(self, pid: int, exclude_root: bool = False) -> None:
        self.peak = 0
        self._exclude_root = exclude_root
        self._root: psutil.Process | None = None
        with contextlib.suppress(psutil.Error):
            self._root = psutil.Process(pid)

    def _tree(self) -> list[psutil.Process]:
        if self._root is None:
            return []
        try:
            children = self._root.children(recursive=True)
        except psutil.Error:
            return []
        return children if self._exclude_root else [self._root, *children]

    def sample(self) -> int:
        """Resident bytes of the tree now; also updates `peak`."""
        total = 0
        for process in self._tree():
            with contextlib.suppress(psutil.Error):
                total += process.memory_info().rss
        self.peak = max(self.peak, total)
        return total

    def kill(self) -> None:
        """SIGKILL to the tree and to the session's process group; returns when the root is a zombie or gone."""
        if self._root is None:
            return
        tree = self._tree()
        with contextlib.suppress(OSError):
            os.killpg(self._root.pid, signal.SIGKILL)
        for process in [*tree, self._root]:
            with contextlib.suppress(psutil.Error):
                process.kill()


def private_environment(directory: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The present environment with HOME and TMPDIR inside `directory` (made if needed), single-threaded libraries."""
    home, scratch = directory / "home", directory / "tmp"
    home.mkdir(parents=True, exist_ok=True)
    scratch.mkdir(exist_ok=True)
    private = {"HOME": str(home), "TMPDIR": str(scratch), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return {**os.environ, **private, **(extra or {})}


def log_tail(log: Path, characters: int = 600) -> str:
    """The last characters of a log, for a message; empty if there is none."""
    try:
        return log.read_text(errors="replace")[-characters:].strip()
    except OSError:
        return ""


def run_tool(
    command: Sequence[str],
    *,
    name: str,
    log: Path,
    timeout_s: float,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    memory_limit_bytes: int | None = None,
    cancelled: Callable[[], bool] | None = None,
    diagnose: Callable[[str], FailureKind | None] | None = None,
) -> ToolRun:
    """Run `command` to its end, at most `timeout_s` seconds, with its output appended to `log`.

    `name` is what messages call the tool; `diagnose` may read a more precise reason from the log of a tool that
    failed. Raises `ToolError` of the kinds TOOL_MISSING, TOOL_TIMEOUT, TOOL_MEMORY, TOOL_CRASHED, CANCELLED, or of
    what `diagnose` says; nothing that the tool started is alive then.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="evonas-tool-", ignore_cleanup_errors=True) as scratch:
        guardian = subprocess.Popen(
            [sys.executable, "-I", "-S", str(GUARDIAN), str(log.resolve()), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=cwd,
            env=private_environment(Path(scratch), environment),
            start_new_session=True,
        )
        watch = MemoryWatch(guardian.pid, exclude_root=True)
        try:
            reason = _wait(guardian, watch, began + timeout_s, memory_limit_bytes, cancelled)
        finally:  # also when this thread is interrupted
            watch.kill()
            report = _last_words(guardian)
    seconds = time.monotonic() - began
    if reason is not None:
        raise ToolError(reason, _explain(reason, name, timeout_s, memory_limit_bytes))
    _check(report, name, log, diagnose)
    return ToolRun(seconds, max(watch.peak, int(report["peak_memory_bytes"])), log)


def _wait(
    guardian: subprocess.Popen[bytes],
    watch: MemoryWatch,
    deadline: float,
    memory_limit_bytes: int | None,
    cancelled: Callable[[], bool] | None,
) -> FailureKind | None:
    """None when the guardian ended by itself, else the reason to kill it."""
    pause = POLL_S[0]
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            guardian.wait(pause)
            return None
        pause = min(pause * 1.5, POLL_S[1])
        resident = watch.sample()
        if cancelled is not None and cancelled():
            return FailureKind.CANCELLED
        if time.monotonic() > deadline:
            return FailureKind.TOOL_TIMEOUT
        if memory_limit_bytes is not None and resident > memory_limit_bytes:
            return FailureKind.TOOL_MEMORY


def _last_words(guardian: subprocess.Popen[bytes]) -> dict[str, Any]:
    """What the guardian reported before it ended; empty if it was killed."""
    assert guardian.stdin is not None
    assert guardian.stdout is not None
    guardian.wait()
    with guardian.stdin, guardian.stdout:
        text = guardian.stdout.read()
    return dict(json.loads(text)) if text else {}


def _explain(reason: FailureKind, name: str, timeout_s: float, memory_limit_bytes: int | None) -> str:
    if reason is FailureKind.TOOL_TIMEOUT:
        return f"{name} was stopped after {timeout_s:.3g} s"
    if reason is FailureKind.TOOL_MEMORY:
        return f"{name} was stopped for using more than {(memory_limit_bytes or 0) / 2**20:.0f} MiB"
    return f"{name} was cancelled"


def _check(report: dict[str, Any], name: str, log: Path, diagnose: Callable[[str], FailureKind | None] | None) -> None:
    """Raise `ToolError` unless the tool started and ended with exit code 0."""
    if "not_started" in report:
        raise ToolError(FailureKind.TOOL_MISSING, f"{name} could not be started: {report['not_started']}")
    code = report.get("exit_code")
    if code == 0:
        return
    text = log_tail(log, 20_000)
    kind = diagnose(text) if diagnose is not None else None
    if kind is None:
        starved = code in (None, -signal.SIGKILL, 128 + signal.SIGKILL) or any(word in text for word in OUT_OF_MEMORY)
        kind = FailureKind.TOOL_MEMORY if starved else FailureKind.TOOL_CRASHED
    if kind is FailureKind.TOOL_MEMORY:
        raise ToolError(kind, f"{name} was killed or refused for lack of memory (exit code {code}): {text[-300:]}")
    raise ToolError(kind, f"{name} ended with exit code {code}: {text[-600:]}")
