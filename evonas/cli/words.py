"""Events of a study in words: the lines of the plain view and of the live view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evonas.cli.rows import generation_row, task_of
from evonas.report.formatting import MISSING, count, decimal, duration, error_text, percent, quantity, shortest
from evonas.study.events import (
    Asked,
    Chosen,
    Failed,
    Finished,
    Halved,
    HandedOver,
    Recalibrated,
    Started,
    Synthesised,
    Told,
)
from surrogates import Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evonas.cli._rich import Table
    from evonas.cli.pace import Pace
    from evonas.cli.rows import GenerationRow
    from evonas.study.events import Event, Preselection
    from evonas.study.observer import Advance, Progress
    from evonas.study.state import StudyState

ACTIVITIES = {
    "train": "training",
    "proxies": "zero-cost proxies",
    "trace": "tracing",
    "synthesise": "synthesis",
    "refit": "refit",
}


def activity_name(activity: str) -> str:
    """An activity as the views call it."""
    return ACTIVITIES.get(activity, activity)


def pace_words(pace: Pace) -> str:
    """How long the current activity will take; of training also its candidates per second, and what is in training."""
    words = [pace.words()]
    if pace.busy and pace.activity.startswith("train"):
        words += [f"{pace.rate:.2g}/s"] if pace.rate is not None else []
        words += [in_training(pace.running)] if pace.running else []
    return ", ".join(words)


def done_of(progress: Progress | Pace) -> str:
    """How many of how many, to a tenth where a stack has done a part of its work."""
    return f"{progress.done:.1f}".removesuffix(".0") + f"/{progress.total}"


def in_training(running: Sequence[Advance]) -> str:
    """How many trainings are alive, and what epochs they have done."""
    epochs = sorted({advance.epoch for advance in running})
    reached = f"{epochs[0]}" if len(epochs) == 1 else f"{epochs[0]}–{epochs[-1]}"
    return f"{sum(advance.alive for advance in running)} alive, epoch {reached}"


def headline(state: StudyState) -> str:
    """What is studied, in one line."""
    task = task_of(state)
    if state.started is None:
        return "study"
    search, synthesis = state.config["search"], state.config.get("synthesis", {})
    population = search.get("population_size")
    parts = [
        f"{task['name']}: {task['provenance']}",
        quantity(int(search["generations"]), "generation") + (f" of {population}" if population else ""),
    ]
    if "part" in synthesis:
        parts.append(f"{synthesis['part']} at {shortest(synthesis.get('clock_period_ns'))} ns")
    parts.append(f"seed {state.config.get('seed', MISSING)}")
    return ", ".join(parts)


def generation_table(rows: Sequence[GenerationRow], provenance: str) -> Table:
    """Generations below each other; fits 80 columns."""
    from evonas.cli._rich import table

    by_error = has_no_accuracy(rows)
    definition = f"{rows[0].error_definition}, " if by_error and rows[0].error_definition else ""
    meaning = f"error: {definition}" if by_error else "acc.: "
    return table(
        [
            ("generation", "right"),
            ("trained", "right"),
            ("failed", "right"),
            ("hypervolume", "right"),
            ("best error" if by_error else "best acc. %", "right"),
            ("smallest LUT", "right"),
            ("seconds", "right"),
        ],
        (
            (
                str(row.generation),
                f"{row.trained}/{row.asked - row.reused - row.dropped}",
                str(row.failed),
                decimal(row.hypervolume, 4),
                error_text(row.best_error) if by_error else percent(row.best_accuracy),
                count(row.smallest_lut_predicted),
                decimal(row.seconds, 1),
            )
            for row in rows
        ),
        caption=f"{meaning}validation split, {provenance}; LUT: as predicted",
    )


def has_no_accuracy(rows: Sequence[GenerationRow]) -> bool:
    """Whether the error has to be shown: something was measured, and nothing has an accuracy."""
    measured = [row for row in rows if row.best_error is not None or row.best_accuracy is not None]
    return bool(measured) and all(row.best_accuracy is None for row in measured)


def recalibration_line(event: Recalibrated) -> str:
    """Median LUT error and coverage of the 90 % interval, before and after a refit."""
    version = event.surrogate_version
    parts = [f"recalibrated after generation {event.generation}, surrogate {version[:12]}"]
    if errors := _changes(event.summary, "median_relative_error"):
        parts.append(f"median LUT error {', '.join(errors)}")
    if covered := _changes(event.summary, "coverage"):
        parts.append(f"90 % interval covers {', '.join(covered)}")
    return "; ".join(parts)


def _changes(summary: dict[str, Any], measure: str) -> list[str]:
    """A measure of the LUT predictions on the front and at random, before and after; what was not measured is left out.

    `summary` is a `surrogates.recalibration.RecalibrationSummary` as plain data.
    """
    found = []
    for role, where in (("front", "on the front"), ("random", "at random")):
        values = [summary.get(when, {}).get(role, {}).get("lut", {}).get(measure) for when in ("before", "after")]
        if any(value is not None for value in values):
            change = " -> ".join(MISSING if v is None else f"{percent(v, 1)} %" for v in values)
            found.append(f"{where} {change}")
    return found


def event_line(event: Event, state: StudyState) -> str | None:
    """An event in one line; None for those that only progress tells."""
    match event:
        case Started():
            return headline(state)
        case Asked() | Halved() | Told():
            return _generation_line(event, state)
        case Failed():
            why = f"{event.failure.kind.value}: {first_line(event.failure.message)}"
            return f"candidate {event.candidate} failed: {why}"
        case Chosen():
            return f"{quantity(len(event.picks), 'design')} chosen for synthesis ({event.purpose})"
        case Synthesised():
            return synthesis_line(event)
        case Recalibrated():
            return recalibration_line(event)
        case HandedOver():
            return f"candidate {event.candidate} handed over: {event.directory}"
        case Finished():
            return f"finished: {event.reason}, {duration(event.wall_time_s)}"
        case _:
            return None


def _generation_line(event: Asked | Halved | Told, state: StudyState) -> str:
    row = generation_row(state, state.generations[event.generation])
    if isinstance(event, Told):
        return _told_line(state, row) + _ranked(event)
    if isinstance(event, Halved):
        left = len(event.scores) - len(event.stopped)
        return f"after {quantity(event.epochs, 'epoch')} {left} of {len(event.scores)} go on"
    preselected = _preselected(state.generations[event.generation].preselection)
    again = f", {row.reused} known already" if row.reused else ""
    dropped = f", {row.dropped} outside the constraints" if row.dropped else ""
    nearest = _nearest(state, event.generation) if row.dropped and row.dropped == row.asked - row.reused else ""
    return f"generation {event.generation}: {quantity(row.asked, 'candidate')}{preselected}{again}{dropped}{nearest}"


def _preselected(found: Preselection | None) -> str:
    if found is None:
        return ""
    if found.versions:
        return f", chosen among {found.offspring} offspring"
    return f", the first of {found.offspring} offspring, because no predictor ranks them"


def _nearest(state: StudyState, generation: int) -> str:
    """How far the best of a generation is from what is allowed, where all were left out."""
    members = state.generations[generation].candidates
    violations = {number: state.violations(number, Stage.PREDICTED) for number in members}
    outside = [number for number, found in violations.items() if any(found.values())]
    if not outside:  # a recalibration has changed its mind since
        return ""
    number = min(outside, key=lambda n: sum(violations[n].values()))
    found = violations[number]
    metric = max(found, key=lambda name: found[name])
    value = state.candidates[number].predicted[metric].value
    bounds = next((c.lower, c.upper) for c in state.constraints if c.metric == metric)
    limit = f"at most {bounds[1]:,.6g}" if bounds[1] is not None and value > bounds[1] else f"at least {bounds[0]:,.6g}"
    return f"; the nearest is predicted to have {metric} = {value:,.4g}, allowed is {limit}"


def _told_line(state: StudyState, row: GenerationRow) -> str:
    provenance = task_of(state)["provenance"]
    stopped = f"{row.stopped} stopped early, " if row.stopped else ""
    return (
        f"generation {row.generation}: {row.trained} trained, {stopped}{row.failed} failed, "
        f"hypervolume {decimal(row.hypervolume, 4)}, best validation {_best(row)} "
        f"on {provenance}, smallest predicted LUT {count(row.smallest_lut_predicted)}, "
        f"{duration(row.seconds)}"
    )


def _ranked(event: Told) -> str:
    """How well the predictions of a preselection ranked what was measured then."""
    ranks = [f"{metric} {decimal(value, 2)}" for metric, value in sorted(event.rank_correlations.items())]
    return f"; rank correlation with what was predicted: {', '.join(ranks)}" if ranks else ""


def _best(row: GenerationRow) -> str:
    """The best score of a generation, named: its accuracy, or its error where there is none."""
    if not has_no_accuracy([row]):
        return f"accuracy {percent(row.best_accuracy)} %"
    definition = f" ({row.error_definition})" if row.error_definition else ""
    return f"error{definition} {error_text(row.best_error)}"


def synthesis_line(event: Synthesised) -> str:
    """One synthesis: the highest stage it reached, or why it stopped."""
    head = f"candidate {event.candidate} ({event.purpose})"
    if event.failure is not None:
        return f"{head} synthesis failed: {event.failure.kind.value}: {first_line(event.failure.message)}"
    record = max(event.records, key=lambda r: r.stage, default=None)
    if record is None:
        return f"{head} synthesised, nothing reported"
    checked = f", {record.verified_vectors} vectors bit for bit" if record.verified_vectors else ""
    stage = "synthesised" if record.stage == Stage.SYNTHESISED else record.stage.label
    return (
        f"{head} {stage}: {count(record.lut)} LUT, {count(record.ff)} FF, {count(record.dsp)} DSP, "
        f"{shortest(record.latency_cycles)} cycles{checked}, {duration(event.wall_time_s)}"
    )


def first_line(text: str) -> str:
    """The first line of a tool's message, cut to what a line can bear."""
    line = text.strip().splitlines()[0] if text.strip() else "no message"
    return line if len(line) <= 160 else line[:159] + "…"
