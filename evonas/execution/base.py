"""The seam between the driver, which owns the study, and workers, which get plain data and return plain data."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from evonas.errors import Failure


@final
@dataclass(frozen=True)
class Job:
    """One call `function(context, *arguments)`; `function` is importable by name, the arguments can be pickled.

    `context` is what the executor was made with: the data that all jobs share, sent to each worker once. While it runs
    the function may call `evonas.execution.tell` to say how far it is.
    """

    key: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()


@final
@dataclass(frozen=True)
class Outcome:
    """What became of a job: its value, or why there is none, and how long it ran (not how long it waited)."""

    key: str
    value: Any = None
    failure: Failure | None = None
    wall_time_s: float = 0.0


_listener: ContextVar[Callable[[Any], None] | None] = ContextVar("listener", default=None)


def tell(value: Any) -> None:
    """Say how far the running job is, in plain data; without effect where nobody listens."""
    listener = _listener.get()
    if listener is not None:
        listener(value)


@contextmanager
def listening(listener: Callable[[Any], None] | None) -> Iterator[None]:
    """What is told meanwhile goes to `listener`."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


class Executor(Protocol):
    """Runs jobs. Not thread-safe: only the driver uses it."""

    @property
    def capacity(self) -> int:
        """How many jobs run at once."""

    def submit(self, job: Job) -> None:
        """Queue a job. Raises `ProtocolError` when its key is already waiting or running."""

    def collect(
        self, timeout_s: float | None = None, told: Callable[[str, Any], None] | None = None
    ) -> Sequence[Outcome]:
        """Wait until at least one job has ended, or the time is up; every outcome is given exactly once.

        Returns at once with nothing when there is nothing to wait for. Meanwhile `told(key, value)` is called with
        what running jobs tell; its errors are raised here and are no failures of the job.
        """

    def cancel(self, key: str) -> None:
        """Stop a job for good, running or not; its outcome is a failure of kind CANCELLED. Unknown keys are ignored."""

    def close(self) -> None:
        """Stop everything, including what runs, and release the workers. May be called twice."""
