"""What a worker does: run one job, and turn whatever goes wrong into a value."""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from dataclasses import dataclass
from multiprocessing import connection, parent_process
from typing import TYPE_CHECKING, Any, final

from evonas.errors import EvonasError, Failure, FailureKind
from evonas.execution.base import Job, Outcome, listening

if TYPE_CHECKING:
    from multiprocessing.connection import Connection


@final
@dataclass(frozen=True)
class Said:
    """What the running job told, on its way to the driver."""

    value: Any


def run_job(context: Any, job: Job) -> Outcome:
    """Run a job. Errors for the user (a full disk, say) pass through; any other exception is the job's failure."""
    began = time.monotonic()
    try:
        value = job.function(context, *job.arguments)
    except EvonasError:
        raise
    except Exception as error:  # noqa: BLE001 - the boundary: one candidate's bug must not end the search
        text = "".join(traceback.format_exception(error)[-3:]).strip()
        failure = Failure(FailureKind.WORKER_DIED, f"{type(error).__name__}: {error}\n{text}")
        return Outcome(job.key, failure=failure, wall_time_s=time.monotonic() - began)
    return Outcome(job.key, value, wall_time_s=time.monotonic() - began)


def serve(pipe: Connection) -> None:
    """Main function of a worker process: first message is the context, then jobs, until the pipe closes."""
    # Ctrl-C in a terminal reaches the whole process group; stopping is the driver's decision.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_follow_the_driver, daemon=True).start()
    try:
        context = pipe.recv()
        while True:
            job = pipe.recv()
            try:
                with listening(lambda value: pipe.send(Said(value))):
                    reply: Outcome | EvonasError = run_job(context, job)
            except EvonasError as error:
                reply = error
            pipe.send(reply)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _follow_the_driver() -> None:
    """End this process when the driver dies, even by kill -9, so that no worker is left behind."""
    driver = parent_process()
    if driver is not None:
        connection.wait([driver.sentinel])
        os._exit(1)
