"""A whole study in one process, with an instant backend: what it does, in which order, and what it leaves behind."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from fakes.studies import SpyTask, instant_stack, instant_training, make_task, one_by_one, story

import evonas.study.training
import evonas.study.workers
from evonas.cli.rows import front_entry
from evonas.errors import ConfigurationError, Failure, FailureKind, StudyError, StudyExistsError
from evonas.execution.base import Outcome
from evonas.report.formatting import describe
from evonas.study.identity import preparation
from evonas.study.study import Study, load_study
from surrogates import Stage


def run(config, directory, task, **more):
    with Study(config, directory, task=task, **more) as study:
        study.run()
    return load_study(directory)


def kinds(directory):
    return [kind for kind, _ in story(directory)]


def bodies(directory, kind):
    return [body for name, body in story(directory) if name == kind]


def test_the_order_of_events(configured, instant, task, tmp_path):
    study = run(configured("search.generations=3", "surrogate.recalibrate_every=2"), tmp_path / "s", task)
    names = kinds(tmp_path / "s")
    generation = ["asked", *["measured"] * 4, "told"]
    recalibration = ["chosen", "synthesised", "recalibrated"]
    begin = ["started", *generation, *generation, *recalibration, *generation, "chosen"]
    assert names[: len(begin)] == begin
    rest = Counter(names[len(begin) :])
    assert set(rest) <= {"synthesised", "handed_over", "finished"}
    assert rest["synthesised"] == len(study.state.chosen[-1].picks) > 0
    assert rest["handed_over"] == len(study.front(Stage.SYNTHESISED)) > 0
    assert names[-1] == "finished"
    assert Counter(instant.calls).most_common(1)[0][1] == 1


def test_a_normalisation_reaches_training_and_is_told(configured, instant, task, tmp_path, monkeypatch):
    asked = []

    def train(task, spec, learning_rate, seed, training, norm):
        asked.append(norm)
        return instant_training(task, spec, learning_rate, seed, training, norm)

    monkeypatch.setattr(evonas.study.training, "train_stack", one_by_one(train))
    study = run(configured('space.norms=["none","batch"]', "search.population_size=8"), tmp_path / "s", task)
    own = [c for c in study.state.candidates.values() if c.asked.copy_of is None]
    assert Counter(asked) == Counter(c.norm for c in own if not c.asked.dropped)
    assert set(asked) == {"none", "batch"}
    assert list(study.to_frame()["norm"]) == [c.norm for c in study.state.candidates.values()]
    one = next(c for c in own if c.norm == "batch")
    assert describe(one.spec, one.norm) == describe(one.spec) + ", batch normalised"
    assert front_entry(one, Stage.PREDICTED)["norm"] == "batch"


def test_each_candidate_is_trained_as_often_as_configured(configured, instant, task, tmp_path, monkeypatch):
    seeds = []

    def train(task, orders, training):
        seeds.extend(order.seeds for order in orders)
        return instant_stack(task, orders, training)

    monkeypatch.setattr(evonas.study.training, "train_stack", train)
    run(configured(), tmp_path / "once", task)
    once, seeds[:] = list(seeds), []
    run(configured("training.repeats=3"), tmp_path / "thrice", task)
    assert [thrice[:1] for thrice in seeds] == once  # the first is the one that there is without repeats
    assert len({seed for thrice in seeds for seed in thrice}) == 3 * len(once)


def test_activations_by_table_need_the_open_tools(configured, instant, task, tmp_path):
    settings = ('space.activations=["relu","tanh"]', "synthesis.backend=vitis")
    with pytest.raises(ConfigurationError, match="the activation tanh needs openrtl"):
        run(configured(*settings), tmp_path / "s", task)


def test_designs_are_handed_over_as_folders(configured, instant, task, tmp_path):
    study = run(configured(), tmp_path / "s", task)
    for design in study.front("synthesised"):
        folder = tmp_path / "s" / design.handed_over.directory
        described = json.loads((folder / "design.json").read_text())
        network = study.network(design.candidate)
        assert described["topology"] == network.spec.topology
        assert network.digest in (folder / "verilog" / "top.v").read_text()
        assert (folder / "model.onnx").exists()
        sources = {row["source"] for row in described["measurements"] if "source" in row}
        assert {"validation", "test"} <= sources
        assert design.tested.keys() == design.measured.keys()
        assert all(m.source == "test" for m in design.tested.values())
    assert study.state.finished is not None


def test_a_relative_directory_works_as_well(configured, instant, task, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = run(configured(), Path("runs/one"), task)
    files = [f for e in study.state.synthesised for f in e.files.values()]
    assert files
    assert all(not Path(f).is_absolute() and (tmp_path / "runs/one" / f).exists() for f in files)


def test_the_test_split_is_read_at_the_hand_over_alone(configured, instant, task, tmp_path):
    seen = []

    class Watch:
        def happened(self, event, state):
            seen.append((event.kind, task.asked.count("test")))

        def progress(self, progress):
            pass

    run(configured(), tmp_path / "s", task, observers=[Watch()])
    before = [count for kind, count in seen if kind not in ("handed_over", "finished")]
    assert before
    assert set(before) == {0}
    assert task.asked.count("test") == sum(kind == "handed_over" for kind, _ in seen) > 0


def test_the_start_of_an_array_task_says_how_many_rows_there_are(configured, instant, task, tmp_path):
    with Study(configured(), tmp_path / "s", task=task.inner) as study:
        assert study.state.started.task["rows"] == {"train": 240, "validation": 80, "test": 80}
        assert preparation(study.task)["clip"] == 4.0


def test_predictions_are_replaced_when_the_surrogate_is_refitted(configured, instant, task, tmp_path):
    study = run(configured("search.generations=2", "surrogate.designs=2"), tmp_path / "s", task)
    versions = [r.surrogate_version for r in study.state.recalibrations]
    assert len(set(versions)) == 2
    source = f"surrogate {versions[-1]}"
    for candidate in study.state.candidates.values():
        assert {m.source for m in candidate.predicted.values()} == {source}
        assert {m.source for m in candidate.asked.predicted} != {source}
    assert study.state.recalibrations[0].summary["n_new"] == 2


def test_without_rescoring_every_candidate_keeps_what_was_predicted(configured, instant, task, tmp_path):
    study = run(configured("surrogate.rescore=false"), tmp_path / "s", task)
    for candidate in study.state.candidates.values():
        assert tuple(candidate.predicted.values()) == candidate.asked.predicted
    assert all(not r.predicted for r in study.state.recalibrations)


def test_without_recalibration_and_front_nothing_is_synthesised(configured, instant, task, tmp_path):
    study = run(configured("surrogate.recalibrate_every=0", "synthesis.front_designs=0"), tmp_path / "s", task)
    assert instant.calls == []
    assert study.front(Stage.SYNTHESISED) == []
    assert study.state.finished is not None


def test_a_front_holds_one_stage_alone(configured, instant, task, tmp_path):
    traced_only = []

    def fail(network):
        if not traced_only:
            traced_only.append(network.digest)
        return (FailureKind.TOOL_TIMEOUT, Stage.TRACED) if network.digest in traced_only else None

    instant.fail = fail
    study = run(configured("surrogate.designs=2"), tmp_path / "s", task)
    state = study.state
    for stage in (Stage.TRACED, Stage.SYNTHESISED):
        front = study.front(stage)
        assert front
        for one in front:
            record = one.record(stage)
            assert record.stage == stage
            assert state.losses(one.candidate, stage)[1] == record.lut
    (victim,) = [c for c in state.candidates.values() if c.network and study.network(c.candidate).digest in traced_only]
    assert victim.record(Stage.TRACED) is not None
    assert victim.record(Stage.SYNTHESISED) is None
    assert victim.synthesis_failure.kind is FailureKind.TOOL_TIMEOUT
    assert victim not in study.front("synthesised")
    assert victim.handed_over is None
    frame = study.to_frame()
    assert np.isnan(frame.loc[victim.candidate, "synthesised_lut"])
    assert frame.loc[victim.candidate, "traced_lut"] == victim.record(Stage.TRACED).lut
    assert study.front(Stage.CSYNTH) == study.front("routed") == []
    with pytest.raises(ConfigurationError, match="stage"):
        study.front("guessed")


def test_a_mismatch_never_reaches_the_verified_front(configured, instant, task, tmp_path):
    instant.fail = lambda _network: (FailureKind.MISMATCH, Stage.SYNTHESISED)
    study = run(configured(), tmp_path / "s", task)
    assert instant.calls
    assert study.front(Stage.SYNTHESISED) == []
    assert not (tmp_path / "s" / "designs").exists()
    assert [r.summary for r in study.state.recalibrations] == [{}, {}]
    assert len({r.surrogate_version for r in study.state.recalibrations}) == 1


@pytest.mark.parametrize("kind", list(FailureKind))
def test_any_failure_of_synthesis_is_recorded_and_the_study_goes_on(kind, configured, instant, task, tmp_path):
    instant.fail = lambda _network: (kind, None)
    study = run(configured("search.generations=1"), tmp_path / "s", task)
    assert {e.failure.kind for e in study.state.synthesised} == {kind}
    assert study.state.finished is not None
    assert study.front() != []


def test_a_backend_that_raises_or_is_missing(configured, instant, task, tmp_path):
    def crash(_network):
        raise ZeroDivisionError("in the backend")

    instant.fail = crash
    study = run(configured("search.generations=1"), tmp_path / "a", task)
    assert {e.failure.kind for e in study.state.synthesised} == {FailureKind.WORKER_DIED}
    with Study(configured("search.generations=1"), tmp_path / "b", task=task) as study:
        instant.missing = "uninstalled while the study ran"
        study.run()
    assert {e.failure.kind for e in study.state.synthesised} == {FailureKind.TOOL_MISSING}
    assert "uninstalled" in study.state.synthesised[0].failure.message


def test_what_synthesis_cannot_do_is_said_before_anything_is_trained(configured, instant, task, tmp_path):
    with pytest.raises(ConfigurationError, match="unknown"):
        Study(configured("synthesis.part=unknown"), tmp_path / "a", task=task)
    instant.missing = "not installed"
    with pytest.raises(ConfigurationError, match=r"synthesis.backend.*not installed"):
        Study(configured(), tmp_path / "a", task=task)
    assert not (tmp_path / "a").exists()
    never = configured("surrogate.recalibrate_every=0", "synthesis.front_designs=0")
    Study(never, tmp_path / "a", task=task).close()


def hostile(verdict):
    """Training in which `verdict(seed)` may raise or give a Failure."""

    def train(task, spec, learning_rate, seed, training, norm):
        result = verdict(seed)
        return result or instant_training(task, spec, learning_rate, seed, training, norm)

    return one_by_one(train)


def test_failed_candidates_are_values_and_never_numbers(configured, instant, task, tmp_path, monkeypatch):
    def verdict(seed):
        if seed % 3 == 0:
            return Failure(FailureKind.DIVERGED, "the loss is nan")
        if seed % 3 == 1:
            raise RuntimeError("a bug")
        return None

    monkeypatch.setattr(evonas.study.training, "train_stack", hostile(verdict))
    study = run(configured("search.population_size=8"), tmp_path / "s", task)
    failed = {n: c for n, c in study.state.candidates.items() if c.failure}
    assert {c.failure.kind for c in failed.values()} == {FailureKind.DIVERGED, FailureKind.WORKER_DIED}
    told = {n: v for g in study.state.generations for n, v in g.told.losses.items()}
    for number, candidate in study.state.candidates.items():
        assert (told[number] is None) == (number in failed)
        assert bool(candidate.measured) != (number in failed)
        assert candidate.value("error", Stage.PREDICTED) is None or number not in failed
    assert not {c.candidate for c in study.front()} & set(failed)
    frame = study.to_frame()
    assert set(frame.index[frame["failure"].notna()]) == set(failed)


def test_when_every_first_candidate_fails_the_study_stops_clearly_and_can_go_on(
    configured, instant, task, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        broken = hostile(lambda _seed: Failure(FailureKind.DIVERGED, "the loss is nan"))
        patch.setattr(evonas.study.training, "train_stack", broken)
        with Study(configured(), tmp_path / "s", task=task) as study:
            with pytest.raises(StudyError, match=r"every candidate of the first generation failed.*the loss is nan"):
                study.run()
            assert study.front() == []
    with Study.resume(tmp_path / "s", task=task) as study:
        study.run()
        assert study.front() != []
        assert study.state.finished is not None


def test_candidates_over_budget_are_not_trained(configured, instant, task, tmp_path):
    config = configured("search.population_size=8", "search.constraints=[{metric='lut', upper=80}]")
    study = run(config, tmp_path / "s", task)
    dropped = [c for c in study.state.candidates.values() if c.asked.dropped]
    trained = [c for c in study.state.candidates.values() if not c.asked.dropped]
    assert dropped
    assert trained
    for candidate in dropped:
        assert candidate.predicted["lut"].value > 80
        assert candidate.asked.violations["lut"] > 0
        assert not candidate.measured
        assert study.state.generations[candidate.generation].told.losses[candidate.candidate] is None
    assert task.asked.count("train") == len(trained) + 1  # once for the description
    assert all(c.predicted["lut"].value <= 80 for c in study.front())


def test_a_constraint_that_nothing_meets_ends_the_study(configured, instant, task, tmp_path):
    config = configured("search.generations=3", "search.constraints=[{metric='lut', upper=1}]")
    study = run(config, tmp_path / "s", task)
    assert len(study.state.generations) == 3
    assert all(c.asked.dropped for c in study.state.candidates.values())
    assert study.front() == []
    assert study.state.finished is not None
    again = make_task()
    with Study(config, tmp_path / "again", task=again) as study:
        assert study.ask() == []


def test_a_constraint_on_what_training_measures(configured, instant, task, tmp_path):
    study = run(configured("search.constraints=[{metric='error', upper=0.6}]"), tmp_path / "s", task)
    assert not any(c.asked.dropped for c in study.state.candidates.values())
    assert all(c.measured["error"].value <= 0.6 for c in study.front())


@pytest.mark.parametrize(
    "objectives",
    [
        "[{metric='error'}]",
        "[{metric='accuracy', direction='maximise'}, {metric='lut'}]",
        "[{metric='lut'}, {metric='latency_ns'}]",
        "[{metric='error'}, {metric='latency_ns'}, {metric='lut'}, {metric='dsp'}]",
    ],
)
@pytest.mark.parametrize("algorithm", ["nsga2", "random"])
def test_any_number_of_objectives(objectives, algorithm, configured, instant, task, tmp_path):
    config = configured(f"search.objectives={objectives}", f"search.algorithm={algorithm}")
    study = run(config, tmp_path / "s", task)
    front = study.front()
    assert front
    losses = [study.state.losses(c.candidate, Stage.PREDICTED) for c in front]
    assert all(len(v) == objectives.count("metric") for v in losses)
    for one in losses:
        assert not any(other != one and all(a <= b for a, b in zip(other, one, strict=True)) for other in losses)
    volumes = [g.told.hypervolume for g in study.state.generations]
    assert all(0 <= v <= 1 for v in volumes)
    if "accuracy" in objectives:
        best = max(c.measured["accuracy"].value for c in study.state.candidates.values())
        assert front[0].measured["accuracy"].value == best


def test_an_exhausted_space_ends_the_study(configured, instant, task, tmp_path):
    config = configured(
        "search.generations=50",
        "space.depth=[1,1]",
        "space.widths=[2]",
        "space.weight_bits=[3]",
        "space.activation_bits=[3]",
        "space.input_bits=[4]",
        "space.activations=['relu']",
        "space.learning_rate=[0.01]",
        "space.sparsity=[0.0, 0.3]",
        "surrogate.recalibrate_every=0",
    )
    study = run(config, tmp_path / "s", task)
    assert len(study.state.candidates) == 4
    assert study.state.finished is not None


def test_running_in_pieces_is_running_at_once(configured, instant, tmp_path):
    config = configured("search.generations=3")
    run(config, tmp_path / "whole", make_task())
    with Study(config, tmp_path / "pieces", task=make_task()) as study:
        study.run(generations=1)
        assert study.state.finished is None
        study.run(generations=1)
    with Study.resume(tmp_path / "pieces", task=make_task()) as study:
        study.run(generations=5)
        study.run()  # a finished study has nothing left to do
    assert story(tmp_path / "pieces") == story(tmp_path / "whole")


def test_a_study_is_never_overwritten(configured, instant, task, tmp_path):
    Study(configured(), tmp_path, task=task).close()
    with pytest.raises(StudyExistsError, match="evonas resume"):
        Study(configured(), tmp_path, task=task)


def test_a_study_that_cannot_begin_leaves_no_lock(configured, instant, task, tmp_path, monkeypatch):
    from evonas.store.event_log import EventLog

    def full(self, kind, body):
        raise StudyError("no free disk")

    with monkeypatch.context() as patch:
        patch.setattr(EventLog, "append", full)
        with pytest.raises(StudyError, match="no free disk"):
            Study(configured(), tmp_path, task=task)
    with pytest.raises(StudyError, match="log without a beginning; run the study again"):
        Study.resume(tmp_path, task=task)
    Study(configured(), tmp_path, task=task).close()


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_directory_that_cannot_be_made(place, configured, instant, task, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StudyError, match=r"cannot be created|cannot be written"):
        Study(configured(), tmp_path / place, task=task)


def test_bad_settings_leave_no_directory(configured, instant, task, tmp_path):
    for change in ("space.widths=[]", "surrogate.start_records=/does/not/exist.jsonl"):
        with pytest.raises(ConfigurationError):
            Study(configured(change), tmp_path / "s", task=task)
    assert not (tmp_path / "s").exists()


def test_progress_is_told(configured, instant, task, tmp_path):
    seen = []

    class Watch:
        def happened(self, event, state):
            seen.append(event.kind)

        def progress(self, progress):
            seen.append((progress.activity, progress.done, progress.total))

    run(configured("search.generations=1"), tmp_path / "s", task, observers=[Watch()])
    assert [s for s in seen if s[0] == "train"] == [("train", done, 4) for done in range(5)]
    assert [s for s in seen if isinstance(s, str)] == kinds(tmp_path / "s")


def test_a_worker_that_dies_with_a_stack_costs_the_guilty_alone(configured, instant, task, tmp_path, monkeypatch):
    killed = []

    class Mourning:
        capacity = 1

        def __init__(self):
            self.jobs = []

        def submit(self, job):
            self.jobs.append(job)

        def collect(self, timeout_s=None, told=None):
            failure = Failure(FailureKind.WORKER_DIED, "killed by signal 9")
            jobs, self.jobs = self.jobs, []
            return [
                Outcome(j.key, failure=failure) if dies(j) else Outcome(j.key, j.function(task, *j.arguments))
                for j in jobs
            ]

        def close(self):
            pass

    def dies(job):
        if job.function is not instant_stack:
            return False
        seeds = [order.seeds[0] for order in job.arguments[0]]
        killed.extend(seeds[:1] if not killed else [])
        return killed[0] in seeds

    monkeypatch.setattr(evonas.study.workers, "executor", lambda *_: Mourning())
    study = run(configured("search.population_size=16"), tmp_path / "s", task)
    first = [study.state.candidates[n] for n in study.state.generations[0].candidates]
    failed = [c for c in first if c.failure is not None]
    assert [c.failure.message for c in failed] == ["killed by signal 9"]
    assert sum(bool(c.measured) for c in first) == len(first) - 1


def test_the_surrogate_shipped_in_the_library_does_it_as_well(configured, task, tmp_path, monkeypatch):
    from fakes.backend import InstantBackend

    import evonas.synthesis

    backend = InstantBackend()
    monkeypatch.setattr(evonas.synthesis, "choose", lambda *_, **__: backend)
    config = configured("surrogate.designs=2", "surrogate.recalibrate_every=2", "training.epochs=1")
    study = run(config, tmp_path / "s", task)
    (recalibration,) = study.state.recalibrations
    assert recalibration.summary["n_new"] == len(study.state.chosen[0].picks) == 2
    assert recalibration.summary["before"]["all"]["lut"]["n"] == 2
    assert study.front("synthesised")
    with Study.resume(tmp_path / "s", task=task) as again:
        assert again.forecast.version == recalibration.surrogate_version
        specs = [c.spec for c in study.state.candidates.values()]
        assert again.forecast.predict(specs) == [tuple(c.predicted.values()) for c in study.state.candidates.values()]


def test_the_spy_sees_what_is_read(task):
    assert isinstance(task, SpyTask)
    task.split("test")
    assert task.asked == ["test"]
