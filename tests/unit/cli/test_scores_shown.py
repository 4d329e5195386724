"""What the tables, the lines and the report show of a task without accuracy: its error, and what that is."""

from __future__ import annotations

import dataclasses
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from evonas.cli.front import show_front
from evonas.cli.rows import front_entry, generation_row, task_of
from evonas.cli.words import event_line, generation_table
from evonas.objectives import Measurement
from evonas.report.formatting import error_text
from evonas.report.page import render
from evonas.study.events import HandedOver, Measured, Told
from evonas.study.state import StudyState
from surrogates import Stage

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "report"))
import synthetic

DEFINITION = "mean distance, px"


def without_accuracy() -> StudyState:
    """The synthetic study with errors of a regression instead of accuracies."""

    def errors(measurements: Any) -> Any:
        kept = [m for m in measurements if m.metric == "error"]
        return tuple(Measurement("error", m.value, m.source, m.std) for m in kept)

    events: list[Any] = []
    for event in synthetic.complete_events():
        if isinstance(event, (Measured, HandedOver)):
            event = dataclasses.replace(event, measurements=errors(event.measurements))
        events.append(event)
    task = {**events[0].task, "goal": "regression", "n_outputs": 2, "error_definition": DEFINITION}
    events[0] = dataclasses.replace(events[0], task=task)
    return StudyState(events)


def printed(state: StudyState, stage: Stage = Stage.SYNTHESISED) -> str:
    console = Console(file=io.StringIO(), width=80, record=True)
    show_front(state, stage, console, title=None)
    return console.export_text()


def test_the_front_shows_the_error_and_says_what_it_is():
    text = printed(without_accuracy())
    words = " ".join(text.split())
    assert f"error ({DEFINITION}) on the validation and test splits" in words
    assert "accuracy" not in words
    assert "%" not in words
    assert "0.2649" in words  # design 40
    assert all(len(line) <= 80 for line in text.splitlines())


def test_the_front_of_a_classifier_is_as_ever():
    words = " ".join(printed(StudyState(synthetic.complete_events())).split())
    assert "%: accuracy on the validation and test splits" in words


def test_generations_show_the_smallest_error():
    state = without_accuracy()
    row = generation_row(state, state.generations[0])
    assert row.best_accuracy is None
    measured = [state.candidates[n].measured for n in state.generations[0].candidates]
    assert row.best_error == min(m["error"].value for m in measured if m)
    console = Console(file=io.StringIO(), width=80, record=True)
    console.print(generation_table([row], "made up"))
    words = " ".join(console.export_text().split())
    assert "best error" in words
    assert f"error: {DEFINITION}, validation split" in words
    assert error_text(row.best_error) in words
    told = next(g.told for g in state.generations if g.told is not None)
    assert isinstance(told, Told)
    line = event_line(told, state)
    assert f"best validation error ({DEFINITION}) {error_text(row.best_error)}" in line


def test_nothing_measured_yet():
    state = StudyState([synthetic.started(), synthetic.asked(0)])
    row = generation_row(state, state.generations[0])
    assert (row.best_accuracy, row.best_error) == (None, None)
    console = Console(file=io.StringIO(), width=80, record=True)
    console.print(generation_table([row], "made up"))
    assert "acc." in console.export_text()


@pytest.mark.parametrize(
    ("bound", "words"), [({"upper": 10.0}, "allowed is at most 10"), ({"lower": 5e5}, "allowed is at least 500,000")]
)
def test_where_all_are_outside_the_constraints_the_nearest_is_told(bound, words):
    constraint = {"metric": "lut", "upper": None, "lower": None} | bound
    started, asked = synthetic.started(), synthetic.asked(0)
    search = {**started.config["search"], "constraints": [constraint]}
    started = dataclasses.replace(started, config={**started.config, "search": search})
    outside = tuple(dataclasses.replace(c, dropped=c.copy_of is None) for c in asked.candidates)
    dropped = dataclasses.replace(asked, candidates=outside)
    line = event_line(dropped, StudyState([started, dropped]))
    luts = [m.value for c in asked.candidates for m in c.predicted if m.metric == "lut"]
    nearest = min(luts) if "upper" in bound else max(luts)
    assert f"outside the constraints; the nearest is predicted to have lut = {nearest:,.4g}, {words}" in line
    assert "nearest" not in event_line(asked, StudyState([started, asked]))


def test_json_has_accuracy_and_error():
    state = without_accuracy()
    entry = front_entry(state.front(Stage.SYNTHESISED)[0], Stage.SYNTHESISED)
    assert entry["validation_accuracy"] is None
    assert entry["validation_error"] > 0
    assert task_of(state)["error_definition"] == DEFINITION
    json.dumps(entry)
    usual = StudyState(synthetic.complete_events())
    entry = front_entry(usual.front(Stage.SYNTHESISED)[0], Stage.SYNTHESISED)
    assert entry["validation_accuracy"] == pytest.approx(1 - entry["validation_error"])


def test_the_report_names_the_error():
    page = render(without_accuracy())
    assert f"error ({DEFINITION})" in page
    assert "Error against LUT" in page
    assert "2 targets" in page
    assert "Every error is on this task" in page
    assert "Accuracy against" not in page
    assert "validation error [" not in page


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.0, "0.0000"),
        (0.2, "0.2000"),
        (12.34567, "12.3457"),
        (0.00012345, "0.0001234"),
        (2.5e6, "2.5e+06"),
    ],
)
def test_errors_of_any_size(value, text):
    assert error_text(value) == text
