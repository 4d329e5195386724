"""The figures of a comparison: score against LUT, and costs against synthesised LUT."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

from evonas.report._axes import BLUE, GREEN, GREY, ORANGE, VERMILLION, axis, layout, linear_range, log_axis, scatter
from evonas.report._axes import marker as look
from evonas.report._plotly import make_figure
from evonas.report.formatting import count, describe, with_error
from surrogates import Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plotly.graph_objects import Figure

    from evonas.report.compared import Network, Score

COLOURS = (VERMILLION, BLUE, GREEN, ORANGE, GREY)
Series = tuple[str, "Sequence[Network]", "Sequence[Network]"]  # title, front, baselines


def front_figure(series: Sequence[Series], score: Score) -> Figure | None:
    """Test score against LUT (log): each front as a line, its baselines in its colour; None with nothing to show."""
    traces = []
    for number, (title, front, baselines) in enumerate(series):
        colour = COLOURS[number % len(COLOURS)]
        line = {"mode": "lines+markers", "line": {"width": 1, "color": colour}}
        traces.append(_trace(f"{title}, front", front, Stage.SYNTHESISED, score, "diamond", colour, **line))
        text = {"mode": "markers+text", "textfont": {"size": 10, "color": colour}}
        made = [n for n in baselines if Stage.SYNTHESISED in n.records]
        traced = [n for n in baselines if n not in made]
        for part, stage, symbol in ((made, Stage.SYNTHESISED, "square"), (traced, Stage.TRACED, "square-open")):
            traces.append(_trace(f"{title}, baselines {stage.label}", part, stage, score, symbol, colour, **text))
    traces = [trace for trace in traces if trace["x"]]
    if not traces:
        return None
    xs, ys = ([v for trace in traces for v in trace[name]] for name in ("x", "y"))
    margins = [v for t in traces for y, e in zip(t["y"], t["error_y"]["array"], strict=True) for v in (y - e, y + e)]
    shape = layout(520, log_axis("LUT", xs), axis(f"test {score.label}", range=linear_range(ys + margins)))
    return make_figure(traces, shape)


def _trace(
    name: str, networks: Sequence[Network], stage: Stage, score: Score, symbol: str, colour: str, **more: Any
) -> dict[str, Any]:
    shown = [(n, n.tested[score.metric], n.lut(stage)) for n in networks if score.metric in n.tested]
    placed = sorted(((lut, m, n) for n, m, lut in shown if lut), key=lambda p: p[0])
    points = [(lut, score.shown(m.value)) for lut, m, _ in placed]
    errors = [score.shown(m.std or 0.0) for _, m, _ in placed]
    hover = [_hover(n, with_error(m)) for _, m, n in placed]
    trace = scatter(name, points, hover, marker=look(symbol, colour, 9), **more)
    bars = {"type": "data", "array": errors, "thickness": 0.8, "width": 2, "color": colour}
    words: dict[str, Any] = {}
    if more.get("mode") == "markers+text":  # names above and below in turn, since neighbours are close
        sides = [("bottom center", "top center")[number % 2] for number in range(len(placed))]
        words = {"text": [n.name for *_, n in placed], "textposition": sides, "hovertext": hover}
    return trace | {"error_y": bars, "hovertemplate": "%{hovertext}<extra></extra>" if words else "%{text}"} | words


def _hover(network: Network, score: str) -> str:
    luts = (f"{count(record.lut)} LUT {stage.label}" for stage, record in sorted(network.records.items()))
    lines = (network.name, describe(network.spec), f"test {score}", *luts)
    return "<br>".join(html.escape(line) for line in lines)


def cost_figure(pairs: Sequence[tuple[Network, float, float]], name: str) -> Figure | None:
    """Synthesised LUT against a cost, both on log scales; None below two different values."""
    pairs = [(n, x, y) for n, x, y in pairs if x > 0 and y > 0]
    xs, ys = [x for _, x, _ in pairs], [y for *_, y in pairs]
    if len(set(xs)) < 2 or len(set(ys)) < 2:
        return None
    traces = []
    for title, found, symbol, colour in (
        ("found by the search", True, "diamond", VERMILLION), ("baselines", False, "square", BLUE),
    ):  # fmt: skip
        part = [(n, x, y) for n, x, y in pairs if n.found == found]
        hover = [f"{html.escape(n.name)}<br>{count(x)} {name}<br>{count(y)} LUT synthesised" for n, x, y in part]
        traces.append(scatter(title, [(x, y) for _, x, y in part], hover, marker=look(symbol, colour, 8)))
    shape = layout(360, log_axis(name, xs), log_axis("LUT synthesised", ys))
    return make_figure([t for t in traces if t["x"]], shape)
