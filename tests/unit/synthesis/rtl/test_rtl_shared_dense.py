"""Shared dense layers: the Verilog bit for bit and edge for edge, and the figures that are known before."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rtl_layers import random_layer, random_values, reference

from evonas.errors import ConfigurationError, FailureKind, ToolError
from evonas.models.fixed_point import FixedPoint
from evonas.synthesis.graph import Port
from evonas.synthesis.rtl import Design, Stage
from evonas.synthesis.rtl.schedule import DenseSchedule
from evonas.synthesis.rtl.simulation import simulate
from evonas.synthesis.verification import pack, unpack
from surrogates.reuse import legal_reuse_factors

VECTORS = 16
SHAPES = ((1, 1), (1, 4), (5, 1), (4, 3), (6, 4))


def check(layer, tmp_path, gaps=(), seed=0):
    """Compare random vectors."""
    simulated(layer, tmp_path, random_values(np.random.default_rng(seed), layer.inputs, VECTORS), gaps)


def simulated(layer, tmp_path, inputs, gaps=()):
    """Simulate the layer alone behind the handshake; every output must be the reference's."""
    design = Design(layer.inputs, (Stage(layer, tuple(range(len(layer.inputs.widths)))),))
    design.write(tmp_path / "rtl")
    words, _ = simulate(design, tmp_path / "rtl", tmp_path, pack(inputs, layer.inputs), gaps, timeout_s=60)
    assert np.array_equal(unpack(words, layer.outputs), reference(layer, inputs))


@pytest.mark.parametrize(
    ("shape", "factor"), [(shape, factor) for shape in SHAPES for factor in legal_reuse_factors(*shape)]
)
def test_every_legal_reuse_factor_back_to_back(tmp_path, shape, factor):
    storage = ("distributed", "block")[(shape[0] + factor) % 2]
    check(random_layer(factor, shape, factor, storage=storage), tmp_path)


@pytest.mark.parametrize("seed", range(12))
def test_random_layers_with_stalls(tmp_path, seed):
    rng = np.random.default_rng(seed)
    shape = int(rng.integers(1, 13)), int(rng.integers(1, 9))
    factor = int(rng.choice(legal_reuse_factors(*shape)))
    storage = ("distributed", "block")[int(rng.integers(2))]
    options = {"storage": storage, "weight_bits": int(rng.integers(2, 9)), "signed_weights": bool(rng.random() < 0.8)}
    gaps = (rng.integers(0, 2 * factor + 2, VECTORS) * (rng.random(VECTORS) < 0.7)).tolist()
    check(random_layer(seed, shape, factor, **options), tmp_path, gaps, seed)


@pytest.mark.parametrize(
    ("accumulator", "what"),
    [
        (FixedPoint(True, 30, 15), "neither cuts off nor wraps"),
        (FixedPoint(True, 12, 12), "cuts off all fraction bits"),
        (FixedPoint(True, 6, 16), "cuts off more than a product has"),
        (FixedPoint(True, 5, 0), "wraps"),
        (FixedPoint(False, 7, 3), "wraps without a sign"),
    ],
)
@pytest.mark.parametrize("factor", [1, 2, 12])
def test_accumulators(tmp_path, accumulator, what, factor):
    check(random_layer(3, (6, 4), factor, accumulator=accumulator), tmp_path)


def test_the_largest_product_below_the_last_bit_is_cut_off(tmp_path):
    port = Port((True,) * 2, (3,) * 2, (0,) * 2)
    options = {"inputs": port, "weight": np.full((2, 1), -8.0), "weight_type": FixedPoint(True, 4, 4)}
    layer = random_layer(0, (2, 1), 2, accumulator=FixedPoint(True, 4, 11), **options)
    inputs = np.array([[-8.0, -8.0], [-8.0, 7.0], [7.0, -8.0], [0.0, 1.0]])  # 64 is half of the last bit
    assert reference(layer, inputs)[1, 0] < reference(layer, inputs)[0, 0]
    simulated(layer, tmp_path, inputs)


def test_a_layer_of_zeros_is_its_bias(tmp_path):
    for factor in (1, 2, 8):
        layer = random_layer(0, (4, 2), factor, weight=np.zeros((4, 2)))
        assert (layer.multipliers, layer.memory_bits) == (0, 0)
        check(layer, tmp_path / str(factor))


def test_powers_of_two_need_no_multiplier(tmp_path):
    weight = np.array([[1, -2], [0, 4], [-8, 1], [3, 2]]) / 8
    port = Port((True,) * 4, (2,) * 4, (3,) * 4)
    options = {"weight": weight, "weight_type": FixedPoint(True, 4, 1), "inputs": port}
    layer = random_layer(0, (4, 2), 1, accumulator=FixedPoint(True, 14, 6), **options)
    assert layer.multipliers == 1
    check(layer, tmp_path)
    assert random_layer(0, (4, 2), 2, **options).multipliers == 4  # of which none sees zeros alone


def test_an_accumulator_that_cannot_overflow_may_saturate_or_round(tmp_path):
    port, weight = Port((True,) * 3, (2,) * 3, (1,) * 3), np.array([[0.5], [-0.25], [1.0]])
    options = {"inputs": port, "weight": weight, "weight_type": FixedPoint(True, 4, 2), "bias": np.array([0.25])}
    bound = 0.5 * 4 + 0.25 * 4 + 4 + 0.25  # of any partial sum's magnitude
    enough = FixedPoint(True, 7, 4, "RND", "SAT")
    assert -enough.low > bound > -enough.low / 2
    check(random_layer(0, (3, 1), 3, accumulator=enough, **options), tmp_path)
    for kind in (
        FixedPoint(True, 6, 3, "RND", "SAT"),
        FixedPoint(True, 6, 4, "RND_CONV"),
        FixedPoint(False, 8, 5, "TRN", "SAT"),
    ):
        with pytest.raises(ToolError, match="fc: ") as caught:
            random_layer(0, (3, 1), 3, accumulator=kind, **options)
        assert caught.value.failure.kind is FailureKind.UNSUPPORTED


def test_the_bound_of_an_accumulator_is_tight():
    port, weight = Port((True,), (2,), (0,)), np.array([[1.0, -1.0]])
    options = {"inputs": port, "weight": weight, "weight_type": FixedPoint(True, 2, 2), "bias": np.array([0.0, 3.0])}
    random_layer(0, (1, 2), 1, accumulator=FixedPoint(True, 4, 4, "TRN", "SAT"), **options)  # 3 - -4 = 7 fits
    options["bias"] = np.array([0.0, 4.0])
    with pytest.raises(ToolError, match="might overflow"):
        random_layer(0, (1, 2), 1, accumulator=FixedPoint(True, 4, 4, "TRN", "SAT"), **options)


@given(st.integers(1, 12), st.integers(1, 12), st.data())
def test_the_schedule_computes_every_product_once(n_in, n_out, data):
    plan = DenseSchedule(n_in, n_out, data.draw(st.sampled_from(legal_reuse_factors(n_in, n_out))))
    arranged = plan.arrange(np.arange(n_in * n_out).reshape(n_in, n_out))
    assert arranged.shape == (plan.lanes, plan.taps, plan.reuse_factor)
    assert sorted(arranged.ravel()) == list(range(n_in * n_out))
    for (lane, tap, cycle), product in np.ndenumerate(arranged):
        group, position = divmod(cycle, plan.positions)
        assert divmod(product, n_out) == (position * plan.taps + tap, lane * plan.groups + group)


@settings(max_examples=30)
@given(st.integers(0, 1000), st.integers(1, 12), st.integers(1, 12), st.data())
def test_figures(seed, n_in, n_out, data):
    factor = data.draw(st.sampled_from(legal_reuse_factors(n_in, n_out)))
    layer = random_layer(seed, (n_in, n_out), factor)
    assert layer.initiation_interval == factor
    assert layer.multipliers <= n_in * n_out // factor
    words = int(np.any(layer.codes != 0, axis=2).sum())
    assert layer.memory_bits == (0 if factor == 1 else words * factor * layer.weight_type.width)
    dense = random_layer(  # negative: no narrow product without a sign is among them
        seed, (n_in, n_out), factor, weight=np.full((n_in, n_out), -3.0), weight_type=FixedPoint(True, 3, 3)
    )
    if factor == 1:  # all outputs take the same product of an input
        assert dense.multipliers == np.count_nonzero(dense.inputs.widths)
    weight = -1 - np.arange(1.0, n_in * n_out + 1).reshape(n_in, n_out) * 2  # odd, and all different
    different = random_layer(seed, (n_in, n_out), factor, weight=weight, weight_type=FixedPoint(True, 12, 12))
    if all(different.inputs.widths):  # a word of no bits is zero and is multiplied by nothing
        assert different.multipliers == n_in * n_out // factor
    assert dense.latency_cycles == layer.latency_cycles


def test_latencies():
    cycles = {factor: DenseSchedule(16, 8, factor).latency_cycles for factor in (1, 2, 4, 16, 32)}
    assert cycles == {1: 2 + 4 + 1, 2: 2 + 2 + 3 + 1, 4: 4 + 2 + 2 + 1, 16: 16 + 2 + 1, 32: 32 + 2 + 1}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"inputs": Port((True,) * 4, (1,) * 4, (-2,) * 4)}, "no word has any bits"),
        ({"name": "1st"}, "identifier"),
        ({"weight": np.zeros((3, 2))}, "weight.shape"),
        ({"bias": np.zeros(3)}, "bias.shape"),
        ({"weight": np.full((4, 2), 2.0**-20)}, "weight_type"),
        ({"storage": "ultra"}, "storage"),
    ],
)
def test_what_does_not_fit_together_is_refused(changes, named):
    with pytest.raises(ConfigurationError, match=named):
        random_layer(0, (4, 2), 2, **changes)


def test_a_reuse_factor_that_is_not_legal_is_refused():
    with pytest.raises(ConfigurationError, match="nearest is 2"):
        random_layer(0, (4, 2), 3)
