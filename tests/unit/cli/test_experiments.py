"""The experiments' command: studies, baselines and a page from one call, which the same call goes on with."""

from __future__ import annotations

import argparse
import importlib.util
import re
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.studies import make_task, random_network

from evonas.cli import experiment as module
from evonas.cli.experiment import Arm, Experiment, perform, run_experiment
from evonas.config import resolve
from evonas.errors import ConfigurationError, StudyMismatchError
from evonas.study import baselines
from evonas.study.baseline_files import TrainedBaseline
from evonas.study.baselines import Baseline
from evonas.study.jobs import score
from evonas.study.study import load_study
from surrogates import LayerSpec, ModelSpec, Stage

EXPERIMENTS = Path(__file__).parents[3] / "experiments"
SPEC = ModelSpec(5, (LayerSpec(5, 4, 4, 4), LayerSpec(4, 3, 4, 0, "linear")))
OTHER = ModelSpec(5, (LayerSpec(5, 2, 4, 4), LayerSpec(2, 3, 4, 0, "linear")))


def load(name):
    spec = importlib.util.spec_from_file_location(f"experiment_{name}", EXPERIMENTS / name / "run.py")
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.mark.parametrize("preset", ["small", "full"])
def test_the_experiments_are_what_they_say(preset):
    made = load("nac_jets").experiment(argparse.Namespace(preset=preset, overrides=["training.epochs=12"]))
    assert [arm.config.task.options["order"] for arm in made.arms] == ["shuffled", "pt"]
    assert {arm.config.training.epochs for arm in made.arms} == {12}
    for arm in made.arms:
        names = [b.name for b in arm.baselines]
        assert len(set(names)) == len(names)
        assert {b.spec.n_inputs for b in arm.baselines} == {24}
    made = load("ultrafast_jets").experiment(
        argparse.Namespace(preset=preset, overrides=[], jets="zenodo", constituents=None)
    )
    inputs = [{b.spec.n_inputs for b in arm.baselines} for arm in made.arms]
    assert inputs == [{24}, {48}, {96}][: len(made.arms)]
    assert {arm.config.task.options["pt_min_gev"] for arm in made.arms} == {2.0}


def test_32_constituents_need_a_file():
    with pytest.raises(ConfigurationError, match="--jets"):
        load("ultrafast_jets").experiment(
            argparse.Namespace(preset="full", overrides=[], jets="embedded", constituents=None)
        )


def test_numbers_of_constituents_can_be_chosen():
    options = argparse.Namespace(preset="small", overrides=[], jets="zenodo", constituents=[16, 32])
    made = load("ultrafast_jets").experiment(options)
    assert [arm.name for arm in made.arms] == ["constituents_16", "constituents_32"]
    assert [arm.config.task.options["n_constituents"] for arm in made.arms] == [16, 32]
    options = argparse.Namespace(preset="small", overrides=[], jets="embedded", constituents=[8])
    assert len(load("ultrafast_jets").experiment(options).arms) == 1


@pytest.fixture
def experiment(configured, instant, monkeypatch):
    def instant_training(task, spec, rates, seed, budget):
        made = random_network(ModelSpec.from_dict(spec), 1)
        return TrainedBaseline(
            made.to_bytes(), rates[0], {}, score(task, made, "validation"), score(task, made, "test")
        )

    def load_task(name, **options):
        return make_task()

    for place in ("evonas.tasks.load_task", "evonas.study.study.load_task", "evonas.study.baselines.load_task"):
        monkeypatch.setattr(place, load_task)
    monkeypatch.setattr("evonas.cli.signals.make_interruptible", lambda _out: None)
    monkeypatch.setattr(baselines, "train_baseline", instant_training)
    arms = [Arm(name, f"the {name}", resolve(configured()), [Baseline("one", SPEC)]) for name in ("first", "second")]
    return Experiment("A question", "Which is better?", arms)


def test_one_call_makes_all_and_a_second_one_nothing(experiment, instant, tmp_path, capsys):
    perform(experiment, tmp_path, synthesise=(), timeout_s=60)
    text = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert len(re.findall(r"^- the (?:first|second): .*one", text, re.MULTILINE)) == 2
    assert "LUT traced" in text
    assert (tmp_path / "comparison.html").exists()
    assert (tmp_path / "first" / "report.html").exists()
    assert "baseline one" in capsys.readouterr().out
    calls = len(instant.calls)
    perform(experiment, tmp_path, synthesise=(), timeout_s=60)
    assert len(instant.calls) == calls
    perform(experiment, tmp_path, synthesise={"one"}, timeout_s=60)
    assert len(instant.calls) == calls + 2
    assert "LUT synthesised" in (tmp_path / "results.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("chosen", "wanted"), [(["two"], ["two"]), ([], ["one", "two"])])
def test_baselines_to_be_synthesised_can_be_named(experiment, tmp_path, chosen, wanted):
    arms = [replace(experiment.arms[0], baselines=[Baseline("one", SPEC), Baseline("two", OTHER)])]
    call = ["--out", str(tmp_path), "--synthesise-baselines"]
    run_experiment(lambda _options: replace(experiment, arms=arms), None, arguments=[*call, *chosen])
    found = baselines.kept_results(load_study(tmp_path / "first"), arms[0].baselines)
    assert all(result.record(Stage.TRACED) for result in found)
    assert [result.baseline.name for result in found if result.record(Stage.SYNTHESISED)] == wanted


def test_an_unknown_baseline_is_named_before_anything_runs(experiment, instant, tmp_path, capsys):
    call = ["--out", str(tmp_path), "--synthesise-baselines", "tow"]
    with pytest.raises(SystemExit) as ended:
        run_experiment(lambda _options: experiment, None, arguments=call)
    assert ended.value.code == 2
    assert "'tow': is not a baseline of this experiment; it has one" in capsys.readouterr().err
    assert not instant.calls


def test_a_killed_call_goes_on(experiment, instant, tmp_path, monkeypatch):
    run = baselines.run_baselines_of

    def killed(*arguments, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr(baselines, "run_baselines_of", killed)
    with pytest.raises(KeyboardInterrupt):
        perform(experiment, tmp_path, synthesise=(), timeout_s=60)
    calls = len(instant.calls)
    monkeypatch.setattr(baselines, "run_baselines_of", run)
    perform(experiment, tmp_path, synthesise=(), timeout_s=60)
    assert len(instant.calls) == calls + 2


def test_other_settings_are_refused(experiment, configured, tmp_path):
    perform(experiment, tmp_path, synthesise=(), timeout_s=60)
    other = Arm("first", "the first", resolve(configured("seed=9")), ())
    with pytest.raises(StudyMismatchError, match="other settings"):
        perform(Experiment("A", "B", [other]), tmp_path, synthesise=(), timeout_s=60)


def test_a_bad_setting_ends_with_its_code(tmp_path, capsys):
    def make(options):
        raise ConfigurationError("--jets", options.preset, "is missing")

    with pytest.raises(SystemExit) as ended:
        run_experiment(make, "words", arguments=["--out", str(tmp_path), "--preset", "full"])
    assert ended.value.code == 2
    assert "--jets = 'full': is missing" in capsys.readouterr().err
    assert module.PRESETS == ("small", "full")
