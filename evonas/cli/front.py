"""`evonas front`."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

from evonas.cli._typer import JsonFlag, Option, StudyDirectory
from evonas.cli.guard import guarded

if TYPE_CHECKING:
    from evonas.cli._rich import Console
    from evonas.study.state import CandidateState, StudyState
    from surrogates import Stage


class StageName(StrEnum):
    """How the hardware numbers of a front came to be."""

    PREDICTED = "predicted"
    TRACED = "traced"
    SYNTHESISED = "synthesised"


def front(
    directory: StudyDirectory,
    stage: Annotated[
        StageName,
        Option(
            metavar="STAGE",
            help="predicted: by the surrogate; traced: counted from the adders of the trained weights; "
            "synthesised: by logic synthesis and verified bit for bit.",
        ),
    ] = StageName.SYNTHESISED,
    as_json: JsonFlag = False,
) -> None:
    """List the best trade-offs of a study: feasible designs that no other beats in every objective.

    Numbers of different stages are never mixed: every front is made of one stage alone.
    """
    with guarded():
        from evonas.cli import rows
        from evonas.cli._rich import console
        from evonas.cli.output import emit
        from evonas.cli.reading import read_state
        from surrogates import Stage

        state = read_state(directory)
        wanted = Stage[stage.value.upper()]
        if as_json:
            emit(
                {
                    "task": rows.task_of(state),
                    "stage": wanted.label,
                    "objectives": [{"metric": o.metric, "direction": o.direction} for o in state.objectives],
                    "designs": [rows.front_entry(c, wanted) for c in state.front(wanted)],
                }
            )
            return
        title = f"{rows.task_of(state)['name']}: front of stage {wanted.label}"
        show_front(state, wanted, console(), title=title)


def show_front(state: "StudyState", stage: "Stage", out: "Console", *, title: str | None) -> None:
    """Print one front as a table that fits 80 columns, or say why there is none."""
    from evonas.cli._rich import Text, table
    from evonas.cli.rows import task_of
    from evonas.report.views import score_metric, score_words

    designs = state.front(stage)
    if not designs:
        out.print(Text(_why_empty(state, stage)))
        return
    tested = any(c.handed_over is not None for c in designs)
    metric = score_metric(state)
    unit, head = ("%", "%: ") if metric == "accuracy" else ("error", "")
    columns = ["design", f"val. {unit}", *([f"test {unit}"] if tested else []), "LUT", "FF", "DSP", "cycles", "ns"]
    splits = "validation and test splits" if tested else "validation split"
    caption = f"{head}{score_words(state)} on the {splits}, {task_of(state)['provenance']}. Hardware: {stage.label}."
    caption += f" Bits: of the weights.{_verification(designs, stage)}"
    out.print(
        table(
            [*((name, "right") for name in (*columns, "bits")), ("network", "left")],
            (_cells(candidate, stage, metric, tested=tested) for candidate in designs),
            title=title,
            caption=caption,
        )
    )


def _cells(candidate: "CandidateState", stage: "Stage", metric: str, *, tested: bool) -> list[str]:
    from evonas.cli.rows import score, tested_score
    from evonas.report.formatting import count, error_text, percent

    spec = candidate.spec
    shown = percent if metric == "accuracy" else error_text
    return [
        str(candidate.candidate),
        shown(score(candidate, metric)),
        *([shown(tested_score(candidate, metric))] if tested else []),
        *(count(candidate.value(metric, stage)) for metric in ("lut", "ff", "dsp")),
        *(_brief(candidate.value(metric, stage)) for metric in ("latency_cycles", "latency_ns")),
        _range([layer.weight_bits for layer in spec.weighted]),
        spec.topology,
    ]


def _verification(designs: "list[CandidateState]", stage: "Stage") -> str:
    """On how many inputs every design was compared bit for bit, or how many never were; nothing for predictions."""
    vectors = [record.verified_vectors for c in designs if (record := c.record(stage)) is not None]
    if not vectors:
        return ""
    if 0 in vectors:
        return f" Not verified bit for bit: {vectors.count(0)} of {len(vectors)}."
    return f" Verified bit for bit on {min(vectors)} inputs or more."


def _range(values: list[int]) -> str:
    return str(values[0]) if len(set(values)) == 1 else f"{min(values)}-{max(values)}"


def _brief(value: float | None) -> str:
    from evonas.report.formatting import MISSING

    return MISSING if value is None else f"{value:.1f}".removesuffix(".0")


def _why_empty(state: "StudyState", stage: "Stage") -> str:
    """Why a front holds nothing, and which one does."""
    from surrogates import Stage

    others = {s.label: len(state.front(s)) for s in (Stage.PREDICTED, Stage.TRACED, Stage.SYNTHESISED) if s != stage}
    known = ", ".join(f"{label}: {n}" for label, n in others.items() if n)
    text = f"No design is on the front of stage {stage.label} yet."
    return f"{text} Other stages have designs ({known}); choose one with --stage." if known else text
