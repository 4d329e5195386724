"""Jet constituents: shape, preparation, gate and order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evonas.errors import ConfigurationError, DataError
from evonas.tasks import jets, load_task
from evonas.tasks.jet_features import CLASSES, gate, shuffle

SHARED = Path(__file__).parents[3].parent / "shared" / "data" / "jets_simulated"
N_JETS = 2000


def sorted_rows(x):
    """The constituents of every jet in an order that does not depend on theirs."""
    particles = x.reshape(len(x), -1, 3)
    return np.array([sorted(map(tuple, jet)) for jet in particles])


@pytest.fixture(scope="module")
def plain():
    return jets(inputs="constituents", n_jets=N_JETS)


def test_three_features_are_standardised_over_all_constituents(plain):
    assert plain.shape == (8, 3)
    assert plain.n_inputs == 24
    for feature in range(3):
        assert len(set(plain.mean[feature::3])) == len(set(plain.scale[feature::3])) == 1
    raw = plain.x[plain.rows("train")].reshape(-1, 3).astype(np.float64)
    np.testing.assert_allclose(plain.mean[:3], raw.mean(axis=0), rtol=1e-6, atol=1e-7)
    assert jets(n_jets=N_JETS).shape == (1, 16)


def test_shuffled_jets_hold_the_same_constituents_in_an_order_fixed_by_the_seed(plain):
    shuffled = load_task("jets", inputs="constituents", n_jets=N_JETS, order="shuffled")
    np.testing.assert_array_equal(sorted_rows(shuffled.x), sorted_rows(plain.x))
    np.testing.assert_array_equal(shuffled.y, plain.y)
    np.testing.assert_allclose(shuffled.mean, plain.mean, rtol=1e-6, atol=1e-8)
    first = np.argmax(shuffled.x.reshape(-1, 8, 3)[:, :, 0], axis=1)
    assert np.bincount(first, minlength=8).min() > 0.7 * N_JETS / 8  # the hardest may be anywhere
    again, other = (jets(inputs="constituents", n_jets=N_JETS, order="shuffled", seed=s) for s in (0, 1))
    assert again.digest == shuffled.digest not in (plain.digest, other.digest)


def test_the_gate_is_on_the_transverse_momentum_in_gev(plain):
    with np.load(Path(jets.__code__.co_filename).parent / "data" / "jets.npz") as archive:
        relative, jet_pt = archive["constituents"].astype(np.float32), archive["jet_pt"]
    gated = jets(inputs="constituents", pt_min_gev=40.0)
    kept = (relative[:, :, 0] * jet_pt[:, None]) >= 40
    assert 0.2 < kept.mean() < 0.9
    particles = gated.x.reshape(-1, 8, 3)
    np.testing.assert_array_equal(particles[kept], relative[kept])  # hardest first: those kept are ahead already
    assert (particles[~kept] == 0).all()


@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_what_passes_the_gate_moves_up_in_its_order(seed, n_constituents):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(5, 3 * n_constituents)).astype(np.float32)
    pt = rng.uniform(0, 4, (5, n_constituents)).astype(np.float32)
    found = gate(x, pt, 2.0).reshape(5, -1, 3)
    for jet, momenta, gated in zip(x.reshape(5, -1, 3), pt, found, strict=True):
        kept = jet[momenta >= 2]
        np.testing.assert_array_equal(gated[: len(kept)], kept)
        assert (gated[len(kept) :] == 0).all()


@given(st.integers(0, 2**32 - 1))
def test_a_shuffle_keeps_every_constituent_whole(seed):
    x = np.arange(4 * 15, dtype=np.float32).reshape(4, 15)
    shuffled = shuffle(x, np.random.default_rng(seed))
    np.testing.assert_array_equal(sorted_rows(shuffled), sorted_rows(x))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": "random"}, "task.order = 'random': must be one of pt, shuffled"),
        ({"pt_min_gev": 0.0}, "task.pt_min_gev = 0.0: must be a positive number of GeV"),
        ({"inputs": "hlf", "order": "shuffled"}, "task.order = 'shuffled': is for constituents"),
        ({"inputs": "hlf", "pt_min_gev": 2.0}, "task.pt_min_gev = 2.0: is for constituents"),
    ],
)
def test_options_that_cannot_be_met(options, message):
    with pytest.raises(ConfigurationError, match=message):
        jets(**{"inputs": "constituents", "n_jets": 500} | options)


def test_archives_with_and_without_absolute_momenta(tmp_path):
    rng = np.random.default_rng(0)
    four = rng.uniform(0, 1, (100, 6, 4)).astype(np.float32)
    content = {"constituents": four, "label": np.arange(100) % 5}
    np.savez(tmp_path / "four.npz", **content)
    task = jets(tmp_path / "four.npz", inputs="constituents", n_constituents=5, pt_min_gev=0.5)
    assert task.x.any(axis=1).any()
    np.testing.assert_array_equal(task.x, gate(four[:, :5, 1:].reshape(100, 15), four[:, :5, 0], 0.5))
    np.savez(tmp_path / "three.npz", **content | {"constituents": four[:, :, 1:]})
    with pytest.raises(ConfigurationError, match=r"task.pt_min_gev = 2.0: .*without absolute transverse momenta"):
        jets(tmp_path / "three.npz", inputs="constituents", n_constituents=5, pt_min_gev=2.0)
    np.savez(tmp_path / "bad.npz", **content | {"constituents": four[:, :, 1:], "jet_pt": np.ones(3)})
    with pytest.raises(DataError, match=r"jet_pt has shape \(3,\); it must be \(100,\), in GeV"):
        jets(tmp_path / "bad.npz", inputs="constituents", n_constituents=5)


def test_classes_in_another_order_are_matched_by_name(tmp_path):
    theirs = np.array(["g", "q", "W", "Z", "t"])
    content = {"hlf": np.random.default_rng(0).normal(size=(100, 16)), "label": np.arange(100) % 5}
    np.savez(tmp_path / "j.npz", **content, class_names=theirs)
    task = jets(tmp_path / "j.npz")
    assert [CLASSES[c] for c in task.y[:5]] == ["g", "q", "w", "z", "t"]
    np.savez(tmp_path / "j.npz", **content, class_names=np.array(["g", "q", "w", "z", "b"]))
    with pytest.raises(DataError, match="class_names are g, q, w, z, b; they must be g, q, t, w, z in any order"):
        jets(tmp_path / "j.npz")


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no other simulation to read at {SHARED}")
def test_more_constituents_than_the_embedded_sample_has(tmp_path):
    with np.load(SHARED / "jets70k_v2.npz") as other:
        content = {"constituents": other["constituents"][:5000], "label": other["label"][:5000]}
    np.savez(tmp_path / "c32.npz", **content, class_names=np.array(["g", "q", "w", "z", "t"]))
    task = jets(tmp_path / "c32.npz", inputs="constituents", n_constituents=32, pt_min_gev=2.0)
    assert task.shape == (32, 3)
    kept = content["constituents"][:, :, 0] >= 2
    assert 0.7 < kept.mean() < 1
    np.testing.assert_array_equal((task.x.reshape(-1, 32, 3)[:, :, 0] > 0).sum(axis=1), kept.sum(axis=1))
