"""What a stack in training tells of itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from fakes.studies import make_task

from evonas.config import ExecutionConfig
from evonas.execution import Job, executor
from evonas.execution.base import listening
from evonas.study.jobs import Training, TrainingOrder, train_stack
from evonas.study.observer import Advance
from evonas.study.workers import Workers
from evonas.training import trainer
from surrogates import LayerSpec, ModelSpec

SETTINGS = Training(4, 32, 4.0)


def order(seed, rate=0.02, width=8):
    layers = (LayerSpec(5, width, 6, 6), LayerSpec(width, 3, 6, 0, "linear"))
    return TrainingOrder(ModelSpec(6, layers).to_dict(), rate, (seed,))


def advances(orders, settings):
    told = []
    with listening(told.append):
        results = train_stack(make_task(), orders, settings)
    return told, results


def test_each_epoch_is_told_and_legs_have_their_own_shares():
    told, results = advances([order(1), order(2)], replace(SETTINGS, until=1))
    assert told == [Advance(1.0, 1, 2)]
    orders = [replace(order(seed), states=r.states) for seed, r in zip((1, 2), results, strict=True)]
    told, _ = advances(orders, SETTINGS)
    assert told == [Advance(pytest.approx(n / 3), 1 + n, 2) for n in (1, 2, 3)]


def test_those_that_diverged_are_alive_no_more():
    orders = [order(1), order(2), replace(order(3), learning_rate=float("inf"))]
    told, results = advances(orders, SETTINGS)
    assert [a.alive for a in told] == [2] * 4
    assert results[2].kind.value == "diverged"
    alone, _ = advances(orders[2:], SETTINGS)
    assert alone == [Advance(0.25, 1, 0)]


def test_halves_of_a_stack_that_does_not_fit_share_its_work(monkeypatch):
    whole = trainer.Population.train

    def limited(population, *arguments):
        if len(population.members) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        whole(population, *arguments)

    monkeypatch.setattr(trainer.Population, "train", limited)
    told, _ = advances([order(seed) for seed in range(4)], replace(SETTINGS, epochs=2))
    assert told == [Advance(0.25, 1, 2), Advance(0.5, 2, 2), Advance(0.75, 1, 2), Advance(1.0, 2, 2)]


@pytest.mark.parametrize("name", ["inline", "processes"])
def test_observers_see_parts_of_candidates_and_never_less_than_before(name):
    seen = []

    class Watch:
        def happened(self, event, state):
            pass

        def progress(self, progress):
            seen.append(progress)

    workers = Workers(ExecutionConfig(executor=name, workers=2), make_task().inner, [Watch()])
    jobs = [
        Job("a", train_stack, ((order(1), order(2), order(3)), SETTINGS)),
        Job("b", train_stack, ((order(4),), replace(SETTINGS, epochs=2))),
    ]
    ended = []
    workers.run("train", jobs, lambda key, *_: ended.append(key), {"a": 3, "b": 1})
    workers.stop()
    done = [p.done for p in seen]
    assert sorted(ended) == ["a", "b"]
    assert done == pytest.approx(sorted(done))
    assert (done[0], done[-1], {p.total for p in seen}) == (0, 4, {4})
    assert any(0 < d < 3 and d % 1 for d in done)
    assert max(sum(a.alive for a in p.running) for p in seen) in (3, 4)
    assert seen[-1].running == ()


def test_nothing_is_told_where_nobody_listens():
    assert executor("inline", 1, make_task()).collect(told=lambda *_: pytest.fail("nothing runs")) == []
    assert len(train_stack(make_task(), [order(1)], SETTINGS)) == 1
