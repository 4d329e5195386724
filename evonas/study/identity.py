"""What makes a study the same study: software, configuration, data. Checked before one is resumed."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from evonas.errors import StudyMismatchError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evonas.tasks import Task

PACKAGES = (
    "evonas", "numpy", "torch", "pymoo", "deap", "moocore", "scikit-learn", "hls4ml", "alkaid", "pyosys", "onnx",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Versions of evonas, of the libraries that shape a result, and of Python; "missing" where not installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "missing"
    return found


def check_versions(logged: dict[str, str]) -> None:
    """Raise `StudyMismatchError` when this evonas cannot go on with a study of another version (semantic, 0.x)."""
    ours, theirs = versions()["evonas"], logged.get("evonas", "unknown")
    if ours.split(".")[:2] != theirs.split(".")[:2]:
        raise StudyMismatchError(
            f"the study was made with evonas {theirs}, this is {ours}; `pip install evonas=={theirs}` to go on with it"
        )


def check_same(what: str, now: Mapping[str, Any], logged: Mapping[str, Any]) -> None:
    """Raise `StudyMismatchError` naming the first entry that differs from what the study was made with."""
    for name in sorted({*now, *logged}):
        if now.get(name) != logged.get(name):
            raise StudyMismatchError(
                f"the {what} of {name!r} is {now.get(name)!r}, but the study was made with {logged.get(name)!r}; "
                "resume it with what it was made with, or start a new study"
            )


def describe(task: Task) -> dict[str, Any]:
    """What the log says of a task: plain data. Does not touch the test split."""
    return {
        "name": task.name,
        "goal": task.goal,
        "provenance": task.provenance,
        "error_definition": task.error_definition,
        "output_names": list(task.output_names),
        "feature_names": list(task.feature_names),
        "shape": list(task.shape),
        "n_inputs": task.n_inputs,
        "n_outputs": task.n_outputs,
        "rows": _rows(task),
    }


def _rows(task: Task) -> dict[str, int]:
    """Rows per split, without reading the test split; a task of the user's own may not know how many that has."""
    from evonas.tasks import ArrayTask

    if isinstance(task, ArrayTask):
        return {name: len(task.rows(name)) for name in ("train", "validation", "test")}
    return {name: len(task.split(name)) for name in ("train", "validation")}


def preparation(task: Task) -> dict[str, Any]:
    """What data the scores are of, and what is done ahead of and behind the network, if the task says so.

    Raw inputs are (x - mean) / scale, cut at ±clip; outputs of a regression are output * target_scale + target_mean.
    """
    from evonas.tasks import ArrayTask

    known: dict[str, Any] = {"data": f"{task.name}: {task.provenance}"}
    if isinstance(task, ArrayTask):
        known |= {
            "feature_names": list(task.feature_names),
            "mean": [float(v) for v in task.mean],
            "scale": [float(v) for v in task.scale],
            "clip": task.clip,
        }
        if task.goal == "regression":
            known |= {
                "output_names": list(task.output_names),
                "target_mean": [float(v) for v in task.target_mean],
                "target_scale": [float(v) for v in task.target_scale],
            }
    return known
