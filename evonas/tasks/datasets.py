"""A task from Python: a torch `Dataset`, or a function that returns arrays, by import path.

    [task]
    name = "python"
    source = "my_package.my_data:load"
    arguments = { path = "run7.root", energy_gev = 13000 }

What stands at the import path is called with `arguments` if it can be called (a function, or a class such as that of a
torch `Dataset`) and taken as it is if not (a `Dataset` that is already made). The result is one of

- `(x, y)`, or a dictionary of arrays with `x`, `y` and if wanted `feature_names`, `class_names`, `target_names`: `x` is
  (rows, features), (rows, positions, features) or (rows, height, width, channels);
- a map-style data set, whose items are `(input, target)`. As in torch, an input of three axes is an image (channels,
  height, width). Inputs are read once, in order.

The package must be importable: install it, or put its folder on `PYTHONPATH`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

from evonas.errors import ConfigurationError, DataError, EvonasError
from evonas.tasks.arrays import NAMES
from evonas.tasks.own_data import OwnData, own_task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from evonas.tasks.base import ArrayTask, Goal
    from evonas.tasks.preparation import Standardise


def from_python(
    source: str,
    arguments: Mapping[str, Any] | None = None,
    goal: Goal = "classification",
    normal: str | float | None = None,
    name: str | None = None,
    seed: int = 0,
    standardise: Standardise = "columns",
    clip: float = 4.0,
    unit: str = "",
    metric: str | None = None,
    metric_as_error: bool = False,
) -> ArrayTask:
    """The task that the import path `source`, `package.module:name`, gives when called with `arguments`.

    `normal` is the value of normal rows in anomaly detection, `name` defaults to that in `source`, `unit` is that of
    the targets; the rest is as in `ArrayTask`.

    Raises: `ConfigurationError` if it cannot be imported or called; `DataError` if what it returns cannot be used.
    """
    found = called(imported(source), source, dict(arguments or {}))
    content = _content(found, source)
    features, kinds, targets = (_names(content, key, source) for key in NAMES)
    return own_task(
        OwnData(content["x"], content["y"], source, features, kinds, targets),
        name=name or source.rpartition(":")[2],
        seed=seed,
        goal=goal,
        normal=normal,
        standardise=standardise,
        clip=clip,
        unit=unit,
        metric=metric,
        metric_as_error=metric_as_error,
    )


def imported(source: str) -> Any:
    """What stands at an import path. Raises `ConfigurationError` if nothing does."""
    module, colon, name = source.partition(":")
    if not colon or not all(part.isidentifier() for part in [*module.split("."), *name.split(".")]):
        raise ConfigurationError("task.source", source, "must look like package.module:name")
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        mend = f"cannot be imported ({error}); install the package, or put its folder on PYTHONPATH"
        raise ConfigurationError("task.source", source, mend) from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise ConfigurationError("task.source", source, f"{module} has no {name}")
        found = getattr(found, part)
    return found


def called(found: Any, source: str, arguments: dict[str, Any]) -> Any:
    """The result of calling `found`, or `found` itself if it cannot be called."""
    if not callable(found):
        if arguments:
            raise ConfigurationError("task.arguments", arguments, f"{source} is not called; leave them out")
        return found
    try:
        return found(**arguments)
    except EvonasError:
        raise
    except Exception as error:  # the user's own code may raise anything
        mend = f"calling it with {arguments} raised {type(error).__name__}: {error}"
        raise ConfigurationError("task.source", source, mend) from error


def _content(found: Any, source: str) -> dict[str, NDArray[Any]]:
    """Arrays by name of whatever the call returned."""
    if isinstance(found, dict):
        content = {str(key): _array(value, str(key), source) for key, value in found.items() if value is not None}
        if missing := [key for key in ("x", "y") if key not in content]:
            raise DataError(f"returned no {', '.join(missing)}; the dictionary has {', '.join(content)}", source)
        return content
    if isinstance(found, (tuple, list)) and len(found) == 2:
        return {"x": _array(found[0], "x", source), "y": _array(found[1], "y", source)}
    if hasattr(found, "__getitem__") and hasattr(found, "__len__") and not isinstance(found, (tuple, list, np.ndarray)):
        return _items(found, source)
    wanted = "(x, y), a dictionary with x and y, or a map-style data set with a length"
    raise DataError(f"gave {_kind(found)}; it must be {wanted}", source)


def _items(dataset: Any, source: str) -> dict[str, NDArray[Any]]:
    """The items of a map-style data set, all of one shape; images go from channels first to channels last."""
    if not len(dataset):
        raise DataError("the data set has no item", source)
    inputs: list[NDArray[Any]] = []
    targets: list[NDArray[Any]] = []
    for index in range(len(dataset)):
        item = dataset[index]
        if not isinstance(item, (tuple, list)) or len(item) != 2:
            raise DataError(f"item {index} is {_kind(item)}; it must be (input, target)", source)
        x, y = (_array(part, f"item {index}", source) for part in item)
        if inputs and (x.shape != inputs[0].shape or y.shape != targets[0].shape):
            shapes = f"{x.shape} and {y.shape}; those of item 0 are {inputs[0].shape} and {targets[0].shape}"
            raise DataError(f"item {index} has shapes {shapes}", source)
        inputs.append(x)
        targets.append(y)
    stacked = np.stack(inputs)
    if stacked.ndim == 4:
        stacked = np.moveaxis(stacked, 1, -1)
    return {"x": stacked.reshape(len(inputs), -1) if stacked.ndim == 1 else stacked, "y": np.stack(targets)}


def _array(value: Any, field: str, source: str) -> NDArray[Any]:
    """`value`, which may be a tensor or nested lists, as an array. Raises `DataError` for rows of unequal length."""
    if hasattr(value, "detach"):  # a tensor
        value = value.detach().cpu()
    try:
        return np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:
        raise DataError(f"{field} is no array: {error}", source) from error


def _names(content: Mapping[str, NDArray[Any]], key: str, source: str) -> tuple[str, ...] | None:
    if key not in content:
        return None
    names = tuple(str(name) for name in content[key].reshape(-1).tolist())
    if len(set(names)) != len(names):
        raise DataError(f"{key} holds a name more than once", source)
    return names


def _kind(value: Any) -> str:
    """What a value is, for a message."""
    shape = getattr(value, "shape", None)
    size = f" of {len(value)}" if isinstance(value, (tuple, list)) else ""
    return f"a {type(value).__name__}{size}" + ("" if shape is None else f" of shape {tuple(shape)}")
