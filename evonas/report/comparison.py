"""One page about a comparison: fronts that studies found, baselines with the same budget, and what was published.

    write_comparison(Comparison("Jet tagging", "...", [Front("sorted", study.state, baselines)]), Path("runs/jets"))

writes `comparison.html`, self-contained as the report of a study, and `results.md` with the same words and tables.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

from evonas.report import _plotly, compared, views
from evonas.report import comparison_figures as draw
from evonas.report._html import Html, bullets, element, join, paragraph
from evonas.report.comparison_tables import (
    Sheet,
    baseline_sheet,
    correlation_sheet,
    front_sheet,
    markdown,
    published_sheet,
    rule_sheet,
)
from evonas.report.formatting import describe_target, quantity
from evonas.report.page import document, write_page
from evonas.report.sections import Figures
from evonas.report.tables import table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from plotly.graph_objects import Figure

    from evonas.report.compared import Network, Score
    from evonas.space.published_results import Published
    from evonas.study.baselines import BaselineResult
    from evonas.study.state import StudyState

PAGE, MARKDOWN = "comparison.html", "results.md"

LIMITS = (
    (
        "Baselines are trained with the epochs, rows and batch size of the search's candidates, once for each of a few "
        "learning rates of which the validation split chooses one. The search trains many networks and chooses among "
        "them, also by the validation split. Scores are of the test split unless a heading says otherwise."
    ),
    "± is the standard error of a score on the test split. It does not hold what another seed of the training changes.",
    (
        "Traced: counted from the adders of the trained weights, ahead of logic synthesis. Synthesised: logic "
        "synthesis without place and route. Networks are compared by LUTs of one stage, never across the two."
    ),
    "Verified: so many inputs on which network, compiler and, where synthesised, Verilog agree bit for bit.",
    (
        "BOPs: m n ((1 - p) a w + a + w + log2 n) for each layer (arXiv:2501.05515), times the positions it is applied "
        "at. EBOPs: the products of the widths of every weight that is not pruned and of what it multiplies, summed."
    ),
)


@final
@dataclass(frozen=True)
class Front:
    """One study of a comparison, with the baselines that were trained on its data.

    `rules` are scores by name on the test split of what needs no network, such as always the same answer.
    """

    title: str
    state: StudyState
    baselines: Sequence[BaselineResult] = ()
    rules: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@final
@dataclass(frozen=True)
class Comparison:
    """What a page says. Fronts are kept apart: a baseline is held against the front of its own data alone.

    `published` are further published networks, which were not rebuilt; `differences` say what keeps published numbers
    from being compared with ours.
    """

    title: str
    question: str
    fronts: Sequence[Front]
    published: Sequence[Published] = ()
    differences: Sequence[str] = ()


@final
@dataclass(frozen=True)
class _Plot:
    """A figure with its words; Markdown leaves it out."""

    figure: Figure
    title: str
    caption: str


@final
@dataclass(frozen=True)
class _Section:
    """A heading and what stands below it: sentences, bullets, tables and plots."""

    key: str
    heading: str
    blocks: Sequence[str | list[str] | Sheet[Any] | _Plot | tuple[_Plot, ...]]  # plots of a tuple stand side by side


def write_comparison(comparison: Comparison, directory: Path) -> Path:
    """Write page and Markdown into `directory` and return the path of the page."""
    sections = _sections(comparison)
    text = f"# {comparison.title}\n\n{comparison.question}\n\n" + "\n".join(map(_as_markdown, sections))
    write_page(text, directory / MARKDOWN)
    return write_page(_page(comparison, sections), directory / PAGE)


def sentences(comparison: Comparison) -> list[str]:
    """Each front against each of its baselines, in words."""
    score, several = _score(comparison), len(comparison.fronts) > 1
    found = []
    for front in comparison.fronts:
        designs = compared.front_networks(front.state)
        head = f"{front.title}: " if several else ""
        verdicts = (compared.verdict(designs, compared.baseline_network(b), score) for b in front.baselines)
        found += [head + compared.sentence(v, score) for v in verdicts]
    return found


def _score(comparison: Comparison) -> Score:
    networks = [n for front in comparison.fronts for n in _networks(front)]
    return compared.score_of(networks, views.error_definition(comparison.fronts[0].state))


def _networks(front: Front) -> list[Network]:
    """All networks of a front that the tools have seen, and its baselines."""
    return [*compared.found_networks(front.state), *map(compared.baseline_network, front.baselines)]


def _sections(comparison: Comparison) -> list[_Section]:
    score, fronts = _score(comparison), comparison.fronts
    networks = [n for front in fronts for n in _networks(front)]
    made = [_Section("outcome", "Fronts against baselines", [sentences(comparison)])]
    made.append(_Section("front", f"{score.name.capitalize()} against LUT", _front_plot(fronts, score)))
    for number, front in enumerate(fronts, 1):
        designs = compared.front_networks(front.state)
        words = f"{_described(front.state)}. The verified front:" if designs else "No design was synthesised yet."
        blocks: list[Any] = [words, front_sheet(designs, score, f"front-{number}")] if designs else [words]
        if front.baselines:
            baselines = list(map(compared.baseline_network, front.baselines))
            blocks += ["Baselines on the same data:", baseline_sheet(baselines, score, f"baselines-{number}")]
            blocks.append([f"{n.name} failed: {n.failure}" for n in baselines if n.failure])
        if front.rules:
            blocks += ["Without any network, on the same test split:", rule_sheet(front.rules, f"rules-{number}")]
        made.append(_Section(f"study-{number}", f"Found: {front.title}", blocks))
    made.append(_Section("costs", "Which cost orders networks as synthesis does", _costs(networks)))
    published = [p for front in fronts for result in front.baselines for p in result.baseline.published]
    if every := [*dict.fromkeys((*published, *comparison.published))]:
        blocks = [published_sheet(every)]
        if comparison.differences:
            blocks += ["Why these numbers cannot be subtracted from ours:", list(comparison.differences)]
        made.append(_Section("published", "As published", blocks))
    made.append(_Section("limits", "How the numbers were made", [_facts(fronts), list(LIMITS)]))
    return made


def _described(state: StudyState) -> str:
    name, provenance = views.task(state)
    counts = views.counts(state)
    trained, done = quantity(counts.trained, "network"), len({e.candidate for e in state.synthesised})
    return f"Task {name}, {provenance}. {trained} trained, {quantity(done, 'network')} synthesised"


def _front_plot(fronts: Sequence[Front], score: Score) -> list[Any]:
    series = [
        (front.title, compared.front_networks(front.state), list(map(compared.baseline_network, front.baselines)))
        for front in fronts
    ]
    figure = draw.front_figure(series, score)
    if figure is None:
        return ["No network has both a score on the test split and a count of LUTs yet."]
    caption = (
        "Scores of the test split with their standard errors. Filled symbols: LUTs of logic synthesis. Open symbols: "
        "traced LUTs of baselines that were not synthesised. Hover for the network."
    )
    return [_Plot(figure, f"{score.name.capitalize()} against LUT", caption)]


def _costs(networks: Sequence[Network]) -> list[Any]:
    rows = compared.correlations(networks)
    words = (
        "Spearman's rank correlation with synthesised LUT, over all networks that were synthesised, those that are not "
        "on a front included, and over those of them that a search found."
    )
    figures = {
        name: draw.cost_figure(compared.cost_pairs(networks, cost), name) for cost, name in compared.COSTS.items()
    }
    plots = (
        _Plot(figure, f"{name} against synthesised LUT", "All networks that were synthesised; both axes logarithmic.")
        for name, figure in figures.items()
        if figure is not None
    )
    return [words, correlation_sheet(rows), tuple(plots)]


def _facts(fronts: Sequence[Front]) -> list[str]:
    """Budget, data and target of every study."""
    return [f"{front.title}: {'; '.join(filter(None, _fact(front.state)))}." for front in fronts]


def _fact(state: StudyState) -> list[str]:
    settings, rows = views.config(state), state.started.task.get("rows", {}) if state.started else {}
    training, target = settings.get("training"), next(iter(views.targets(state)), None)
    budget = ""
    if training is not None:
        used = min(rows["train"], training["max_rows"] or rows["train"])
        budget = f"{quantity(training['epochs'], 'epoch')} on {used:,} rows in batches of {training['batch_size']:,}"
    test = f"{rows['test']:,} rows in the test split" if "test" in rows else ""
    return [budget, test, "" if target is None else describe_target(target), f"seed {settings.get('seed')}"]


def _page(comparison: Comparison, sections: Sequence[_Section]) -> str:
    figures = Figures()
    parts = [(s.key, s.heading, join(*_as_html(s, figures))) for s in sections]
    footer = f"Made by evonas; figures drawn by plotly {_plotly.plotly_version()}. Every value is read from files."
    return document(comparison.title, comparison.question, parts, figures, footer)


def _as_html(section: _Section, figures: Figures) -> list[Html]:
    made = []
    for block in section.blocks:
        if isinstance(block, _Plot):
            made.append(_placed(block, figures))
        elif isinstance(block, tuple):
            made.append(element("div", *(_placed(plot, figures) for plot in block), class_="pair"))
        elif isinstance(block, Sheet):
            made.append(table(block.columns, block.rows, name=block.name))
        else:
            made.append(bullets(block) if isinstance(block, list) else paragraph(block))
    return made


def _placed(plot: _Plot, figures: Figures) -> Html:
    return figures.place(plot.figure, plot.title, plot.caption)


def _as_markdown(section: _Section) -> str:
    parts = [f"## {section.heading}\n"]
    for block in section.blocks:
        if isinstance(block, Sheet):
            parts.append(markdown(block))
        elif isinstance(block, list) and block:
            parts.append("".join(f"- {item}\n" for item in block))
        elif isinstance(block, str):
            parts.append(f"{block}\n")
    return "\n".join(parts)
