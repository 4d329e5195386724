"""The machine below: cores, memory, disk, and the processes that descend from this one."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

import psutil

_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> tuple[int, int]:
    """Total and available bytes; the total is the container's limit where there is one."""
    found = psutil.virtual_memory()
    total = int(found.total)
    with contextlib.suppress(OSError, ValueError):
        total = min(total, int(_CGROUP_LIMIT.read_text()))
    return total, min(total, int(found.available))


def free_disk(directory: Path) -> int:
    """Free bytes of the file system that holds `directory`."""
    return shutil.disk_usage(directory).free


def running(process: int) -> bool:
    """Whether a process of this number exists."""
    return psutil.pid_exists(process)


def kill_descendants() -> None:
    """SIGKILL to every process that this one started, directly or not."""
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                process.kill()
