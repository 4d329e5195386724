"""Jobs run one after the other in the driver's own process: for debugging, notebooks and tests."""

from __future__ import annotations

from functools import partial
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
        self._cancelled: list[Outcome] = []

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
        """Run one job to its end and return its outcome; cancelled jobs first."""
        if self._cancelled:
            cancelled, self._cancelled = self._cancelled, []
            return cancelled
        if not self._waiting:
            return []
        key = next(iter(self._waiting))
        with listening(None if told is None else partial(told, key)):
            return [run_job(self._context, self._waiting.pop(key))]

    def cancel(self, key: str) -> None:
        """Drop a job that has not run yet."""
        if self._waiting.pop(key, None) is not None:
            self._cancelled.append(Outcome(key, failure=Failure(FailureKind.CANCELLED, "cancelled before it ran")))

    def close(self) -> None:
        """Forget what waits."""
        self._waiting.clear()
