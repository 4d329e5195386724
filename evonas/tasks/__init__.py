"""Tasks: the data a search learns from, and how a network's outputs are scored."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from evonas.errors import ConfigurationError
from evonas.tasks.arrays import arrays
from evonas.tasks.base import ArrayTask, Split, SplitName, Task
from evonas.tasks.jets import jets

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ArrayTask", "Split", "SplitName", "Task", "arrays", "jets", "load_task"]

_TASKS: dict[str, Callable[..., Task]] = {"jets": jets, "arrays": arrays}


def load_task(name: str, **options: Any) -> Task:
    """The task called `name`: `jets` or `arrays`; `options` are those of `evonas.tasks.jets` or `arrays`.

    Raises: `ConfigurationError` for an unknown task or option, or one that is missing; `DataError` for bad data.
    """
    if name not in _TASKS:
        raise ConfigurationError("task.name", name, f"must be one of {', '.join(_TASKS)}")
    make = _TASKS[name]
    known = inspect.signature(make).parameters
    for option, value in options.items():
        if option not in known:
            raise ConfigurationError(
                f"task.{option}", value, f"task {name} has no such option; it has {', '.join(known)}"
            )
    for option, parameter in known.items():
        if parameter.default is parameter.empty and option not in options:
            raise ConfigurationError(f"task.{option}", None, f"task {name} needs this option")
    return make(**options)
