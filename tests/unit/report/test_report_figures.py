"""The figures hold the values of the events, at the stage that they say."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import pytest

from evonas.objectives import Measurement
from evonas.report import _axes, figures, views
from evonas.report._plotly import figure_json, make_figure, plotly_script
from surrogates import Stage

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from evonas.study.state import StudyState


def trace(figure: Figure | None, name: str) -> Any:
    assert figure is not None
    return next(t for t in figure.data if t.name == name)


def front_of(study: StudyState) -> frozenset[int]:
    return frozenset(c.candidate for c in study.front(Stage.PREDICTED))


def test_front_figure_keeps_predictions_and_synthesis_apart(study: StudyState) -> None:
    figure = figures.front_figure(study, "lut", front_of(study), log=True)
    assert figure is not None
    assert figure.layout.xaxis.type == "log"
    assert figure.layout.yaxis.title.text == "validation accuracy (%)"
    ahead = trace(figure, "predicted front")
    expected = {(c.predicted["lut"].value, 100 * c.measured["accuracy"].value) for c in study.front(Stage.PREDICTED)}
    assert set(zip(ahead.x, ahead.y, strict=True)) == expected
    assert len(trace(figure, "predicted").x) + len(ahead.x) == len(views.trained(study))
    verified = trace(figure, "synthesised, verified front")
    records = [c.record(Stage.SYNTHESISED) for c in study.front(Stage.SYNTHESISED)]
    assert sorted(verified.x) == sorted(r.lut for r in records if r)
    assert all("(synthesised, alkaid 0.8.2, pyosys 0.70)" in text for text in verified.text)
    assert all("(predicted, forest-" in text for text in ahead.text)


def test_lines_join_the_earlier_prediction_to_the_synthesised_value(study: StudyState, synthetic: Any) -> None:
    lines = trace(figures.front_figure(study, "lut", front_of(study), log=True), "from prediction to synthesis")
    pairs = {(lines.x[i], lines.x[i + 1]) for i in range(0, len(lines.x), 3)}
    assert len(pairs) == 18 or len(lines.x) == 3 * 18
    before = next(m.value for m in synthetic.predicted(7) if m.metric == "lut")
    assert (before, synthetic.record(7).lut) in pairs  # not the re-scored value, which had seen this design
    assert study.candidates[7].predicted["lut"].value != before


def test_a_prediction_from_the_same_generation_does_not_count(study: StudyState) -> None:
    event = study.candidates[7].synthesis[0]
    assert views.predicted_before(study, event)["lut"].source == "forest-1"
    later = dataclasses.replace(event, generation=1)
    assert views.predicted_before(study, later)["lut"].source == "forest-2"
    final = dataclasses.replace(event, purpose="front")  # synthesised after the refit, which did not learn from it
    assert views.predicted_before(study, final)["lut"].source == "forest-2"


def test_no_plot_of_values_that_are_all_equal(study: StudyState) -> None:
    assert figures.front_figure(study, "dsp", front_of(study)) is None


def test_hypervolume_and_recalibrations(study: StudyState) -> None:
    figure = figures.hypervolume_figure(study)
    assert figure is not None
    assert list(trace(figure, "hypervolume").y) == [0.412, 0.405, 0.447]
    assert [shape.x0 for shape in figure.layout.shapes] == [0, 1]


def test_parity_figure(study: StudyState) -> None:
    figure = figures.parity_figure(study, "lut")
    squares, diamonds = trace(figure, "chosen to recalibrate"), trace(figure, "chosen for the front")
    assert len(squares.x) == 10
    assert len(diamonds.x) == 8
    assert squares.error_y.array[0] > squares.error_y.arrayminus[0] > 0
    without = trace(figures.parity_figure(study, "ff"), "chosen for the front")  # no standard deviation logged
    assert without.error_y.array is None
    assert figures.parity_figure(study, "dsp") is None  # zero has no place on a log axis


def test_interval_is_relative() -> None:
    low, high = figures.interval(Measurement("lut", 1000.0, "gp", 100.0, Stage.PREDICTED)) or (0.0, 0.0)
    assert low * high == pytest.approx(1e6)
    assert high == pytest.approx(1000 * math.exp(0.16449))
    assert figures.interval(Measurement("lut", 1000.0, "gp", None, Stage.PREDICTED)) is None
    assert figures.interval(Measurement("lut", 0.0, "gp", 3.0, Stage.PREDICTED)) is None


@pytest.mark.parametrize("span", [(500.0, 6500.0), (3.0, 7.0), (1500.0, 4000.0), (12.0, 9e6), (0.4, 0.5)])
def test_log_ticks_are_readable(span: tuple[float, float]) -> None:
    positions, labels = _axes.log_ticks(span)
    assert 3 <= len(positions) <= 12
    assert len(set(labels)) == len(labels) == len(positions)
    assert positions == sorted(positions)


def test_figure_json_cannot_close_its_script() -> None:
    figure = make_figure([{"type": "scatter", "x": [1], "y": [2], "text": ["</script><b>&"]}], {})
    assert not set(figure_json(figure)) & set("<>&")
    assert "</script" not in plotly_script()
