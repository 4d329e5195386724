"""Measurements, objectives and constraints."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evonas.errors import ConfigurationError
from evonas.objectives import DEFAULT_OBJECTIVES, Constraint, Measurement, Objective
from surrogates import Stage

FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_measurement_is_finite(value):
    with pytest.raises(ConfigurationError, match="finite"):
        Measurement("error", value, "validation")


@given(value=FINITE, std=st.none() | FINITE, stage=st.none() | st.sampled_from(Stage))
def test_a_measurement_survives_the_log(value, std, stage):
    measurement = Measurement("lut", value, "a tool", std, stage)
    assert Measurement.from_dict(measurement.to_dict()) == measurement


@given(first=st.floats(0, 1), second=st.floats(0, 1))
def test_a_maximised_accuracy_orders_as_the_minimised_error(first, second):
    accuracy = Objective("accuracy", "maximise")
    error = Objective("error")
    assert (accuracy.loss(first) < accuracy.loss(second)) <= (error.loss(1 - first) <= error.loss(1 - second))
    assert 0 <= accuracy.loss(first) <= 1


def test_a_maximised_hardware_metric_is_negated():
    assert Objective("lut", "maximise").loss(3.0) == -3.0


@pytest.mark.parametrize(("metric", "direction"), [("beauty", "minimise"), ("lut", "down")])
def test_unknown_objectives(metric, direction):
    with pytest.raises(ConfigurationError):
        Objective(metric, direction)


def test_the_default_has_four():
    assert [o.metric for o in DEFAULT_OBJECTIVES] == ["error", "latency_ns", "lut", "dsp"]


@given(value=FINITE, lower=FINITE, width=st.floats(0, 1e6))
def test_a_violation_is_zero_exactly_inside(value, lower, width):
    constraint = Constraint("lut", upper=lower + width, lower=lower)
    assert (constraint.violation(value) == 0) == (lower <= value <= lower + width)
    assert constraint.violation(value) >= 0


def test_a_violation_is_relative():
    assert Constraint("lut", upper=100).violation(150) == 0.5
    assert Constraint("lut", lower=100).violation(50) == 0.5
    assert Constraint("dsp", upper=0).violation(1) > 0


def test_impossible_constraints():
    for options in ({"metric": "lut"}, {"metric": "lut", "upper": 1, "lower": 2}, {"metric": "x", "upper": 1}):
        with pytest.raises(ConfigurationError):
            Constraint(**options)
