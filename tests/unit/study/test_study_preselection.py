"""Pre-selection in a study: who is chosen, what is logged, and that an interruption changes nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fakes.backend import InstantBackend
from fakes.studies import (
    ShuffledExecutor,
    dies_at_every_event,
    install,
    instant_training,
    make_task,
    one_by_one,
    settings,
    story,
)

import evonas.study.preselection
import evonas.study.training
import evonas.study.workers
from evonas.cli.words import event_line
from evonas.config import restore
from evonas.errors import ConfigurationError, StudyError, StudyMismatchError
from evonas.objectives import Measurement
from evonas.store.event_log import EventLog
from evonas.study.events import Preselection, from_body, to_body
from evonas.study.state import StudyState
from evonas.study.study import Study, load_study
from surrogates import ErrorSurrogate, ModelSpec, Stage

POPULATION, OFFSPRING = 12, 24
SETTINGS = (
    "space.widths=[2, 3, 4, 6, 8, 12]",
    "space.depth=[1, 3]",
    f"search.population_size={POPULATION}",
    "search.generations=4",
    "search.preselection.factor=2",
    "surrogate.recalibrate_every=0",
    "synthesis.front_designs=0",
)


def smaller_is_worse(task, spec, learning_rate, seed, training, norm="none"):
    """Training whose errors follow from the network, almost."""
    weights = sum(layer.n_nonzero for layer in ModelSpec.from_dict(spec).layers)
    noise = np.random.default_rng(seed % 2**32).normal()
    error = float(0.9 / weights**0.4 * np.exp(0.02 * noise))
    found = instant_training(task, spec, learning_rate, seed, training, norm)
    scores = Measurement("error", error, "validation", 0.001), Measurement("accuracy", 1 - error, "validation")
    return replace(found, measurements=scores)


def chance(task, spec, learning_rate, seed, training, norm="none"):
    """Training whose errors say nothing of the network."""
    error = float(np.random.default_rng(seed % 2**32).uniform(0.2, 0.8))
    found = instant_training(task, spec, learning_rate, seed, training, norm)
    return replace(found, measurements=(Measurement("error", error, "validation"),))


@pytest.fixture
def trained(monkeypatch):
    """Stand-ins; `trained(function)` changes what training comes to."""
    install(monkeypatch.setattr, InstantBackend())

    def by(train):
        monkeypatch.setattr(evonas.study.training, "train_stack", one_by_one(train))

    by(smaller_is_worse)
    return by


@pytest.fixture
def pools(monkeypatch):
    """Losses, violations and choice of every pre-selection."""
    seen, best = [], evonas.study.preselection.best

    def spy(losses, violations, n, rng):
        chosen = best(losses, violations, n, rng)
        seen.append((losses, violations, chosen))
        return chosen

    monkeypatch.setattr(evonas.study.preselection, "best", spy)
    return seen


def run(config, directory):
    with Study(config, directory, task=make_task()) as study:
        study.run()
    return load_study(directory)


def preselections(study):
    return [generation.preselection for generation in study.state.generations]


def test_from_twenty_measurements_on_offspring_are_chosen(trained, pools, configured, tmp_path):
    study = run(configured(*SETTINGS), tmp_path / "s")
    assert [found is None for found in preselections(study)] == [True, True, False, False]
    assert [len(generation.candidates) for generation in study.state.generations] == [POPULATION] * 4
    for generation, (losses, _, chosen) in zip(study.state.generations[2:], pools, strict=True):
        found = generation.preselection
        assert found.offspring == len(losses) == OFFSPRING
        assert set(found.predicted) == set(generation.candidates)
        assert found.held_out["error"] > 0.5
        for number, (predicted,) in found.predicted.items():
            assert (predicted.metric, predicted.stage) == ("error", Stage.PREDICTED)
            assert found.versions["error"] in predicted.source
            assert predicted.std > 0
            assert "error" not in study.state.candidates[number].predicted
        left = set(range(OFFSPRING)) - set(chosen)
        dominates = [(losses[a] <= losses[b]).all() and (losses[a] < losses[b]).any() for a in left for b in chosen]
        assert left
        assert not any(dominates)
        assert generation.told.rank_correlations["error"] > 0.5
        assert f"chosen among {OFFSPRING} offspring" in event_line(asked(tmp_path / "s", generation), study.state)
        assert "with what was predicted: error " in event_line(generation.told, study.state)
    assert study.state.generations[0].told.rank_correlations == {}
    assert "offspring" not in event_line(asked(tmp_path / "s", study.state.generations[0]), study.state)


def asked(directory, generation):
    events = [from_body(kind, body) for kind, body in story(directory) if kind == "asked"]
    return events[generation.generation]


def test_a_generation_is_chosen_by_what_was_measured_before_it(trained, configured, tmp_path, monkeypatch):
    sizes, fit = [], ErrorSurrogate.fit

    def spy(self, trainings, weights=None):
        sizes.append((len(trainings), sorted(trainings[0].columns)))
        return fit(self, trainings, weights)

    monkeypatch.setattr(ErrorSurrogate, "fit", spy)
    run(configured(*SETTINGS, "search.preselection.proxies=false"), tmp_path / "without")
    assert sizes == [(n * POPULATION, ["batch_norm", "log_learning_rate"]) for n in (2, 3)]
    sizes.clear()
    run(configured(*SETTINGS, "search.preselection.proxies=true"), tmp_path / "with")
    names = ["batch_norm", "grad_norm", "log_learning_rate", "naswot", "parameters", "snip", "synflow"]
    assert sizes == [(n * POPULATION, names) for n in (2, 3)]


def test_what_violates_a_constraint_comes_last(trained, pools, configured, tmp_path):
    constraints = 'search.constraints=[{metric="lut", upper=150.0}]'
    study = run(configured(*SETTINGS, constraints, "search.generations=6"), tmp_path / "s")
    assert pools
    for _, violations, chosen in pools:
        feasible = (violations == 0).sum()
        assert sum(violations[n] == 0 for n in chosen) == min(feasible, POPULATION)
    assert any(violations.any() for _, violations, _ in pools)
    assert study.state.finished is not None


def test_a_constraint_on_the_error_counts_as_predicted(trained, pools, configured, tmp_path):
    study = run(configured(*SETTINGS, 'search.constraints=[{metric="error", upper=0.2}]'), tmp_path / "s")
    assert any(0 < (violations > 0).sum() < OFFSPRING for _, violations, _ in pools)
    assert not any(c.asked.dropped for c in study.state.candidates.values())


def test_accuracy_is_predicted_where_it_is_the_objective(trained, configured, tmp_path):
    objectives = 'search.objectives=[{metric="accuracy", direction="maximise"}, {metric="lut"}]'
    study = run(configured(*SETTINGS, objectives), tmp_path / "s")
    for found in preselections(study)[2:]:
        assert set(found.versions) == {"accuracy"}
        assert all(0 < one.value < 1 for (one,) in found.predicted.values())


def unranked(study, directory):
    for generation in study.state.generations[2:]:
        assert generation.preselection == Preselection(OFFSPRING, held_out=generation.preselection.held_out)
        assert generation.told.rank_correlations == {}
        line = event_line(asked(directory, generation), study.state)
        assert f"the first of {OFFSPRING} offspring" in line


def test_predictors_that_cannot_rank_leave_the_offspring_as_they_come(trained, pools, configured, tmp_path):
    trained(chance)
    study = run(configured(*SETTINGS, "seed=5"), tmp_path / "s")
    unranked(study, tmp_path / "s")
    assert pools == []


def test_values_that_cannot_be_learnt_leave_the_offspring_as_they_come(trained, configured, tmp_path):
    def negative(*arguments):
        found = smaller_is_worse(*arguments)
        error, accuracy = found.measurements
        return replace(found, measurements=(replace(error, value=-error.value), accuracy))

    trained(negative)
    unranked(run(configured(*SETTINGS), tmp_path / "s"), tmp_path / "s")


@pytest.mark.parametrize("train", [smaller_is_worse, chance])
def test_a_death_at_any_event_changes_nothing(train, trained, configured, tmp_path, monkeypatch):
    trained(train)
    config = configured(*SETTINGS, "search.generations=3")
    run(config, tmp_path / "whole")
    events = story(tmp_path / "whole")
    alive = next(n for n, (kind, body) in enumerate(events) if kind == "asked" and body["generation"] == 1)
    dies_at_every_event(monkeypatch, config, tmp_path / "mortal", events, alive)
    assert any(body.get("preselection") for _, body in events)


def test_a_replay_needs_no_predictor(trained, configured, tmp_path, monkeypatch):
    run(configured(*SETTINGS), tmp_path / "s")

    def forbidden(*_arguments):
        raise AssertionError("learnt anew")

    monkeypatch.setattr(ErrorSurrogate, "fit", forbidden)
    Study.resume(tmp_path / "s", task=make_task()).close()


def test_a_log_of_another_choice_is_refused(trained, configured, tmp_path, monkeypatch):
    append = EventLog.append

    def other(log, kind, body):
        if kind == "asked" and body["generation"] == 3:
            body = body | {"preselection": body["preselection"] | {"offspring": OFFSPRING + 1}}
        return append(log, kind, body)

    monkeypatch.setattr(EventLog, "append", other)
    run(configured(*SETTINGS), tmp_path / "s")
    with pytest.raises(StudyMismatchError, match="generation 3 is not what the log says"):
        Study.resume(tmp_path / "s", task=make_task())


def test_offspring_that_the_space_does_not_have_are_no_problem(trained, configured, tmp_path):
    few = ("space.widths=[2, 3]", "space.depth=[1, 1]", "space.sparsity=[0.0]", "space.weight_bits=[3]",
           "space.input_bits=[4]", "space.learning_rate=[0.01]", "space.activation_bits=[3, 4, 5, 6, 7]",
           "space.activations=['relu', 'leaky_relu', 'hard_tanh']")  # fmt: skip
    study = run(configured(*SETTINGS, *few, "search.generations=9"), tmp_path / "s")
    assert len(study.state.candidates) == len({c.asked.genome for c in study.state.candidates.values()}) == 30
    assert preselections(study)[2].offspring == OFFSPRING
    with Study.resume(tmp_path / "s", task=make_task()) as again:
        assert len(again.state.candidates) == 30


def test_the_order_in_which_work_ends_changes_nothing(trained, configured, tmp_path, monkeypatch):
    config = configured(*SETTINGS, "search.generations=3")
    straight = run(config, tmp_path / "straight")
    assert preselections(straight)[2].predicted
    monkeypatch.setattr(evonas.study.workers, "executor", lambda *a: ShuffledExecutor(a[2], 5))
    assert preselections(run(config, tmp_path / "shuffled")) == preselections(straight)


def test_proxies_that_fail_stop_the_study_and_it_goes_on(trained, configured, tmp_path, monkeypatch):
    def broken(*_arguments):
        raise MemoryError("no room")

    config = configured(*SETTINGS, "search.generations=3")
    whole = run(config, tmp_path / "whole")
    proxies = evonas.study.preselection.stack_proxies
    monkeypatch.setattr(evonas.study.preselection, "stack_proxies", broken)
    with Study(config, tmp_path / "s", task=make_task()) as study:
        with pytest.raises(StudyError, match=r"proxies could not be computed.*no room"):
            study.run()
        monkeypatch.setattr(evonas.study.preselection, "stack_proxies", proxies)
        study.run()
    assert preselections(load_study(tmp_path / "s")) == preselections(whole)


def test_what_was_logged_is_read_back_and_old_logs_still_are(trained, configured, tmp_path):
    run(configured(*SETTINGS, "search.generations=3"), tmp_path / "s")
    events = story(tmp_path / "s")
    for kind, body in events:
        filled = body | {name: 0.0 for name in ("wall_time_s", "overhead_s") if kind == "told"}
        if kind in ("asked", "told"):
            event = from_body(kind, filled)
            assert from_body(kind, to_body(event)) == event
    assert any(body.get("preselection") for _, body in events)
    old = {"kind": "asked", "body": {"generation": 0, "candidates": [], "surrogate_version": "v"}}
    assert from_body(old["kind"], old["body"]).preselection is None
    told = {"generation": 0, "losses": {}, "reference": [], "hypervolume": 0.0, "wall_time_s": 0.0, "overhead_s": 0.0}
    assert from_body("told", told).rank_correlations == {}
    state = StudyState([from_body(old["kind"], old["body"])])
    assert state.generations[0].preselection is None


def test_a_study_of_before_goes_on_with_the_same_configuration(trained, configured, tmp_path, monkeypatch):
    append = EventLog.append

    def older(log, kind, body):
        if kind == "started":
            search = {name: value for name, value in body["config"]["search"].items() if name != "preselection"}
            body = body | {"config": body["config"] | {"search": search}}
        return append(log, kind, body)

    monkeypatch.setattr(EventLog, "append", older)
    plain = configured("search.generations=2")
    with Study(plain, tmp_path / "s", task=make_task()) as study:
        study.run(generations=1)
    monkeypatch.undo()
    install(monkeypatch.setattr, InstantBackend())
    with Study.resume(tmp_path / "s", config=plain, task=make_task()) as study:
        study.run()
        assert len(study.state.generations) == 2
    with pytest.raises(StudyMismatchError, match="configuration of 'search'"):
        Study.resume(tmp_path / "s", config=configured(*SETTINGS[4:5], "search.generations=2"), task=make_task())


def test_off_unless_it_is_asked_for(start_records):
    config = restore(settings(start_records))
    assert config.search.preselection is None
    with pytest.raises(ConfigurationError, match=r"search\.preselection\.factor = 1"):
        restore(settings(start_records, "search.preselection.factor=1"))
    with pytest.raises(ConfigurationError, match="no such field"):
        restore(settings(start_records, "search.preselection.factors=3"))
