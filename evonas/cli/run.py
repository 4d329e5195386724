"""`evonas run` and `evonas resume`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from evonas.cli._typer import Argument, Option, StudyDirectory
from evonas.cli.guard import CRASH_FILE, guarded, is_study, resume_command
from evonas.errors import ConfigurationError, StudyExistsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from evonas.study.observer import Observer
    from evonas.study.state import StudyState
    from evonas.study.study import Study

    MakeStudy = Callable[[Sequence[Observer]], Study]

JsonLines = Annotated[
    bool, Option("--json", help="Print each event as one JSON object on one line, and nothing else.")
]


def run(
    config: Annotated[Path, Argument(metavar="CONFIG", help="TOML file that describes the study.", show_default=False)],
    out: Annotated[
        Path, Option("--out", "-o", metavar="DIR", help="New directory for the study.", show_default=False)
    ],
    overrides: Annotated[
        list[str] | None,
        Option(
            "--set",
            metavar="A.B=C",
            help="Override a field of the file, such as search.generations=3 or preset=smoke. May be repeated.",
            show_default=False,
        ),
    ] = None,
    json_lines: JsonLines = False,
) -> None:
    """Search for networks, synthesise the best, verify them bit for bit, and hand them over as firmware.

    Everything is kept in DIR as it happens: interrupt with Ctrl-C whenever you like and go on with
    `evonas resume DIR`. At the end DIR/report.html shows the whole study.
    """
    with guarded(out):
        from evonas.config import load_config

        resolved = load_config(config, overrides or ())
        _refuse_existing(out)
        _check_creatable(out)

        def make(observers: "Sequence[Observer]") -> "Study":
            from evonas import Study

            return Study(resolved, out, observers=observers)

        _drive(make, out, json_lines=json_lines)


def resume(directory: StudyDirectory, json_lines: JsonLines = False) -> None:
    """Continue a study that was interrupted, from its last logged event.

    A finished study is left as it is; its report is written anew and its verified front is shown.
    """
    with guarded(directory):
        from evonas.cli.reading import read_state

        read_state(directory)  # a clear refusal before anything heavy is loaded

        def make(observers: "Sequence[Observer]") -> "Study":
            from evonas import Study

            return Study.resume(directory, observers=observers)

        _drive(make, directory, json_lines=json_lines)


def _drive(make: "MakeStudy", directory: Path, *, json_lines: bool) -> None:
    """Run a study to its end under a view; report and summary come only then."""
    from evonas.cli.signals import make_interruptible
    from evonas.cli.views import chosen_view

    make_interruptible(directory)
    with chosen_view(json_lines=json_lines) as view, make([view]) as study:
        view.begin(study.state)
        study.run()
        state = study.state
    (directory / CRASH_FILE).unlink(missing_ok=True)  # of an earlier run, since mended
    from evonas.report import write_report

    report = write_report(state, directory / "report.html")
    if not json_lines:
        _summary(state, directory, report)


def _summary(state: "StudyState", directory: Path, report: Path) -> None:
    """The verified front, and where everything is."""
    from evonas.cli._rich import console, line
    from evonas.cli.front import show_front
    from evonas.report.formatting import quantity
    from surrogates import Stage

    out = console()
    front = state.front(Stage.SYNTHESISED)
    line(out, f"\nVerified front: {quantity(len(front), 'design')}", style="bold")
    show_front(state, Stage.SYNTHESISED, out, title=None)
    handed = [c for c in state.candidates.values() if c.handed_over is not None]
    for candidate in sorted(handed, key=lambda c: c.candidate):
        if candidate.handed_over is not None:
            line(out, f"{f'design {candidate.candidate}':<12}{directory / candidate.handed_over.directory}")
    line(out, f"{'report':<12}{report}")


def _refuse_existing(out: Path) -> None:
    """Raise `StudyExistsError` naming the way to continue."""
    if is_study(out):
        raise StudyExistsError(
            f"{out} already holds a study; continue it with `{resume_command(out)}` or choose another --out"
        )


def _check_creatable(out: Path) -> None:
    """Raise `ConfigurationError` where the directory cannot be made or written."""
    nearest = next(path for path in (out.absolute(), *out.absolute().parents) if os.path.lexists(path))
    if not nearest.is_dir():
        raise ConfigurationError("--out", str(out), f"{nearest} is not a directory; choose another place")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise ConfigurationError("--out", str(out), f"{nearest} cannot be written; choose another place")
