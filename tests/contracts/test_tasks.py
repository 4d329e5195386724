"""What every task promises, whatever its data."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from fakes.studies import make_task

from evonas.errors import ConfigurationError, DataError
from evonas.tasks import ArrayTask, arrays, load_task
from evonas.tasks.preparation import SPLIT_NAMES
from evonas.tasks.scores import area_under_curve


def from_file(tmp_path):
    rng = np.random.default_rng(1)
    y = np.arange(200) % 2
    path = tmp_path / "mine.npz"
    np.savez(path, x=rng.normal(size=(200, 3)) * [1, 50, 0.01] + [0, 9, 1] + y[:, None], y=y)
    return arrays(path)


def regression():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(300, 6))
    y = np.stack([100 + 5 * x[:, 0] + rng.normal(size=300), 0.01 * x[:, 1] + 0.001 * rng.normal(size=300)], axis=1)
    names = tuple(f"x{i}" for i in range(6))
    return ArrayTask("r", x, y, ("mass", "angle"), names, "made up", goal="regression", n_positions=3, unit="GeV")


def anomaly():
    rng = np.random.default_rng(3)
    label = (rng.random(400) < 0.2).astype(int)
    x = rng.normal(size=(400, 4)) * np.where(label, 5.0, 1.0)[:, None]
    return ArrayTask("a", x, label, (), tuple("abcd"), "made up", goal="anomaly")


@pytest.fixture(params=["memory", "file", "spy"])
def one(request, tmp_path):
    if request.param == "file":
        return from_file(tmp_path)
    spy = make_task()
    return spy if request.param == "spy" else spy.inner


@pytest.fixture(params=["memory", "file", "spy", "regression", "anomaly", "bragg"])
def any_goal(request, tmp_path):
    made = {
        "memory": lambda: make_task().inner,
        "file": lambda: from_file(tmp_path),
        "spy": make_task,
        "regression": regression,
        "anomaly": anomaly,
        "bragg": lambda: load_task("bragg", n_peaks=300),
    }
    return made[request.param]()


def perfect_outputs(task, split):
    """What a network without any error gives."""
    return np.eye(task.n_outputs)[split.y] * 5 if task.goal == "classification" else split.y.astype(np.float64)


def test_the_splits_have_the_promised_shapes(any_goal):
    task = any_goal
    for name in SPLIT_NAMES:
        split = task.split(name)
        assert split.x.shape == (len(split), task.n_inputs)
        assert split.x.dtype == np.float32
        assert np.isfinite(split.x).all()
        assert np.abs(split.x).max() <= task.clip
        if task.goal == "classification":
            assert split.y.shape == (len(split),)
            assert split.y.dtype == np.int64
            assert set(np.unique(split.y)) <= set(range(task.n_outputs))
        else:
            assert split.y.shape == (len(split), task.n_outputs)
            assert split.y.dtype == np.float32
        assert len(split.head(3)) == 3
    assert task.shape[0] * task.shape[1] == task.n_inputs
    assert len(task.output_names) == task.n_outputs
    assert len(task.feature_names) == task.n_inputs
    assert task.provenance
    assert task.error_definition


def test_the_error_is_least_for_a_perfect_network_and_the_mean_of_the_errors_of_rows(any_goal):
    task, rng = any_goal, np.random.default_rng(0)
    split = task.split("validation")
    perfect = perfect_outputs(task, split)
    noisy = perfect + rng.normal(size=perfect.shape) * (6.0 if task.goal == "classification" else 0.5)
    assert all(np.isfinite(v) for v in task.score(noisy, split).values())
    if task.goal == "anomaly":  # giving everything back says nothing of what is normal
        assert task.score(perfect, split)["error"] == 0.5
        assert task.score(np.zeros_like(perfect), split)["error"] < 0.1
    else:
        assert task.score(perfect, split)["error"] == pytest.approx(0, abs=1e-6)
        assert task.score(noisy, split)["error"] > task.score(perfect, split)["error"]
    each = task.sample_errors(noisy, split)
    assert (each is None) == (task.goal == "anomaly" or task.name == "r")
    if each is not None:
        assert each.shape == (len(split),)
        assert each.mean() == pytest.approx(task.score(noisy, split)["error"])


def test_the_splits_are_always_the_same(any_goal):
    for name in SPLIT_NAMES:
        np.testing.assert_array_equal(any_goal.split(name).x, any_goal.split(name).x)


def test_a_task_reaches_a_worker_unchanged(any_goal):
    again = pickle.loads(pickle.dumps(any_goal))
    assert again.digest == any_goal.digest
    np.testing.assert_array_equal(again.split("validation").y, any_goal.split("validation").y)


@pytest.mark.parametrize("make", [lambda: make_task().inner, regression, anomaly])
def test_the_splits_are_disjoint_and_together_everything(make):
    task = make()
    rows = np.concatenate([task.rows(name) for name in SPLIT_NAMES])
    assert sorted(rows) == list(range(len(task.y)))


def test_only_the_training_split_decides_the_preparation():
    task = make_task().inner
    train = task.split("train").x
    assert np.abs(np.clip(train, -3.9, 3.9).mean(axis=0)).max() < 0.05
    changed = task.x.copy()
    changed[task.rows("test")] = 1000.0
    other = ArrayTask("t", changed, task.y, task.output_names, task.feature_names, "", task.seed, task.fractions)
    np.testing.assert_array_equal(other.mean, task.mean)
    assert other.digest != task.digest


def test_the_scores(one):
    split = one.split("validation")
    perfect = np.eye(one.n_outputs)[split.y] * 5
    scores = one.score(perfect, split)
    assert scores["accuracy"] == 1.0
    assert scores["error"] == 0.0
    assert {name for name in scores if name.startswith("auc_")} == {f"auc_{c}" for c in one.output_names}
    assert all(scores[f"auc_{c}"] == 1.0 for c in one.output_names)
    assert one.score(-perfect, split)["accuracy"] < 0.6
    blind = one.score(np.zeros_like(perfect), split)
    assert all(blind[f"auc_{c}"] == 0.5 for c in one.output_names)
    huge = one.score(perfect * 1e6, split)
    assert all(np.isfinite(v) for v in huge.values())


def test_the_digest_follows_data_seed_and_preparation():
    base = make_task().inner
    fields = {"x": base.x, "y": base.y, "seed": 0, "fractions": (0.6, 0.2, 0.2), "clip": 4.0}
    changed_x = base.x.copy()
    changed_x[0, 0] += 1
    variants = [{}, {"seed": 1}, {"clip": 3.0}, {"fractions": (0.5, 0.25, 0.25)}, {"x": changed_x}]
    variants += [{"standardise": "features"}, {"n_positions": 5}]
    digests = [
        ArrayTask(
            name="t", output_names=base.output_names, feature_names=base.feature_names, provenance="", **fields | v
        ).digest
        for v in variants
    ]
    assert digests[0] == base.digest
    assert len(set(digests)) == len(digests)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"clip": 0.0}, ConfigurationError),
        ({"clip": float("nan")}, ConfigurationError),
        ({"fractions": (0.5, 0.5, 0.5)}, ConfigurationError),
        ({"fractions": (1.0, 0.0, 0.0)}, ConfigurationError),
        ({"goal": "generation"}, ConfigurationError),
        ({"standardise": "rows"}, ConfigurationError),
        ({"n_positions": 3}, ConfigurationError),
        ({"image": (2, 2)}, ConfigurationError),
        ({"metric": "no.such.package:f"}, ConfigurationError),
        ({"metric": "os.path"}, ConfigurationError),
        ({"metric": "os:nothing"}, ConfigurationError),
        ({"metric": "os:name"}, ConfigurationError),
        ({"metric_as_error": True}, ConfigurationError),
        ({"x": np.full((4, 2), np.nan)}, DataError),
        ({"x": np.zeros((0, 2)), "y": np.zeros(0)}, DataError),
        ({"x": np.zeros(4)}, DataError),
        ({"y": np.zeros(3)}, DataError),
        ({"y": np.full(4, 7)}, DataError),
        ({"y": np.zeros(4)}, DataError),
        ({"feature_names": ("a",)}, DataError),
        ({}, DataError),  # four rows leave fewer than two classes in a split
    ],
)
def test_unsound_data_are_refused(change, error):
    fields = {
        "name": "t",
        "x": np.zeros((4, 2)),
        "y": np.arange(4) % 2,
        "output_names": ("a", "b"),
        "feature_names": ("u", "v"),
        "provenance": "",
    }
    with pytest.raises(error):
        ArrayTask(**fields | change)


def test_an_unknown_split_or_task_or_option():
    with pytest.raises(ConfigurationError, match="train, validation, test"):
        make_task().split("holdout")
    with pytest.raises(ConfigurationError, match="must be one of"):
        load_task("tetris")
    with pytest.raises(ConfigurationError, match="needs this option"):
        load_task("arrays")
    with pytest.raises(ConfigurationError, match="no such option"):
        load_task("arrays", path="x.npz", colour="red")


def test_the_area_under_the_curve_is_a_probability_of_order():
    rng = np.random.default_rng(0)
    score, positive = rng.integers(0, 5, 60).astype(float), rng.random(60) < 0.4
    pairs = [(a > b) + 0.5 * (a == b) for a in score[positive] for b in score[~positive]]
    assert area_under_curve(score, positive) == pytest.approx(np.mean(pairs))
    assert area_under_curve(score, np.ones(60, bool)) == 0.5
