"""The figures of the report: pure functions from a `StudyState` to a plotly figure, or to None with nothing to show."""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING, Any

from evonas.report import views
from evonas.report._axes import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    VERMILLION,
    axis,
    layout,
    linear_range,
    log_axis,
    marker,
    scatter,
    vertical_line,
)
from evonas.report._plotly import make_figure
from evonas.report.formatting import count, describe, metric_label, metric_value, short_version, shortest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plotly.graph_objects import Figure

    from evonas.objectives import Measurement
    from evonas.report.views import Design
    from evonas.study.state import CandidateState, StudyState
    from surrogates import Stage

NINETY_PERCENT = 1.6449  # standard deviations on either side that hold 90 % of a normal distribution
Point = tuple[float, float]


def front_figure(
    state: StudyState, metric: str, front: frozenset[int], *, log: bool = False, panel: bool = False
) -> Figure | None:
    """Validation score against one hardware metric: predictions, the predicted `front`, synthesised designs.

    None where no trained candidate has a prediction, or where every value of `metric` is the same.
    """
    score = views.score_metric(state)
    stage = views.main_stage(state)
    designs = [d for d in views.designs(state, stage) if score in d.candidate.measured]
    every = [(p, c) for c in views.trained(state) if (p := _predicted_point(c, metric, score)) is not None]
    if log:
        designs = [d for d in designs if d.value(metric) > 0]
        every = [(p, c) for p, c in every if p[0] > 0]
    joins = [(start, _synthesised_point(d, metric, score)) for d in designs for start in _before(d, metric, score, log)]
    xs = [p[0] for p, _ in every] + [d.value(metric) for d in designs] + [start[0] for start, _ in joins]
    if len(set(xs)) < 2:
        return None
    others = [(p, c) for p, c in every if c.candidate not in front]
    ahead = [(p, c) for p, c in every if c.candidate in front]
    hover = {c.candidate: candidate_hover(c, metric, score) for _, c in every}
    traces = [
        _predictions("predicted", others, hover, _cloud(len(others))),
        _predictions("predicted front", ahead, hover, marker("circle-open", BLUE, 8)),
        _joining_lines(joins),
        *_design_traces(designs, metric, score, stage),
    ]
    ys = [p[1] for p, _ in every] + [_synthesised_point(d, metric, score)[1] for d in designs]
    x_axis = log_axis(metric_label(metric), xs) if log else axis(metric_label(metric), range=linear_range(xs))
    y_axis = axis(f"validation {views.score_label(state)}", range=linear_range(ys))
    bound = _bound(state, metric, xs, log)
    return make_figure(
        [t for t in traces if t["x"]], layout(360 if panel else 470, x_axis, y_axis, showlegend=not panel, **bound)
    )


def _predicted_point(candidate: CandidateState, metric: str, score: str) -> Point | None:
    value = candidate.predicted.get(metric)
    measured = candidate.measured.get(score)
    return None if value is None or measured is None else (value.value, _shown(score, measured.value))


def _synthesised_point(design: Design, metric: str, score: str) -> Point:
    return design.value(metric), _shown(score, design.candidate.measured[score].value)


def _before(design: Design, metric: str, score: str, log: bool) -> list[Point]:
    value = design.predicted.get(metric)
    if value is None or (log and value.value <= 0):
        return []
    return [(value.value, _shown(score, design.candidate.measured[score].value))]


def _shown(metric: str, value: float) -> float:
    return 100 * value if metric == "accuracy" else value


def _cloud(number: int) -> dict[str, Any]:
    """Markers of the predictions: finer where there are many."""
    return marker("circle", GREY, 5, opacity=0.65) if number <= 400 else marker("circle", GREY, 2.5, opacity=0.4)


def _predictions(
    name: str, found: Sequence[tuple[Point, CandidateState]], hover: dict[int, str], look: dict[str, Any]
) -> dict[str, Any]:
    return scatter(name, [p for p, _ in found], [hover[c.candidate] for _, c in found], marker=look)


def _joining_lines(joins: Sequence[tuple[Point, Point]]) -> dict[str, Any]:
    x: list[float | None] = []
    y: list[float | None] = []
    for start, end in joins:
        x += [start[0], end[0], None]
        y += [start[1], end[1], None]
    line = {"color": INK, "width": 0.9}
    name = "from prediction to synthesis"
    return {"type": "scatter", "mode": "lines", "name": name, "x": x, "y": y, "line": line, "hoverinfo": "skip"}


def _design_traces(designs: Sequence[Design], metric: str, score: str, stage: Stage) -> list[dict[str, Any]]:
    parts = (
        (f"{stage.label}, not on the verified front", False, marker("square-open", ORANGE, 8)),
        (f"{stage.label}, verified front", True, marker("diamond", VERMILLION, 10)),
    )
    traces = []
    for name, on_front, look in parts:
        part = [d for d in designs if d.on_front == on_front]
        points = [_synthesised_point(d, metric, score) for d in part]
        traces.append(scatter(name, points, [design_hover(d, metric, score) for d in part], marker=look))
    return traces


def _bound(state: StudyState, metric: str, xs: Sequence[float], log: bool) -> dict[str, Any]:
    """A dashed line at the constraint's upper bound, where it lies inside the plot."""
    upper = views.upper_bound(state, metric)
    if upper is None or not min(xs) <= upper <= max(xs):
        return {}
    note = {
        "x": math.log10(upper) if log else upper,
        "y": 0,
        "yref": "paper",
        "text": f"limit {shortest(upper)}",
        "showarrow": False,
        "xanchor": "left",
        "xshift": 4,
        "yanchor": "bottom",
        "font": {"size": 11, "color": INK},
    }
    return {"shapes": [vertical_line(upper, INK, "dash")], "annotations": [note]}


def candidate_hover(candidate: CandidateState, metric: str, score: str) -> str:
    """Hover text of a prediction."""
    lines = _hover_head(candidate, score)
    return "<br>".join([*lines, _stage_line(metric, candidate.predicted.get(metric), "predicted")])


def design_hover(design: Design, metric: str, score: str) -> str:
    """Hover text of a synthesised design: its value and, apart from it, what was predicted before."""
    lines = _hover_head(design.candidate, score)
    value = metric_value(metric, design.value(metric))
    lines.append(f"{value} ({design.record.stage.label}, {html.escape(design.record.tool_version)})")
    lines.append(_stage_line(metric, design.predicted.get(metric), "predicted before synthesis"))
    lines.append(f"{count(design.record.verified_vectors)} vectors verified bit for bit")
    return "<br>".join(lines)


def _hover_head(candidate: CandidateState, score: str) -> list[str]:
    measured = candidate.measured.get(score)
    return [
        f"<b>candidate {candidate.candidate}</b>, generation {candidate.generation}",
        html.escape(describe(candidate.spec, candidate.norm)),
        f"validation {score} {metric_value(score, measured.value if measured else None)}",
    ]


def _stage_line(metric: str, measured: Measurement | None, words: str) -> str:
    if measured is None:
        return f"no {metric_label(metric)} predicted"
    return f"{metric_value(metric, measured.value)} ({words}, {html.escape(short_version(measured.source))})"


def hypervolume_figure(state: StudyState) -> Figure | None:
    """Hypervolume by generation as a fraction of the reference box, with the recalibrations as vertical lines."""
    told = [g.told for g in state.generations if g.told is not None]
    if not told:
        return None
    hover = [f"generation {t.generation}: {t.hypervolume:.4f} of the box" for t in told]
    points = [(float(t.generation), t.hypervolume) for t in told]
    look = marker("circle", BLUE, 6)
    traces = [
        scatter("hypervolume", points, hover, mode="lines+markers", marker=look, line={"color": BLUE, "width": 2})
    ]
    refits = sorted({r.generation for r in state.recalibrations})
    if refits:  # an empty trace gives the lines their place in the legend
        line = {"color": GREEN, "width": 1.3, "dash": "dot"}
        traces.append(
            {"type": "scatter", "mode": "lines", "name": "recalibration", "x": [None], "y": [None], "line": line}
        )
    last = max(g.generation for g in state.generations)
    x_axis = axis("generation", range=[-0.3, max(last, 1) + 0.3], **({"dtick": 1} if last <= 20 else {}))
    y_axis = axis("hypervolume (fraction)", range=linear_range([t.hypervolume for t in told]))
    shapes = [vertical_line(g, GREEN, "dot") for g in refits]
    return make_figure(traces, layout(330, x_axis, y_axis, shapes=shapes, showlegend=True))


def parity_figure(state: StudyState, metric: str) -> Figure | None:
    """Predicted (before synthesis) against synthesised on log axes, with 90 % intervals where known."""
    stage = views.main_stage(state)
    found = [
        (d, d.predicted[metric])
        for d in views.designs(state, stage)
        if metric in d.predicted and d.predicted[metric].value > 0 and d.value(metric) > 0
    ]
    if not found:
        return None
    bars = [interval(m) for _, m in found]
    ends = [v for bar in bars if bar is not None for v in bar]
    values = [d.value(metric) for d, _ in found] + [m.value for _, m in found] + ends
    span = [min(values) * 0.9, max(values) * 1.1]
    diagonal = {"color": INK, "width": 1, "dash": "dash"}
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": "equal",
            "x": span,
            "y": span,
            "line": diagonal,
            "hoverinfo": "skip",
        }
    ]
    for name, front, look in (
        ("chosen to recalibrate", False, marker("square-open", ORANGE, 8)),
        ("chosen for the front", True, marker("diamond", VERMILLION, 9)),
    ):
        part = [(d, m, bar) for (d, m), bar in zip(found, bars, strict=True) if (d.event.purpose == "front") == front]
        if part:
            traces.append(_parity_trace(name, part, metric, look))
    name = metric_label(metric)
    x_axis = log_axis(f"{name}, {stage.label}", span)
    y_axis = log_axis(f"{name}, predicted", span)
    for side in (x_axis, y_axis):
        side["title"]["text"] = side["title"]["text"].replace(", log scale", "")
    return make_figure(traces, layout(380, x_axis, y_axis, showlegend=False))


def _parity_trace(
    name: str, part: Sequence[tuple[Design, Measurement, Point | None]], metric: str, look: dict[str, Any]
) -> dict[str, Any]:
    score = "accuracy" if all("accuracy" in d.candidate.measured for d, _, _ in part) else "error"
    bars = {
        "type": "data",
        "symmetric": False,
        "array": [None if bar is None else bar[1] - m.value for _, m, bar in part],
        "arrayminus": [None if bar is None else m.value - bar[0] for _, m, bar in part],
        "thickness": 1,
        "width": 2,
    }
    shown = {"error_y": bars} if any(bar is not None for _, _, bar in part) else {}
    points = [(d.value(metric), m.value) for d, m, _ in part]
    return scatter(name, points, [design_hover(d, metric, score) for d, _, _ in part], marker=look, **shown)


def interval(predicted: Measurement) -> Point | None:
    """The 90 % interval of a prediction with a standard deviation, taken as relative: it never reaches zero."""
    if predicted.std is None or predicted.value <= 0:
        return None
    factor = math.exp(NINETY_PERCENT * predicted.std / predicted.value)
    return predicted.value / factor, predicted.value * factor
