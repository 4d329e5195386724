"""Numbers as text, and text as markup."""

from __future__ import annotations

import pytest

from evonas.report import formatting
from evonas.report._html import Html, bullets, element, join
from surrogates import LayerSpec, ModelSpec


def test_missing_is_a_dash_never_zero() -> None:
    for write in (formatting.count, formatting.decimal, formatting.percent, formatting.shortest, formatting.duration):
        assert write(None) == "–"
        assert write(0.0) != "–"
    assert formatting.metric_value("lut", None) == "–"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0.0 s"), (9.94, "9.9 s"), (42.3, "42 s"), (59.7, "1 min 00 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert formatting.duration(seconds) == text


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("accuracy", 0.7631, "76.31\u00a0%"),
        ("lut", 5120.0, "5,120\u00a0LUT"),
        ("latency_ns", 12.5, "12.5\u00a0ns"),
        ("latency_cycles", 6.0, "6\u00a0cycles"),
        ("error", 0.25, "0.2500"),
    ],
)
def test_values_carry_their_unit(metric: str, value: float, text: str) -> None:
    assert formatting.metric_value(metric, value) == text


def test_networks() -> None:
    first, last = LayerSpec(16, 8, 6, 4, sparsity=0.5), LayerSpec(8, 5, 3, 0, "linear")
    assert formatting.describe(ModelSpec(8, (first, last))) == (
        "16-8-5, weights 6/3 bit, activations 4 bit, 38\u00a0% pruned"
    )
    assert formatting.describe(ModelSpec(8, (last,))) == "8-5, weights 3 bit, 0\u00a0% pruned"


def test_markup_is_only_made_on_purpose() -> None:
    assert element("td", "<b>&", title='"') == '<td title="&quot;">&lt;b&gt;&amp;</td>'
    assert join("<", Html("<b>"), separator=", ") == "&lt;, <b>"
    assert bullets([]) == ""
    assert element("th", "x", class_="n", data_value=None) == '<th class="n">x</th>'
