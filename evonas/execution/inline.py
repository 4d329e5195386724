"""Jobs run one after the other in the driver's own process: for debugging, notebooks and tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from evonas.errors import Failure, FailureKind, ProtocolError
from evonas.execution.base import Job, Outcome, listening
from evonas.execution.worker import run_job

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@final
class InlineExecutor:
    """Runs the next waiting job whenever outcomes are collected."""

    capacity = 1

    def __init__(self, context: Any = None) -> None:
        self._context = context
        self._waiting: dict[str, Job] = {}
        self._ended: list[Outcome] = []

    def submit(self, job: Job) -> None:
        """Queue a job."""
        if job.key in self._waiting:
            raise ProtocolError(f"job {job.key!r} was submitted twice")
        self._waiting[job.key] = job

    def collect(
        self,
        timeout_s: float | None = None,  # noqa: ARG002 - a call cannot be cut short
        told: Callable[[str, Any], None] | None = None,
    ) -> Sequence[Outcome]:
        """Run one job to its end and return its outcome; what has ended otherwise first."""
        if not self._ended and self._waiting:
            self._run(self._waiting.pop(next(iter(self._waiting))), told)
        ended, self._ended = self._ended, []
        return ended

    def _run(self, job: Job, told: Callable[[str, Any], None] | None) -> None:
        """An error of the listener is not the job's: it is raised when the job has ended."""
        errors: list[Exception] = []

        def listen(value: Any) -> None:
            if told is not None and not errors:
                try:
                    told(job.key, value)
                except Exception as error:  # noqa: BLE001 - raised below
                    errors.append(error)

        with listening(listen):
            self._ended.append(run_job(self._context, job))
        if errors:
            raise errors[0]

    def cancel(self, key: str) -> None:
        """Drop a job that has not run yet."""
        if self._waiting.pop(key, None) is not None:
            self._ended.append(Outcome(key, failure=Failure(FailureKind.CANCELLED, "cancelled before it ran")))

    def close(self) -> None:
        """Forget what waits."""
        self._waiting.clear()
