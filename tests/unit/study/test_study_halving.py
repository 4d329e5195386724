"""Successive halving in a study: who goes on, what is logged, and that an interruption changes nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fakes.backend import InstantBackend
from fakes.studies import dies_at_every_event, install, make_task, story, told_in_order

import evonas.study.training
from evonas.cli.rows import counted, generation_row
from evonas.cli.words import event_line
from evonas.config import resolve
from evonas.errors import ConfigurationError, Failure, FailureKind
from evonas.report import views
from evonas.study.events import from_body, to_body
from evonas.study.halving import halved
from evonas.study.study import Study, load_study
from surrogates import ModelSpec
from surrogates.layers import LayerSpec
from surrogates.learning_curve import FEWEST, curve_features, extrapolated

HALVING = (
    "training.epochs=6",
    "training.halving.min_epochs=1",
    "training.halving.reduction_factor=2",
    "search.population_size=8",
    "surrogate.recalibrate_every=0",
    "synthesis.front_designs=1",
)


@pytest.fixture
def backend(monkeypatch):
    found = InstantBackend()
    install(monkeypatch.setattr, found, training=False)
    return found


def run(config, directory):
    with Study(config, directory, task=make_task()) as study:
        study.run()
    return load_study(directory)


@pytest.fixture
def study(backend, configured, tmp_path):
    return run(configured(*HALVING), tmp_path / "s")


def halvings(study, generation=0):
    return study.state.generations[generation].halvings


def test_half_of_a_generation_goes_on_at_each_rung(study):
    assert study.config.training.rungs == (1, 2, 4)
    for generation in study.state.generations:
        own = [n for n in generation.candidates if not study.state.candidates[n].asked.dropped]
        left = set(own)
        for event, rung in zip(generation.halvings, (1, 2, 4), strict=True):
            assert event.epochs == rung
            assert set(event.scores) == left
            assert len(left) - len(event.stopped) == math.ceil(len(left) / 2)
            left -= set(event.stopped)
        for number in own:
            candidate = study.state.candidates[number]
            assert bool(candidate.measured) == (number in left)
            assert (candidate.stopped is None) == (number in left)
            if candidate.measured:
                assert candidate.epochs == 6


def test_who_was_stopped_is_on_no_front_and_is_counted(study):
    stopped = [c for c in study.state.candidates.values() if c.stopped]
    assert len(stopped) == 14
    assert not {c.candidate for c in study.front()} & {c.candidate for c in stopped}
    assert views.counts(study.state).stopped == counted(study.state)["stopped"] == 14
    assert views.counts(study.state).pending == counted(study.state)["pending"] == 0
    assert generation_row(study.state, study.state.generations[0]).stopped == 7
    assert study.to_frame()["stopped_epochs"].notna().sum() == 14
    assert event_line(halvings(study)[0], study.state) == "after 1 epoch 4 of 8 go on"
    assert "7 stopped early" in event_line(study.state.generations[0].told, study.state)


def test_the_best_by_error_and_predicted_cost_goes_on(study):
    event = halvings(study)[0]
    kept = set(event.scores) - set(event.stopped)

    def losses(number):
        error = next(m.value for m in event.scores[number] if m.metric == "error")
        return error, study.state.candidates[number].predicted["lut"].value

    for loser in event.stopped:
        for winner in kept:
            mine, other = losses(winner), losses(loser)
            assert not (other[0] < mine[0] and other[1] < mine[1])


def test_survivors_become_what_they_become_without_halving(study, configured, tmp_path):
    without = run(configured(*(c for c in HALVING if "halving" not in c)), tmp_path / "without")
    first = [c for c in study.state.candidates.values() if c.generation == 0 and c.measured]
    assert first
    for candidate in first:
        assert candidate.network == without.state.candidates[candidate.candidate].network


def test_repeats_go_on_each_by_itself(backend, configured, tmp_path):
    config = configured(*HALVING, "training.repeats=2")
    with_halving = run(config, tmp_path / "with")
    without = run(configured(*(c for c in HALVING if "halving" not in c), "training.repeats=2"), tmp_path / "without")
    first = [c for c in with_halving.state.candidates.values() if c.generation == 0 and c.measured]
    for candidate in first:
        assert candidate.measured == without.state.candidates[candidate.candidate].measured


def test_a_death_at_any_event_changes_nothing(backend, configured, tmp_path, monkeypatch):
    run(configured(*HALVING), tmp_path / "whole")
    events, mortal = story(tmp_path / "whole"), tmp_path / "mortal"
    dies_at_every_event(monkeypatch, configured(*HALVING), mortal, events)
    assert told_in_order(story(mortal)) == told_in_order(events)


def test_processes_decide_the_same(backend, configured, tmp_path, study):
    run(configured(*HALVING, "execution.executor=processes", "execution.workers=2"), tmp_path / "processes")
    other = load_study(tmp_path / "processes")
    for generation in (0, 1):
        assert halvings(study, generation) == halvings(other, generation)
    assert [c.network for c in study.state.candidates.values()] == [c.network for c in other.state.candidates.values()]


def test_a_candidate_that_fails_before_a_rung_is_not_compared(backend, configured, tmp_path, monkeypatch):
    train, bad = evonas.study.training.train_stack, []

    def failing(task, orders, training):
        found = list(train(task, orders, training))
        if not bad:
            bad.append(orders[0])
            found[0] = Failure(FailureKind.DIVERGED, "on purpose")
        return tuple(found)

    monkeypatch.setattr(evonas.study.training, "train_stack", failing)
    study = run(configured(*HALVING), tmp_path / "s")
    (failed,) = [c for c in study.state.candidates.values() if c.failure]
    assert failed.generation == 0
    assert failed.candidate not in halvings(study)[0].scores
    assert not failed.stopped
    assert len(halvings(study)[0].scores) == 7


def test_the_event_survives_the_log(study):
    event = halvings(study)[0]
    assert from_body("halved", to_body(event)) == event


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        (("training.epochs=4", "training.halving.min_epochs=4"), "training.halving.min_epochs"),
        (("training.halving.reduction_factor=1",), "training.halving.reduction_factor"),
        (("training.halving.rungs=3",), "training.halving.rungs"),
        (("training.patience=0",), "training.patience"),
        (("training.weight_decay=-1",), "training.weight_decay"),
    ],
)
def test_bad_settings_are_named(changes, field):
    with pytest.raises(ConfigurationError) as caught:
        resolve({}, changes)
    assert caught.value.field == field


def test_rungs_grow_by_the_factor():
    config = resolve({}, ("training.epochs=40", "training.halving.min_epochs=4"))
    assert config.training.rungs == (4, 12, 36)
    assert resolve({}).training.rungs == ()


def spec(width, sparsity=0.0):
    return ModelSpec(6, (LayerSpec(16, width, 6, 6, "relu", sparsity), LayerSpec(width, 5, 6, 0, "linear")))


def test_extrapolation_learns_that_high_rates_look_worse_than_they_are():
    rng = np.random.default_rng(0)
    rates, quality = rng.choice([0.001, 0.03], 40), rng.uniform(0.2, 0.4, 40)
    early = quality * np.where(rates > 0.01, 1.5, 1.0)
    known = np.array([curve_features(spec(16), r, False, [s]) for r, s in zip(rates, early, strict=True)])
    asked = np.array([curve_features(spec(16), rate, False, [0.33]) for rate in (0.001, 0.03)])
    slow, fast = extrapolated(known, quality, asked)
    assert fast == pytest.approx(0.22, rel=0.05)
    assert slow == pytest.approx(0.33, rel=0.05)
    assert extrapolated(known[: FEWEST - 1], quality[: FEWEST - 1], asked) is None


def test_a_study_extrapolates_when_it_is_told_to(backend, configured, tmp_path, monkeypatch):
    asked, expected = [], []

    def noted(finished, finals, going_on):
        asked.append((len(finished), len(finals), len(going_on)))
        expected.append(extrapolated(finished, finals, going_on))
        return expected[-1]

    monkeypatch.setattr("surrogates.learning_curve.FEWEST", 3)

    monkeypatch.setattr("evonas.study.halving.extrapolated", noted)
    changes = ("training.halving.extrapolate=true", "search.generations=3", "search.population_size=20")
    study = run(configured(*HALVING, *changes), tmp_path / "s")
    assert asked  # from the second generation on
    assert all(finished == finals for finished, finals, _ in asked)
    assert any(found is not None and len(found) == n for found, (_, _, n) in zip(expected, asked, strict=True))
    assert [len(g.halvings) for g in study.state.generations] == [3, 3, 3]


def test_infeasible_candidates_are_stopped_first(study, configured):
    scores = halvings(study)[0].scores
    accuracy = {n: next(m.value for m in own if m.metric == "accuracy") for n, own in scores.items()}
    limit = sorted(accuracy.values())[len(accuracy) // 2]
    config = resolve(configured(*HALVING, f'search.constraints=[{{metric="accuracy", lower={limit}}}]'))
    fine = {n for n, value in accuracy.items() if value >= limit}
    found = halved(config, study.state, 1, scores)
    kept = set(scores) - set(found.stopped)
    assert len(kept) == 4 <= len(fine)
    assert kept <= fine
