"""Policies replayed over recorded syntheses: a search that drifts to smaller networks, in seconds instead of hours."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from surrogates import (
    TARGETS,
    Stage,
    choose,
    fit_surrogate,
    graph_law,
    predict_records,
    shipped_dataset,
    start_records,
)
from surrogates.metrics import accuracy, relative_errors
from surrogates.policy import Every, Observed, OnError, OnNovelty, Situation

KNOWN, GENERATION, DESIGNS = 24, 12, 3


@pytest.fixture(autouse=True)
def _unknown_tools(monkeypatch):
    """The shipped layer-graph network, which knows these tools, leaves hardly an error that syntheses could mend."""
    monkeypatch.setattr(graph_law, "shipped", lambda: None)


@cache
def table():
    """Real syntheses of one target, of one search space as a study has it: a few known ones, then generations from the
    largest to the smallest."""
    others = {record.spec.digest for record in shipped_dataset().records}
    records = [r for r in start_records() if r.stage is Stage.SYNTHESISED and r.spec.digest not in others]
    target = max({r.target for r in records}, key=lambda t: sum(r.target == t for r in records))
    records = sorted((r for r in records if r.target == target), key=lambda r: (-r.lut, r.spec.digest))
    records = list({r.spec.digest: r for r in records}.values())
    known = records[:KNOWN]  # the largest: what is small is not known yet
    later = records[KNOWN:]
    return known, [later[n : n + GENERATION] for n in range(0, len(later) - GENERATION + 1, GENERATION)]


@dataclass
class Outcome:
    """Generations that recalibrated, seconds of recorded synthesis, and the mean error on each generation's LUTs."""

    when: list[int]
    seconds: float
    errors: list[float]

    @property
    def error(self):
        return float(np.mean(self.errors))


def observed(surrogate, records):
    predicted = predict_records(surrogate, records)
    found = {}
    for name in TARGETS:
        truth = np.array([getattr(r, name) for r in records], float)
        one = accuracy(truth, predicted.mean[name], predicted.lower[name], predicted.upper[name])
        found[name] = Observed(one.median_relative_error, one.coverage)
    return found


@cache
def replay(policy):
    """What a policy does when the table answers in place of the tools."""
    records, generations = table()
    known, outcome, last, seen = list(records), Outcome([], 0.0, []), None, {}
    surrogate = fit_surrogate(known, "ridge")
    answers = {r.spec.digest: r for generation in generations for r in generation}
    for number, generation in enumerate(generations):
        truth, found = np.array([r.lut for r in generation]), predict_records(surrogate, generation).mean["lut"]
        outcome.errors.append(float(np.mean(relative_errors(truth, found))))
        specs, target = [r.spec for r in generation], generation[0].target
        situation = Situation(number, last, specs, [r.spec for r in known], target, seen)
        if policy is None or not policy.due(situation):
            continue
        have, rng = [r.spec for r in known], np.random.default_rng(number)
        picks = choose(specs, specs, DESIGNS, surrogate=surrogate, target=target, known=have, rng=rng)
        fresh = [answers[pick.spec.digest] for pick in picks]
        seen, last = observed(surrogate, fresh), number
        known += fresh
        surrogate = fit_surrogate(known, "ridge")
        outcome.when.append(number)
        outcome.seconds += sum(r.wall_time_s for r in fresh)
    return outcome


def test_the_table_is_a_real_one():
    known, generations = table()
    assert len(generations) >= 6
    assert min(r.lut for r in known) >= max(r.lut for r in generations[0])
    assert all(r.wall_time_s > 0 for generation in generations for r in generation)


def test_without_recalibration_the_error_grows_with_the_drift():
    errors = replay(None).errors
    assert np.mean(errors[-3:]) > 1.5 * np.mean(errors[:3])


@pytest.mark.parametrize("policy", [Every(1), Every(3), OnError(4), OnNovelty(4)])
def test_every_policy_is_better_than_none(policy):
    assert replay(policy).error < 0.9 * replay(None).error


@pytest.mark.parametrize("policy", [Every(3), OnError(4), OnNovelty(4)])
def test_waiting_saves_synthesis(policy):
    assert replay(policy).seconds < replay(Every(1)).seconds


def test_recalibrating_while_it_is_wrong_is_nearly_as_good_as_always_at_less_cost():
    assert replay(OnError(4)).error < 1.2 * replay(Every(1)).error
    assert replay(OnError(4)).seconds < 0.75 * replay(Every(1)).seconds


def test_a_replay_is_the_same_twice():
    first = replay(OnError(4))
    replay.cache_clear()
    assert replay(OnError(4)) == first
