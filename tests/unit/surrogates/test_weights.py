"""Counts of trained weights: against a slow definition of canonical signed digits, and by hand."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from surrogates.weights import LayerWeights, signed_digit_counts


def digits_by_definition(number: int) -> list[int]:
    """Non-adjacent form, least digit first."""
    found = []
    while number:
        digit = 2 - number % 4 if number % 2 else 0
        found.append(digit)
        number = (number - digit) // 2
    return found


@given(st.integers(-(2**40), 2**40))
def test_digits_are_those_of_the_non_adjacent_form(number):
    wanted = digits_by_definition(number)
    assert sum(digit * 2**place for place, digit in enumerate(wanted)) == number
    assert signed_digit_counts(np.array([number])).tolist() == [sum(map(bool, wanted))]


def test_counts_of_a_layer():
    codes = np.array([[3, 0, -1], [0, 0, 7], [0, 0, 0], [5, 0, 1]])
    found = LayerWeights.of(codes)  # 3 = 4 - 1, 7 = 8 - 1, 5 = 4 + 1
    assert found == LayerWeights(nonzero=5, digits=8, most_digits=4, growth_bits=4, live_inputs=3, live_outputs=2)
    assert found.to_list() == [5, 8, 4, 4, 3, 2]


def test_a_layer_without_a_weight():
    assert LayerWeights.of(np.zeros((3, 2), np.int64)) == LayerWeights(0, 0, 0, 0, 0, 0)
