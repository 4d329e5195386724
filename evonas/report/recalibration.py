"""What a recalibration said of itself, read tolerantly: a study may have been logged by another version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from evonas.objectives import HARDWARE_METRICS
from evonas.report.formatting import METRIC_NAMES, MISSING, percent, short_version
from evonas.report.tables import Column, table
from surrogates import TARGETS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evonas.report._html import Html
    from evonas.study.state import StudyState

_WHERE = {"all": "all new", "front": "on the front", "random": "at random"}
_WHEN = ("before", "after")
_MEASURES = ("n", "median_relative_error", "coverage", "spearman")


@final
@dataclass(frozen=True)
class Row:
    """Accuracy of the surrogate for one target in one place, before and after one refit."""

    generation: int
    version: str
    target: str
    where: str
    before: dict[str, float | None]
    after: dict[str, float | None]


def rows(state: StudyState) -> list[Row]:
    """Accuracy for each target on all new designs, on the front and at random, in the order of the log."""
    found = []
    for event in state.recalibrations:
        grouped: dict[tuple[str, str], dict[str, dict[str, float | None]]] = {}
        for path, values in _accuracies(event.summary, ()):
            target = next((p for p in path if p in HARDWARE_METRICS), "")
            where = next((p for p in path if p in _WHERE), "")
            when = next((p for p in path if p in _WHEN), "")
            if where and when:
                grouped.setdefault((target, where), {})[when] = values
        for (target, where), both in sorted(grouped.items(), key=_rank):
            before, after = both.get("before", {}), both.get("after", {})
            if before.get("n") or after.get("n"):
                found.append(Row(event.generation, event.surrogate_version, target, _WHERE[where], before, after))
    return found


def _rank(group: tuple[tuple[str, str], object]) -> tuple[int, int]:
    target, where = group[0]
    return list(_WHERE).index(where), TARGETS.index(target) if target in TARGETS else len(TARGETS)


def methods(state: StudyState) -> list[str]:
    """How the errors after the refits were found, each way once."""
    found = {
        str(event.summary["after_method"]): None for event in state.recalibrations if event.summary.get("after_method")
    }
    return list(found)


def learners(state: StudyState) -> str:
    """What the newest refit chose to predict each target with, as a sentence; empty where the log does not say."""
    if not state.recalibrations:
        return ""
    chosen: dict[str, list[str]] = {}
    for target, learner in state.recalibrations[-1].summary.get("learners", {}).items():
        chosen.setdefault(learner, []).append(METRIC_NAMES.get(target, (target, ""))[0])
    listed = "; ".join(f"{', '.join(targets)}: {learner}" for learner, targets in sorted(chosen.items()))
    return f"The newest surrogate predicts with, by target: {listed}. " if listed else ""


def _accuracies(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], dict[str, float | None]]]:
    """Every table that holds a median relative error, with the keys that lead to it."""
    if isinstance(value, dict):
        if "median_relative_error" in value:
            yield path, {name: _number(value.get(name)) for name in _MEASURES}
        else:
            for key, inner in value.items():
                yield from _accuracies(inner, (*path, str(key)))


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def recalibration_table(state: StudyState) -> Html:
    """Error and interval coverage before and after each refit."""

    def one_decimal(value: float | None) -> str:
        return percent(value, 1)

    def rank(value: float | None) -> str:
        return MISSING if value is None else f"{value:.2f}"

    columns: list[Column[Row]] = [
        Column("generation", "recalibration", lambda r: r.generation),
        Column("surrogate", "recalibration", words=lambda r: short_version(r.version)),
        Column("target", "recalibration", words=lambda r: METRIC_NAMES.get(r.target, (r.target or MISSING, ""))[0]),
        Column("designs", "recalibration", words=lambda r: r.where),
        Column("number", "recalibration", lambda r: r.after.get("n") or r.before.get("n")),
        Column(
            "before", "median relative error", lambda r: r.before.get("median_relative_error"), one_decimal, unit="%"
        ),
        Column("after", "median relative error", lambda r: r.after.get("median_relative_error"), one_decimal, unit="%"),
        Column("before", "coverage of the 90 % interval", lambda r: r.before.get("coverage"), one_decimal, unit="%"),
        Column("after", "coverage of the 90 % interval", lambda r: r.after.get("coverage"), one_decimal, unit="%"),
        Column("before", "rank correlation", lambda r: r.before.get("spearman"), rank),
        Column("after", "rank correlation", lambda r: r.after.get("spearman"), rank),
    ]
    return table(columns, rows(state), name="recalibrations")
