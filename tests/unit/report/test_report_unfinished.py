"""A study at any point of its life has a sound page that says what is missing."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from evonas.errors import Failure, FailureKind
from evonas.objectives import Measurement
from evonas.report.page import render
from evonas.study.events import Failed, Measured, Recalibrated, Synthesised
from evonas.study.state import StudyState


def body(state: StudyState) -> str:
    page = render(state)
    return page[page.index("<body>") :].replace("\u00a0", " ")


def test_every_prefix_of_a_study_has_a_page(synthetic: Any) -> None:
    events = synthetic.complete_events()
    for length in range(0, len(events) + 1, 9):
        assert "</html>" in render(StudyState(events[:length]))


def test_empty_log() -> None:
    page = body(StudyState())
    assert "not started: the log holds no event" in page
    assert "the configuration is not known" in page
    assert 'class="plot"' not in page
    assert "plotly.js v" not in page  # nothing to draw, nothing to carry


def test_just_begun(synthetic: Any) -> None:
    page = body(StudyState(synthetic.complete_events()[:2]))
    for words in (
        "0 generations completed, 1 generation begun",
        "16 pending",
        "No candidate has been trained yet",
        "No generation has been completed yet",
        "Nothing has been synthesised yet",
        "The surrogate has not been recalibrated yet",
        "No candidate failed.",
        "no generation is complete yet",
    ):
        assert words in page


def test_only_failures(synthetic: Any) -> None:
    failure = Failure(FailureKind.DIVERGED, "loss became <NaN>")
    events = [synthetic.started(), synthetic.asked(0), *(Failed(n, failure) for n in range(16)), synthetic.told(0, 0.0)]
    page = body(StudyState(events))
    assert "16 candidates (100.0 % of the distinct networks) could not be measured" in page
    assert "loss became &lt;NaN&gt;" in page
    assert "No candidate has been trained yet" in page


@pytest.mark.parametrize("metric", ["error", "lut", "dsp"])
def test_one_objective(synthetic: Any, metric: str) -> None:
    events = synthetic.complete_events()
    events[0] = synthetic.started(objectives=(metric,))
    events = [dataclasses.replace(e, reference=(1.0,)) if type(e).__name__ == "Told" else e for e in events]
    page = body(StudyState(events))
    assert f"minimise {metric.upper() if metric != 'error' else metric}<" in page
    assert "DSP (cells) is 0 for all candidates (predicted) and 0 for all designs (synthesised)" in page


def test_trained_but_not_synthesised(synthetic: Any) -> None:
    events = [synthetic.started(), synthetic.asked(0), *synthetic.results(0), synthetic.told(0, 0.4)]
    page = body(StudyState(events))
    assert "No design is verified yet." in page
    assert "Most accurate trained so far: candidate 7" in page
    assert "LUT (predicted)" in page
    assert "No design has been synthesised yet." in page


def test_error_without_accuracy(synthetic: Any) -> None:
    values = [Measured(n, (Measurement("error", 0.2 + n / 100, "validation"),), "f", 3, 1.0) for n in range(16)]
    page = body(StudyState([synthetic.started(), synthetic.asked(0), *values]))
    assert "validation error 0.2000 [own simulation]" in page


def test_a_mismatch_is_never_on_the_verified_front(synthetic: Any) -> None:
    failure = Failure(FailureKind.MISMATCH, "3 of 256 vectors differ")
    record = dataclasses.replace(synthetic.record(3), verified_vectors=0)
    event = Synthesised(3, "front", "front", 0, (record,), failure, {}, 9.0)
    page = body(StudyState([synthetic.started(), synthetic.asked(0), *synthetic.results(0), event]))
    assert "No design is on the verified front." in page
    assert "1 design synthesised, 0 of them verified bit for bit, 0 on the verified front" in page
    assert "3 of 256 vectors differ" in page


@pytest.mark.parametrize("summary", [{}, {"before": None}, {"note": "x", "before": {"all": {"lut": {"n": 3}}}}])
def test_a_recalibration_without_errors(synthetic: Any, summary: dict[str, Any]) -> None:
    events = [synthetic.started(), synthetic.asked(0), *synthetic.results(0), Recalibrated(0, "gp-2", summary, {}, 1.0)]
    assert "The recalibrations logged no errors." in body(StudyState(events))
