"""A pool of worker processes on this machine, with effective cancellation and one victim per crash.

`concurrent.futures` breaks the whole pool when a worker is killed and cannot stop a running call; here each worker has
its own pipe, so a death (for instance by the kernel for memory) is known to belong to one job, and is replaced.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection
from typing import TYPE_CHECKING, Any, final

from evonas.errors import ConfigurationError, EvonasError, Failure, FailureKind, ProtocolError
from evonas.execution.base import Job, Outcome
from evonas.execution.worker import Said, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess


@final
@dataclass
class _Worker:
    process: SpawnProcess
    pipe: Connection
    job: Job | None = None
    began: float = 0.0  # when it got the job


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Numerical libraries that a process loads meanwhile use one thread, unless the user has set how many.

    There is a worker for each core already, and threads that wait for each other take many times as long.
    """
    added = [name for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS") if name not in os.environ]
    os.environ.update(dict.fromkeys(added, "1"))
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


@final
class ProcessExecutor:
    """`workers` processes that each get `context` once and then one job at a time."""

    def __init__(self, workers: int, context: Any = None) -> None:
        if workers < 1:
            raise ConfigurationError("execution.workers", workers, "must be at least 1")
        self.capacity = workers
        self._context = context
        self._spawn = multiprocessing.get_context("spawn")  # a fork would copy torch's threads and locks
        self._workers: list[_Worker] = []
        self._waiting: deque[Job] = deque()
        self._ended: list[Outcome] = []

    def submit(self, job: Job) -> None:
        """Queue a job and start it if a worker is free."""
        running = {w.job.key for w in self._workers if w.job}
        if job.key in running or any(job.key == other.key for other in self._waiting):
            raise ProtocolError(f"job {job.key!r} was submitted twice")
        self._waiting.append(job)
        self._dispatch()

    def _dispatch(self) -> None:
        while self._waiting:
            worker = next((w for w in self._workers if w.job is None), None)
            if worker is None:
                if len(self._workers) >= self.capacity:
                    return
                worker = self._start()
            job = self._waiting.popleft()
            try:
                worker.pipe.send(job)
                worker.job, worker.began = job, time.monotonic()
            except (BrokenPipeError, ConnectionResetError):  # it died while idle: not the job's fault
                self._waiting.appendleft(job)
                self._discard(worker)

    def _start(self) -> _Worker:
        ours, theirs = self._spawn.Pipe()
        process = self._spawn.Process(target=serve, args=(theirs,), daemon=False)
        # The child inherits the mask, so a Ctrl-C in its first moments waits until `serve` ignores it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            with _one_thread_each():
                process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        try:
            ours.send(self._context)
        except (BrokenPipeError, ConnectionResetError) as error:
            process.join()
            raise ProtocolError(
                f"a worker process ended while it started (exit code {process.exitcode}); a script that runs a study "
                'needs `if __name__ == "__main__":` around it, and its task must be importable'
            ) from error
        worker = _Worker(process, ours)
        self._workers.append(worker)
        return worker

    def collect(
        self, timeout_s: float | None = None, told: Callable[[str, Any], None] | None = None
    ) -> Sequence[Outcome]:
        """Wait for at least one outcome. Raises the error of a job that failed for the user to mend."""
        limit = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._ended and (busy := {w.pipe: w for w in self._workers if w.job is not None}):
            ready = connection.wait(list(busy), None if limit is None else max(0.0, limit - time.monotonic()))
            for pipe in ready:
                self._receive(busy[pipe], told)  # type: ignore[index]
            if not ready or (limit is not None and time.monotonic() >= limit):
                break
        self._dispatch()
        ended, self._ended = self._ended, []
        return ended

    def _receive(self, worker: _Worker, told: Callable[[str, Any], None] | None) -> None:
        job = worker.job
        if job is None:
            return
        try:
            reply = worker.pipe.recv()
        except (EOFError, ConnectionResetError):
            worker.process.join()
            code = worker.process.exitcode
            cause = f"was killed by signal {-code}" if code is not None and code < 0 else f"exited with {code}"
            hint = "; often the kernel, for lack of memory" if code == -9 else ""
            failure = Failure(FailureKind.WORKER_DIED, f"the worker {cause}{hint}")
            self._ended.append(Outcome(job.key, failure=failure, wall_time_s=time.monotonic() - worker.began))
            self._discard(worker)
            return
        if isinstance(reply, Said):
            if told is not None:
                told(job.key, reply.value)
            return
        worker.job = None
        if isinstance(reply, EvonasError):
            raise reply
        self._ended.append(reply)

    def cancel(self, key: str) -> None:
        """Drop a waiting job, or kill the worker that runs it."""
        failure = Failure(FailureKind.CANCELLED, "cancelled")
        for job in [job for job in self._waiting if job.key == key]:
            self._waiting.remove(job)
            self._ended.append(Outcome(key, failure=failure))
        for worker in [w for w in self._workers if w.job is not None and w.job.key == key]:
            self._ended.append(Outcome(key, failure=failure))
            self._discard(worker)

    def _discard(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        worker.process.kill()
        worker.process.join()
        worker.pipe.close()

    def close(self) -> None:
        """Kill all workers."""
        self._waiting.clear()
        for worker in list(self._workers):
            self._discard(worker)
