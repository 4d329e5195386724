"""Baselines have the study's budget, are made once, and made anew where a setting changed."""

from __future__ import annotations

import dataclasses

import pytest
from fakes.studies import make_task, random_network

from evonas.errors import ConfigurationError, Failure, FailureKind
from evonas.study import baselines as module
from evonas.study.baseline_files import Shelf, TrainedBaseline
from evonas.study.baselines import Baseline, Beside, Recipe, kept_results, run_baselines, run_baselines_of
from evonas.study.jobs import score
from evonas.study.study import Study
from surrogates import LayerSpec, ModelSpec, Stage


def network(width: int) -> ModelSpec:
    return ModelSpec(5, (LayerSpec(5, width, 4, 4), LayerSpec(width, 3, 4, 0, "linear")))


BASELINES = (Baseline("small", network(3), source="a paper"), Baseline("large", network(6)))


@pytest.fixture
def trainings(monkeypatch):
    """Trainings that cost nothing; the list holds (spec, recipes, seed, budget) of each."""
    calls = []

    def instant_training(task, spec, recipes, seed, budget):
        calls.append((ModelSpec.from_dict(spec), tuple(recipes), seed, budget))
        made = random_network(ModelSpec.from_dict(spec), seed % 1000)
        errors = {recipe: 0.5 - recipe.learning_rate for recipe in recipes}
        scores = score(task, made, "validation"), score(task, made, "test")
        return TrainedBaseline(made.to_bytes(), max(recipes), errors, *scores)

    monkeypatch.setattr(module, "train_baseline", instant_training)
    return calls


@pytest.fixture
def study(configured, instant, task, tmp_path):
    with Study(configured("training.epochs=5", "training.max_rows=100"), tmp_path / "s", task=task) as study:
        yield study


def test_scores_and_records_are_kept(study, task, trainings, instant):
    small, large = run_baselines(study, BASELINES, task=task, until=Stage.SYNTHESISED)
    assert [r.baseline.name for r in (small, large)] == ["small", "large"]
    assert [record.stage for record in small.records] == [Stage.TRACED, Stage.SYNTHESISED]
    assert small.records[0].spec == network(3)
    assert small.score("accuracy").source == "test"
    assert {m.source for m in small.validation} == {"validation"}
    assert small.failure is None
    assert kept_results(study, BASELINES) == [small, large]
    budget = trainings[0][3]
    assert (budget.epochs, budget.batch_size, budget.max_rows) == (5, 64, 100)
    assert trainings[0][0] == network(6)  # the larger one first
    run_baselines(study, BASELINES, task=task, until=Stage.SYNTHESISED)
    assert (len(trainings), len(instant.calls)) == (2, 2)


def test_the_best_rate_by_validation_is_kept(study, task, instant):
    """With real training: a rate of almost nothing learns nothing."""
    baseline = Baseline("one", network(4), (1e-9, 0.03), norms=("none", "batch"))
    (found,) = run_baselines(study, [baseline], task=task)
    errors = found.validation_errors
    assert len(errors) == 4
    assert found.recipe.learning_rate == 0.03
    assert errors[found.recipe] == min(errors.values())
    assert max(errors[Recipe(0.03, norm)] for norm in ("none", "batch")) < errors[Recipe(1e-9)]
    assert errors[found.recipe] == next(m.value for m in found.validation if m.metric == "error")
    assert kept_results(study, [baseline]) == [found]
    assert task.asked.count("test") == 1


def test_synthesis_can_be_asked_for_later(study, task, trainings, instant):
    (traced, _) = run_baselines(study, BASELINES, task=task)
    assert traced.record(Stage.SYNTHESISED) is None
    (both, _) = run_baselines(study, BASELINES, task=task, until=Stage.SYNTHESISED)
    assert both.record(Stage.SYNTHESISED) is not None
    assert len(trainings) == 2
    (still, _) = run_baselines(study, BASELINES, task=task, until=Stage.TRACED)
    assert still == both
    assert len(instant.calls) == 4


def test_killed_at_any_moment_it_goes_on(study, task, trainings, instant, monkeypatch):
    """An interruption ahead of every write, one after the other, until nothing is interrupted any more."""
    write, writes = Shelf._write, 0
    for attempt in range(20):
        left = attempt + 1

        def dying(shelf, name, content):
            nonlocal left, writes
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
            writes += 1
            write(shelf, name, content)

        monkeypatch.setattr(Shelf, "_write", dying)
        try:
            results = run_baselines(study, BASELINES, task=task, until=Stage.SYNTHESISED)
        except KeyboardInterrupt:
            continue
        break
    assert 0 < attempt < 19
    monkeypatch.setattr(Shelf, "_write", write)
    assert all(r.record(Stage.SYNTHESISED) and r.tested for r in results)
    done = len(trainings), len(instant.calls)
    assert run_baselines(study, BASELINES, task=task, until=Stage.SYNTHESISED) == results
    assert (len(trainings), len(instant.calls)) == done


@pytest.mark.parametrize("after", ["network.bin", "trained.json", "hardware.json"])
def test_what_is_finished_is_not_done_again(study, task, trainings, instant, monkeypatch, after):
    write = Shelf._write

    def dying(shelf, name, content):
        write(shelf, name, content)
        if name == after:
            raise KeyboardInterrupt

    monkeypatch.setattr(Shelf, "_write", dying)
    with pytest.raises(KeyboardInterrupt):
        run_baselines(study, BASELINES[:1], task=task)
    monkeypatch.setattr(Shelf, "_write", write)
    run_baselines(study, BASELINES[:1], task=task)
    assert len(trainings) == (2 if after == "network.bin" else 1)
    assert len(instant.calls) == 1


def test_a_changed_setting_is_made_anew(study, task, trainings, instant, configured, tmp_path):
    run_baselines(study, BASELINES[:1], task=task)
    other = dataclasses.replace(BASELINES[0], learning_rates=(0.5,))
    (found,) = run_baselines(study, [other], task=task)
    assert found.recipe == Recipe(0.5)
    assert len(trainings) == 2
    other = dataclasses.replace(BASELINES[0], spec=network(4))
    (found,) = run_baselines(study, [other], task=task)
    assert found.records[0].spec == network(4)
    assert len(trainings) == 3
    study.config = study.config.model_copy(update={"training": study.config.training.model_copy(update={"epochs": 6})})
    run_baselines(study, [other], task=task)
    assert len(trainings) == 4
    synthesis = study.config.synthesis.model_copy(update={"clock_period_ns": 4.0})
    study.config = study.config.model_copy(update={"synthesis": synthesis})
    before = len(instant.calls)
    (found,) = run_baselines(study, [other], task=task)
    assert len(trainings) == 4
    assert len(instant.calls) == before + 1
    assert found.records[0].target.clock_period_ns == 4.0


def test_a_network_is_never_shown_with_the_scores_of_another(study, task, trainings, instant, monkeypatch):
    """Killed between the two files of a new training, and then asked for the old settings again."""
    run_baselines(study, BASELINES[:1], task=task)
    write = Shelf._write

    def dying(shelf, name, content):
        write(shelf, name, content)
        if name == "network.bin":
            raise KeyboardInterrupt

    monkeypatch.setattr(Shelf, "_write", dying)
    other = dataclasses.replace(BASELINES[0], learning_rates=(0.5,))
    with pytest.raises(KeyboardInterrupt):
        run_baselines(study, [other], task=task)
    assert kept_results(study, BASELINES[:1])[0].tested == ()
    monkeypatch.setattr(Shelf, "_write", write)
    run_baselines(study, BASELINES[:1], task=task)
    assert len(trainings) == 3


def test_a_failure_is_kept_until_the_limits_change(study, task, trainings, instant):
    instant.fail = lambda network: (FailureKind.TOOL_TIMEOUT, Stage.TRACED)
    wanted = {"task": task, "until": Stage.SYNTHESISED}
    (found,) = run_baselines(study, BASELINES[:1], timeout_s=1.0, **wanted)
    assert found.failure.kind == FailureKind.TOOL_TIMEOUT
    assert found.record(Stage.TRACED) is not None
    run_baselines(study, BASELINES[:1], timeout_s=1.0, **wanted)
    assert len(instant.calls) == 1
    instant.fail = lambda network: None
    (found,) = run_baselines(study, BASELINES[:1], timeout_s=2.0, **wanted)
    assert found.failure is None
    assert len(instant.calls) == 2


def test_a_passing_failure_is_tried_again(study, task, trainings, instant):
    instant.missing = "not today"
    (found,) = run_baselines(study, BASELINES[:1], task=task)
    assert found.failure.kind == FailureKind.TOOL_MISSING
    instant.missing = None
    (found,) = run_baselines(study, BASELINES[:1], task=task)
    assert found.failure is None


def test_a_failed_training_is_shown_and_stops_nothing(study, task, instant, monkeypatch):
    failure = Failure(FailureKind.DIVERGED, "loss became NaN")

    def train(task, spec, recipes, seed, budget):
        if ModelSpec.from_dict(spec) == network(6):
            return TrainedBaseline(failure=failure)
        made = random_network(ModelSpec.from_dict(spec), 1)
        return TrainedBaseline(made.to_bytes(), recipes[0], {}, tested=score(task, made, "test"))

    monkeypatch.setattr(module, "train_baseline", train)
    seen = []
    small, large = run_baselines(study, BASELINES, task=task, on_result=seen.append)
    assert (small.failure, large.failure) == (None, failure)
    assert large.records == ()
    assert {r.baseline.name for r in seen} == {"small", "large"}


def test_bad_requests(study, task):
    with pytest.raises(ConfigurationError, match=r"baseline\.name"):
        Baseline("../elsewhere", network(3))
    with pytest.raises(ConfigurationError, match=r"one.norms"):
        Baseline("one", network(4), norms=("layer",))
    with pytest.raises(ConfigurationError, match="learning_rates"):
        Baseline("one", network(3), ())
    with pytest.raises(ConfigurationError, match="different names"):
        run_baselines(study, [BASELINES[0], BASELINES[0]], task=task)
    with pytest.raises(ConfigurationError, match="traced or synthesised"):
        run_baselines(study, BASELINES, task=task, until=Stage.ROUTED)


def test_baselines_of_several_studies_share_workers_and_stay_apart(study, task, trainings, configured, tmp_path):
    with Study(configured("seed=8"), tmp_path / "other", task=make_task(seed=5)) as second:
        both = [Beside(study, BASELINES, task), Beside(second, BASELINES[:1], second.task)]
        results = run_baselines_of(both)
        assert [len(found) for found in results] == [2, 1]
        assert results == [kept_results(study, BASELINES), kept_results(second, BASELINES[:1])]
        assert len(trainings) == 3
        assert trainings[0][0] == network(6)  # the largest of all first
        assert results[0][0].tested != results[1][0].tested  # each on its own data
        assert run_baselines_of(both) == results
        assert len(trainings) == 3
