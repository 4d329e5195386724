import dataclasses

import numpy as np
import pytest
from fakes.records import synthetic_records

from surrogates import TARGETS, drift, fit_surrogate, predict_records
from surrogates.calibration import UNCALIBRATED_FACTOR, Calibration, weighted_quantile
from surrogates.metrics import coverage


def test_weighted_quantile_by_hand():
    values = np.array([3.0, 1.0, 2.0, 4.0])
    assert weighted_quantile(values, np.ones(4), 0.5) == 2.0
    assert weighted_quantile(values, np.ones(4), 0.51) == 3.0
    assert weighted_quantile(values, np.ones(4), 1.0) == 4.0
    assert weighted_quantile(values, np.array([9.0, 1.0, 1.0, 1.0]), 0.5) == 3.0


@pytest.mark.parametrize("n_groups", [15, 40, 150])
def test_scores_of_independent_groups_cover_what_they_promise(n_groups):
    rng = np.random.default_rng(n_groups)
    inside = []
    for _ in range(200):
        stds = rng.uniform(0.1, 0.5, n_groups)
        errors = stds * rng.standard_t(4, n_groups) * 1.7  # a model that is too sure of itself, with heavy tails
        found = Calibration.from_held_out(errors, stds, np.ones(n_groups), [str(g) for g in range(n_groups)])
        new_stds = rng.uniform(0.1, 0.5, 100)
        truth = new_stds * rng.standard_t(4, 100) * 1.7
        _, low, high = found.interval(np.zeros(100), new_stds)
        inside.append(np.mean((low <= truth) & (truth <= high)))
    assert 0.88 <= np.mean(inside) <= 0.97  # 20,000 points, standard error below 0.01


def test_scores_of_a_search_widen_an_interval_and_never_narrow_it():
    rng = np.random.default_rng(2)
    errors, stds = rng.standard_normal(60), np.ones(60)
    names = [str(row) for row in range(60)]

    def factor(foreseen):
        return Calibration.from_held_out(errors, stds, np.ones(60), names, foreseen=foreseen).factor

    plain = factor(())
    assert factor([0.0] * 5) == plain
    assert factor([5.0] * 5) == 5.0  # half of all is there
    assert plain <= factor([1.0] * 9 + [5.0]) < 5.0  # a twentieth of all is not beyond a tenth
    wrong = factor(np.abs(3 * rng.standard_normal(400)))
    assert 1.8 * plain < wrong < 3.2 * plain


def test_bias_is_measured_and_corrected():
    rng = np.random.default_rng(1)
    errors = 0.3 + 0.05 * rng.standard_normal(100)
    found = Calibration.from_held_out(errors, np.full(100, 0.1), np.ones(100), [str(row) for row in range(100)])
    assert found.bias == pytest.approx(0.3, abs=0.02)
    centre, low, high = found.interval(np.zeros(1), np.full(1, 0.1))
    assert low < centre == found.bias < high
    assert high - low < 0.3


def test_two_groups_calibrate_nothing():
    found = Calibration.from_held_out(np.ones(50), np.ones(50), np.ones(50), ["a", "b"] * 25)
    assert (found.bias, found.factor) == (0.0, UNCALIBRATED_FACTOR)


def test_few_groups_stretch_the_largest_score():
    errors = np.array([0.1, -0.1, 0.2, -0.3])
    found = Calibration.from_held_out(errors, np.full(4, 0.1), np.ones(4), list("abcd"))
    assert found.factor > np.abs(errors - found.bias).max() / 0.1


@pytest.mark.parametrize("kind", ["gp", "ridge"])
def test_intervals_cover_unseen_networks(kind):
    inside = {name: [] for name in ("lut", "ff")}
    for seed in range(3):
        rng = np.random.default_rng(seed)
        surrogate = fit_surrogate(synthetic_records(60, rng, noise=0.15), kind)
        unseen = synthetic_records(150, rng, noise=0.15)
        predicted = predict_records(surrogate, unseen)
        for name, shares in inside.items():
            truth = np.array([getattr(record, name) for record in unseen])
            shares.append(coverage(truth, predicted.lower[name], predicted.upper[name]))
    for name, shares in inside.items():
        assert 0.8 <= np.mean(shares) <= 0.98, (name, shares)


def test_drift_is_quiet_on_the_same_kind_of_records_and_speaks_on_others():
    rng = np.random.default_rng(0)
    surrogate = fit_surrogate(synthetic_records(60, rng), "ridge")
    fresh = synthetic_records(40, rng)
    quiet = drift(surrogate, fresh)
    assert set(quiet) == set(TARGETS)
    assert not quiet["lut"].drifted
    assert quiet["lut"].n == 40
    assert abs(quiet["lut"].bias) < 0.1
    shifted = drift(surrogate, [dataclasses.replace(record, lut=2 * record.lut) for record in fresh])
    assert shifted["lut"].drifted
    assert shifted["lut"].bias == pytest.approx(np.log(2), abs=0.1)
    assert shifted["ff"] == quiet["ff"]
    assert not quiet["dsp"].drifted


def test_drift_without_records_says_nothing():
    surrogate = fit_surrogate(synthetic_records(10, np.random.default_rng(0)))
    nothing = drift(surrogate, [])["lut"].to_dict()
    assert nothing == {
        "target": "lut",
        "n": 0,
        "median_relative_error": None,
        "bias": None,
        "coverage": None,
        "drifted": False,
    }
