"""When a study recalibrates, and how many designs it synthesises for it."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import numpy as np
import pytest
from fakes.records import synthetic_records
from fakes.studies import story, told_in_order

from evonas.errors import ConfigurationError, FailureKind
from evonas.study.study import Study, load_study
from surrogates import HardwareTarget, write_records
from surrogates.policy import Observed, OnError, Situation

LONG = ("search.generations=6", "search.population_size=6")


def run(config, directory, task):
    with Study(config, directory, task=task) as study:
        study.run()
    return load_study(directory)


def test_after_a_wrong_prediction_the_next_generation_recalibrates(configured, instant, task, tmp_path):
    study = run(configured(*LONG, "surrogate.when=error", "surrogate.recalibrate_every=4"), tmp_path / "s", task)
    policy, last, observed, wanted = OnError(4), None, {}, []
    recalibrations = {event.generation: event for event in study.state.recalibrations}
    for generation in range(6):
        if policy.due(Situation(generation, last, (), (), HardwareTarget(), observed)):
            wanted.append(generation)
            last = generation
            before = recalibrations[generation].summary["before"]["all"]
            observed = {t: Observed(a["median_relative_error"], a["coverage"]) for t, a in before.items()}
    assert list(recalibrations) == wanted
    assert wanted[0] == 3
    assert 4 in wanted  # the stand-in for a surrogate knows nothing of flip-flops


def test_a_front_that_is_new_recalibrates_at_once(configured, instant, task, tmp_path):
    study = run(configured(*LONG, "surrogate.when=novelty", "surrogate.recalibrate_every=4"), tmp_path / "s", task)
    found = [event.generation for event in study.state.recalibrations]
    assert found[0] == 0  # the made-up records it starts from are of other widths
    assert len(found) < 6


def test_an_unknown_policy_is_refused(configured):
    with pytest.raises(ConfigurationError, match=r"surrogate\.when"):
        configured("surrogate.when=always")


@pytest.mark.parametrize(("budget_s", "designs"), [("null", 3), ("1e9", 3), ("0.001", 1)])
def test_a_budget_of_seconds_limits_the_designs(configured, instant, task, tmp_path, budget_s, designs):
    timed = [replace(r, wall_time_s=0.1 * r.lut) for r in synthetic_records(30, np.random.default_rng(7))]
    write_records(timed, tmp_path / "timed.jsonl")
    more = () if budget_s == "null" else (f"surrogate.budget_s={budget_s}",)
    config = configured("surrogate.designs=3", f"surrogate.start_records={tmp_path / 'timed.jsonl'}", *more)
    study = run(config, tmp_path / "s", task)
    chosen = [event for event in study.state.chosen if event.purpose == "recalibration"]
    assert [len(event.picks) for event in chosen] == [designs] * 2


def test_what_fails_again_and_again_is_chosen_less_often(configured, instant, task, tmp_path):
    timed = [replace(r, wall_time_s=1.0) for r in synthetic_records(30, np.random.default_rng(7))]
    write_records(timed, tmp_path / "timed.jsonl")
    instant.fail = lambda network: (FailureKind.UNSUPPORTED, None) if len(network.layers) > 2 else None
    config = configured(
        "search.generations=6", "search.population_size=12", "surrogate.designs=6", "surrogate.recalibrate_every=1",
        f"surrogate.start_records={tmp_path / 'timed.jsonl'}",
    )  # fmt: skip
    study = run(config, tmp_path / "s", task)
    expected = {}
    for event in study.state.chosen:
        for pick in event.picks:
            deep = len(study.state.candidates[pick.candidate].spec.layers) > 2
            assert pick.expected_s == pytest.approx(1.0, rel=0.2)
            expected.setdefault((event.purpose, event.generation), []).append((deep, pick.success, pick.reason))
    first = next(iter(expected.values()))
    assert all(success > 0.9 for _, success, _ in first)  # nothing has failed yet
    assert any(deep for deep, *_ in first)
    learnt = [pick for (_, generation), picks in expected.items() if generation >= 4 for pick in picks]
    assert all(success > 0.5 for deep, success, _ in learnt if not deep)
    assert all(reason in ("random", "front") and success < 0.5 for deep, success, reason in learnt if deep)


@pytest.mark.parametrize(("kind", "blames"), [(FailureKind.TOOL_LICENCE, False), (FailureKind.TOOL_MEMORY, True)])
def test_the_network_is_not_to_blame_for_every_failure(configured, instant, task, tmp_path, kind, blames):
    timed = [replace(r, wall_time_s=1.0) for r in synthetic_records(30, np.random.default_rng(7))]
    write_records(timed, tmp_path / "timed.jsonl")
    instant.fail = lambda _network: (kind, None)
    config = configured("surrogate.designs=6", f"surrogate.start_records={tmp_path / 'timed.jsonl'}")
    study = run(config, tmp_path / "s", task)
    last = study.state.chosen[-1].picks
    assert all((pick.success < 0.99) == blames for pick in last)


def test_without_known_times_a_budget_limits_nothing(configured, instant, task, tmp_path):
    study = run(configured("surrogate.designs=3", "surrogate.budget_s=0.001"), tmp_path / "s", task)
    assert len(study.state.chosen[0].picks) == 3


@pytest.mark.parametrize("when", ["error", "novelty"])
def test_what_was_chosen_is_synthesised_after_an_interruption(configured, instant, task, tmp_path, when):
    config = configured(*LONG, f"surrogate.when={when}", "surrogate.recalibrate_every=3")
    run(config, tmp_path / "whole", task)

    class Mortal:
        lives = 0

        def happened(self, event, state):
            if event.kind == "chosen":
                raise KeyboardInterrupt

        def progress(self, progress):
            pass

    study = Study(config, tmp_path / "mortal", task=task, observers=[Mortal()])
    for _ in range(20):
        with study, contextlib.suppress(KeyboardInterrupt):
            study.run()
        if study.state.finished is not None:
            break
        study = Study.resume(tmp_path / "mortal", task=task, observers=[Mortal()])
    assert told_in_order(story(tmp_path / "mortal")) == told_in_order(story(tmp_path / "whole"))
