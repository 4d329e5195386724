"""HTML tables: every cell escaped, one stage per column, sortable where it helps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar, final

from evonas.report import views
from evonas.report._html import Html, element, escape, join
from evonas.report.formatting import (
    METRIC_NAMES,
    MISSING,
    activation_bits,
    count,
    decimal,
    duration,
    error_text,
    metric_label,
    percent,
    shortest,
    sparsity,
    weight_bits,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from evonas.objectives import Objective
    from evonas.report.views import Design
    from evonas.study.events import Synthesised
    from evonas.study.state import StudyState
    from surrogates import Stage

Row = TypeVar("Row")


@final
@dataclass(frozen=True)
class Column(Generic[Row]):
    """One column: header, the heading above it that names the stage, and how a row fills it.

    `number` is the value that is shown through `text` and sorted by; None is shown as a dash. A column of words
    has `words` instead.
    """

    header: str
    group: str
    number: Callable[[Row], float | None] | None = None
    text: Callable[[float | None], str] = count
    words: Callable[[Row], str] | None = None
    unit: str = ""
    tight: bool = False  # words that must not wrap

    def cell(self, row: Row) -> Html:
        """The cell of one row."""
        if self.words is not None:
            return element("td", self.words(row), class_="name" if self.tight else None)
        value = None if self.number is None else self.number(row)
        return element("td", self.text(value), class_="n", data_value=None if value is None else repr(float(value)))


def table(columns: Sequence[Column[Row]], rows: Sequence[Row], *, sortable: bool = True, name: str = "") -> Html:
    """A table in a box that scrolls sideways on a narrow screen."""
    heads = [] if not any(c.group for c in columns) else [element("tr", *_groups(columns), class_="groups")]
    heads.append(element("tr", *(_header(c, sortable) for c in columns)))
    body = [element("tr", *(c.cell(row) for c in columns)) for row in rows]
    inner = join(element("thead", *heads), element("tbody", *body))
    made = element("table", inner, class_="sortable" if sortable else None, id=name or None)
    return element("div", made, class_="scroll", tabindex="0")


def _groups(columns: Sequence[Column[Row]]) -> list[Html]:
    runs: list[list[str]] = []
    for column in columns:
        if runs and runs[-1][0] == column.group:
            runs[-1].append(column.group)
        else:
            runs.append([column.group])
    return [element("th", run[0], colspan=str(len(run)), scope="colgroup") for run in runs]


def _header(column: Column[Row], sortable: bool) -> Html:
    label = escape(column.header)
    if column.unit:
        label = join(label, Html(" "), element("span", column.unit, class_="unit"))
    if sortable:
        label = element("button", label, type="button")
    return element("th", label, scope="col", class_="n" if column.words is None else None)


def design_table(state: StudyState, found: Sequence[Design], stage: Stage, name: str) -> Html:
    """Designs of one stage. Each heading names the split, the stage or the check that its columns come from."""
    return table(_design_columns(state, stage), found, name=name)


def _design_columns(state: StudyState, stage: Stage) -> list[Column[Design]]:
    score = views.score_metric(state)
    name, unit = METRIC_NAMES[score][0], METRIC_NAMES[score][1] or views.error_definition(state)
    shown: Callable[[float | None], str] = percent if score == "accuracy" else error_text

    def validation(d: Design) -> float | None:
        return m.value if (m := d.candidate.measured.get(score)) else None

    def test(d: Design) -> float | None:
        return m.value if (m := d.candidate.tested.get(score)) else None

    def predicted(d: Design) -> float | None:
        return m.value if (m := d.predicted.get("lut")) else None

    hardware, network = stage.label, "network"
    return [
        Column("candidate", network, lambda d: d.number, _plain),
        Column("topology", network, words=lambda d: d.candidate.spec.topology, tight=True),
        Column("weights", network, words=lambda d: weight_bits(d.candidate.spec), unit="bit"),
        Column("activ.", network, words=lambda d: activation_bits(d.candidate.spec), unit="bit"),
        Column("pruned", network, lambda d: sparsity(d.candidate.spec), _whole_percent, unit="%"),
        Column(name, "validation", validation, shown, unit=unit),
        Column(name, "test", test, shown, unit=unit),
        Column("LUT", "predicted", predicted),
        Column("LUT", hardware, lambda d: d.record.lut),
        Column("FF", hardware, lambda d: d.record.ff),
        Column("DSP", hardware, lambda d: d.record.dsp),
        Column("BRAM", hardware, lambda d: d.record.bram_18k, shortest, unit="18 Kb"),
        Column("carry", hardware, lambda d: d.record.carry),
        Column("latency", hardware, lambda d: d.record.latency_cycles, shortest, unit="cycles"),
        Column("II", hardware, lambda d: d.record.initiation_interval, unit="cycles"),
        Column("latency", hardware, lambda d: d.record.latency_ns, shortest, unit="ns"),
        Column("delay", hardware, lambda d: d.record.delay_ns, decimal, unit="ns, relative"),
        Column("verified", "check", lambda d: d.record.verified_vectors, unit="vectors"),
        Column("time", "tool run", lambda d: d.record.wall_time_s or None, _one_decimal, unit="s"),
        Column("peak", "tool run", lambda d: d.record.peak_memory_bytes / 1e6 or None, unit="MB"),
    ]


def failure_table(failures: Sequence[Synthesised], state: StudyState) -> Html:
    """Syntheses that failed, with the typed reason."""
    columns: list[Column[Synthesised]] = [
        Column("candidate", "", lambda e: e.candidate, _plain),
        Column("topology", "", words=lambda e: state.candidates[e.candidate].spec.topology, tight=True),
        Column("generation", "", lambda e: e.generation),
        Column("chosen for", "", words=lambda e: e.purpose),
        Column("reason", "", words=lambda e: "" if e.failure is None else e.failure.kind.value.replace("_", " ")),
        Column("message", "", words=lambda e: "" if e.failure is None else e.failure.message),
        Column("reached", "", words=lambda e: ", ".join(r.stage.label for r in e.records) or MISSING),
        Column("time", "", lambda e: e.wall_time_s, duration),
    ]
    return table(columns, failures, name="synthesis-failures")


def candidate_failure_table(state: StudyState) -> Html:
    """Failures of candidates by kind, with the first message of each."""
    groups: dict[str, list[tuple[int, str]]] = {}
    for number, candidate in state.candidates.items():
        if candidate.failure is not None and candidate.asked.copy_of is None:
            kind = candidate.failure.kind.value.replace("_", " ")
            groups.setdefault(kind, []).append((number, candidate.failure.message))
    columns: list[Column[tuple[str, list[tuple[int, str]]]]] = [
        Column("reason", "", words=lambda g: g[0]),
        Column("number", "", lambda g: len(g[1])),
        Column("candidates", "", words=lambda g: _some([str(number) for number, _ in g[1]])),
        Column("first message", "", words=lambda g: g[1][0][1]),
    ]
    rows = sorted(groups.items(), key=lambda g: (-len(g[1]), g[0]))
    return table(columns, rows, name="candidate-failures")


def pair_table(first: str, second: str, values: dict[str, str], name: str) -> Html:
    """Two columns of words, such as software and version."""
    columns: list[Column[tuple[str, str]]] = [
        Column(first, "", words=lambda pair: pair[0]),
        Column(second, "", words=lambda pair: pair[1]),
    ]
    return table(columns, sorted(values.items()), sortable=False, name=name)


def reference_table(state: StudyState) -> Html:
    """The reference point of the hypervolume: one value per objective."""
    told = next((g.told for g in reversed(state.generations) if g.told is not None), None)
    rows = [] if told is None else list(zip(state.objectives, told.reference, strict=False))
    columns: list[Column[tuple[Objective, float]]] = [
        Column("objective", "", words=lambda r: metric_label(r[0].metric)),
        Column("direction", "", words=lambda r: r[0].direction),
        Column("reference value", "", lambda r: abs(r[1]), shortest),
    ]
    return table(columns, rows, sortable=False, name="reference")


def _some(numbers: list[str], limit: int = 12) -> str:
    return ", ".join(numbers[:limit]) + (f" and {len(numbers) - limit} more" if len(numbers) > limit else "")


def _plain(value: float | None) -> str:
    return MISSING if value is None else f"{value:.0f}"


def _one_decimal(value: float | None) -> str:
    return decimal(value, 1)


def _whole_percent(value: float | None) -> str:
    return percent(value, 0)
