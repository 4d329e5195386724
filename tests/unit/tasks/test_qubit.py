"""Qubit readout: the simulation against what it is to be, the public files, the matched filter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.stats import norm

from evonas.errors import ConfigurationError, DataError
from evonas.tasks import load_task, qubit
from evonas.tasks.qubit import Readout, Window, assignment, best_threshold

# --- simulation


@pytest.mark.parametrize("decay_ns", [0.0, 400.0, 1e9])
def test_the_field_solves_its_equation(decay_ns):
    device = Readout(kappa_mhz=1.3, chi_mhz=0.4)
    kappa, chi = 2e-3 * np.pi * 1.3, 2e-3 * np.pi * 0.4
    unit = abs(1 / (kappa / 2 + 1j * chi) - 1 / (kappa / 2 - 1j * chi))

    def slope(time, field):
        return [1 / unit - (kappa / 2 + 1j * (chi if time < decay_ns else -chi)) * field[0]]

    time = (np.arange(300) + 1) * device.sample_ns
    solved = solve_ivp(slope, (0, time[-1]), [0j], t_eval=time, rtol=1e-8, atol=1e-10, max_step=1.0).y[0]
    found = device.fields(np.array([True]), np.array([decay_ns]), 300)[0]
    np.testing.assert_allclose(found, solved, atol=2e-3)


def test_steady_states_are_one_apart_and_noise_is_white():
    device = Readout(t1_us=1e9, noise=2.0)
    calm = Readout(t1_us=1e9, noise=0.0)
    excited = np.arange(400) % 2 == 1
    rng = np.random.default_rng(0)
    still = calm.simulate(excited, 2000, rng)
    assert np.linalg.norm(still[1, -1] - still[0, -1]) == pytest.approx(1, abs=1e-4)
    noise = device.simulate(excited, 2000, rng) - still
    assert noise.std() == pytest.approx(2.0, rel=0.01)
    assert abs(np.mean(noise[:, 1:] * noise[:, :-1])) < 0.02
    assert abs(np.mean(noise[..., 0] * noise[..., 1])) < 0.02


def test_the_share_of_decays_is_that_of_t1():
    device = Readout(t1_us=2.5, noise=0.0, kappa_mhz=100.0, chi_mhz=50.0)
    excited = np.ones(20_000, bool)
    traces = device.simulate(excited, 307, np.random.default_rng(1))
    ground = device.fields(np.array([False]), np.zeros(1), 307)[0, -1]
    near = np.hypot(traces[:, -1, 0] - ground.real, traces[:, -1, 1] - ground.imag) < 0.5
    time_us = 307 * device.sample_ns / 1000
    assert near.mean() == pytest.approx(1 - np.exp(-time_us / 2.5), abs=0.01)


def test_without_decay_the_matched_filter_reaches_the_fidelity_of_gaussian_noise():
    task = qubit(window_start=500, window_size=200, samples=700, t1_us=1e9, noise=5.0, kappa_mhz=20, chi_mhz=10)
    expected = norm.cdf(np.sqrt(200) / 2 / 5.0)  # steady states 1 apart, 200 samples
    found = task.baselines("train")["matched_filter"]
    assert found["fidelity"] == pytest.approx(expected, abs=0.01)
    assert found["accuracy"] == pytest.approx(found["fidelity"], abs=0.005)


# --- the task


def test_the_task_and_its_scores():
    task = load_task("qubit", n_traces=600, seed=3, samples=500)
    assert (task.shape, task.output_names, task.feature_names[:3]) == ((40, 2), ("g", "e"), ("I100", "Q100", "I110"))
    assert task.digest == load_task("qubit", n_traces=600, seed=3, samples=500).digest
    assert task.digest != load_task("qubit", n_traces=600, seed=4, samples=500).digest
    split = task.split("test")
    scores = task.score(np.eye(2)[split.y], split)
    assert (scores["fidelity"], scores["accuracy"], scores["error"]) == (1.0, 1.0, 0.0)
    scores = task.score(np.tile([0.0, 1.0], (len(split), 1)), split)
    assert (scores["fidelity"], scores["p_e_given_g"], scores["p_g_given_e"]) == (0.5, 1.0, 0.0)
    found = task.baselines("test")["matched_filter"]
    assert 0.8 < found["fidelity"] < 1


def test_the_window_reads_its_samples_alone_and_decimation_averages():
    traces = np.arange(2 * 12 * 2, dtype=float).reshape(2, 12, 2)
    assert Window(3, 2, 1, 12).cut(traces)[0].tolist() == [6, 7, 8, 9]  # I3, Q3, I4, Q4
    assert Window(4, None, 4, 12).cut(traces)[1].tolist() == [35, 36, 43, 44]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window_start": 770}, r"task.window_start = 770: must lie in 0..769"),
        ({"window_size": 671}, r"task.window_size = 671: must lie in 1..670"),
        ({"decimation": 7}, r"task.decimation = 7: must divide 400"),
        ({"n_traces": 0}, "task.n_traces"),
        ({"t1_us": 0.0}, "task.t1_us"),
        ({"noise": -1.0}, "task.noise"),
        ({"samples": 0}, "task.samples"),
        ({"source": "no/such/folder"}, "must be simulated, or a folder"),
        ({"source": "no/such/folder", "noise": 2.0}, "task.noise.*is for source"),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(ConfigurationError, match=message):
        qubit(**options)


@given(st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=2, max_size=40))
@settings(deadline=None)
def test_the_threshold_has_the_best_fidelity(pairs):
    values = np.array([float(v) + 1e-3 * i for i, (v, _) in enumerate(pairs)])
    states = np.array([int(e) for _, e in pairs])
    states[:2] = [0, 1]

    def fidelity(threshold):
        return assignment((values > threshold).astype(int), states)["fidelity"]

    best = max(fidelity(t) for t in values)
    assert fidelity(best_threshold(values, states)) == pytest.approx(best)


# --- the public files


@pytest.fixture
def folder(tmp_path):
    def write(x=None, y=None):
        rng = np.random.default_rng(0)
        states = np.arange(80) % 2
        traces = rng.integers(-50, 50, (80, 60)) + 100 * states[:, None]
        np.save(tmp_path / "0528_X_train_0_30.npy", traces.astype(np.int16) if x is None else x)
        np.save(tmp_path / "0528_y_train_0_30.npy", states if y is None else y)
        return tmp_path

    return write


def test_files_are_interleaved_and_traces_drawn_from_them(folder):
    path = folder()
    task = qubit(path, window_start=5, window_size=10, decimation=1, n_traces=40)
    assert task.shape == (10, 2)
    raw = np.load(path / "0528_X_train_0_30.npy")[:, 10:30]
    states = np.arange(80) % 2
    places = [int(np.flatnonzero((raw == row).all(axis=1))[0]) for row in task.x]
    assert len(set(places)) == 40
    assert task.y.tolist() == states[places].tolist()
    assert task.baselines("train")["matched_filter"]["fidelity"] == 1.0
    assert "samples 5 to 14" in task.provenance


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"x": np.zeros((80, 61))}, DataError, r"shapes \(80, 61\) and \(80,\).*I and Q in turn"),
        ({"y": np.zeros(79)}, DataError, r"shapes \(80, 60\) and \(79,\)"),
        ({"y": np.full(80, 2)}, DataError, r"y_train\[\d+\] is 2"),
        ({"x": np.array([["a"] * 60] * 80)}, DataError, "not numbers"),
        ({"x": np.zeros((20, 60)), "y": np.arange(20) % 2}, ConfigurationError, "holds 20"),
    ],
)
def test_unsound_files(folder, change, error, message):
    with pytest.raises(error, match=message):
        qubit(folder(**change), window_start=0, window_size=20, n_traces=40)


def test_missing_and_damaged_files(folder):
    path = folder()
    (path / "0528_X_train_0_30.npy").write_bytes(b"no")
    with pytest.raises(DataError, match=r"not a readable \.npy file"):
        qubit(path)
    (path / "0528_X_train_0_30.npy").unlink()
    with pytest.raises(DataError, match=r"holds 0 files \*X_train\*.npy"):
        qubit(path)
