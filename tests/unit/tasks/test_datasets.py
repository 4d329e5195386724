"""Data from Python: functions and torch data sets by import path."""

from __future__ import annotations

import numpy as np
import pytest

from evonas.errors import ConfigurationError, DataError
from evonas.tasks import load_task

CODE = """
import numpy as np
import torch
from torch.utils.data import Dataset, TensorDataset

N = 40
X = np.random.default_rng(0).normal(size=(N, 3)).astype(np.float32)
Y = np.arange(N) % 2

def pair(scale=1.0):
    return X * scale, Y

def named():
    return {"x": X, "y": np.stack([X[:, 0], X[:, 1]], axis=1), "target_names": ["u", "v"], "feature_names": list("abc")}

class Pictures(Dataset):
    def __init__(self, channels):
        self.channels = channels

    def __len__(self):
        return N

    def __getitem__(self, index):
        picture = torch.zeros(self.channels, 4, 5, requires_grad=True) + index
        picture = picture + torch.arange(self.channels)[:, None, None]
        return picture, int(Y[index])

made = TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))

class Uneven(Pictures):
    def __getitem__(self, index):
        return torch.zeros(2 if index == 7 else 3), 0

class Alone(Pictures):
    def __getitem__(self, index):
        return torch.zeros(3)

class Empty(Pictures):
    def __len__(self):
        return 0

def nothing(): pass
def no_y(): return {"x": X}
def transposed(): return X.T, Y
def ragged(): return [[1, 2], [3]], [0, 1]
def broken(): raise OSError("disc is gone")
def short(): return X, Y[:-1]
def nan(): return np.where(np.arange(3) == 1, np.nan, X), Y
number = 3
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    (tmp_path / "own_data_for_tests.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)

    def load(name, **options):
        return load_task("python", source=f"own_data_for_tests:{name}", **options)

    return load


def test_a_function_is_called_with_the_arguments(own):
    task = own("pair", arguments={"scale": 2.0})
    assert (task.name, task.shape, task.output_names) == ("pair", (1, 3), ("0", "1"))
    np.testing.assert_allclose(task.x, 2 * own("pair").x)


def test_a_dictionary_may_name_targets_and_features(own):
    task = own("named", goal="regression", unit="cm")
    assert (task.output_names, task.feature_names) == (("u", "v"), ("a", "b", "c"))


def test_torch_data_sets_made_or_by_class(own):
    assert own("made").n_inputs == 3
    task = own("Pictures", arguments={"channels": 2}, goal="anomaly", normal=1)
    assert (task.shape, task.image) == ((20, 2), (4, 5))
    assert task.x[6, :4].tolist() == [6, 7, 6, 7]  # channels last
    assert task.y[:2].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", r"gave a NoneType; it must be \(x, y\)"),
        ("no_y", "returned no y; the dictionary has x"),
        ("transposed", "40 rows of y for 3 rows of x"),
        ("short", "39 rows of y for 40 rows of x"),
        ("ragged", "x is no array"),
        ("nan", r"x\[0, 1\] \(x1\) is nan, and 39 more"),
        ("number", "gave a int"),
        ("X", r"gave a ndarray of shape \(40, 3\)"),
    ],
)
def test_what_cannot_be_used(own, name, message):
    with pytest.raises(DataError, match=message) as caught:
        own(name)
    assert f"own_data_for_tests:{name}" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Uneven", r"item 7 has shapes \(2,\) and \(\); those of item 0 are \(3,\)"),
        ("Alone", r"item 0 is a Tensor of shape \(3,\); it must be \(input, target\)"),
        ("Empty", "has no item"),
    ],
)
def test_data_sets_that_cannot_be_used(own, name, message):
    with pytest.raises(DataError, match=message):
        own(name, arguments={"channels": 1})


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("own_data_for_tests", "must look like package.module:name"),
        ("no_such_module_here:f", "cannot be imported .*PYTHONPATH"),
        ("own_data_for_tests:absent", "has no absent"),
        ("own_data_for_tests:broken", "raised OSError: disc is gone"),
        ("own_data_for_tests:Pictures", "raised TypeError"),
    ],
)
def test_import_paths(own, source, message):
    with pytest.raises(ConfigurationError, match=f"task.source.*{message}"):
        load_task("python", source=source)
    with pytest.raises(ConfigurationError, match=r"task.arguments.*is not called"):
        own("made", arguments={"root": "data"})
