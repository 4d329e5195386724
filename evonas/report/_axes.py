"""Style that the figures share: colours, fonts, axes and readable ticks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from evonas.report.formatting import count, shortest

if TYPE_CHECKING:
    from collections.abc import Sequence

# Okabe and Ito's palette: distinct for the colour-blind; every series also differs by its symbol.
GREY, BLUE, VERMILLION, ORANGE, GREEN, INK = "#8c8c8c", "#0072b2", "#d55e00", "#e69f00", "#009e73", "#222222"
FONT = {"family": "Helvetica Neue, Helvetica, Arial, Liberation Sans, sans-serif", "size": 13, "color": INK}
_STEPS = (
    (1.0,),
    (1.0, 3.0),
    (1.0, 2.0, 5.0),
    (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0),
    tuple(x / 10 for x in range(10, 100, 5)),
)


def log_ticks(values: Sequence[float]) -> tuple[list[float], list[str]]:
    """Tick positions and labels for positive values on a log axis: at least four where that is possible."""
    low, high = min(values), max(values)
    decades = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    ticks: list[float] = []
    for steps in _STEPS:
        ticks = [step * 10.0**decade for decade in decades for step in steps]
        ticks = [t for t in ticks if low * 0.95 <= t <= high * 1.05]
        if len(ticks) >= 4:
            break
    return ticks, [count(t) if t >= 10 else shortest(t) for t in ticks]


def log_range(values: Sequence[float], margin: float = 0.06) -> list[float]:
    """Range of a log axis (exponents) with a margin on both sides."""
    low, high = math.log10(min(values)), math.log10(max(values))
    pad = max(margin * (high - low), 0.04)
    return [low - pad, high + pad]


def linear_range(values: Sequence[float], margin: float = 0.08) -> list[float]:
    """Range of a linear axis with a margin on both sides, also where all values agree."""
    low, high = min(values), max(values)
    pad = margin * (high - low) or max(abs(high) * 0.05, 0.5)
    return [low - pad, high + pad]


def axis(title: str, **more: Any) -> dict[str, Any]:
    """A plain axis with a frame and a light grid."""
    return {
        "title": {"text": title, "standoff": 10},
        "showline": True,
        "mirror": True,
        "linecolor": "#777777",
        "gridcolor": "#e6e6e6",
        "zeroline": False,
        "ticks": "outside",
        "tickcolor": "#777777",
        "automargin": True,
        "tickformat": ",~f",
        **more,
    }


def log_axis(title: str, values: Sequence[float], **more: Any) -> dict[str, Any]:
    """A log axis over positive values, with labels written out."""
    positions, labels = log_ticks(values)
    ticks = {"tickmode": "array", "tickvals": positions, "ticktext": labels}
    return axis(f"{title}, log scale", type="log", range=log_range(values), **ticks, **more)


def layout(height: int, x: dict[str, Any], y: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Layout of a figure: legend above the plot, white paper, closest-point hover."""
    return {
        "height": height,
        "font": FONT,
        "xaxis": x,
        "yaxis": y,
        "margin": {"l": 62, "r": 18, "t": 30, "b": 54},
        "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"},
        "hovermode": "closest",
        "hoverlabel": {"align": "left", "bgcolor": "white", "font": {"size": 12, "color": INK}},
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        **more,
    }


def marker(symbol: str, colour: str, size: float, **more: Any) -> dict[str, Any]:
    """A marker; open symbols are drawn by a line of the same colour."""
    return {"symbol": symbol, "color": colour, "size": size, "line": {"width": 1.4, "color": colour}, **more}


def scatter(name: str, points: Sequence[tuple[float, float]], hover: Sequence[str], **more: Any) -> dict[str, Any]:
    """A scatter trace with one hover text per point."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [p[0] for p in points],
        "y": [p[1] for p in points],
        "text": list(hover),
        "hovertemplate": "%{text}<extra></extra>",
        **more,
    }


def vertical_line(x: float, colour: str, dash: str) -> dict[str, Any]:
    """A line over the whole height of the plot, at `x` in data coordinates."""
    line = {"color": colour, "width": 1.3, "dash": dash}
    return {"type": "line", "xref": "x", "yref": "paper", "x0": x, "x1": x, "y0": 0, "y1": 1, "line": line}
