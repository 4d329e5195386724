"""Put a vendor's stand-in programs on PATH."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

FOLDER = Path(__file__).parent


def install(vendor: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Launchers in `folder` for the programs of `tests/fakes/<vendor>`; returns how to choose their behaviour."""
    folder.mkdir(parents=True, exist_ok=True)
    for program in (FOLDER / vendor).iterdir():
        launcher = folder / program.name
        launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{program}" "$@"\n')
        launcher.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return lambda behaviour: monkeypatch.setenv(f"FAKE_{vendor.upper()}", behaviour)
