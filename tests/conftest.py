"""What every test directory can use: `fakes` is importable because this file puts `tests` on the path."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from fakes.backend import InstantBackend
from fakes.records import synthetic_records
from fakes.studies import install, make_task, settings
from hypothesis import settings as hypothesis_settings

from surrogates import write_records

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

hypothesis_settings.register_profile("no deadline", deadline=None)  # how long an example takes is no property of it
hypothesis_settings.load_profile("no deadline")


@pytest.fixture(scope="session")
def start_records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty made-up synthesis records, always the same."""
    path = tmp_path_factory.mktemp("records") / "records.jsonl"
    write_records(synthetic_records(30, np.random.default_rng(7)), path)
    return path


@pytest.fixture
def configured(start_records: Path) -> Callable[..., dict[str, Any]]:
    """`configured("search.generations=2", ...)`: the plain data of a small study."""

    def make(*changes: str) -> dict[str, Any]:
        return settings(start_records, *changes)

    return make


@pytest.fixture
def instant(monkeypatch: pytest.MonkeyPatch) -> InstantBackend:
    """Training, surrogate and synthesis without their cost; returns the backend, whose behaviour can be changed."""
    backend = InstantBackend()
    install(monkeypatch.setattr, backend)
    return backend


@pytest.fixture
def task() -> Any:
    """A small task that notes which splits were asked for."""
    return make_task()
