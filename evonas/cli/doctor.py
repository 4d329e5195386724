"""`evonas doctor`."""

from pathlib import Path
from typing import TYPE_CHECKING

from evonas.cli._typer import Exit, JsonFlag
from evonas.cli.guard import ExitCode, guarded

if TYPE_CHECKING:
    from evonas.cli.checks import Check

STYLES = {"ok": "green", "missing": "dim", "warning": "yellow", "failed": "bold red"}


def doctor(as_json: JsonFlag = False) -> None:
    """Look at this installation: packages, tools, embedded data, machine. Exit code 1 if something needed is wrong.

    What is optional and missing is named with its purpose and does not count as wrong.
    """
    with guarded():
        from evonas import __version__
        from evonas.cli.checks import Verdict, all_checks
        from evonas.cli.output import emit

        checks = all_checks(Path.cwd())
        healthy = all(check.verdict is not Verdict.FAILED for check in checks)
        if as_json:
            emit({"healthy": healthy, "evonas": __version__, "checks": [check.to_dict() for check in checks]})
        else:
            _show(checks, __version__, healthy=healthy)
        if not healthy:
            raise Exit(ExitCode.FAILED)


def _show(checks: "list[Check]", version: str, *, healthy: bool) -> None:
    from evonas.cli._rich import Text, console, table

    out = console()
    made = table([("", "left"), ("", "left"), ("found", "left"), ("for", "left")], [], title=f"evonas {version}")
    for check in checks:
        verdict = Text(check.verdict.value, style=STYLES[check.verdict.value])
        made.add_row(verdict, Text(check.name), Text(check.found), Text(check.note))
    out.print(made)
    wrong = [check.name for check in checks if check.verdict.value == "failed"]
    conclusion = "Everything needed is here." if healthy else f"To mend: {', '.join(wrong)}"
    out.print(Text(conclusion, style=STYLES["ok" if healthy else "failed"]))
