"""How many candidates train together on this machine: measured once, then remembered in the user's cache.

What a member becomes does not depend on it, only how soon.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import evonas
from evonas.tasks.download import cache_path
from evonas.training.grouping import ROOMS

if TYPE_CHECKING:
    from collections.abc import Callable

_GAIN = 1.05  # a larger stack has to be so much faster, because it is longer until the first candidate is done
_CPU = Path("/proc/cpuinfo")


def largest_stack(measure: Callable[[], dict[int, float]], folder: Path | None = None) -> int:
    """The smallest stack in which a member takes hardly longer than in the best of those that `measure` tried.

    It returns seconds for each member, by the size of the stack, or nothing if it failed. What cannot be read or
    written is measured again.
    """
    path, machine = cache_path(folder) / "stacks.json", _machine()
    known = {}
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(path.read_text())
    if isinstance(known, dict) and isinstance(known.get(machine), int) and known[machine] > 0:
        return int(known[machine])
    times = measure()
    if not times:
        return ROOMS["cpu"].largest
    found = min(size for size, seconds in times.items() if seconds <= _GAIN * min(times.values()))
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps((known if isinstance(known, dict) else {}) | {machine: found}))
        fresh.replace(path)
    return found


def _machine() -> str:
    """The processor and what computes on it."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = _CPU.read_text().splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    return f"{name}, evonas {evonas.__version__}, torch {version('torch')}"
