"""The command line as a fixture, and two studies to look at."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from command_line import Ended, environment, events, write_log

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def evonas(tmp_path: Path) -> Callable[..., Ended]:
    """`evonas(*arguments, **environment)` in an empty directory."""
    work = tmp_path / "cwd"
    work.mkdir()

    def run(*arguments: str | Path, **extra: str) -> Ended:
        command = [sys.executable, "-m", "evonas", *map(str, arguments)]
        done = subprocess.run(
            command, cwd=work, env=environment(**extra), capture_output=True, text=True, timeout=300, check=False
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A finished study."""
    return write_log(tmp_path / "finished", events())


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """A study that stopped in its second generation; its name needs quotes in a shell."""
    return write_log(tmp_path / "it stopped", events(30))
