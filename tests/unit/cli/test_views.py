"""The views of a running study, drawn on a recorded console and into a stream."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from rich.console import Console

from evonas.cli.live import LiveView
from evonas.cli.pace import Pace
from evonas.cli.plain import QUIET_S, JsonView, PlainView
from evonas.study.events import Recalibrated, from_body
from evonas.study.observer import Advance, Progress
from evonas.study.state import StudyState

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "report"))
import synthetic

PROVENANCE = "own simulation"


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def drawn(view, height=None, width=80):
    """The view as text."""
    console = Console(file=io.StringIO(), width=width, height=height or 60, record=True)
    console.print(view.render(height))
    return console.export_text()


def live(clock=None):
    """A live view on a console that goes nowhere."""
    return LiveView(Console(file=io.StringIO(), width=80, height=40, force_terminal=True), clock or Clock())


def play(view, events):
    """Tell a view of these events; returns the state after them."""
    state = StudyState()
    for event in events:
        state.apply(event)
        view.happened(event, state)
    return state


def test_live_view_shows_generations_refits_and_provenance():
    view = live()
    play(view, synthetic.complete_events())
    text = drawn(view)
    words = " ".join(text.split())
    assert f"jets: {PROVENANCE}, 3 generations" in words
    assert f"acc.: validation split, {PROVENANCE}" in words
    assert "0 15/16 1 0.4120 75.16 360 61.5" in words
    assert "2 16/16 0 0.4470" in words
    assert words.count("recalibrated after generation") == 2
    assert "median LUT error on the front 18.3 % -> 6.4 %, at random 14.2 % -> –" in words
    assert "90 % interval covers on the front 66.7 % -> 83.3 %" in words
    assert all(len(line) <= 80 for line in text.splitlines())


def test_live_view_shows_how_far_the_activity_is_and_what_failed():
    clock = Clock()
    view = live(clock)
    play(view, synthetic.complete_events()[:12])
    view.progress(Progress("train", 0, 16))
    clock.now += 20
    view.progress(Progress("train", 4, 16))
    text = drawn(view, height=30)
    assert "training" in text
    assert "4/16" in text
    assert "about 1 min 00 s left" in text
    assert "search" in text
    assert "candidate 5 failed: diverged: loss became NaN" in text


def test_live_view_fits_a_small_terminal():
    view = live()
    events = synthetic.complete_events()
    play(view, events)
    view.progress(Progress("synthesise", 1, 2))
    assert "synthesis" in drawn(view, height=20)


def test_live_view_draws_on_a_terminal_and_leaves_the_table():
    stream = io.StringIO()
    console = Console(file=stream, width=80, height=30, force_terminal=True, color_system=None)
    with LiveView(console, Clock()) as view:
        play(view, synthetic.complete_events())
    final = stream.getvalue().rsplit("\x1b[2K", 1)[-1]
    assert "0.4470" in final
    assert "synthesised:" not in final  # messages and bars are gone
    assert "\x1b[?25h" in final  # the cursor is back


def test_a_resumed_study_shows_what_the_log_holds():
    view = live()
    view.begin(StudyState(synthetic.complete_events()[:30]))
    words = " ".join(drawn(view).split())
    assert "0 15/16 1 0.4120" in words
    assert "recalibrated after generation 0" in words
    stream = io.StringIO()
    PlainView(stream).begin(StudyState(synthetic.complete_events()[:30]))
    assert stream.getvalue().strip().endswith("continuing with 1 of 3 generations done")


def test_a_view_of_a_study_that_has_not_begun():
    view = live()
    view.begin(StudyState())
    assert drawn(view).strip() == ""


def test_plain_view_writes_one_line_per_event():
    stream = io.StringIO()
    play(PlainView(stream, Clock()), synthetic.complete_events())
    lines = stream.getvalue().splitlines()
    assert lines[0].startswith(f"jets: {PROVENANCE}, 3 generations")
    told = next(line for line in lines if line.startswith("generation 0: 15 trained, 1 failed"))
    assert f"best validation accuracy 75.16 % on {PROVENANCE}" in told
    assert any("candidate 15 (recalibration) synthesis failed: tool_timeout" in line for line in lines)
    assert any("LUT" in line and "256 vectors bit for bit" in line for line in lines)
    assert "candidate 40 handed over: designs/40" in lines
    assert lines[-1] == "finished: all generations done, 3 min 34 s"


def test_plain_view_reports_progress_now_and_then():
    clock, stream = Clock(), io.StringIO()
    view = PlainView(stream, clock)
    for done in range(10):
        view.progress(Progress("train", done, 10))
        clock.now += QUIET_S / 3
    lines = stream.getvalue().splitlines()
    assert 2 <= len(lines) <= 4
    assert lines[0] == "training 3/10, about 35 s left, 0.2/s"


def test_what_is_in_training_is_told_while_no_stack_has_ended():
    clock, stream = Clock(), io.StringIO()
    plain, view = PlainView(stream, clock), live(clock)
    for watcher in (plain, view):
        watcher.progress(Progress("train", 0, 24))
    clock.now += 30
    running = (Advance(0.25, 4, 12), Advance(0.5, 8, 11))
    for watcher in (plain, view):
        watcher.progress(Progress("train", 9.0, 24, running))
    wanted = "training 9/24, about 50 s left, 0.3/s, 23 alive, epoch 4–8"
    assert stream.getvalue().splitlines() == [wanted]
    assert "9/24 about 50 s left, 0.3/s, 23 alive, epoch 4–8" in drawn(view, height=30)
    clock.now += 30
    plain.progress(Progress("train", 11.25, 24, (Advance(0.5, 8, 10),)))
    assert "training 11.2/24" in stream.getvalue()
    assert stream.getvalue().endswith("10 alive, epoch 8\n")


def test_json_view_writes_every_event_so_that_it_can_be_read_back():
    stream = io.StringIO()
    events = synthetic.complete_events()
    play(JsonView(stream), events)
    objects = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(objects) == len(events)
    assert all(next(iter(o)) == "schema" and o["schema"] == 1 for o in objects)
    assert [from_body(o["kind"], o["body"]) for o in objects] == events


@pytest.mark.parametrize("make", [PlainView, JsonView])
def test_a_reader_that_leaves_does_not_stop_the_study(make):
    class Gone(io.StringIO):
        def flush(self):
            raise BrokenPipeError

    play(make(Gone()), synthetic.complete_events())


def test_a_recalibration_without_a_summary():
    stream = io.StringIO()
    view = PlainView(stream)
    view.happened(Recalibrated(2, "abcdef", {}, {}, 0.0), StudyState([synthetic.started()]))
    assert stream.getvalue() == "recalibrated after generation 2, surrogate abcdef\n"


def test_pace():
    clock = Clock()
    pace = Pace(clock)
    pace.update(Progress("train", 0, 10))
    clock.now += 5
    assert pace.left is None
    assert pace.words() == "5.0 s so far"
    pace.update(Progress("train", 5, 10))
    assert pace.left == pytest.approx(5.0)
    pace.update(Progress("synthesise", 2, 4))  # what was done before counts for nothing
    clock.now += 8
    assert pace.left is None
    pace.update(Progress("synthesise", 3, 4))
    assert pace.left == pytest.approx(8.0)
    pace.update(Progress("synthesise", 4, 4))
    assert not pace.busy
    assert pace.words() == "done"


def test_notes_stand_above_the_live_view_and_among_the_lines_and_not_among_events():
    stream, lines, objects = io.StringIO(), io.StringIO(), io.StringIO()
    with LiveView(Console(file=stream, width=80, height=40, force_terminal=True), Clock()) as view:
        view.progress(Progress("trace", 1, 3))
        view.note("baseline one: 9,000 LUT traced")
        assert "tracing" in drawn(view, height=30)
    assert "baseline one: 9,000 LUT traced" in stream.getvalue()
    PlainView(lines, Clock()).note("baseline one")
    JsonView(objects).note("baseline one")
    assert (lines.getvalue(), objects.getvalue()) == ("baseline one\n", "")
