"""The executor as part of a study: started when first needed, watched, and stopped with it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, final

from evonas.execution import executor
from evonas.study.observer import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from evonas.config import ExecutionConfig
    from evonas.execution import Executor, Job
    from evonas.study.observer import Advance, Observer
    from evonas.tasks import Task


@final
class Workers:
    """Runs jobs and tells the observers how far they are. `waiting_s` is how long the driver had nothing to do."""

    def __init__(self, config: ExecutionConfig, task: Task | tuple[Task, ...], observers: Sequence[Observer]) -> None:
        self._config = config
        self._task = task
        self._observers = observers
        self._executor: Executor | None = None
        self.waiting_s = 0.0

    def run(
        self,
        activity: str,
        jobs: Sequence[Job],
        done: Callable[[str, Any, float], None],
        sizes: Mapping[str, int] | None = None,
    ) -> None:
        """Run jobs to their ends; `done(key, value or Failure, seconds)` is called for each as it ends.

        `sizes` says how many things each job makes, by its key, for the progress; one if it is not given.
        """
        if not jobs:
            return
        if self._executor is None:
            self._executor = executor(self._config.executor, self._config.workers, self._task)
        for job in jobs:
            self._executor.submit(job)
        sizes = sizes or {job.key: 1 for job in jobs}
        total, made, ended = sum(sizes[job.key] for job in jobs), 0, 0
        running: dict[str, Advance] = {}

        def advanced(key: str, advance: Advance) -> None:
            running[key] = advance
            self._report(activity, made, total, running, sizes)

        self._report(activity, made, total, running, sizes)
        while ended < len(jobs):
            before = time.perf_counter()
            outcomes = self._executor.collect(told=advanced)
            self.waiting_s += time.perf_counter() - before
            for outcome in outcomes:
                ended, made = ended + 1, made + sizes[outcome.key]
                running.pop(outcome.key, None)
                done(outcome.key, outcome.failure or outcome.value, outcome.wall_time_s)
                self._report(activity, made, total, running, sizes)

    def _report(
        self, activity: str, made: int, total: int, running: Mapping[str, Advance], sizes: Mapping[str, int]
    ) -> None:
        underway = sum(sizes[key] * advance.share for key, advance in running.items())
        self.progress(Progress(activity, made + underway, total, tuple(running.values())))

    def progress(self, progress: Progress) -> None:
        """Tell the observers how far the current activity is."""
        for observer in self._observers:
            observer.progress(progress)

    def stop(self) -> None:
        """Stop whatever runs; the next job starts new workers."""
        if self._executor is not None:
            self._executor.close()
            self._executor = None
