"""The one door to Typer: what the commands need of it, and the arguments that several of them share."""

# No `from __future__ import annotations` here and in the commands: Typer reads the annotations when it starts.
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Exit, Option, Typer, echo

__all__ = ["Argument", "Exit", "JsonFlag", "Option", "StudyDirectory", "Typer", "echo", "new_app"]

StudyDirectory = Annotated[Path, Argument(metavar="DIR", help="Directory of the study.", show_default=False)]
JsonFlag = Annotated[bool, Option("--json", help="Print one JSON object instead, beginning with its schema.")]


def new_app() -> typer.Typer:
    """An application whose errors are left to `evonas.cli.guard`."""
    return typer.Typer(
        name="evonas",
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
