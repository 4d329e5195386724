"""Counts of trained weights: against a slow definition of canonical signed digits, and by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from surrogates import HardwareTarget, LayerSpec, ModelSpec, SpecError, Stage, SynthesisRecord
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


def test_records_keep_the_counts_and_those_of_schema_1_have_none():
    spec = ModelSpec(6, (LayerSpec(4, 3, 5, 0, "linear"),))
    costs = {"lut": 1.0, "ff": 2.0, "dsp": 0.0, "bram_18k": 0.0, "latency_cycles": 3.0, "initiation_interval": 1}
    counts = (LayerWeights(11, 20, 7, 6, 4, 3),)
    record = SynthesisRecord(spec, HardwareTarget(), Stage.TRACED, "open 1", weights=counts, **costs)
    data = json.loads(json.dumps(record.to_dict()))
    assert SynthesisRecord.from_dict(data) == record
    old = {name: value for name, value in data.items() if name != "weights"} | {"schema": 1, "nonzero_weights": [11]}
    assert SynthesisRecord.from_dict(old) == replace(record, weights=())
    with pytest.raises(SpecError, match="wrong name or form"):
        SynthesisRecord.from_dict(data | {"weights": [[11, 20]]})
    with pytest.raises(SpecError, match="schemas 1 and 2"):
        SynthesisRecord.from_dict(data | {"schema": 3})
