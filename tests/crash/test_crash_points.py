"""A study that dies at any event goes on to exactly the log of one that did not, and does nothing finished twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fakes.studies import make_task, story

from evonas.errors import StudyError
from evonas.store.event_log import EventLog, holds_events
from evonas.study.study import Study

SETTINGS = ("surrogate.designs=2",)


def jobs_left(events, whole):
    """Trainings and syntheses that `whole` holds and `events` does not."""
    return tuple(
        sum(kind == name for kind, _ in whole) - sum(kind == name for kind, _ in events)
        for name in ("measured", "synthesised")
    )


@pytest.fixture
def whole(configured, instant, tmp_path):
    """The uninterrupted study's story, and a copy of its directory from before every event."""
    images = []
    append = EventLog.append

    def photograph(log, kind, body):
        images.append(shutil.copytree(tmp_path / "whole", tmp_path / "images" / str(len(images))))
        return append(log, kind, body)

    EventLog.append = photograph
    try:
        with Study(configured(*SETTINGS), tmp_path / "whole", task=make_task()) as study:
            study.run()
    finally:
        EventLog.append = append
    events = story(tmp_path / "whole")
    assert len(events) == len(images) > 20
    assert {kind for kind, _ in events} >= {"recalibrated", "synthesised", "handed_over", "finished"}
    instant.calls.clear()
    return events, images


def test_from_the_image_of_every_moment_the_same_log_follows(whole, instant, tmp_path):
    events, images = whole
    assert not holds_events(images[0])
    for position, image in enumerate(images[1:], 1):
        task = make_task()
        with Study.resume(image, task=task) as study:
            assert story(image) == events[:position]
            study.run()
        assert story(image) == events, f"resumed before event {position + 1}, {events[position][0]}"
        # the description of the task reads the training split of a new study once; a resumed one reads it per job
        assert (task.asked.count("train"), len(instant.calls)) == jobs_left(events[:position], events)
        instant.calls.clear()
        designs = {p.name for p in (image / "designs").iterdir()}
        assert designs == {p.name for p in (tmp_path / "whole" / "designs").iterdir()}
        shutil.rmtree(image)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_dying_at_every_event_in_turn(moment, error, whole, configured, instant, tmp_path, monkeypatch):
    events, _ = whole
    append = EventLog.append
    deadly = 0

    def dying(log, kind, body):
        if moment == "before" and len(log) + 1 == deadly:
            raise error
        row = append(log, kind, body)
        if moment == "after" and len(log) == deadly:
            raise error
        return row

    monkeypatch.setattr(EventLog, "append", dying)
    directory = tmp_path / "mortal"
    deaths = 0
    while True:
        deadly += 1
        try:
            if holds_events(directory):
                study = Study.resume(directory, task=make_task())
            else:
                study = Study(configured(*SETTINGS), directory, task=make_task())
            with study:
                study.run()
        except error:
            deaths += 1
            assert story(directory) == events[: deadly - (moment == "before")]
        else:
            break
    assert deaths == len(events)
    assert story(directory) == events


def test_a_death_between_synthesis_and_its_event_repeats_only_that_synthesis(whole, instant, monkeypatch):
    events, images = whole
    position = [kind for kind, _ in events].index("synthesised")
    half_done = images[position] / "synthesis" / f"{events[position][1]['candidate']:04d}"
    half_done.mkdir(parents=True, exist_ok=True)
    (half_done / "rubbish").write_text("left by the dead")
    with Study.resume(images[position], task=make_task()) as study:
        study.run()
    assert not (half_done / "rubbish").exists()
    assert len(instant.calls) == len(set(instant.calls)) == jobs_left(events[:position], events)[1]
    assert story(images[position]) == events


def test_a_full_disk_for_an_artefact_stops_the_study_and_it_goes_on(whole, configured, instant, tmp_path, monkeypatch):
    events, _ = whole
    replace = Path.replace
    puts = []

    def full(self, target):
        puts.append(target)
        if len(puts) == 6:
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with Study(configured(*SETTINGS), tmp_path / "s", task=make_task()) as study:
        with pytest.raises(StudyError, match="No space left on device; make room"):
            study.run()
        study.run()  # the very object can go on as well
    assert story(tmp_path / "s") == events


CHILD = """
import sys, time
sys.path[:0] = {path!r}
from pathlib import Path
from fakes import studies
from fakes.backend import InstantBackend
from evonas.store.event_log import holds_events
from evonas.study.study import Study
import evonas.study.training

studies.install(setattr, InstantBackend())
train = evonas.study.training.train_stack

def slowly(*arguments):
    time.sleep(0.02)
    return train(*arguments)

evonas.study.training.train_stack = slowly

class Watch:
    def happened(self, event, state):
        print(event.kind, flush=True)
    def progress(self, progress):
        pass

directory, task = Path(sys.argv[1]), studies.make_task()
config = studies.settings(Path(sys.argv[2]), "surrogate.designs=2")
make = (lambda: Study.resume(directory, task=task, observers=[Watch()])) if holds_events(directory) else (
    lambda: Study(config, directory, task=task, observers=[Watch()]))
with make() as study:
    print("open", flush=True)
    study.run()
"""


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_kill_9_at_random_moments(seed, whole, start_records, tmp_path):
    events, _ = whole
    rng = np.random.default_rng(seed)
    script = tmp_path / "child.py"
    root = Path(__file__).parents[1]
    script.write_text(CHILD.format(path=[str(root), str(root.parent)]))
    directory = tmp_path / "killed"
    for _ in range(4):
        lines_to_live = int(rng.integers(1, 9))
        child = subprocess.Popen([sys.executable, script, directory, start_records], stdout=subprocess.PIPE, text=True)
        for _ in range(lines_to_live):
            if not child.stdout.readline():
                break
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
        if holds_events(directory):
            logged = story(directory)
            assert logged == events[: len(logged)]
    done = subprocess.run(
        [sys.executable, script, directory, start_records], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert story(directory) == events
    for design in (directory / "designs").iterdir():
        assert json.loads((design / "design.json").read_text())["format"] == "evonas-design"
