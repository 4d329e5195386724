"""`evonas status`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from evonas.cli._typer import JsonFlag, StudyDirectory
from evonas.cli.guard import guarded, resume_command

if TYPE_CHECKING:
    from evonas.cli.reading import Writer
    from evonas.study.state import StudyState


def status(directory: StudyDirectory, as_json: JsonFlag = False) -> None:
    """Show how far a study is. Works while it runs, and never disturbs it."""
    with guarded():
        from evonas.cli.output import emit
        from evonas.cli.reading import read_state, writer

        state = read_state(directory)
        writing = writer(directory)
        if as_json:
            emit(status_data(state, directory, writing))
        else:
            _show(state, directory, writing)


def status_data(state: "StudyState", directory: Path, writing: "Writer | None") -> dict[str, Any]:
    """What `evonas status --json` prints."""
    from evonas.cli import rows
    from evonas.report.views import wall_time
    from surrogates import Stage

    return {
        "directory": str(directory),
        "task": rows.task_of(state),
        "seed": state.config.get("seed"),
        "running": writing is not None,
        "process": None if writing is None else writing.process,
        "finished": None if state.finished is None else state.finished.reason,
        "wall_time_s": wall_time(state)[0],
        "generations_wanted": int(state.config["search"]["generations"]),
        "generations": [rows.generation_row(state, g).to_dict() for g in state.generations],
        "candidates": rows.counted(state),
        "syntheses": rows.synthesised(state),
        "failures": rows.failures(state),
        "recalibrations": [
            {"generation": r.generation, "surrogate_version": r.surrogate_version, "summary": r.summary}
            for r in state.recalibrations
        ],
        "front_sizes": {
            stage.label: len(state.front(stage)) for stage in (Stage.PREDICTED, Stage.TRACED, Stage.SYNTHESISED)
        },
    }


def _show(state: "StudyState", directory: Path, writing: "Writer | None") -> None:
    from evonas.cli import rows
    from evonas.cli._rich import Text, console, line, pairs
    from evonas.cli.words import generation_table, headline, recalibration_line
    from evonas.report.formatting import duration
    from evonas.report.views import wall_time

    out = console()
    out.print(Text(headline(state), style="bold"))
    data = status_data(state, directory, writing)
    shown = [
        ("state", _activity(state, writing)),
        ("wall time", duration(wall_time(state)[0])),
        ("candidates", _listed(data["candidates"])),
        ("syntheses", _listed(data["syntheses"])),
        ("failures", _listed(data["failures"])),
        ("designs on the front", _listed(data["front_sizes"])),
    ]
    out.print(pairs((name, value) for name, value in shown if value))
    if state.generations:
        provenance = rows.task_of(state)["provenance"]
        out.print(generation_table([rows.generation_row(state, g) for g in state.generations], provenance))
    for event in state.recalibrations:
        out.print(Text(recalibration_line(event)))
    if writing is None and state.finished is None:
        line(out, f"Continue with: {resume_command(directory)}")


def _activity(state: "StudyState", writing: "Writer | None") -> str:
    from evonas.cli.rows import phase

    if state.finished is not None:
        return phase(state)
    if writing is None:
        return f"stopped; {phase(state)}"
    return f"running as process {writing.process}; {phase(state)}"


def _listed(counts: dict[str, int]) -> str:
    """`3 trained, 1 failed`, without what is zero."""
    return ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in counts.items() if n)
