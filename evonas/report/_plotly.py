"""The door to plotly: the only file of the package that imports it, and only when something is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def make_figure(traces: list[dict[str, Any]], layout: dict[str, Any]) -> Figure:
    """A figure from plain data. plotly checks every name and value."""
    from plotly.graph_objects import Figure

    return Figure(data=traces, layout={"template": "none", **layout})


def figure_json(figure: Figure) -> str:
    """The figure as JSON that may stand inside a script element: no `<`, `>` or `&` is left in it."""
    text: str = figure.to_json(remove_uids=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def plotly_script() -> str:
    """The source of plotly.js, to be inlined."""
    from plotly.offline import get_plotlyjs

    source: str = get_plotlyjs()
    return source.replace("</script", "<\\/script")


def plotly_version() -> str:
    """Version of the installed plotly."""
    import plotly

    return str(plotly.__version__)
