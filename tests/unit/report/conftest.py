"""The synthetic study as fixtures; loaded by path, so that it works whatever pytest puts on `sys.path`."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import ModuleType

    from evonas.study.state import StudyState


@pytest.fixture(scope="session")
def synthetic() -> ModuleType:
    """The module of builders."""
    path = Path(__file__).with_name("synthetic.py")
    spec = importlib.util.spec_from_file_location("synthetic_study", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def study(synthetic: Any) -> StudyState:
    """A complete study; the report only reads it."""
    return synthetic.complete_study()
