"""Run as a script in its own process: the only code that imports pyosys, because an error of yosys exits the process.

`python -P _pyosys.py version`, or `python -P _pyosys.py JOB.json` with the key `commands`, a list in order: a yosys
command, or a list of a selection and the commands that run only if it selects anything at that moment.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

COUNT = Path("selected.txt")


def run(libyosys: Any, design: Any, commands: Sequence[str | list[str]]) -> None:
    """Run commands one after the other on one design."""
    for command in commands:
        if isinstance(command, str):
            libyosys.run_pass(command, design)
            continue
        selection, *conditional = command
        libyosys.run_pass(f"tee -q -o {COUNT} select -count {selection}", design)
        if int(COUNT.read_text().split()[0]):
            run(libyosys, design, conditional)


def main() -> None:
    """Do the job that the command line names."""
    from pyosys import libyosys

    if sys.argv[1] == "version":
        print(libyosys.yosys_maybe_version() if hasattr(libyosys, "yosys_maybe_version") else "")  # noqa: T201
        return
    run(libyosys, libyosys.Design(), json.loads(Path(sys.argv[1]).read_text())["commands"])
    COUNT.unlink(missing_ok=True)
    libyosys.log_flush()
    os._exit(0)  # taking a large design apart takes seconds


if __name__ == "__main__":
    main()
