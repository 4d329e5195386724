"""The sections of the page: which figure, table and sentence stands where, and what is said where one is missing."""

from __future__ import annotations

import json
from statistics import median
from typing import TYPE_CHECKING, final

from evonas.report import figures as draw
from evonas.report import tables, views
from evonas.report._html import Html, element, join, paragraph
from evonas.report._plotly import figure_json
from evonas.report.formatting import metric_label, percent, quantity, shortest
from evonas.report.recalibration import learners, methods, recalibration_table, rows
from evonas.report.summary import summary
from surrogates import Stage

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from evonas.study.state import StudyState


@final
class Figures:
    """Figures of a page, numbered as they are placed; their data go into scripts at its end."""

    def __init__(self) -> None:
        self._figures: list[Figure] = []

    def place(self, figure: Figure, title: str, caption: str) -> Html:
        """The place of a figure, with its title and caption."""
        self._figures.append(figure)
        number = len(self._figures)
        height = f"min-height: {figure.layout.height}px"
        plot = element("div", class_="plot", id=f"figure-{number}", style=height, role="img", aria_label=title)
        text = element("figcaption", element("b", f"Figure {number}. "), caption)
        return element("figure", element("h3", title), plot, text)

    def scripts(self) -> Html:
        """The data of all figures."""
        return join(
            *(
                element("script", Html(figure_json(figure)), type="application/json", id=f"figure-{number}-data")
                for number, figure in enumerate(self._figures, 1)
            )
        )


def sections(state: StudyState, figures: Figures) -> list[tuple[str, str, Html]]:
    """All sections in order: anchor, heading, content."""
    return [
        ("summary", "Summary", summary(state)),
        ("front", f"{_score_name(state)} against cost", _front(state, figures)),
        ("hypervolume", "Progress of the search", _hypervolume(state, figures)),
        ("surrogate", "How well the surrogate predicted", _surrogate(state, figures)),
        ("designs", "Synthesised designs", _designs(state)),
        ("failures", "Failed candidates", _failures(state)),
        ("configuration", "Configuration and versions", _configuration(state)),
    ]


def _score_name(state: StudyState) -> str:
    return views.score_metric(state).capitalize()


def _front(state: StudyState, figures: Figures) -> Html:
    if not views.trained(state):
        return paragraph("No candidate has been trained yet, so there is no front to show.")
    score = views.score_label(state)
    stage = views.main_stage(state)
    caption = (
        f"Validation {score} against LUT. Circles: values predicted by the current surrogate, for every trained "
        "candidate; the predicted front is that of all objectives, so in one projection it need not be a staircase. "
    )
    if views.designs(state, stage):
        caption += (
            f"Squares and diamonds: {stage.label} values. A thin line joins each of these designs to the value "
            "predicted before it was synthesised. "
        )
    caption += "Hover for the network."
    parts, panels = [], []
    ahead = frozenset(c.candidate for c in views.front(state, Stage.PREDICTED))
    main = draw.front_figure(state, "lut", ahead, log=True)
    if main is None:
        parts.append(paragraph(_same(state, "lut")))
    else:
        parts.append(figures.place(main, f"{_score_name(state)} against LUT", caption))
    for metric in (views.latency_metric(state), "dsp", "ff"):
        figure = draw.front_figure(state, metric, ahead, panel=True)
        if figure is not None:
            title = f"{_score_name(state)} against {metric_label(metric)}"
            panels.append(figures.place(figure, title, "Symbols and lines as in the figure of LUT."))
        else:
            parts.append(paragraph(_same(state, metric), class_="note"))
    return join(parts[0], element("div", *panels, class_="pair"), *parts[1:])


def _same(state: StudyState, metric: str) -> str:
    """Why there is no plot of a metric."""
    stage = views.main_stage(state)
    predicted = {c.predicted[metric].value for c in views.trained(state) if metric in c.predicted}
    real = {d.value(metric) for d in views.designs(state, stage)}
    label = metric_label(metric)
    if not predicted and not real:
        return f"No plot of {label}: it is neither predicted nor synthesised."
    texts = [
        f"{shortest(next(iter(values)))} for all {words}"
        for values, words in ((predicted, "candidates (predicted)"), (real, f"designs ({stage.label})"))
        if len(values) == 1
    ]
    return f"{label[0].upper()}{label[1:]} is {' and '.join(texts)}, so it has no plot."


def _hypervolume(state: StudyState, figures: Figures) -> Html:
    figure = draw.hypervolume_figure(state)
    if figure is None:
        return paragraph("No generation has been completed yet, so there is no hypervolume.")
    caption = (
        "Hypervolume of everything told so far, as a fraction of the box between the ideal point 0 and the reference "
        "values below; 1 cannot be reached. Hardware objectives enter with predicted values x as log(1 + x). "
        "Dotted lines: the surrogate was recalibrated after that generation. A recalibration may re-score candidates "
        "with corrected predictions, and then the curve may fall: the earlier value was too optimistic."
    )
    placed = figures.place(figure, "Hypervolume by generation", caption)
    return join(placed, tables.reference_table(state))


def _surrogate(state: StudyState, figures: Figures) -> Html:
    stage = views.main_stage(state)
    found = views.designs(state, stage)
    parts = []
    if not found:
        parts.append(paragraph("Nothing has been synthesised yet, so the predictions cannot be checked."))
    else:
        panels = [p for metric in ("lut", "ff", "latency_cycles") if (p := _parity(state, figures, metric)) is not None]
        text = (
            f"Each point is a design: the value predicted before it was synthesised against its {stage.label} value. "
            "The prediction is the one that was current when the design was synthesised, never one from a surrogate "
            "that had seen the design. Squares: chosen to recalibrate the surrogate; diamonds: chosen for the front; "
            "dashed: equality; log axes. Bars hold 90 % of a log-normal distribution with the logged standard "
            "deviation, where one was logged; the coverage of the calibrated intervals is in the table below."
        )
        parts += [paragraph(text, class_="note"), element("div", *panels, class_="pair parity")]
        if not panels:
            parts.append(paragraph("No prediction was logged for any synthesised design."))
    parts.append(element("h3", "Before and after each recalibration"))
    if not state.recalibrations:
        parts.append(paragraph("The surrogate has not been recalibrated yet."))
    elif not rows(state):
        parts.append(paragraph("The recalibrations logged no errors."))
    else:
        text = (
            "Errors on the designs of that round: all, those from the front, and those taken at random, which alone "
            "estimate the error over the whole space. Before: the old surrogate, which had not seen them. "
            + "".join(f"Errors after: {method}. " for method in methods(state))
            + learners(state)
            + "A dash means that too few designs were there to say."
        )
        parts += [paragraph(text, class_="note"), recalibration_table(state)]
    return join(*parts)


def _parity(state: StudyState, figures: Figures, metric: str) -> Html | None:
    figure = draw.parity_figure(state, metric)
    if figure is None:
        return None
    found = [
        abs(d.predicted[metric].value - d.value(metric)) / d.value(metric)
        for d in views.designs(state, views.main_stage(state))
        if metric in d.predicted and d.value(metric) > 0
    ]
    caption = f"{quantity(len(found), 'design')}, median relative error {percent(median(found), 1)} %."
    label = metric_label(metric)
    title = f"{label[0].upper()}{label[1:]}, predicted and {views.main_stage(state).label}"
    return figures.place(figure, title, caption)


def _designs(state: StudyState) -> Html:
    main = views.main_stage(state)
    found = views.designs(state, main)
    ahead, others = [d for d in found if d.on_front], [d for d in found if not d.on_front]
    parts: list[Html] = []
    if found:
        text = (
            "Click a header to sort. The heading above each column names the split or stage of its numbers. Weights "
            "and activations list the bits of each layer where these differ. Predicted LUT is the value before "
            "synthesis. A dash means: not said by the tool, or not measured."
        )
        parts += [paragraph(text, class_="note"), element("h3", f"Verified front ({main.label})")]
        missing = paragraph("No design is on the verified front.")
        parts.append(tables.design_table(state, ahead, main, "verified-front") if ahead else missing)
    else:
        parts.append(paragraph("No design has been synthesised yet."))
    if others:
        parts.append(element("h3", f"Other designs ({main.label})"))
        parts.append(tables.design_table(state, others, main, "other-designs"))
    failures = views.synthesis_failures(state)
    parts.append(element("h3", "Synthesis failures"))
    parts.append(tables.failure_table(failures, state) if failures else paragraph("None."))
    for stage in views.stages(state):
        if stage != main:
            made = tables.design_table(state, views.designs(state, stage), stage, f"designs-{stage.label}")
            parts.append(element("details", element("summary", f"Values at another stage: {stage.label}"), made))
    return join(*parts)


def _failures(state: StudyState) -> Html:
    counts = views.counts(state)
    if not counts.failed:
        return paragraph("No candidate failed.")
    share = percent(counts.failed / max(counts.asked - counts.copies, 1), 1)
    text = f"{quantity(counts.failed, 'candidate')} ({share} % of the distinct networks) could not be measured."
    return join(paragraph(text), tables.candidate_failure_table(state))


def _configuration(state: StudyState) -> Html:
    if state.started is None:
        return paragraph("The log holds no first event, so the configuration is not known.")
    return join(
        _details("Resolved configuration", state.started.config),
        _details("Task", state.started.task),
        element(
            "div",
            element(
                "div",
                element("h3", "Software"),
                tables.pair_table("package", "version", state.started.versions, "versions"),
            ),
            element(
                "div", element("h3", "Digests"), tables.pair_table("of", "SHA-256", state.started.digests, "digests")
            ),
            class_="pair digests",
        ),
    )


def _details(heading: str, value: object) -> Html:
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, default=str)
    return element("details", element("summary", heading), element("pre", text))
