"""The report in a real browser: every figure drawn, no script error, no request, tables that sort."""

from __future__ import annotations

import html
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from evonas.report import write_report
from evonas.study.state import StudyState

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.browser, pytest.mark.slow]
N_FIGURES = 7


def without_scripts(document: str) -> str:
    return re.sub(r"<script.*?</script>", "", document, flags=re.DOTALL)


def body_data(document: str, name: str) -> str:
    found = re.search(rf'<body[^>]* data-{name}="([^"]*)"', document)
    assert found is not None, f"the body has no data-{name}"
    return html.unescape(found.group(1))


def with_script(page: Path, script: str) -> Path:
    """A copy of the page that runs `script` once everything is drawn."""
    copy = page.with_name("copy.html")
    waiting = (
        f'<script>window.addEventListener("load", function () {{ setTimeout(function () {{ {script} }}, 500); }});'
    )
    copy.write_text(page.read_text(encoding="utf-8").replace("</body>", waiting + "</script></body>"), encoding="utf-8")
    return copy


@pytest.mark.parametrize("width", [1400, 700])
def test_every_figure_is_drawn_without_an_error(page: Path, browse: Callable[..., str], width: int) -> None:
    document = browse(page, f"--window-size={width},2000")
    assert json.loads(body_data(document, "errors")) == []
    assert body_data(document, "figures") == f"{N_FIGURES} of {N_FIGURES}"
    plots = re.split('<div class="plot js-plotly-plot"', without_scripts(document))[1:]
    assert len(plots) == N_FIGURES
    for plot in plots:
        assert 'class="main-svg"' in plot
        assert '<path class="point"' in plot or "js-line" in plot


def test_nothing_is_wider_than_the_window(page: Path, browse: Callable[..., str]) -> None:
    script = "document.body.dataset.overflow = document.documentElement.scrollWidth - window.innerWidth;"
    document = browse(with_script(page, script), "--window-size=700,2000")
    assert int(body_data(document, "overflow")) <= 0


def test_the_collector_notes_errors_and_refused_requests(page: Path, browse: Callable[..., str]) -> None:
    script = (
        'new Image().src = "http://127.0.0.1:9/x.png"; setTimeout(function () { throw new Error("on purpose"); }, 1);'
    )
    errors = json.loads(body_data(browse(with_script(page, script)), "errors"))
    assert any("on purpose" in message for message in errors)
    assert any(message.startswith("refused img-src") for message in errors)


def test_tables_sort_by_click(page: Path, browse: Callable[..., str]) -> None:
    script = """
      var table = document.getElementById("verified-front");
      var heads = Array.from(table.querySelectorAll("thead tr:last-child th"));
      function column(head) {
        return Array.from(table.tBodies[0].rows).map(function (row) { return row.cells[head.cellIndex].textContent; });
      }
      function press(index) { heads[index].querySelector("button").click(); return column(heads[index]); }
      var seen = { before: column(heads[0]), lut: press(8), again: press(8), sort: heads[8].getAttribute("aria-sort"),
        test: press(6), topology: press(1), cleared: heads[8].getAttribute("aria-sort") };
      document.body.dataset.seen = JSON.stringify(seen);
    """
    seen: dict[str, Any] = json.loads(body_data(browse(with_script(page, script)), "seen"))
    numbers = [int(text.replace(",", "")) for text in seen["lut"]]
    assert numbers == sorted(numbers)
    assert len(numbers) > 5
    assert seen["again"] == seen["lut"][::-1]
    assert seen["sort"] == "descending"
    assert seen["test"] == ["73.11"] + ["–"] * (len(numbers) - 1)  # what is missing stays last
    assert seen["topology"][0] == "16-8-5"
    assert seen["topology"][-1] == "16-64-32-32-5"
    assert seen["cleared"] is None
    assert len(seen["before"]) == len(numbers)


@pytest.mark.parametrize("length", [0, 2])
def test_an_unfinished_study_has_a_sound_page(
    synthetic: Any, browse: Callable[..., str], tmp_path: Path, length: int
) -> None:
    state = StudyState(synthetic.complete_events()[:length])
    document = browse(write_report(state, tmp_path / "report.html"))
    assert json.loads(body_data(document, "errors")) == []
    assert "main-svg" not in without_scripts(document)
