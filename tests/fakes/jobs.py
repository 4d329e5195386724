"""Jobs for executors; worker processes import them from here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from evonas.errors import ConfigurationError, StudyError
from evonas.execution import tell


def double(context: Any, value: int) -> tuple[Any, int]:
    return context, 2 * value


def process(context: Any) -> int:
    return os.getpid()


def count_aloud(context: Any, number: int) -> int:
    """Tells how far it is before it ends."""
    for n in range(number):
        tell((context, n))
    return number


def tell_and_wait(context: Any, path: str) -> None:
    tell("still here")
    announce_and_wait(context, path)


def sleep(context: Any, seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def fail(context: Any, text: str) -> None:
    raise ValueError(text)


def fail_for_the_user(context: Any) -> None:
    raise StudyError("the disk is full")


def fail_in_a_setting(context: Any) -> None:
    raise ConfigurationError("a.b", 3, "must be 4")


def die(context: Any, number: int) -> None:
    os.kill(os.getpid(), number)


def leave(context: Any, code: int) -> None:
    os._exit(code)


def unpicklable(context: Any) -> Any:
    return lambda: None


def announce_and_wait(context: Any, path: str) -> None:
    """Write the process id to `path` and stay until killed."""
    Path(path).write_text(str(os.getpid()))
    while True:
        time.sleep(0.05)


class Refusing:
    """A context that a worker cannot read."""

    def __init__(self, size: int = 0) -> None:
        self.data = b"x" * size

    def __setstate__(self, state: Any) -> None:
        raise RuntimeError("cannot be read here")


def interrupt(context: Any) -> str:
    """What Ctrl-C in a terminal does to a worker."""
    os.kill(os.getpid(), signal.SIGINT)
    return "still here"


def heavy_import(context: Any) -> str:
    return subprocess.run([sys.executable, "-c", "print('child')"], capture_output=True, text=True, check=True).stdout


def blas_threads(_context: Any) -> list[int]:
    """Threads of the linear algebra of this process."""
    import numpy as np
    from threadpoolctl import threadpool_info

    assert np.linalg.det(np.eye(3)) == 1
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]
