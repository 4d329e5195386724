"""Exact fixed point against an implementation in whole numbers and fractions, for every rounding and overflow."""

from __future__ import annotations

import itertools
from fractions import Fraction
from math import floor

import numpy as np
import pytest
from fakes.studies import random_network
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evonas.errors import ConfigurationError
from evonas.models.fixed_point import OVERFLOWS, ROUNDINGS, FixedPoint, QuantisedDense
from evonas.models.quantised_network import QuantisedNetwork
from surrogates import LayerSpec, ModelSpec

OFTEN, RARE = settings(max_examples=150, deadline=None), settings(max_examples=40, deadline=None)
VALUES = st.floats(-1e6, 1e6)


@st.composite
def types(draw, overflow=OVERFLOWS, widest=24):
    width = draw(st.integers(1, widest))
    return FixedPoint(
        draw(st.booleans()),
        width,
        draw(st.integers(-6, width + 6)),
        draw(st.sampled_from(ROUNDINGS)),
        draw(st.sampled_from(overflow)),
    )


def code_by_hand(kind: FixedPoint, value: float) -> int:
    """What the HLS user guide says, in whole numbers."""
    scaled = Fraction(value) * Fraction(2) ** kind.fraction
    below = floor(scaled)
    rest = scaled - below
    half = Fraction(1, 2)
    up = {
        "TRN": False,
        "TRN_ZERO": rest > 0 and value < 0,
        "RND": rest >= half,
        "RND_MIN_INF": rest > half,
        "RND_ZERO": rest > half or (rest == half and value < 0),
        "RND_INF": rest > half or (rest == half and value > 0),
        "RND_CONV": rest > half or (rest == half and below % 2 == 1),
    }[kind.rounding]
    code = below + up
    low = -(2 ** (kind.width - 1)) if kind.signed else 0
    high = low + 2**kind.width - 1
    if kind.overflow == "SAT_ZERO":
        return code if low <= code <= high else 0
    if kind.overflow == "SAT_SYM" and kind.signed:
        low = -high
    if kind.overflow in ("SAT", "SAT_SYM"):
        return min(max(code, low), high)
    return (code - low) % 2**kind.width + low


@OFTEN
@given(kind=types(), values=st.lists(VALUES, min_size=1, max_size=20))
@example(kind=FixedPoint(True, 8, 8, "RND", "SAT"), values=[0.49999999999999994, -0.5, 0.5, 1.5, 2.5])
@example(kind=FixedPoint(True, 8, 8, "RND_CONV", "SAT"), values=[0.5, 1.5, -0.5, -1.5, 127.5, -128.5])
@example(kind=FixedPoint(False, 3, 3, "TRN", "WRAP"), values=[8.0, -1.0, 7.9, -0.1])
def test_codes_are_those_of_whole_numbers(kind, values):
    assert kind.codes(np.array(values)).tolist() == [code_by_hand(kind, v) for v in values]


@OFTEN
@given(kind=types(widest=53), values=st.lists(VALUES, min_size=1, max_size=20))
def test_quantised_values_are_in_range_and_stay(kind, values):
    once = kind.quantise(np.array(values))
    assert (once >= kind.low).all()
    assert (once <= kind.high).all()
    assert (kind.quantise(once) == once).all()


@OFTEN
@given(kind=types(overflow=("SAT",)), values=st.lists(VALUES, min_size=2, max_size=20))
def test_saturation_keeps_the_order(kind, values):
    assert (np.diff(kind.quantise(np.sort(np.array(values)))) >= 0).all()


@OFTEN
@given(kind=types(overflow=("SAT",)), value=VALUES)
def test_the_error_is_below_one_step_inside_the_range(kind, value):
    if kind.low <= value <= kind.high:
        limit = 1.0 if kind.rounding in ("TRN", "TRN_ZERO") else 0.5
        assert abs(float(kind.quantise(np.array([value]))[0]) - value) <= limit * kind.lsb


@OFTEN
@given(kind=types(widest=53))
def test_a_type_survives_its_text(kind):
    assert FixedPoint.parse(str(kind)) == kind
    assert FixedPoint.parse(f"ap_{kind}") == kind


def test_texts_of_other_tools():
    assert FixedPoint.parse("ap_fixed<16, 6>") == FixedPoint(True, 16, 6)
    assert FixedPoint.parse("ufixed<6,2,AP_RND,AP_SAT>") == FixedPoint(False, 6, 2, "RND", "SAT")


@pytest.mark.parametrize(
    "text", ["", "fixed<8>", "float", "fixed<8,3,RND_UP>", "fixed<8,3,RND,WRAP_SM>", "fixed<a,b>"]
)
def test_other_texts_are_refused(text):
    with pytest.raises(ConfigurationError, match="fixed"):
        FixedPoint.parse(text)


@pytest.mark.parametrize("width", [0, -1, 54])
def test_impossible_widths(width):
    with pytest.raises(ConfigurationError, match="width"):
        FixedPoint(True, width, 1)


@OFTEN
@given(low=st.integers(-5000, 5000), span=st.integers(0, 5000), fraction=st.integers(-3, 8))
def test_the_type_that_holds_a_range_is_the_narrowest(low, span, fraction):
    lsb = 2.0**-fraction
    bounds = low * lsb, (low + span) * lsb
    kind = FixedPoint.holding(*bounds, fraction)
    assert kind.fraction == fraction
    assert kind.low <= bounds[0]
    assert bounds[1] <= kind.high
    assert kind.signed == (low < 0)
    if kind.width > 1:
        narrower = FixedPoint(kind.signed, kind.width - 1, kind.integer - 1)
        assert not (narrower.low <= bounds[0] and bounds[1] <= narrower.high)


@st.composite
def layers(draw):
    n_in, n_out = draw(st.integers(1, 12)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    bits = draw(st.integers(2, 12))
    weight_type = FixedPoint(True, bits, draw(st.integers(-2, 6)))
    bias_type = FixedPoint(True, draw(st.integers(2, 14)), draw(st.integers(-2, 8)))
    weights = rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (n_in, n_out))
    biases = rng.integers(-(2 ** (bias_type.width - 1)), 2 ** (bias_type.width - 1), n_out)
    return QuantisedDense(weights, weight_type, biases, bias_type, "linear", None), rng


@RARE
@given(layer_and_rng=layers(), input_type=types(overflow=("SAT",), widest=10))
def test_an_accumulator_holds_every_partial_sum_in_any_order(layer_and_rng, input_type):
    layer, rng = layer_and_rng
    kind = layer.accumulator_type(input_type)
    low, high = round(input_type.low / input_type.lsb), round(input_type.high / input_type.lsb)
    codes = rng.integers(low, high, layer.weight_codes.shape[0], endpoint=True)
    worst = np.where(layer.weight_codes[:, 0] > 0, high, low)
    for inputs in (codes, worst, np.full_like(codes, low)):
        for column in range(layer.weight_codes.shape[1]):
            terms = [
                Fraction(int(w)) * Fraction(layer.weight_type.lsb) * int(x) * Fraction(input_type.lsb)
                for w, x in zip(layer.weight_codes[:, column], inputs, strict=True)
            ]
            terms.append(Fraction(int(layer.bias_codes[column])) * Fraction(layer.bias_type.lsb))
            total = Fraction(0)
            for position in rng.permutation(len(terms)):
                total += terms[position]
                assert kind.low <= total <= kind.high
                assert (total / Fraction(kind.lsb)).denominator == 1
            exact = layer.forward((inputs * input_type.lsb)[None])[0, column]
            assert Fraction(float(exact)) == total


def test_an_accumulator_just_above_a_power_of_two():
    # 2**40 + 2**-11 needs one integer bit more than 2**40; log2 of it is 40.0 in floating point
    bias = FixedPoint(True, 12, 1)
    layer = QuantisedDense(np.array([[2**40]]), FixedPoint(True, 42, 42), np.array([1]), bias, "linear", None)
    assert layer.accumulator_type(FixedPoint(False, 1, 1)).high >= 2.0**40 + bias.lsb


def test_an_accumulator_beyond_53_bits_is_refused():
    layer = QuantisedDense(
        np.array([[2**40]]), FixedPoint(True, 42, 42), np.array([1]), FixedPoint(True, 20, 0), "linear", None
    )
    with pytest.raises(ConfigurationError, match="53"):
        layer.accumulator_type(FixedPoint(False, 8, 8))


@st.composite
def specs(draw):
    widths = draw(st.lists(st.integers(1, 6), min_size=2, max_size=4))
    rows = []
    for place, (n_in, n_out) in enumerate(itertools.pairwise(widths)):
        last = place == len(widths) - 2
        rows.append(
            LayerSpec(
                n_in,
                n_out,
                draw(st.integers(1, 8)),
                0 if last else draw(st.integers(1, 8)),
                "linear" if last else draw(st.sampled_from(["relu", "leaky_relu", "hard_tanh"])),
                draw(st.sampled_from([0.0, 0.3, 0.5])),
            )
        )
    return ModelSpec(draw(st.integers(2, 8)), tuple(rows))


@RARE
@given(spec=specs(), seed=st.integers(0, 2**32))
def test_a_network_survives_its_bytes(spec, seed):
    network = random_network(spec, seed)
    again = QuantisedNetwork.from_bytes(network.to_bytes())
    assert again.to_bytes() == network.to_bytes()
    assert again.digest == network.digest
    assert again.spec == spec
    x = np.random.default_rng(seed).normal(size=(20, spec.n_inputs)) * 3
    np.testing.assert_array_equal(again.predict(x), network.predict(x))
    assert again.nonzero_weights == network.nonzero_weights


@RARE
@given(spec=specs(), seed=st.integers(0, 2**32))
def test_what_leaves_a_layer_fits_its_type(spec, seed):
    network = random_network(spec, seed)
    hidden = network.input_type.quantise(np.random.default_rng(seed).normal(size=(30, spec.n_inputs)) * 3)
    for layer, entering in zip(network.layers, network.input_types(), strict=True):
        assert (entering.quantise(hidden) == hidden).all()
        hidden = layer.forward(hidden)
        leaving = layer.result_type(entering)
        assert (leaving.quantise(hidden) == hidden).all()
