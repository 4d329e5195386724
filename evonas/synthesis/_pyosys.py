"""Run as a script in its own process: the only code that imports pyosys, because an error of yosys exits the process.

`python -P _pyosys.py version`, or `python -P _pyosys.py JOB.json` with the keys `commands` (yosys commands in order).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main() -> None:
    """Run the commands of a job one after the other on one design."""
    from pyosys import libyosys

    if sys.argv[1] == "version":
        print(libyosys.yosys_maybe_version() if hasattr(libyosys, "yosys_maybe_version") else "")  # noqa: T201
        return
    job = json.loads(Path(sys.argv[1]).read_text())
    design = libyosys.Design()
    for command in job["commands"]:
        libyosys.run_pass(command, design)


if __name__ == "__main__":
    main()
