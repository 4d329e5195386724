"""The report of a study as one self-contained HTML page: no network, no other file, also from `file://`."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from evonas.report import _plotly, views
from evonas.report._assets import COLLECT_ERRORS, DRAW_FIGURES, SORT_TABLES, STYLE
from evonas.report._html import Html, element, escape, join
from evonas.report.sections import Figures, sections

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evonas.study.state import StudyState

# The page forbids itself every request: a browser would refuse one and the page would note it as an error.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "base-uri 'none'; form-action 'none'"
)


def write_report(state: StudyState, path: Path, *, title: str | None = None) -> Path:
    """Write the report of `state` to `path` (its folder is made where missing) and return the path.

    The file appears whole or not at all: it is written beside its place and moved there. `title` defaults to one
    made of the task's name. Works for a study at any point, also before its first event.
    """
    return write_page(render(state, title=title), Path(path))


def write_page(content: str, path: Path) -> Path:
    """Write a text to `path` (its folder is made where missing), whole or not at all, and return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    draft = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(content)
        draft.chmod(0o644)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return path


def render(state: StudyState, *, title: str | None = None) -> str:
    """The page as text."""
    heading = title or f"Codesign study of {views.task(state)[0]}"
    figures = Figures()
    return document(heading, _lead(state), sections(state, figures), figures, _footer(state))


def document(heading: str, lead: str, parts: Sequence[tuple[str, str, Html]], figures: Figures, footer: str) -> str:
    """A whole page: `parts` are anchor, heading and content of its sections, `figures` those placed in them."""
    links = [element("a", name, href=f"#{key}") for key, name, _ in parts]
    body = join(
        element("h1", heading),
        element("p", lead, class_="lead"),
        element("nav", join(*links, separator=Html(" ")), aria_label="sections"),
        element("noscript", element("p", "The figures need JavaScript; all tables do not.", class_="warning")),
        *(element("section", element("h2", name), content, id=key) for key, name, content in parts),
        element("footer", footer),
    )
    plots = figures.scripts()
    drawing = join(_script(_plotly.plotly_script()), plots, _script(DRAW_FIGURES)) if plots else Html("")
    head = join(
        Html('<meta charset="utf-8">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html('<link rel="icon" href="data:,">'),
        element("title", f"{heading} – evonas report"),
        element("style", Html(STYLE)),
        _script(COLLECT_ERRORS),
    )
    page = element("html", element("head", head), element("body", body, drawing, _script(SORT_TABLES)), lang="en-GB")
    return f"<!DOCTYPE html>\n{page}\n"


def _lead(state: StudyState) -> str:
    _, provenance = views.task(state)
    seed = views.config(state).get("seed")
    told = f" Seed {seed}." if isinstance(seed, int) else ""
    return f"Quantised neural networks for an FPGA, evolved and synthesised. Data: {provenance}.{told}"


def _footer(state: StudyState) -> str:
    versions = {} if state.started is None else state.started.versions
    made = f"evonas {versions['evonas']}" if "evonas" in versions else "evonas"
    return (
        f"Study made by {made}; figures drawn by plotly {_plotly.plotly_version()}. Every value is read from the log."
    )


def _script(source: str) -> Html:
    return element("script", Html(source))
