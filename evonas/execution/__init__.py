"""Where work runs: inline or in a pool of processes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from evonas.errors import ConfigurationError
from evonas.execution.base import Executor, Job, Outcome, tell

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Executor", "Job", "Outcome", "executor", "tell"]


def executor(name: str, workers: int | None = None, context: Any = None) -> Executor:
    """The executor called `name`; `workers` defaults to the number of usable cores."""
    from evonas.execution.inline import InlineExecutor
    from evonas.execution.processes import ProcessExecutor

    makers: dict[str, Callable[[], Executor]] = {
        "inline": lambda: InlineExecutor(context),
        "processes": lambda: ProcessExecutor(workers or len(os.sched_getaffinity(0)), context),
    }
    if name not in makers:
        raise ConfigurationError("execution.executor", name, f"must be one of {', '.join(makers)}")
    return makers[name]()
