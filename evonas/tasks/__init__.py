"""Tasks: the data a search learns from, and how a network's outputs are scored."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from evonas.errors import ConfigurationError
from evonas.tasks.arrays import arrays
from evonas.tasks.base import ArrayTask, Goal, Split, Task
from evonas.tasks.bragg import BraggTask, bragg
from evonas.tasks.datasets import from_python
from evonas.tasks.hdf5 import hdf5
from evonas.tasks.images import images
from evonas.tasks.jets import jets
from evonas.tasks.preparation import SplitName, Standardise
from evonas.tasks.qubit import QubitTask, qubit
from evonas.tasks.tables import table

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "ArrayTask",
    "BraggTask",
    "Goal",
    "QubitTask",
    "Split",
    "SplitName",
    "Standardise",
    "Task",
    "arrays",
    "bragg",
    "from_python",
    "hdf5",
    "images",
    "jets",
    "load_task",
    "qubit",
    "table",
]

_TASKS: dict[str, Callable[..., Task]] = {"jets": jets, "bragg": bragg, "arrays": arrays}
_TASKS |= {"table": table, "hdf5": hdf5, "images": images, "python": from_python, "qubit": qubit}


def load_task(name: str, **options: Any) -> Task:
    """The task called `name`, such as `jets`; `options` are those of the function that makes it, see `_TASKS`.

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
