"""Tables and HDF5 files of a user's own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evonas
from evonas.errors import ConfigurationError, DataError
from evonas.tasks import load_task
from evonas.tasks.tables import as_numbers, read_table

N = 60
EXAMPLE = Path(__file__).parents[3] / "experiments" / "own_data"
TINY = ("training.epochs=2", "search.population_size=2", "search.generations=1", "surrogate.recalibrate_every=0")


def rows(n=N):
    rng = np.random.default_rng(2)
    states = np.array(["ok", "worn", "broken"])[np.arange(n) % 3]
    return [[f"{a:.6f}", f"{b:.6f}", str(state)] for a, b, state in zip(*rng.normal(size=(2, n)), states, strict=True)]


@pytest.fixture
def write(tmp_path):
    def save(cells, header=("speed", "load", "state"), name="mine.csv", separator=","):
        lines = [separator.join(line) for line in (header, *cells)]
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        return tmp_path / name

    return save


# --- what is sound


def test_sorted_texts_become_classes_and_all_other_columns_inputs(write):
    cells = rows()
    task = load_task("table", path=str(write(cells)), target="state", seed=5)
    assert (task.name, task.goal, task.shape) == ("mine", "classification", (1, 2))
    assert task.output_names == ("broken", "ok", "worn")
    assert task.feature_names == ("speed", "load")
    assert task.provenance == "user data mine.csv"
    np.testing.assert_allclose(task.x, [[float(a), float(b)] for a, b, _ in cells], rtol=1e-6)
    assert [task.output_names[i] for i in task.y] == [state for _, _, state in cells]


def test_numbers_as_classes_are_sorted_as_numbers(write):
    cells = [[a, b, str(10 if i % 2 else 9)] for i, (a, b, _) in enumerate(rows())]
    task = load_task("table", path=write(cells), target="state")
    assert task.output_names == ("9", "10")
    assert task.y[:2].tolist() == [0, 1]


def test_several_targets_and_chosen_features_of_a_regression(write):
    cells = [[a, b, str(float(a) - float(b)), str(i)] for i, (a, b, _) in enumerate(rows())]
    path = write(cells, ("a", "b", "difference", "index"))
    task = load_task("table", path=path, target=["difference", "b"], features=["index", "a"], goal="regression")
    assert (task.output_names, task.feature_names) == (("difference", "b"), ("index", "a"))
    np.testing.assert_allclose(task.y[:, 0], [float(a) - float(b) for a, b, *_ in cells], rtol=1e-5)
    assert task.x[:, 0].tolist() == list(range(N))


def test_anomalies_are_all_that_is_not_normal(write):
    task = load_task("table", path=write(rows()), target="state", goal="anomaly", normal="ok")
    assert task.y.tolist() == [0 if i % 3 == 0 else 1 for i in range(N)]
    assert task.output_names == task.feature_names == ("speed", "load")
    cells = [[a, b, str(i % 2)] for i, (a, b, _) in enumerate(rows())]
    assert load_task("table", path=write(cells), target="state", goal="anomaly").y[:2].tolist() == [0, 1]
    swapped = load_task("table", path=write(cells), target="state", goal="anomaly", normal=1)
    assert swapped.y[:2].tolist() == [1, 0]


def test_other_separators_and_positions(write):
    path = write(rows(), separator=";")
    with pytest.raises(DataError, match=r"no column state .*set separator = ';'"):
        load_task("table", path=path, target="state")
    assert load_task("table", path=path, target="state", separator=";").n_inputs == 2
    path = write(rows(), name="mine.tsv", separator="\t")
    assert load_task("table", path=path, target="state", n_positions=2).shape == (2, 1)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-1e30, 1e30), min_size=1, max_size=20))
def test_numbers_survive_the_way_through_a_file(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("table") / "t.csv"
    path.write_text("a,b\n" + "".join(f"{v!r},x\n" for v in values))
    columns = read_table(path)
    assert as_numbers({"a": columns["a"]}, "t")["a"].tolist() == pytest.approx(values, rel=1e-12)
    assert columns["b"].tolist() == ["x"] * len(values)


# --- what is not


@pytest.mark.parametrize(
    ("row", "column", "cell", "message"),
    [
        (17, 0, "fast", r"column speed, row 18 is 'fast', not a finite number; fill in"),
        (3, 1, "", r"column load, row 4 is empty; fill in"),
        (3, 1, "nan", r"column load, row 4 is 'nan', not a finite number"),
        (0, 1, "inf", r"column load, row 1 is inf"),
        (5, 0, "1e300", r"column speed, row 6 is 1e\+300, beyond the range of float32"),
        (5, 2, "", r"column state, row 6 is empty"),
        (5, 2, "odd", r"column state has too few rows of a class: odd 1; for the three splits each needs 10"),
    ],
)
def test_a_bad_cell_is_named_by_column_and_row(write, row, column, cell, message):
    cells = rows()
    cells[row][column] = cell
    path = write(cells)
    with pytest.raises(DataError, match=message) as caught:
        load_task("table", path=path, target="state")
    assert str(path) in str(caught.value)


def test_the_number_of_further_bad_cells_is_said(write):
    cells = rows()
    cells[4][1] = cells[9][1] = "?"
    cells[7][0] = ""
    with pytest.raises(DataError, match=r"column speed, row 8 is empty \(and 2 more\)"):
        load_task("table", path=write(cells), target="state")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"target": "label"}, DataError, r"no column label \(task.target\); the table has speed, load, state"),
        ({"target": "state", "features": ["spin"]}, DataError, r"no column spin \(task.features\)"),
        ({"target": "state", "features": ["state"]}, ConfigurationError, "is the target"),
        ({"target": ["state", "load"]}, ConfigurationError, "several targets need goal"),
        ({"target": "load"}, DataError, r"column state, row 1 is 'ok'.*and 59 more.*leave the column out"),
        ({"target": "load", "features": ["speed"]}, DataError, r"column load, row 1 is .*goal = \"regression\""),
        ({"target": "state", "goal": "regression"}, DataError, r"column state, row 1 is 'ok'"),
        ({"target": "state", "goal": "anomaly"}, ConfigurationError, r"say which value is normal: broken, ok, worn"),
        ({"target": "state", "goal": "anomaly", "normal": "fine"}, ConfigurationError, "must be one of broken"),
        ({"target": "state", "normal": "ok"}, ConfigurationError, 'set goal = "anomaly"'),
        ({"target": "state", "n_positions": 3}, ConfigurationError, "must divide the 2 columns"),
        ({"target": "state", "separator": ",,"}, ConfigurationError, "must be one character"),
        ({"target": []}, ConfigurationError, "must be names of columns"),
    ],
)
def test_options_that_do_not_fit_the_table(write, options, error, message):
    with pytest.raises(error, match=message):
        load_task("table", path=write(rows()), **options)


@pytest.mark.parametrize("goal", ["classification", "regression"])
def test_a_constant_target(write, goal):
    cells = [[a, b, "7"] for a, b, _ in rows()]
    with pytest.raises(DataError, match=r"state is 7 in all rows"):
        load_task("table", path=write(cells), target="state", goal=goal)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; the first line"),
        (b"a,b\n", "holds no row below the header a, b"),
        (b"a,a\n1,2\n", "more than one column 'a'"),
        (b"a,b\n1,2\n3,4,5\n", "line 3"),
        (b"a,b\n1,2,3\n3,4,5\n", "more cells than the 2 columns"),
        (b"a,b\n\xff\xfe,2\n", "not text in UTF-8"),
        (b"a,b\n1\n", "column b, row 1 is empty"),
    ],
)
def test_files_that_are_no_table(tmp_path, content, message):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        load_task("table", path=tmp_path / "t.csv", target="b", goal="regression")


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(DataError, match="no such file; a path is relative to the folder you are in"):
        read_table(tmp_path / "t.csv")
    with pytest.raises(ConfigurationError, match="must end in"):
        read_table(tmp_path / "t.xlsx")
    (tmp_path / "d.csv").mkdir()
    with pytest.raises(DataError, match="is not a file"):
        read_table(tmp_path / "d.csv")


# --- Parquet


def test_parquet(tmp_path):
    pytest.importorskip("pyarrow")
    import pandas as pd

    frame = pd.DataFrame(rows(), columns=["speed", "load", "state"]).astype({"speed": float, "load": "float32"})
    frame["state"] = frame["state"].astype("category")
    frame["fine"] = frame["state"] == "ok"
    frame.to_parquet(tmp_path / "t.parquet")
    task = load_task("table", path=tmp_path / "t.parquet", target="state")
    assert (task.output_names, task.feature_names) == (("broken", "ok", "worn"), ("speed", "load", "fine"))
    assert load_task("table", path=tmp_path / "t.parquet", target="fine", features=["load"]).output_names == (
        "False",
        "True",
    )
    frame["count"] = pd.array([None, *range(1, N)], dtype="Int64")
    frame["when"] = pd.Timestamp("2024-01-01")
    frame.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"column count, row 1 is empty or not a number \(and 60 more\)"):
        load_task("table", path=tmp_path / "t.parquet", target="state")
    (tmp_path / "t.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match="is not a readable Parquet file"):
        read_table(tmp_path / "t.parquet")


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    with pytest.raises(ConfigurationError, match=r"pip install 'evonas\[parquet\]'"):
        read_table(tmp_path / "t.parquet")


# --- HDF5


@pytest.fixture
def save(tmp_path):
    def write(**content):
        with h5py.File(tmp_path / "mine.h5", "w") as file:
            for key, value in content.items():
                file[key.replace("__", "/")] = value
        return tmp_path / "mine.h5"

    return write


def test_hdf5_with_texts_names_and_positions(save):
    x = np.random.default_rng(0).normal(size=(N, 4, 2))
    states = [line[2] for line in rows()]
    names = [f"{q}{i}" for i in range(4) for q in "IQ"]
    path = save(run__x=x, run__state=states, run__feature_names=names)
    task = load_task("hdf5", path=path, x="run/x", y="run/state")
    assert (task.shape, task.output_names, task.feature_names[:2]) == ((4, 2), ("broken", "ok", "worn"), ("I0", "Q0"))
    task = load_task("hdf5", path=path, x="run/x", y="run/state", goal="anomaly", normal="ok")
    assert task.y[:3].tolist() == [0, 1, 1]


def test_hdf5_images_targets_and_named_classes(save):
    x = np.random.default_rng(0).normal(size=(N, 5, 6, 1))
    path = save(x=x, y=x.mean(axis=(1, 2)), target_names=["brightness"])
    task = load_task("hdf5", path=path, goal="regression", unit="lx")
    assert (task.shape, task.image, task.output_names) == ((30, 1), (5, 6), ("brightness",))
    path = save(x=x, y=np.arange(N) % 2, class_names=["b", "a"])
    assert load_task("hdf5", path=path).output_names == ("b", "a")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.full((N, 2), np.nan)}, r"x\[0, 0\] \(x0\) is nan"),
        ({"x": np.zeros(N)}, r"x has shape \(60,\)"),
        ({"x": np.zeros((N - 1, 2))}, "60 rows of y for 59 rows of x"),
        ({"y": np.eye(3)[np.arange(N) % 3]}, "argmax"),
        ({"y": np.full(N, 0.5)}, r"y\[0\] is 0.5 \(and 59 more\)"),
        ({"class_names": ["a"]}, r"y\[1\] is 1 .*0..0"),
        ({"class_names": ["a", "b", "c"]}, "y has too few rows of a class: c 0;"),
        ({"feature_names": ["a", "a"]}, "each once"),
    ],
)
def test_unsound_hdf5(save, change, message):
    content = {"x": np.random.default_rng(0).normal(size=(N, 2)), "y": np.arange(N) % 2} | change
    with pytest.raises(DataError, match=message):
        load_task("hdf5", path=save(**content))


def test_hdf5_files_that_cannot_be_read(save, tmp_path):
    with pytest.raises(DataError, match="no data set y; the file has data/label, x"):
        load_task("hdf5", path=save(x=np.zeros((2, 2)), data__label=[0, 1]))
    (tmp_path / "b.h5").write_bytes(b"no")
    with pytest.raises(DataError, match="is not a readable HDF5 file"):
        load_task("hdf5", path=tmp_path / "b.h5")
    with pytest.raises(DataError, match="no such file"):
        load_task("hdf5", path=tmp_path / "absent.h5")


# --- the example


@pytest.mark.slow
def test_from_a_csv_file_to_a_verified_front_with_one_configuration_file(tmp_path, monkeypatch):
    pytest.importorskip("hls4ml")
    monkeypatch.chdir(tmp_path)
    subprocess.run([sys.executable, EXAMPLE / "generate.py", "--rows", "600"], check=True)
    assert len((EXAMPLE / "experiment.toml").read_text().splitlines()) <= 25
    tiny = (*TINY, "synthesis.front_designs=1", "space.widths=[4]", "execution.executor=inline")
    with evonas.Study(evonas.load_config(EXAMPLE / "experiment.toml", tiny), tmp_path / "run") as study:
        study.run()
        assert study.task.output_names == ("healthy", "inner_race", "outer_race")
        (design,) = study.front("synthesised")
    folder = tmp_path / "run" / "designs" / f"{design.candidate:04d}"
    assert (folder / "verilog").is_dir()
    assert "bearings.csv" in (folder / "design.json").read_text()
