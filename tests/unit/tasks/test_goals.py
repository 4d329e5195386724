"""Regression, anomaly detection, and metrics of one's own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evonas.errors import ConfigurationError, DataError
from evonas.study.identity import describe, preparation
from evonas.tasks import ArrayTask, arrays, load_task
from evonas.tasks.preparation import moments
from evonas.tasks.scores import area_under_curve, false_positive_rate

METRICS = """
import numpy as np

def worst(outputs, targets):
    return np.abs(outputs - targets).max()

def tail(scores, labels):
    return float(scores[labels == 1].mean())

def hits(logits, classes):
    return float((logits.argmax(axis=1) == classes).sum())

def broken(outputs, targets):
    return float("nan")

def table(outputs, targets):
    return outputs

def error(outputs, targets):
    return 0.0
"""


@pytest.fixture
def own_metrics(tmp_path, monkeypatch):
    (tmp_path / "own_metrics_for_tests.py").write_text(METRICS)
    monkeypatch.syspath_prepend(tmp_path)
    return "own_metrics_for_tests"


def regression(**more):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    y = np.stack([1000 + 50 * x[:, 0], x[:, 1]], axis=1)
    return ArrayTask("r", x, y, ("mass", "angle"), ("a", "b", "c"), "made up", goal="regression", **more)


def anomaly(**more):
    rng = np.random.default_rng(1)
    label = (np.arange(500) % 5 == 0).astype(int)
    x = rng.normal(size=(500, 4)) * np.where(label, 4.0, 1.0)[:, None]
    return ArrayTask("a", x, label, (), tuple("abcd"), "made up", goal="anomaly", **more)


# --- regression


def test_targets_are_standardised_with_the_training_split_and_scored_in_their_unit():
    task = regression(unit="GeV")
    train, split = task.split("train"), task.split("test")
    np.testing.assert_allclose(train.y.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(train.y.std(axis=0), 1, atol=1e-5)
    off = split.y + np.array([2.0, 0.0]) / task.target_scale  # 2 GeV off in the first target
    scores = task.score(off, split)
    assert scores["rmse_mass"] == pytest.approx(2, rel=1e-4)
    assert scores["rmse_angle"] == pytest.approx(0, abs=1e-6)
    assert scores["rmse"] == scores["error"] == pytest.approx(np.sqrt(2), rel=1e-4)
    assert scores["mae"] == pytest.approx(1, rel=1e-4)
    assert task.error_definition == "RMSE, GeV"
    np.testing.assert_allclose(task.natural(split.y, split)[1], task.y[task.rows("test")], rtol=1e-5, atol=1e-5)


def test_the_log_and_the_handover_tell_how_to_undo_the_standardisation():
    task = regression()
    told = describe(task)
    assert told["goal"] == "regression"
    assert told["shape"] == [1, 3]
    assert told["output_names"] == ["mass", "angle"]
    known = preparation(task)
    assert known["target_mean"][0] == pytest.approx(1000, rel=0.02)
    assert known["target_scale"][0] == pytest.approx(50, rel=0.2)
    assert "target_mean" not in preparation(anomaly())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": np.zeros((20, 1))}, r"y has shape \(20, 1\); it must be \(20, 2\)"),
        ({"y": np.full((20, 2), np.nan)}, r"y\[0, 0\] \(u\) is nan, and 39 more"),
        ({"y": np.stack([np.arange(20), np.ones(20)], axis=1)}, "target v is the same in all rows"),
        ({"x": np.zeros((9, 1)), "y": np.zeros((9, 2))}, "9 rows are too few"),
        ({"fractions": (0.98, 0.01, 0.01)}, "the validation split is empty"),
    ],
)
def test_unsound_targets(change, message):
    rng = np.random.default_rng(0)
    fields = {"x": rng.normal(size=(20, 1)), "y": rng.normal(size=(20, 2)), "fractions": (0.6, 0.2, 0.2)} | change
    with pytest.raises(DataError, match=message):
        ArrayTask("t", output_names=("u", "v"), feature_names=("a",), provenance="", goal="regression", **fields)


# --- anomaly detection


def test_only_normal_rows_are_trained_on_and_the_inputs_are_the_target():
    task = anomaly()
    train = task.split("train")
    assert (train.labels == 0).all()
    assert task.n_outputs == task.n_inputs == 4
    assert task.output_names == task.feature_names
    shares = []
    for name in ("train", "validation", "test"):
        split = task.split(name)
        np.testing.assert_array_equal(split.x, split.y)
        np.testing.assert_array_equal(split.labels, task.y[task.rows(name)])
        shares.append(int(split.labels.sum()))
    assert shares == [0, 50, 50]
    np.testing.assert_allclose(task.mean, task.x[task.rows("train")].mean(axis=0), atol=1e-6)


def test_the_score_of_a_row_is_the_mean_square_of_what_is_not_given_back():
    task = anomaly()
    split = task.split("test")
    scores = task.score(np.zeros_like(split.x), split)
    expected = area_under_curve((split.x.astype(np.float64) ** 2).mean(axis=1), split.labels == 1)
    assert scores["auroc"] == pytest.approx(expected)
    assert scores["auroc"] > 0.9
    assert scores["error"] == 1 - scores["auroc"]
    assert scores["fpr_at_tpr40"] < 0.1


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=60), st.floats(0.05, 1.0))
def test_the_false_positive_rate_is_that_of_the_highest_threshold_that_accepts_enough(pairs, wanted):
    score = np.array([s for s, _ in pairs], float)
    positive = np.array([p for _, p in pairs])
    found = false_positive_rate(score, positive, wanted)
    if not positive.any():
        assert found == 1.0
        return
    enough = [t for t in range(7) if (score[positive] >= t).mean() >= wanted - 1e-9]
    negatives = score[~positive]
    assert found == (pytest.approx((negatives >= max(enough)).mean()) if len(negatives) else 0.0)


# --- preparation


def test_features_share_mean_and_scale_over_all_positions():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(300, 4, 2)) * [1.0, 10.0] + [5.0, -3.0] + np.arange(4)[:, None]
    y = np.arange(300) % 2
    task = ArrayTask(
        "t", x.reshape(300, 8), y, ("a", "b"), tuple("abcdefgh"), "", clip=100.0, n_positions=4, standardise="features"
    )
    assert task.shape == (4, 2)
    assert len(set(task.mean[::2])) == len(set(task.scale[1::2])) == 1
    train = task.split("train").x.reshape(-1, 2)
    np.testing.assert_allclose(train.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(train.std(axis=0), 1, atol=1e-4)
    shuffled = x[:, [2, 0, 3, 1]].reshape(300, 8)
    again = ArrayTask(
        "t", shuffled, y, ("a", "b"), tuple("abcdefgh"), "", clip=100.0, n_positions=4, standardise="features"
    )
    np.testing.assert_allclose(
        again.split("test").x.reshape(-1, 4, 2), task.split("test").x.reshape(-1, 4, 2)[:, [2, 0, 3, 1]], rtol=1e-6
    )


def test_a_constant_becomes_zero_and_none_leaves_everything():
    x = np.stack([np.full(5, 7.0), np.arange(5.0)], axis=1)
    mean, scale = moments(x, "columns", 1)
    assert ((x - mean) / scale)[:, 0].tolist() == [0.0] * 5
    assert [v.tolist() for v in moments(x, "none", 2)] == [[0.0, 0.0], [1.0, 1.0]]


# --- metrics of one's own


def test_a_metric_of_ones_own_is_reported_and_used_as_error_if_asked(own_metrics):
    task = regression(metric=f"{own_metrics}:worst")
    split = task.split("validation")
    outputs = split.y.copy()
    outputs[3] += np.array([7.0, 0.0]) / task.target_scale
    scores = task.score(outputs, split)
    assert scores["worst"] == pytest.approx(7, rel=1e-3)
    assert scores["error"] == scores["rmse"]
    steered = regression(metric=f"{own_metrics}:worst", metric_as_error=True)
    scores = steered.score(outputs, split)
    assert scores["error"] == scores["worst"] == pytest.approx(7, rel=1e-3)
    assert steered.error_definition == "worst"
    assert steered.sample_errors(outputs, split) is None


def test_what_a_metric_is_given(own_metrics, tmp_path):
    task = anomaly(metric=f"{own_metrics}:tail")
    split = task.split("validation")
    expected = (split.x[split.labels == 1].astype(np.float64) ** 2).mean()
    assert task.score(np.zeros(split.x.shape), split)["tail"] == pytest.approx(expected, rel=1e-6)
    np.savez(tmp_path / "c.npz", x=np.random.default_rng(0).normal(size=(100, 2)), y=np.arange(100) % 2)
    task = arrays(tmp_path / "c.npz", metric=f"{own_metrics}:hits", metric_as_error=True)
    split = task.split("test")
    assert task.score(np.eye(2)[split.y], split)["hits"] == len(split)


@pytest.mark.parametrize(("name", "returned"), [("broken", "nan"), ("table", "array")])
def test_a_metric_must_return_one_finite_number(own_metrics, name, returned):
    task = regression(metric=f"{own_metrics}:{name}")
    split = task.split("validation")
    with pytest.raises(ConfigurationError, match=rf"task.metric = .*:{name}.*returned {returned}"):
        task.score(split.y, split)


def test_a_metric_may_not_hide_a_built_in_one(own_metrics):
    with pytest.raises(ConfigurationError, match="bears the name of a built-in metric"):
        regression(metric=f"{own_metrics}:error")


# --- archives


def test_an_archive_of_targets_or_anomalies(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 4, 2)), rng.normal(size=60)
    np.savez(tmp_path / "r.npz", x=x, y=y, target_names=np.array(["pt"]))
    task = load_task("arrays", path=tmp_path / "r.npz", goal="regression", standardise="features", unit="GeV")
    assert (task.goal, task.shape, task.output_names) == ("regression", (4, 2), ("pt",))
    assert task.error_definition == "RMSE, GeV"
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(60) % 2)
    task = load_task("arrays", path=tmp_path / "a.npz", goal="anomaly", clip=3.0)
    assert (task.goal, task.n_outputs, task.clip) == ("anomaly", 8, 3.0)
    np.savez(tmp_path / "bad.npz", x=x, y=np.array(["a"] * 60))
    with pytest.raises(DataError, match="y has type <U1"):
        load_task("arrays", path=tmp_path / "bad.npz", goal="regression")
    with pytest.raises(ConfigurationError, match=r"task.goal = 'ranking'"):
        load_task("arrays", path=tmp_path / "a.npz", goal="ranking")
