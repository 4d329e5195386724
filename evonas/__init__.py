"""evonas: evolve neural networks for FPGAs, with a surrogate that real synthesis keeps honest.

Importing this package loads no heavy library; names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evonas.config import StudyConfig, load_config
    from evonas.errors import EvonasError
    from evonas.study.study import Study, load_study
    from surrogates import Stage

try:
    __version__ = version("evonas")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0.0.0"

_WHERE = {
    "EvonasError": "evonas.errors",
    "Stage": "surrogates",
    "Study": "evonas.study.study",
    "StudyConfig": "evonas.config",
    "load_config": "evonas.config",
    "load_study": "evonas.study.study",
}

__all__ = ["EvonasError", "Stage", "Study", "StudyConfig", "__version__", "load_config", "load_study"]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'evonas' has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)
