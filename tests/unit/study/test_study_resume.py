"""A study goes on with what it was made with, or says what differs."""

from __future__ import annotations

import sqlite3

import numpy as np
import pytest
from fakes.records import synthetic_records
from fakes.studies import make_task, story

from evonas.config import resolve
from evonas.errors import StudyCorruptError, StudyError, StudyLockedError, StudyMismatchError
from evonas.store.event_log import EventLog
from evonas.study import identity
from evonas.study.events import from_body, to_body
from evonas.study.state import StudyState
from evonas.study.study import Study, load_study
from surrogates import write_records


@pytest.fixture
def begun(configured, instant, task, tmp_path):
    """A study after its first generation."""
    with Study(configured(), tmp_path / "s", task=task) as study:
        study.run(generations=1)
    return tmp_path / "s"


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ("seed=4", "seed"),
        ("space.widths=[2, 3]", "space"),
        ("search.population_size=6", "search"),
        ("training.epochs=3", "training"),
        ("synthesis.clock_period_ns=4", "synthesis"),
    ],
)
def test_another_configuration(begun, configured, task, change, name):
    with pytest.raises(StudyMismatchError, match=f"configuration of '{name}'"):
        Study.resume(begun, config=configured(change), task=task)
    Study.resume(begun, config=configured(), task=task).close()


def test_other_data(begun):
    with pytest.raises(StudyMismatchError, match="digest of 'task'"):
        Study.resume(begun, task=make_task(seed=1))


def test_other_start_records(configured, instant, task, tmp_path):
    records = tmp_path / "mine.jsonl"
    write_records(synthetic_records(6, np.random.default_rng(1)), records)
    config = configured(f"surrogate.start_records='{records}'")
    Study(config, tmp_path / "s", task=task).close()
    write_records(synthetic_records(6, np.random.default_rng(2)), records)
    with pytest.raises(StudyMismatchError, match="digest of 'start_records'"):
        Study.resume(tmp_path / "s", task=task)
    records.unlink()
    with pytest.raises(ValueError, match=r"start_records.*no such file"):
        Study.resume(tmp_path / "s", task=task)


def test_another_version_of_evonas(begun, task, monkeypatch):
    real = identity.version
    monkeypatch.setattr(identity, "version", lambda p: "0.999.0" if p == "evonas" else real(p))
    with pytest.raises(StudyMismatchError, match=r"this is 0\.999\.0; `pip install evonas=="):
        Study.resume(begun, task=task)
    assert load_study(begun).front()  # looking always works


def test_an_algorithm_that_asks_otherwise(begun, task, monkeypatch):
    from evonas.study.evolution import Evolution

    real = Evolution.__init__

    def shifted(self, config, task, state):
        real(self, resolve(config.model_dump(mode="json"), ["seed=99"]), task, state)

    monkeypatch.setattr(Evolution, "__init__", shifted)
    with pytest.raises(StudyMismatchError, match="generation 0 is not what the log says"):
        Study.resume(begun, task=task)


def test_a_surrogate_that_comes_out_otherwise(begun, task, monkeypatch):
    from fakes.surrogate import InstantSurrogate

    real = InstantSurrogate.fit

    def other(self, records, weights=None):
        real(self, records)
        self.version += "-other"
        return self

    monkeypatch.setattr(InstantSurrogate, "fit", other)
    with pytest.raises(StudyMismatchError, match="the surrogate comes out as"):
        Study.resume(begun, task=task)


def test_a_refused_resume_leaves_no_lock(begun, task):
    with pytest.raises(StudyMismatchError):
        Study.resume(begun, task=make_task(seed=1))
    with Study.resume(begun, task=task) as study, pytest.raises(StudyLockedError):
        Study.resume(begun, task=task)
    assert study.front()


def test_no_study_there(tmp_path, instant, task):
    for call in (lambda: Study.resume(tmp_path / "none", task=task), lambda: load_study(tmp_path)):
        with pytest.raises(StudyError):
            call()


def test_a_log_that_contradicts_itself(begun, task):
    body = story(begun)[-1][1]
    with EventLog(begun) as log:
        log.append("measured", {"candidate": 99, "measurements": [], "network": None, "epochs": 0, "wall_time_s": 0.0})
    assert body
    for call in (lambda: Study.resume(begun, task=task), lambda: load_study(begun)):
        with pytest.raises(StudyCorruptError, match="candidate 99, which was never asked"):
            call()


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("exploded", {}),
        ("measured", {"candidate": 0, "colour": "red"}),
        ("failed", {"candidate": 0, "failure": {"kind": "bored", "message": ""}}),
        ("failed", {"candidate": 0, "failure": 3}),
        ("synthesised", {"records": [{"schema": 99}]}),
        ("asked", {"generation": 0, "candidates": [{"genome": None}], "surrogate_version": ""}),
        ("measured", {"candidate": 0, "measurements": [{"metric": "lut", "stage": "guessed"}]}),
    ],
)
def test_events_of_another_kind_are_refused(kind, body):
    with pytest.raises(StudyCorruptError, match=f"event of kind '{kind}' cannot be read"):
        from_body(kind, body)


def test_a_log_with_the_wrong_beginning(tmp_path, instant, task):
    with EventLog(tmp_path, create=True) as log:
        log.append("finished", {"reason": "x", "wall_time_s": 0.0})
    with pytest.raises(StudyError, match="without a beginning"):
        Study.resume(tmp_path, task=task)


def test_two_beginnings(begun):
    events = story(begun)
    with EventLog(begun) as log:
        log.append(*events[0])
    with pytest.raises(StudyCorruptError, match="starts twice"):
        load_study(begun)


def test_generations_and_candidates_must_follow_each_other(begun):
    with EventLog(begun, write=False) as log:
        events = [from_body(row.kind, row.body) for row in log.read()]
    with pytest.raises(StudyCorruptError, match="generation 0 follows 1 generations"):
        StudyState([*events, events[1]])
    with pytest.raises(StudyCorruptError, match="never asked"):
        StudyState([events[0], events[2]])
    with pytest.raises(StudyCorruptError, match="does not begin"):
        _ = StudyState(events[1:]).objectives


def test_every_event_survives_the_log(configured, instant, task, tmp_path):
    from evonas.errors import FailureKind
    from surrogates import Stage

    instant.fail = lambda n: (FailureKind.TOOL_TIMEOUT, Stage.TRACED) if int(n.digest[0], 16) < 4 else None
    with Study(configured("search.population_size=8", "surrogate.designs=2"), tmp_path / "s", task=task) as study:
        study.run()
    with EventLog(tmp_path / "s", write=False) as log:
        rows = list(log.read())
    for row in rows:
        event = from_body(row.kind, row.body)
        assert to_body(event) == row.body
        hash(type(event))
    assert StudyState(from_body(r.kind, r.body) for r in rows).front() == study.state.front()


def test_a_database_changed_behind_our_back(begun, task):
    database = sqlite3.connect(begun / "study.sqlite")
    database.execute("UPDATE events SET body = replace(body, '\"generation\": 0', '\"generation\": 1')")
    database.commit()
    database.close()
    with pytest.raises(StudyCorruptError, match="event 2"):
        Study.resume(begun, task=task)


def test_a_missing_artefact_is_named_when_it_is_needed(begun, task):
    study = load_study(begun)
    digest = study.state.candidates[0].network
    study.artefacts.path(digest).unlink()
    with pytest.raises(StudyCorruptError, match="is missing"):
        study.network(0)
