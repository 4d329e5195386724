from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from evonas.errors import ConfigurationError, DataError
from evonas.tasks import jets as jets_function
from evonas.tasks import load_task
from evonas.tasks.jet_features import CLASSES, FEATURES, constituent_names
from evonas.tasks.jets import description

DATA = Path(jets_function.__code__.co_filename).parent / "data"
SHARED = Path(__file__).parents[3].parent / "shared" / "data" / "jets_simulated"


@pytest.fixture(scope="module")
def sample():
    with np.load(DATA / "jets.npz") as archive:
        return {name: archive[name] for name in archive.files}


@pytest.fixture(scope="module")
def task():
    return jets_function()


def column(sample, name):
    return sample["hlf"][:, FEATURES.index(name)]


# --- the embedded sample


def test_the_archive_is_the_one_that_is_described(sample):
    about = description()
    assert hashlib.sha256((DATA / "jets.npz").read_bytes()).hexdigest() == about["sha256"]
    assert tuple(about["features"]) == FEATURES
    assert tuple(about["classes"]) == CLASSES
    assert (DATA / "jets.npz").stat().st_size < 5_000_000
    for name, array in sample.items():
        assert list(array.shape) == about["arrays"][name]["shape"]
        assert str(array.dtype) == about["arrays"][name]["dtype"]
    counts = dict(zip(CLASSES, np.bincount(sample["label"]).tolist(), strict=True))
    assert counts == about["counts"] == dict.fromkeys(CLASSES, 10_000)


def test_the_sample_is_finite_and_distinct(sample):
    for array in sample.values():
        assert np.isfinite(array).all()
    assert len(np.unique(sample["hlf"], axis=0)) > 49_900
    assert (np.bincount(sample["label"][:5000]) > 800).all()  # shuffled


def test_features_obey_their_definitions(sample):
    np.testing.assert_array_equal(column(sample, "D2_a1_b1"), column(sample, "D2_b1"))
    assert (column(sample, "zlogz") <= 0).all()
    assert (column(sample, "mass_mMDT") >= 0).all()
    multiplicity = column(sample, "multiplicity")
    assert (multiplicity == np.round(multiplicity)).all()
    assert multiplicity.min() >= 1
    e2_0, e2_1, e2_2 = (column(sample, f"C1_b{beta}") for beta in range(3))
    assert (e2_0 < 0.5).all()  # sum of z_i z_j over pairs, fractions adding up to 1
    assert (e2_2 <= 2.6 * e2_1).all()  # no angle inside a jet beyond a few R
    some = e2_1 > 1e-4
    rounding = 2e-3  # features are stored to 11 bits
    np.testing.assert_allclose(
        (column(sample, "D2_b1") * e2_1)[some], column(sample, "C2_b1")[some], rtol=rounding, atol=1e-6
    )
    np.testing.assert_allclose(
        (column(sample, "D2_b2") * e2_2)[some], column(sample, "C2_b2")[some], rtol=rounding, atol=1e-6
    )


def test_masses_and_multiplicities_are_physical(sample):
    mass = {name: column(sample, "mass_mMDT")[sample["label"] == i] for i, name in enumerate(CLASSES)}
    for name, pole in (("w", 80.4), ("z", 91.2), ("t", 173.0)):
        near = mass[name][np.abs(mass[name] - pole) < 0.15 * pole]
        assert len(near) > 0.35 * len(mass[name])
        assert abs(np.median(near) - pole) < 0.03 * pole
    for name, pole in (("w", 80.4), ("z", 91.2)):
        assert abs(np.median(mass[name]) - pole) < 0.05 * pole
    assert abs(np.median(mass["t"]) - 173.0) < 0.1 * 173
    count = [np.median(column(sample, "multiplicity")[sample["label"] == i]) for i in range(5)]
    assert count[CLASSES.index("g")] > 1.4 * count[CLASSES.index("q")]
    assert count[CLASSES.index("t")] > 1.4 * count[CLASSES.index("w")]
    assert sample["jet_pt"].min() >= 800
    assert sample["jet_pt"].max() <= 1600


def test_constituents_are_ordered_fractions_inside_the_jet(sample):
    fraction, eta, phi = np.moveaxis(sample["constituents"].astype(np.float64), 2, 0)
    assert (np.diff(fraction, axis=1) <= 0).all()
    assert ((fraction >= 0) & (fraction <= 1)).all()
    padded = fraction == 0
    assert (eta[padded] == 0).all()
    assert (phi[padded] == 0).all()
    assert (np.hypot(eta, phi) < 1.7).all()
    assert np.mean(np.hypot(eta, phi)[~padded] < 0.8) > 0.99
    assert abs(eta[:, 0].mean()) < 5e-3  # measured from the axis, no preferred side
    assert abs(phi[:, 0].mean()) < 5e-3
    full = column(sample, "multiplicity").astype(int)
    np.testing.assert_array_equal((~padded).sum(axis=1), np.minimum(full, 8))


# --- the task


def test_splits_are_disjoint_complete_and_fixed_by_the_seed(task):
    rows = [task.rows(name) for name in ("train", "validation", "test")]
    assert [len(r) for r in rows] == [35_000, 7_500, 7_500]
    np.testing.assert_array_equal(np.sort(np.concatenate(rows)), np.arange(50_000))
    again, other = jets_function(), jets_function(seed=1)
    assert again.digest == task.digest != other.digest
    np.testing.assert_array_equal(again.rows("test"), task.rows("test"))
    assert not np.array_equal(other.rows("test"), task.rows("test"))


def test_splits_are_standardised_and_balanced(task):
    for name in ("train", "validation", "test"):
        split = task.split(name)
        assert np.isfinite(split.x).all()
        assert np.abs(split.x).max() <= 4.0
        share = np.bincount(split.y, minlength=5) / len(split)
        assert np.abs(share - 0.2).max() < 0.02
    assert np.abs(task.split("train").x.mean(axis=0)).max() < 0.1
    assert task.name == "jets"
    assert task.feature_names == FEATURES
    assert "own simulation" in task.provenance


def test_a_linear_classifier_learns_from_the_embedded_sample(task):
    train, test = task.split("train"), task.split("test")
    with_one = [np.hstack([s.x, np.ones((len(s), 1), np.float32)]) for s in (train, test)]
    weights = np.linalg.lstsq(with_one[0], np.eye(5)[train.y], rcond=None)[0]
    scores = task.score(with_one[1] @ weights, test)
    assert scores["accuracy"] > 0.55
    assert min(scores[f"auc_{name}"] for name in CLASSES) > 0.75


def test_constituents_task():
    task = jets_function(inputs="constituents", n_constituents=5, n_jets=2000)
    assert task.n_inputs == 15
    assert task.feature_names == constituent_names(5)
    assert task.feature_names[:4] == ("pt_rel_0", "eta_rel_0", "phi_rel_0", "pt_rel_1")
    assert task.x.shape == (2000, 15)
    assert (np.diff(task.x[:, ::3], axis=1) <= 0).all()


def test_a_subset_depends_on_the_seed_only():
    first, again, other = (jets_function(n_jets=1000, seed=s) for s in (0, 0, 1))
    assert first.digest == again.digest != other.digest
    assert len(first.y) == 1000
    assert len({tuple(row) for row in first.x} & {tuple(row) for row in other.x}) < 100
    assert load_task("jets", n_jets=1000).digest == first.digest


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inputs": "images"}, "task.inputs = 'images': must be one of hlf, constituents"),
        ({"n_constituents": 0}, "task.n_constituents = 0"),
        ({"inputs": "constituents", "n_constituents": 9}, "holds 8 per jet"),
        ({"n_jets": 0}, "task.n_jets = 0"),
        ({"n_jets": 60_000}, "the source holds 50000 jets"),
        ({"source": "kaggle"}, "task.source = 'kaggle': must be embedded, openml, zenodo"),
        ({"source": "openml", "inputs": "constituents"}, "OpenML has no constituents"),
        ({"source": "x.arff", "inputs": "constituents"}, "an ARFF file has no constituents"),
    ],
)
def test_options_that_cannot_be_met(options, message):
    with pytest.raises(ConfigurationError, match=message):
        jets_function(**options)


# --- files of one's own and damage


@pytest.fixture
def own(tmp_path):
    rng = np.random.default_rng(5)
    content = {
        "hlf": rng.normal(size=(100, 16)).astype(np.float32),
        "constituents": rng.normal(size=(100, 8, 3)).astype(np.float32),
        "label": np.arange(100, dtype=np.int8) % 5,
    }

    def write(**change):
        np.savez(tmp_path / "own.npz", **{**content, **change})
        return tmp_path / "own.npz"

    return content, write


def test_a_file_of_ones_own(own):
    content, write = own
    task = jets_function(write())
    np.testing.assert_array_equal(task.x, content["hlf"])
    assert task.provenance == "user data own.npz"
    task = jets_function(str(write()), inputs="constituents", n_constituents=2)
    np.testing.assert_array_equal(task.x, content["constituents"][:, :2].reshape(100, 6))


def test_damage_is_named(own, tmp_path):
    content, write = own
    wrong = content["hlf"].copy()
    wrong[7, 3] = np.nan
    cases = [
        ({"hlf": content["hlf"][:, :15]}, r"hlf has shape \(100, 15\); it must be \(jets, 16\): zlogz"),
        ({"hlf": wrong}, r"x\[7, 3\] \(C1_b2\) is nan"),
        ({"label": content["label"][:99]}, r"y has shape \(99,\)"),
        ({"label": content["label"] + 1}, r"y\[4\] is 5; labels must lie in 0..4"),
        ({"label": content["label"] * 0}, "only one class"),
        ({"label": np.minimum(content["label"], 3)}, "no row of class z"),
    ]
    for change, message in cases:
        with pytest.raises(DataError, match=rf"own.npz: {message}"):
            jets_function(write(**change))
    with pytest.raises(DataError, match=r"constituents has shape \(100, 8\)"):
        jets_function(write(constituents=content["constituents"][:, :, 0]), inputs="constituents")
    with pytest.raises(DataError, match=r"no such file"):
        jets_function(tmp_path / "absent.npz")
    with pytest.raises(DataError, match=r"holds no \.h5 file"):
        jets_function(tmp_path)


def test_a_damaged_embedded_sample_is_refused(tmp_path, monkeypatch):
    for name in ("jets.npz", "jets.json"):
        shutil.copy(DATA / name, tmp_path / name)
    monkeypatch.setattr(sys.modules["evonas.tasks.jets"], "_data_file", lambda name: tmp_path / name)
    jets_function(n_jets=500)
    about = json.loads((tmp_path / "jets.json").read_text())
    (tmp_path / "jets.json").write_text(json.dumps(about | {"sha256": "0" * 64}))
    with pytest.raises(DataError, match=r"is not that of jets.json, 0000.*install the package again"):
        jets_function()
    (tmp_path / "jets.npz").unlink()
    with pytest.raises(DataError, match=r"the embedded sample is missing"):
        jets_function()


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no other simulation to compare with at {SHARED}")
def test_an_independent_simulation_agrees_within_its_differences(sample):
    """The other sample has a detector-like loss of particles and Breit-Wigner bosons: shapes agree, counts less so."""
    with np.load(SHARED / "jets70k_v2.npz") as other:
        theirs, label = other["hlf"], other["label"]
    for index, name in enumerate(CLASSES):
        mine = sample["hlf"][sample["label"] == index]
        its = theirs[label == ("g", "q", "w", "z", "t").index(name)]
        for feature, tolerance in (("mass_mMDT", 0.2), ("C1_b0", 0.08), ("D2_b1", 0.12), ("N2_b1", 0.12)):
            k = FEATURES.index(feature)
            assert np.median(mine[:, k]) == pytest.approx(np.median(its[:, k]), rel=tolerance), (name, feature)
