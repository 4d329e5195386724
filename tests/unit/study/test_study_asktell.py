"""The study driven by hand: the user's own training, and what happens when it is used wrongly."""

from __future__ import annotations

import pytest
from fakes.studies import make_task, random_network, story

from evonas.errors import ConfigurationError, Failure, FailureKind, ProtocolError
from evonas.objectives import Measurement
from evonas.study.study import Study, load_study
from surrogates import Stage


@pytest.fixture
def study(configured, instant, task, tmp_path):
    with Study(configured("search.generations=2"), tmp_path / "s", task=task) as one:
        yield one


def accuracy(candidate):
    return 0.3 + 0.6 * (candidate.candidate % 7) / 7


def drive(study, generations):
    for _ in range(generations):
        for candidate in study.ask():
            network = random_network(candidate.spec, candidate.candidate)
            scores = {"accuracy": accuracy(candidate), "error": 1 - accuracy(candidate)}
            study.tell(candidate.candidate, scores, network, epochs=3, wall_time_s=1.0)


def test_a_search_with_training_of_ones_own(study, tmp_path):
    drive(study, 2)
    assert [kind for kind, _ in story(tmp_path / "s")].count("told") == 2
    assert len(study.front()) > 0
    assert study.state.candidates[0].epochs == 3
    drive(study, 2)  # the configured number of generations binds `run` alone
    assert len(study.state.generations) == 4


def test_run_goes_on_with_what_was_told_by_hand(study):
    drive(study, 1)
    study.run()
    assert study.state.finished is not None
    assert study.front("synthesised")


def test_asking_by_hand_gives_the_same_candidates_as_running(study, configured, tmp_path):
    with Study(configured(), tmp_path / "other", task=make_task()) as other:
        first = [c.asked.genome for c in other.ask()]
    assert [c.asked.genome for c in study.ask()] == first


def test_results_may_come_in_any_order(study, configured, tmp_path):
    with Study(configured(), tmp_path / "other", task=make_task()) as other:
        for one, turn in ((study, 1), (other, -1)):
            for _ in range(2):
                for c in one.ask()[::turn]:
                    one.tell(c.candidate, {"error": 1 - accuracy(c)})
        genomes = [[c.asked.genome for c in one.state.candidates.values()] for one in (study, other)]
        assert genomes[0] == genomes[1]
        assert [g.told.losses for g in study.state.generations] == [g.told.losses for g in other.state.generations]


def test_asking_twice(study):
    study.ask()
    with pytest.raises(ProtocolError, match="ask was called twice"):
        study.ask()


def test_telling_what_was_not_asked(study):
    with pytest.raises(ProtocolError, match="candidate 0 was not asked for"):
        study.tell(0, {"error": 0.5})
    study.ask()
    for candidate in (99, -1):
        with pytest.raises(ProtocolError, match="not asked for"):
            study.tell(candidate, {"error": 0.5})
    study.tell(0, {"error": 0.5})
    with pytest.raises(ProtocolError, match="told already"):
        study.tell(0, {"error": 0.5})


@pytest.mark.parametrize("scores", [{}, {"accuracy": 0.5}, {"auc": 0.5}])
def test_a_measurement_that_lacks_an_objective(study, scores, tmp_path):
    study.ask()
    with pytest.raises(ProtocolError, match="measurement"):
        study.tell(0, scores)
    assert story(tmp_path / "s")[-1][0] == "asked"
    study.tell(0, {"error": 0.5})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_none(study, value, tmp_path):
    study.ask()
    with pytest.raises(ConfigurationError, match="a failure is a Failure"):
        study.tell(0, {"error": value})
    assert story(tmp_path / "s")[-1][0] == "asked"


def test_an_empty_measurement_is_refused_even_without_task_objectives(configured, instant, task, tmp_path):
    config = configured("search.objectives=[{metric='lut'}]")
    with Study(config, tmp_path / "s", task=task) as study:
        study.ask()
        with pytest.raises(ProtocolError, match="empty"):
            study.tell(0, {})


def test_a_failure_and_ready_made_measurements(study):
    study.ask()
    study.tell(0, Failure(FailureKind.DIVERGED, "nan"))
    study.tell(1, [Measurement("error", 0.25, "my own split", 0.01)])
    assert study.state.candidates[0].failure.kind is FailureKind.DIVERGED
    assert study.state.candidates[1].measured["error"].source == "my own split"


def test_a_candidate_told_without_network_is_never_synthesised(study, instant):
    drive_without = [c for _ in range(2) for c in _tell_scores(study)]
    study.run()
    assert len(drive_without) == 8
    assert study.front()
    assert instant.calls == []
    with pytest.raises(ProtocolError, match="no trained network"):
        study.network(0)


def _tell_scores(study):
    asked = study.ask()
    for candidate in asked:
        study.tell(candidate.candidate, {"error": 1 - accuracy(candidate)})
    return asked


def test_accuracy_alone_is_enough_for_a_recalibration(configured, instant, task, tmp_path):
    config = configured("search.objectives=[{metric='accuracy', direction='maximise'}, {metric='lut'}]")
    with Study(config, tmp_path / "s", task=task) as study:
        for candidate in study.ask():
            network = random_network(candidate.spec, candidate.candidate)
            study.tell(candidate.candidate, {"accuracy": accuracy(candidate)}, network)
        study.run()
        assert study.state.synthesised
        assert study.state.finished is not None


def test_half_a_generation_survives_closing(study, task, tmp_path):
    asked = study.ask()
    for candidate in asked[:2]:
        study.tell(candidate.candidate, {"error": 1 - accuracy(candidate)})
    study.close()
    with Study.resume(tmp_path / "s", task=task) as again:
        left = again.ask()
        assert [c.asked for c in left] == [c.asked for c in asked[2:]]


def test_a_study_opened_for_reading_can_only_be_looked_at(study, tmp_path):
    drive(study, 1)
    reader = load_study(tmp_path / "s")
    assert [c.candidate for c in reader.front()] == [c.candidate for c in study.front()]
    assert len(reader.to_frame()) == 4
    assert reader.network(0).digest == study.network(0).digest
    for call in (reader.ask, reader.run, lambda: reader.tell(0, {"error": 0.5}), lambda: reader.task):
        with pytest.raises(ProtocolError, match=r"opened for reading; use Study\.resume"):
            call()
    reader.close()
    drive(study, 1)  # the reader has not taken the lock
    assert len(load_study(tmp_path / "s").state.generations) == 2


def test_loading_while_it_runs(configured, instant, task, tmp_path):
    sizes = []

    class Watch:
        def happened(self, event, state):
            with load_study(tmp_path / "s") as reader:
                sizes.append((len(reader.state.candidates), len(state.candidates)))

        def progress(self, progress):
            pass

    with Study(configured(), tmp_path / "s", task=task, observers=[Watch()]) as study:
        study.run()
    assert sizes
    assert all(seen == there for seen, there in sizes)


def test_the_data_frame_has_one_column_per_stage(configured, instant, task, tmp_path):
    with Study(configured(), tmp_path / "s", task=task) as study:
        assert study.to_frame().empty
        study.run()
        frame = study.to_frame()
    assert list(frame.index) == list(range(8))
    assert {"predicted_lut", "traced_lut", "synthesised_lut", "validation_error", "test_accuracy"} <= set(frame.columns)
    assert not {"lut", "error", "accuracy"} & set(frame.columns)
    for candidate in study.state.candidates.values():
        record = candidate.record(Stage.SYNTHESISED)
        if record is not None:
            assert frame.loc[candidate.candidate, "synthesised_latency_ns"] == record.latency_ns
