"""The page of a comparison in a real browser: every figure drawn, no script error, no request."""

from __future__ import annotations

import html
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from evonas.objectives import Measurement
from evonas.report.comparison import Comparison, Front, write_comparison
from evonas.study.baselines import Baseline, BaselineResult, Recipe
from surrogates import Stage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def body_data(document: str, name: str) -> str:
    found = re.search(rf'<body[^>]* data-{name}="([^"]*)"', document)
    assert found is not None, f"the body has no data-{name}"
    return html.unescape(found.group(1))


@pytest.mark.parametrize("width", [1400, 700])
def test_every_figure_is_drawn_without_an_error(
    synthetic: Any, browse: Callable[..., str], tmp_path: Path, width: int
) -> None:
    tested = (Measurement("accuracy", 0.72, "test", 0.004),)
    results = [
        BaselineResult(
            Baseline(f"net_{n}", synthetic.spec(n)),
            Recipe(0.01),
            tested=tested,
            records=(synthetic.record(n, Stage.TRACED),),
        )
        for n in (2, 4)
    ]
    comparison = Comparison("Title", "Question?", [Front("sorted", synthetic.complete_study(), results)])
    document = browse(write_comparison(comparison, tmp_path), f"--window-size={width},2000")
    assert json.loads(body_data(document, "errors")) == []
    assert body_data(document, "figures") == "4 of 4"
    assert document.count('<div class="plot js-plotly-plot"') == 4
