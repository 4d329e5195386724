"""Starts one tool and outlives it: reports how it ended, and kills all that it started when the starter dies.

Run as a script with the standard library alone (`python -I -S _guardian.py LOG COMMAND...`), so that it costs
milliseconds and a few megabytes. Its standard input is a pipe whose other end the starter holds; its standard output
takes one JSON object at the end.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import sys
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36


def descendants(root: int) -> list[int]:
    """Process ids of all living descendants of `root`, by the parent field of /proc/<pid>/stat."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # ended in the meantime
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    found: list[int] = []
    generation = {root}
    while generation:
        generation = {pid for pid, parent in parents.items() if parent in generation}
        found += generation
    return found


def kill_all() -> None:
    """Kill every descendant, also those that left the process group, then this group with the guardian itself."""
    for pid in descendants(os.getpid()):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    """Start the tool, wait for its end or for the starter's, report and clean up."""
    log, *command = sys.argv[1:]
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # orphaned grandchildren come to us
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writer)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    redirects = [(os.POSIX_SPAWN_DUP2, nothing, 0), (os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, output, 2)]
    try:
        tool = os.posix_spawnp(command[0], command, os.environ, file_actions=redirects)
    except OSError as error:
        print(json.dumps({"not_started": str(error)}), flush=True)  # noqa: T201 - the report to the starter
        return
    while True:
        done, status, usage = os.wait4(tool, os.WNOHANG)
        if done:
            break
        ready, _, _ = select.select([0, reader], [], [], 1.0)
        if reader in ready:
            os.read(reader, 4096)
        if 0 in ready and not os.read(0, 1):
            kill_all()
    report = {"exit_code": os.waitstatus_to_exitcode(status), "peak_memory_bytes": usage.ru_maxrss * 1024}
    print(json.dumps(report), flush=True)  # noqa: T201 - the report to the starter
    kill_all()


if __name__ == "__main__":
    main()
