"""Which software made a study."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from evonas.errors import StudyMismatchError

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
