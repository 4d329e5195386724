"""A headless Chromium, and a page to look at."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from evonas.report import write_report

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

NAMES = ("chromium", "chromium-browser", "google-chrome")
SYNTHETIC = Path(__file__).parents[1] / "unit" / "report" / "synthetic.py"
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=10000",
)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a browser: the one in CHROMIUM, or the first that is installed."""
    named = os.environ.get("CHROMIUM")
    found = shutil.which(named) if named else next((p for name in NAMES if (p := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no Chromium: none of {', '.join(NAMES)} is installed and CHROMIUM names none")
    return found


@pytest.fixture
def browse(chromium: str, tmp_path: Path) -> Callable[..., str]:
    """Open a page and return its document after all scripts have run."""

    def open_page(page: Path, *options: str) -> str:
        command = [chromium, *QUIET, f"--user-data-dir={tmp_path / 'profile'}", *options, "--dump-dom", page.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        return done.stdout

    return open_page


@pytest.fixture(scope="session")
def synthetic() -> ModuleType:
    """Builders of a synthetic study, shared with the unit tests."""
    spec = importlib.util.spec_from_file_location("synthetic_study_for_the_browser", SYNTHETIC)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def page(synthetic: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a complete study."""
    return write_report(synthetic.complete_study(), tmp_path_factory.mktemp("page") / "report.html")
