"""Comparison bit for bit, and the packing of ports."""

import numpy as np
import pytest
from fakes.networks import random_network

from evonas.errors import ConfigurationError, FailureKind, ToolError
from evonas.synthesis.graph import Port
from evonas.synthesis.verification import check_vectors, compare, pack, unpack


def test_equal_is_silent():
    x = np.zeros((3, 2))
    compare(x, np.ones((3, 1)), np.ones((3, 1)), ("a", "b"))


def test_the_first_difference_is_named():
    inputs = np.arange(6.0).reshape(3, 2)
    expected, found = np.ones((3, 2)), np.ones((3, 2))
    found[1, 1] = 1.25
    with pytest.raises(ToolError) as caught:
        compare(inputs, expected, found, ("torch", "the Verilog"))
    assert caught.value.failure.kind is FailureKind.MISMATCH
    for part in ("torch", "the Verilog", "first on 1", "[2.0, 3.0]", "[1.0, 1.25]", "1 of 3"):
        assert part in caught.value.failure.message


def test_nan_and_shape_are_mismatches():
    x = np.zeros((1, 1))
    for found in (np.array([[np.nan]]), np.zeros((1, 2))):
        with pytest.raises(ToolError, match="mismatch"):
            compare(x, np.zeros((1, 1)), found, ("a", "b"))


@pytest.mark.parametrize("vectors", [np.zeros((63, 3)), np.zeros((64, 2)), np.zeros(64), np.full((64, 3), np.inf)])
def test_unsuitable_vectors(vectors):
    with pytest.raises(ConfigurationError, match="vectors"):
        check_vectors(random_network(0, (3, 2)), vectors)


def test_ports_round_trip():
    port = Port((True, False, False, True), (2, 1, 0, -1), (5, 3, 0, 4))
    assert port.widths == (8, 4, 0, 4)
    lows, steps = np.array([-4.0, 0, 0, -0.5]), np.array([2**-5, 2**-3, 0, 2**-4])
    codes = np.random.default_rng(0).integers(0, [256, 16, 1, 16], (200, 4))
    values = lows + codes * steps
    words = pack(values, port)
    assert max(words) < 2**16
    assert np.array_equal(unpack(words, port), values)
    assert Port.from_dict({"signed": [True], "integer": [1], "fraction": [2]}).widths == (4,)
