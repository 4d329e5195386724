"""The application: its commands, its version, and the way out for what nobody caught."""

from inspect import getdoc
from typing import TYPE_CHECKING, Annotated

from evonas.cli import _typer
from evonas.cli.doctor import doctor
from evonas.cli.front import front
from evonas.cli.guard import guarded
from evonas.cli.predict import predict
from evonas.cli.report import report
from evonas.cli.run import resume, run
from evonas.cli.status import status
from evonas.cli.synth import synth

if TYPE_CHECKING:
    from collections.abc import Sequence

DESCRIPTION = """Evolve quantised neural networks for FPGAs.

A multi-objective search weighs error against latency, LUT and DSP. A surrogate predicts the hardware and is corrected
by real synthesis; the best designs are synthesised, verified bit for bit and handed over as firmware.

Exit codes: 0 done, 1 failed, 2 bad input, 130 interrupted. Set EVONAS_DEBUG=1 to see tracebacks."""


def _version(wanted: bool) -> None:
    if wanted:
        from evonas import __version__

        _typer.echo(f"evonas {__version__}")
        raise _typer.Exit


def _options(
    version: Annotated[
        bool, _typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Options of `evonas` itself."""


def build() -> _typer.Typer:
    """The application with all commands, in the order in which a study uses them."""
    app = _typer.new_app()
    app.callback(help=_unfolded(DESCRIPTION))(_options)
    for command in (run, resume, status, front, report, predict, synth, doctor):
        app.command(help=_unfolded(getdoc(command) or ""))(command)
    return app


def _unfolded(text: str) -> str:
    """Paragraphs on one line each, for Typer keeps the line breaks of the source."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def run_app(arguments: "Sequence[str] | None" = None) -> None:
    """Parse, run and exit."""
    try:
        with guarded():
            build()(args=arguments, prog_name="evonas")
    except _typer.Exit as ended:
        raise SystemExit(ended.exit_code) from None
