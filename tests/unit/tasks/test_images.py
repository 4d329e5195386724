"""Folders of images."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from evonas.errors import ConfigurationError, DataError
from evonas.tasks import load_task

Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for kind, level in (("good", 40), ("scratch", 200)):
        (tmp_path / "wafers" / kind).mkdir(parents=True)
        for number in range(12):
            pixels = rng.integers(level - 40, level + 40, (4, 6, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "wafers" / kind / f"{number:02}.png")
    (tmp_path / "wafers" / ".cache").mkdir()
    (tmp_path / "wafers" / "good" / ".notes").write_text("not an image")
    return tmp_path / "wafers"


def load(folder, **options):
    return load_task("images", path=folder, seed=1, **options)


def test_grey_images_in_rows_of_pixels_between_0_and_1(folder):
    task = load(folder)
    assert (task.name, task.shape, task.image, task.clip) == ("wafers", (24, 1), (4, 6), 1.0)
    assert task.output_names == ("good", "scratch")
    assert task.feature_names[7] == "row1_column1"
    with Image.open(folder / "good" / "03.png") as image:
        expected = np.asarray(image.convert("L")) / 255
    np.testing.assert_allclose(task.prepare(task.x[3:4]).reshape(4, 6), expected, atol=1e-6)
    assert task.y.tolist() == [0] * 12 + [1] * 12


def test_colours_and_deep_grey(folder):
    task = load(folder, colour="rgb")
    assert (task.shape, task.image) == ((24, 3), (4, 6))
    assert task.feature_names[:3] == ("row0_column0_red", "row0_column0_green", "row0_column0_blue")
    deep = np.arange(24, dtype=np.uint16).reshape(4, 6) * 1000
    Image.fromarray(deep).save(folder / "good" / "00.png")
    np.testing.assert_allclose(load(folder).x[0], deep.ravel() / 65535, atol=1e-7)


def test_anomalies(folder):
    task = load(folder, goal="anomaly", normal="good", standardise="columns")
    assert (task.goal, task.clip, int(task.y.sum())) == ("anomaly", 4.0, 12)


def test_what_cannot_be_read_is_named(folder):
    Image.new("L", (5, 4)).save(folder / "scratch" / "07.png")
    Image.new("L", (9, 9)).save(folder / "scratch" / "08.png")
    with pytest.raises(DataError, match=r"scratch/07.png: is 5 x 4 pixels \(and 1 more\), but .*00.png is 6 x 4"):
        load(folder)
    (folder / "good" / "05.png").write_bytes(b"\x89PNG and no more")
    with pytest.raises(DataError, match=r"good/05.png: is not a readable image"):
        load(folder)


def test_folders_and_options(folder, tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        load(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="one folder of images per class"):
        load(tmp_path / "empty")
    with pytest.raises(ConfigurationError, match=r"task.colour = 'blue'"):
        load(folder, colour="blue")
    with pytest.raises(ConfigurationError, match="folders are classes"):
        load(folder, goal="regression")
    with pytest.raises(ConfigurationError, match="set goal"):
        load(folder, normal="good")


def test_a_class_without_images_is_no_class(folder):
    for file in (folder / "scratch").glob("0[3-9].png"):
        file.unlink()
    with pytest.raises(DataError, match="folder has too few rows of a class: scratch 5"):
        load(folder)
    for file in (folder / "scratch").iterdir():
        file.unlink()
    with pytest.raises(DataError, match="scratch: holds no image"):
        load(folder)


def test_without_pillow_the_error_says_what_to_install(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'evonas\[images\]'"):
        load(folder)
