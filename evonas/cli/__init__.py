"""The command line: `evonas run | resume | status | front | report | predict | synth | doctor`.

Exit codes: 0 done, 1 failed, 2 bad input, 130 interrupted and resumable. Every `--json` output begins with the integer
`schema`; within one schema keys are added, never renamed or removed.

    app ──> one file per command ──> tables, views (live | plain | JSON lines), output
                    └──> guard (exit codes, messages), signals;  _typer and _rich are the doors to those packages
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line on `arguments` (those of this process by default) and exit with its code."""
    from evonas.cli.app import run_app

    run_app(arguments)
