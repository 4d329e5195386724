"""The outcome of a study follows from its settings: not from the executor, the order of completion, or the run."""

from __future__ import annotations

import contextlib

import pytest
from fakes.studies import IN_WORKERS, ShuffledExecutor, install, make_task, story, told_in_order

import evonas.study.workers
from evonas.study.study import Study

SETTINGS = ("surrogate.designs=2", "search.generations=3")


def outcome(config, directory, **more):
    with Study(config, directory, task=make_task(), **more) as study:
        study.run()
    return story(directory)


def test_the_same_settings_give_the_same_log(configured, instant, tmp_path):
    assert outcome(configured(*SETTINGS), tmp_path / "a") == outcome(configured(*SETTINGS), tmp_path / "b")


def test_another_seed_gives_another_search(configured, instant, tmp_path):
    first, second = (outcome(configured(f"seed={s}"), tmp_path / str(s)) for s in (3, 4))
    genomes = [[c["genome"] for k, b in events if k == "asked" for c in b["candidates"]] for events in (first, second)]
    assert genomes[0] != genomes[1]


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_completion_changes_nothing(seed, configured, instant, tmp_path, monkeypatch):
    expected = outcome(configured(*SETTINGS), tmp_path / "inline")
    monkeypatch.setattr(evonas.study.workers, "executor", lambda *a: ShuffledExecutor(a[2], seed))
    found = outcome(configured(*SETTINGS), tmp_path / "shuffled")
    assert found != expected  # it really was another order
    assert told_in_order(found) == told_in_order(expected)


@pytest.mark.parametrize("seed", range(3))
def test_neither_does_a_death_in_the_middle_of_it(seed, configured, instant, tmp_path, monkeypatch):
    expected = outcome(configured(*SETTINGS), tmp_path / "inline")

    class Mortal:
        def __init__(self, life):
            self.life = life

        def happened(self, event, state):
            self.life -= 1
            if self.life == 0:
                raise KeyboardInterrupt

        def progress(self, progress):
            pass

    monkeypatch.setattr(evonas.study.workers, "executor", lambda *a: ShuffledExecutor(a[2], seed))
    directory = tmp_path / "mortal"
    lives = 0
    study = Study(configured(*SETTINGS), directory, task=make_task(), observers=[Mortal(4 + seed)])
    while study.state.finished is None:
        lives += 1
        with study:
            with contextlib.suppress(KeyboardInterrupt):
                study.run()
            finished = study.state.finished
        if finished is None:
            study = Study.resume(directory, task=make_task(), observers=[Mortal(5)])
    assert lives > 4
    assert told_in_order(story(directory)) == told_in_order(expected)


@pytest.mark.slow
def test_worker_processes_give_what_one_process_gives(configured, tmp_path, monkeypatch):
    """With real training, in this process and in two others."""
    from fakes.backend import InstantBackend

    install(monkeypatch.setattr, InstantBackend(), training=False)
    monkeypatch.setenv(IN_WORKERS, "1")
    inline = outcome(configured("surrogate.designs=2"), tmp_path / "inline")
    pool = outcome(
        configured("surrogate.designs=2", "execution.executor=processes", "execution.workers=2"), tmp_path / "pool"
    )
    for events in (inline, pool):
        events[0][1]["config"].pop("execution")
    assert told_in_order(pool) == told_in_order(inline)
    assert sum(kind == "measured" for kind, _ in inline) == 8
