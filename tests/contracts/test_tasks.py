"""What every task promises, whatever its data."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from fakes.studies import make_task

from evonas.errors import ConfigurationError, DataError
from evonas.tasks import ArrayTask, arrays, load_task
from evonas.tasks.base import SPLIT_NAMES, area_under_curve


def from_file(tmp_path):
    rng = np.random.default_rng(1)
    y = np.arange(200) % 2
    path = tmp_path / "mine.npz"
    np.savez(path, x=rng.normal(size=(200, 3)) * [1, 50, 0.01] + [0, 9, 1] + y[:, None], y=y)
    return arrays(path)


@pytest.fixture(params=["memory", "file", "spy"])
def one(request, tmp_path):
    if request.param == "file":
        return from_file(tmp_path)
    spy = make_task()
    return spy if request.param == "spy" else spy.inner


def test_the_splits_have_the_promised_shapes(one):
    for name in SPLIT_NAMES:
        split = one.split(name)
        assert split.x.shape == (len(split), one.n_inputs)
        assert split.y.shape == (len(split),)
        assert split.x.dtype == np.float32
        assert split.y.dtype == np.int64
        assert np.isfinite(split.x).all()
        assert np.abs(split.x).max() <= 4.0
        assert set(np.unique(split.y)) <= set(range(one.n_classes))
    assert len(one.class_names) == one.n_classes
    assert len(one.feature_names) == one.n_inputs
    assert one.provenance


def test_the_splits_are_always_the_same(one):
    for name in SPLIT_NAMES:
        np.testing.assert_array_equal(one.split(name).x, one.split(name).x)


def test_a_task_reaches_a_worker_unchanged(one):
    again = pickle.loads(pickle.dumps(one))
    assert again.digest == one.digest
    np.testing.assert_array_equal(again.split("validation").x, one.split("validation").x)


def test_the_splits_are_disjoint_and_together_everything():
    task = make_task().inner
    rows = np.concatenate([task.rows(name) for name in SPLIT_NAMES])
    assert sorted(rows) == list(range(len(task.y)))


def test_only_the_training_split_decides_the_preparation():
    task = make_task().inner
    train = task.split("train").x
    assert np.abs(np.clip(train, -3.9, 3.9).mean(axis=0)).max() < 0.05
    changed = task.x.copy()
    changed[task.rows("test")] = 1000.0
    other = ArrayTask("t", changed, task.y, task.class_names, task.feature_names, "", task.seed, task.fractions)
    np.testing.assert_array_equal(other.mean, task.mean)
    assert other.digest != task.digest


def test_the_scores(one):
    split = one.split("validation")
    perfect = np.eye(one.n_classes)[split.y] * 5
    scores = one.score(perfect, split)
    assert scores["accuracy"] == 1.0
    assert scores["error"] == 0.0
    assert {name for name in scores if name.startswith("auc_")} == {f"auc_{c}" for c in one.class_names}
    assert all(scores[f"auc_{c}"] == 1.0 for c in one.class_names)
    assert one.score(-perfect, split)["accuracy"] < 0.6
    blind = one.score(np.zeros_like(perfect), split)
    assert all(blind[f"auc_{c}"] == 0.5 for c in one.class_names)
    huge = one.score(perfect * 1e6, split)
    assert all(np.isfinite(v) for v in huge.values())


def test_the_digest_follows_data_seed_and_preparation():
    base = make_task().inner
    fields = {"x": base.x, "y": base.y, "seed": 0, "fractions": (0.6, 0.2, 0.2), "clip": 4.0}
    changed_x = base.x.copy()
    changed_x[0, 0] += 1
    variants = [{}, {"seed": 1}, {"clip": 3.0}, {"fractions": (0.5, 0.25, 0.25)}, {"x": changed_x}]
    digests = [
        ArrayTask(
            name="t", class_names=base.class_names, feature_names=base.feature_names, provenance="", **fields | v
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
        "class_names": ("a", "b"),
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
