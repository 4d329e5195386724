"""Requests to processes that keep torch, hls4ml and alkaid loaded, each request bounded in time and killable.

Loading these libraries takes two seconds and tracing a small network a quarter of one, so the processes are kept. They
are processes because neither alkaid's solver nor g++ can be interrupted, and because a crash must not end a study.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from evonas.errors import DataError, FailureKind, ToolError
from evonas.synthesis.process import MemoryWatch, log_tail, private_environment

if TYPE_CHECKING:
    from collections.abc import Callable

SCRIPT = Path(__file__).with_name("_worker.py")
ROOT = Path(__file__).parents[2]
POLL_S = 0.05
REQUESTS_PER_PROCESS = 500  # then a fresh one, should a library leak


@final
class _Worker:
    """One process; used by one request at a time."""

    def __init__(self) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="evonas-worker-", ignore_cleanup_errors=True)
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=private_environment(Path(self._scratch.name), {"PYTHONPATH": path}),
            start_new_session=True,
        )
        self.requests = 0

    def send(self, request: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.requests += 1
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()

    def receive(self, wait_s: float) -> dict[str, Any] | None:
        """The answer, or None if there is none yet. Raises `EOFError` when the process has ended."""
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], wait_s)
        if not ready:
            return None
        line = self.process.stdout.readline()
        if not line:
            raise EOFError
        return dict(json.loads(line))

    def close(self) -> None:
        """Kill the process and what it started, and remove its private folder."""
        MemoryWatch(self.process.pid).kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        self._scratch.cleanup()


@final
class WorkerPool:
    """The idle workers of this process; grows with the number of requests at one time."""

    def __init__(self) -> None:
        self._idle: list[_Worker] = []
        self._owner = os.getpid()
        self._lock = threading.Lock()

    def _take(self) -> _Worker:
        with self._lock:
            if self._owner != os.getpid():  # after a fork: they belong to the parent
                self._idle, self._owner = [], os.getpid()
            if self._idle:
                return self._idle.pop()
        return _Worker()

    def _give(self, worker: _Worker) -> None:
        if worker.requests >= REQUESTS_PER_PROCESS:
            worker.close()
            return
        with self._lock:
            self._idle.append(worker)

    def close(self) -> None:
        """End all idle workers of this process."""
        with self._lock:
            if self._owner == os.getpid():
                for worker in self._idle:
                    worker.close()
                self._idle = []

    def call(
        self,
        operation: str,
        arguments: dict[str, Any],
        *,
        log: Path,
        timeout_s: float,
        memory_limit_bytes: int | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> int:
        """Have `operation` (see `_worker.py`) done; returns the peak resident bytes while it ran.

        Raises `ToolError` for a time-out, a crash, lack of memory, a cancellation, or what the operation reports, and
        `DataError` for a file that it cannot read.
        """
        worker = self._take()
        watch = MemoryWatch(worker.process.pid)
        request = {"operation": operation, "arguments": arguments, "log": str(log), "timeout_s": timeout_s}
        healthy = False
        try:
            worker.send(request)
            answer = _wait(worker, watch, time.monotonic() + timeout_s, memory_limit_bytes, cancelled, operation)
            healthy = True
        except (EOFError, BrokenPipeError) as error:
            code = worker.process.wait()
            kind = FailureKind.TOOL_MEMORY if code == -9 else FailureKind.TOOL_CRASHED
            message = f"{operation}: the process ended with exit code {code}: {log_tail(log, 300)}"
            raise ToolError(kind, message) from error
        finally:
            if healthy:
                self._give(worker)
            else:
                worker.close()
        if "damaged" in answer:
            raise DataError(answer["message"], answer["damaged"])
        if "failure" in answer:
            raise ToolError(FailureKind(answer["failure"]), f"{operation}: {answer['message']}")
        return watch.peak


def _wait(
    worker: _Worker,
    watch: MemoryWatch,
    deadline: float,
    memory_limit_bytes: int | None,
    cancelled: Callable[[], bool] | None,
    operation: str,
) -> dict[str, Any]:
    while True:
        resident = watch.sample()
        if memory_limit_bytes is not None and resident > memory_limit_bytes:
            limit = memory_limit_bytes / 2**20
            raise ToolError(FailureKind.TOOL_MEMORY, f"{operation} was stopped for using more than {limit:.0f} MiB")
        if cancelled is not None and cancelled():
            raise ToolError(FailureKind.CANCELLED, f"{operation} was cancelled")
        if time.monotonic() > deadline:
            raise ToolError(FailureKind.TOOL_TIMEOUT, f"{operation} was stopped at its time-out")
        answer = worker.receive(POLL_S)
        if answer is not None:
            return answer


POOL = WorkerPool()
atexit.register(POOL.close)
