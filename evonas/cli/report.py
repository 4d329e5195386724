"""`evonas report`."""

from pathlib import Path
from typing import Annotated

from evonas.cli._typer import Option, StudyDirectory, echo
from evonas.cli.guard import guarded
from evonas.errors import ConfigurationError


def report(
    directory: StudyDirectory,
    out: Annotated[
        Path | None,
        Option("--out", "-o", metavar="FILE", help="Where to write it; DIR/report.html if not given."),
    ] = None,
) -> None:
    """Write one self-contained HTML page about a study, finished or not.

    The page needs no network and no other file; it can be sent by mail.
    """
    with guarded():
        from evonas.cli.reading import read_state
        from evonas.report import write_report

        state = read_state(directory)
        path = out if out is not None else directory / "report.html"
        if path.is_dir():
            raise ConfigurationError("--out", str(path), "is a directory; give the name of a file")
        try:
            echo(str(write_report(state, path)))
        except (NotADirectoryError, FileExistsError, PermissionError) as error:
            raise ConfigurationError("--out", str(path), f"cannot be written: {error.strerror}") from error
