"""Candidates that are trained several times: scores with a standard error that means something."""

from __future__ import annotations

import numpy as np
import pytest
from fakes.studies import make_task

from evonas.errors import Failure, FailureKind
from evonas.study.jobs import Training, TrainingOrder, train_candidate, train_stack
from surrogates import LayerSpec, ModelSpec

SETTINGS = Training(2, 32, 4.0)


@pytest.fixture(scope="module")
def task():
    return make_task()


def order(task, *seeds):
    layers = (LayerSpec(task.n_inputs, 6, 6, 6), LayerSpec(6, task.n_outputs, 6, 0, "linear"))
    return TrainingOrder(ModelSpec(6, layers).to_dict(), 0.02, seeds)


def test_scores_are_means_and_the_network_is_the_best(task):
    seeds = (3, 4, 5)
    wanted = order(task, *seeds)
    alone = [train_candidate(task, wanted.spec, 0.02, seed, SETTINGS) for seed in seeds]
    (found,) = train_stack(task, [wanted], SETTINGS)
    values = {m.metric: [] for m in alone[0].measurements}
    for one in alone:
        for m in one.measurements:
            values[m.metric].append(m)
    for m in found.measurements:
        each = np.array([one.value for one in values[m.metric]])
        assert m.value == pytest.approx(each.mean())
        rows = np.mean([one.std or 0.0 for one in values[m.metric]])
        assert m.std == pytest.approx(np.sqrt(each.var(ddof=1) / 3 + rows**2))
    errors = [one.value for one in values["error"]]
    assert found.network == alone[int(np.argmin(errors))].network


def test_repeats_of_several_candidates_stay_apart(task):
    both = train_stack(task, [order(task, 3, 4), order(task, 5, 6)], SETTINGS)
    for one, seeds in zip(both, ((3, 4), (5, 6)), strict=True):
        (alone,) = train_stack(task, [order(task, *seeds)], SETTINGS)
        assert one.measurements == alone.measurements
        assert one.network == alone.network


def test_a_repeat_that_diverges_is_left_out_and_all_are_a_failure(task, monkeypatch):
    import evonas.training.trainer as trainer

    whole, failure = trainer.Population.results, Failure(FailureKind.DIVERGED, "the loss is nan")

    def failing(places):
        return lambda self: [failure if place in places else r for place, r in enumerate(whole(self))]

    monkeypatch.setattr(trainer.Population, "results", failing({0}))
    (found,) = train_stack(task, [order(task, 3, 4)], SETTINGS)
    monkeypatch.setattr(trainer.Population, "results", whole)
    assert found.measurements == train_stack(task, [order(task, 4)], SETTINGS)[0].measurements
    monkeypatch.setattr(trainer.Population, "results", failing({0, 1}))
    assert train_stack(task, [order(task, 3, 4)], SETTINGS) == (failure,)
