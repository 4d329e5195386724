from __future__ import annotations

import numpy as np
import pytest

from evonas.errors import ConfigurationError, DataError
from evonas.tasks import arrays, load_task


def good(rng: np.random.Generator, n: int = 90) -> dict[str, np.ndarray]:
    return {
        "x": rng.normal(size=(n, 4)),
        "y": np.arange(n) % 3,
        "feature_names": np.array(["a", "b", "c", "d"]),
        "class_names": np.array(["red", "green", "blue"]),
    }


@pytest.fixture
def data():
    return good(np.random.default_rng(1))


@pytest.fixture
def save(tmp_path):
    def write(**content):
        np.savez(tmp_path / "mine.npz", **content)
        return tmp_path / "mine.npz"

    return write


def test_a_sound_archive(data, save):
    task = arrays(save(**data), seed=3)
    assert (task.name, task.n_inputs, task.n_outputs) == ("mine", 4, 3)
    assert task.output_names == ("red", "green", "blue")
    assert task.feature_names == ("a", "b", "c", "d")
    assert task.provenance == "user data mine.npz"
    train = task.split("train")
    assert train.x.dtype == np.float32
    assert train.y.dtype == np.int64
    np.testing.assert_allclose(train.x.mean(axis=0), 0, atol=1e-6)


def test_names_are_optional_and_labels_may_be_whole_floats(data, save):
    task = arrays(save(x=data["x"], y=data["y"].astype(float)), name="other")
    assert task.name == "other"
    assert task.output_names == ("class_0", "class_1", "class_2")
    assert task.feature_names == ("x0", "x1", "x2", "x3")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.zeros(90)}, r"x has shape \(90,\)"),
        ({"x": np.zeros((0, 4)), "y": np.zeros(0, int)}, r"x has shape \(0, 4\)"),
        ({"x": np.array([["a"] * 4] * 90)}, "x has type <U1"),
        ({"x": np.full((90, 4), 1e300)}, r"x\[0, 0\] is 1e\+300, beyond the range"),
        ({"y": np.zeros((90, 3))}, r"y has shape \(90, 3\).*argmax"),
        ({"y": np.arange(80) % 3}, r"y has shape \(80,\)"),
        ({"y": np.array(["red"] * 90)}, "y has type <U3"),
        ({"y": np.full(90, 0.5)}, r"y\[0\] is 0.5"),
        ({"y": np.full(90, np.nan)}, r"y\[0\] is nan"),
        ({"y": np.arange(90) % 4}, r"y\[3\] is 3; labels must lie in 0..2"),
        ({"y": np.arange(90) % 3 - 1}, r"y\[0\] is -1"),
        ({"y": np.zeros(90, int)}, "only one class"),
        ({"y": np.arange(90) % 2}, "no row of class blue"),
        ({"feature_names": np.array(["a", "b"])}, "2 feature names for 4 columns"),
        ({"feature_names": np.array(["a", "a", "b", "c"])}, "'a' more than once"),
        ({"class_names": np.array([1, 2, 3])}, "class_names has type int64"),
    ],
)
def test_everything_that_can_be_wrong_is_named(data, save, change, message):
    path = save(**{**data, **change})
    with pytest.raises(DataError, match=message) as caught:
        arrays(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_named_by_row_and_column(data, save, value):
    data["x"][17, 2] = value
    with pytest.raises(DataError, match=rf"x\[17, 2\] \(c\) is {value}"):
        arrays(save(**data))


def test_files_that_are_no_archive(data, save, tmp_path):
    with pytest.raises(DataError, match=r"no such file"):
        arrays(tmp_path / "absent.npz")
    with pytest.raises(DataError, match=r"is not a file"):
        arrays(tmp_path)
    with pytest.raises(DataError, match=r"no array x; the file has y"):
        arrays(save(y=data["y"]))
    with pytest.raises(DataError, match=r"Python objects"):
        arrays(save(x=np.array([{}, {}], dtype=object), y=data["y"]))
    np.save(tmp_path / "single.npy", data["x"])
    with pytest.raises(DataError, match=r"is a single array"):
        arrays(tmp_path / "single.npy")
    for content in (b"", b"text, not an archive", save(**data).read_bytes()[:-700]):
        (tmp_path / "broken.npz").write_bytes(content)
        with pytest.raises(DataError, match=r"broken.npz: .*(archive|damaged)"):
            arrays(tmp_path / "broken.npz")


def test_a_flipped_bit_in_the_archive_is_found(data, save):
    path = save(**data)
    content = bytearray(path.read_bytes())
    content[400] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"CRC"):
        arrays(path)


def test_load_task_names_tasks_and_options(data, save):
    assert load_task("arrays", path=save(**data), seed=4).digest == arrays(save(**data), seed=4).digest
    with pytest.raises(ConfigurationError, match=r"task.name = 'cats': must be one of jets, bragg, arrays"):
        load_task("cats")
    with pytest.raises(ConfigurationError, match=r"task.colour = 1: task jets has no such option"):
        load_task("jets", colour=1)
    with pytest.raises(ConfigurationError, match=r"task.path = None: task arrays needs this option"):
        load_task("arrays")
