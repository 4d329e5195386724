"""The probability that a cost is within a budget."""

from __future__ import annotations

import numpy as np
import pytest
from fakes.records import synthetic_records

from surrogates import TARGETS, fit_surrogate, predict_records
from surrogates.prediction import Prediction


def prediction(lower, mean, upper):
    ends = ({name: np.array(values, dtype=float) for name in TARGETS} for values in (lower, mean, upper))
    low, centre, high = ends
    return Prediction(centre, centre, centre, low, high, "made up")


def test_ends_and_centre_of_the_interval():
    found = prediction([90.0], [100.0], [130.0])
    for bound, probability in ((90.0, 0.05), (100.0, 0.5), (130.0, 0.95), (-1.0, 0.0)):
        assert found.probability_at_most("lut", bound) == pytest.approx(probability, abs=1e-9)
    assert found.probability_at_most("lut", 1e9) == pytest.approx(1.0)


def test_without_doubt_it_is_yes_or_no():
    found = prediction([0.0, 4.0], [0.0, 4.0], [0.0, 4.0])
    assert found.probability_at_most("dsp", 0.0).tolist() == [1.0, 0.0]
    assert found.probability_at_most("dsp", 4.0).tolist() == [1.0, 1.0]
    assert found.probability_at_most("dsp", 3.99).tolist() == [1.0, 0.0]


def test_as_often_as_it_says():
    rng = np.random.default_rng(0)
    surrogate = fit_surrogate(synthetic_records(80, rng), "gp")
    unseen = synthetic_records(300, rng)
    found = predict_records(surrogate, unseen)
    truth = np.array([record.lut for record in unseen])
    budget = float(np.median(truth))
    said = found.probability_at_most("lut", budget)
    for low, high in ((0.0, 0.2), (0.2, 0.8), (0.8, 1.0)):
        rows = (said >= low) & (said <= high)
        if rows.sum() >= 20:
            assert np.mean(truth[rows] <= budget) == pytest.approx(said[rows].mean(), abs=0.2)
