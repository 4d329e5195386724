"""The tables of a comparison, each written once and shown as HTML and as Markdown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar, final

from evonas.report.formatting import MISSING, activation_bits, decimal, shortest, sparsity, weight_bits
from evonas.report.tables import Column
from surrogates import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from evonas.report.compared import Correlation, Network, Score
    from evonas.space.published_results import Published
    from surrogates import SynthesisRecord

Row = TypeVar("Row")
Rule = tuple[str, "Mapping[str, float]"]


@final
@dataclass(frozen=True)
class Sheet(Generic[Row]):
    """A table as its columns and rows."""

    columns: Sequence[Column[Row]]
    rows: Sequence[Row]
    name: str


def front_sheet(networks: Sequence[Network], score: Score, name: str) -> Sheet[Network]:
    """Designs that a search found."""
    return Sheet([*_network(score), *_hardware()], networks, name)


def baseline_sheet(networks: Sequence[Network], score: Score, name: str) -> Sheet[Network]:
    """Baselines, with where they are from."""
    source: Column[Network] = Column("source", "", words=lambda n: n.source)
    return Sheet([*_network(score), *_hardware(), source], networks, name)


def _network(score: Score) -> list[Column[Network]]:
    """What a network is and how good it is."""

    def validation(n: Network) -> float | None:
        return m.value if (m := n.validation.get(score.metric)) else None

    def test(n: Network) -> float | None:
        return m.value if (m := n.tested.get(score.metric)) else None

    def deviation(n: Network) -> float | None:
        return m.std if (m := n.tested.get(score.metric)) else None

    return [
        Column("network", "network", words=lambda n: n.name, tight=True),
        Column("topology", "network", words=lambda n: n.spec.topology),
        Column("weights", "network", words=lambda n: weight_bits(n.spec), unit="bit"),
        Column("activ.", "network", words=lambda n: activation_bits(n.spec), unit="bit"),
        Column("pruned", "network", lambda n: 100 * sparsity(n.spec), _whole, unit="%"),
        Column("rate", "training", lambda n: n.learning_rate, shortest),
        Column("norm", "training", words=lambda n: n.norm),
        Column(score.name, "validation", validation, score.text, unit=score.unit),
        Column(score.name, "test", test, score.text, unit=score.unit),
        Column("±", "test", deviation, score.text, unit=score.unit if score.metric == "accuracy" else ""),
    ]


def _hardware() -> list[Column[Network]]:
    """What a network costs, by formula, by tracing and by synthesis."""

    def made(value: Callable[[SynthesisRecord], float | None]) -> Callable[[Network], float | None]:
        return lambda n: None if (r := n.records.get(Stage.SYNTHESISED)) is None else value(r)

    def latest(value: Callable[[SynthesisRecord], float | None]) -> Callable[[Network], float | None]:
        return lambda n: None if n.latest is None else value(n.latest)

    return [
        Column("BOPs", "formula", lambda n: n.bops),
        Column("EBOPs", "formula", lambda n: n.ebops),
        Column("LUT", "traced", lambda n: n.traced_lut),
        Column("LUT", "synthesised", made(lambda r: r.lut)),
        Column("FF", "synthesised", made(lambda r: r.ff)),
        Column("DSP", "synthesised", made(lambda r: r.dsp)),
        Column("latency", "pipeline", latest(lambda r: r.latency_cycles), shortest, unit="cycles"),
        Column("II", "pipeline", latest(lambda r: float(r.initiation_interval)), shortest, unit="cycles"),
        Column("latency", "pipeline", latest(lambda r: r.latency_ns), shortest, unit="ns"),
        Column("verified", "check", latest(lambda r: float(r.verified_vectors)), unit="vectors"),
    ]


def rule_sheet(rules: Mapping[str, Mapping[str, float]], name: str) -> Sheet[Rule]:
    """Scores of what needs no network."""

    def value(metric: str) -> Callable[[Rule], float | None]:
        return lambda rule: rule[1].get(metric)

    metrics = dict.fromkeys(metric for scores in rules.values() for metric in scores)
    columns: list[Column[Rule]] = [Column("rule", "", words=lambda rule: rule[0].replace("_", " "))]
    columns += [Column(metric.replace("_", " "), "", value(metric), _four) for metric in metrics]
    return Sheet(columns, list(rules.items()), name)


def correlation_sheet(rows: Sequence[Correlation]) -> Sheet[Correlation]:
    """Rank correlations with synthesised LUT."""
    columns: list[Column[Correlation]] = [
        Column("cost", "", words=lambda r: r.cost, tight=True),
        Column("correlation", "all networks", lambda r: r.every, _three),
        Column("networks", "all networks", lambda r: float(r.n_every)),
        Column("correlation", "found by the search", lambda r: r.found, _three),
        Column("networks", "found by the search", lambda r: float(r.n_found)),
    ]
    return Sheet(columns, rows, "correlations")


def published_sheet(rows: Sequence[Published]) -> Sheet[Published]:
    """Published numbers with what they are numbers of."""

    def value(figure: str) -> Callable[[Published], float | None]:
        return lambda p: p.figures.get(figure)

    figures = dict.fromkeys(figure for row in rows for figure in row.figures)
    columns: list[Column[Published]] = [Column("network", "", words=lambda p: p.name, tight=True)]
    columns += [Column(figure, "", value(figure), shortest) for figure in figures]
    columns += [
        Column("stage of the hardware", "", words=lambda p: p.stage),
        Column("score of", "", words=lambda p: p.data),
        Column("source", "", words=lambda p: p.source),
        Column("remark", "", words=lambda p: p.remark),
    ]
    return Sheet(columns, rows, "as-published")


def markdown(sheet: Sheet[Row]) -> str:
    """A table in Markdown; groups and units go into the headings."""
    heads = [_head(column) for column in sheet.columns]
    rules = ["---" if column.words else "--:" for column in sheet.columns]
    rows = [[_cell(column, row) for column in sheet.columns] for row in sheet.rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (heads, rules, *rows))


def _head(column: Column[Row]) -> str:
    group = "" if column.group in ("", "network") else f", {column.group}"
    return f"{column.header}{group}" + (f" ({column.unit})" if column.unit else "")


def _cell(column: Column[Row], row: Row) -> str:
    if column.words is not None:
        return " ".join(column.words(row).split()).replace("|", "\\|")
    return column.text(None if column.number is None else column.number(row))


def _whole(value: float | None) -> str:
    return decimal(value, 0)


def _three(value: float | None) -> str:
    return MISSING if value is None else f"{value:.3f}"


def _four(value: float | None) -> str:
    return decimal(value, 4)
