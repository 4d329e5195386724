"""Closed forms of layers whose products are computed by multipliers in DSP slices."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evonas.models.fixed_point import FixedPoint
from evonas.synthesis.graph import Port
from evonas.synthesis.rtl import SharedConv
from evonas.synthesis.rtl.schedule import DenseSchedule
from surrogates import HardwareTarget, LayerSpec, ModelSpec, SpecError, analytic_costs, feature_matrix, feature_names
from surrogates.analytic import layer_bram, layer_dsp, layer_interval
from surrogates.reuse import legal_reuse_factors
from surrogates.shared_multipliers import BLOCK_RAM_WORDS, cycles
from surrogates.table import layer_table

WIDTHS = st.integers(1, 80)


def layer(n_in, n_out, reuse=1, bits=8, activation_bits=0, sparsity=0.0):
    """`reuse` 0 is distributed arithmetic."""
    strategy = "reuse" if reuse else "distributed_arithmetic"
    activation = "relu" if activation_bits else "linear"
    return LayerSpec(n_in, n_out, bits, activation_bits, activation, sparsity, strategy, max(reuse, 1))


def dense(*args, input_bits=8, **options):
    return ModelSpec(input_bits, (layer(*args, **options),))


def everywhere(positions, n_in, n_out, reuse, bits=8, input_bits=8, sparsity=0.0):
    """One linear layer at many positions."""
    part = LayerSpec(n_in, n_out, bits, 0, "linear", sparsity, "reuse", reuse, positions=positions)
    return ModelSpec(input_bits, (part,))


def chain(*reuse, widths=(16, 32, 16, 5), sparsity=0.0):
    shapes = list(pairwise(widths))
    layers = [layer(a, b, r, 6, 6, sparsity) for (a, b), r in zip(shapes[:-1], reuse, strict=False)]
    return ModelSpec(8, (*layers, layer(*shapes[-1], reuse[-1], 6)))


@given(WIDTHS, WIDTHS, st.data())
def test_cycles_are_those_of_the_schedule(n_in, n_out, data):
    reuse = data.draw(st.sampled_from(legal_reuse_factors(n_in, n_out)))
    found = cycles(layer_table([dense(n_in, n_out, reuse)]))
    assert found == DenseSchedule(n_in, n_out, reuse).latency_cycles


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(2, 20), st.data())
def test_positions_take_turns(n_in, n_out, positions, data):
    reuse = data.draw(st.sampled_from(legal_reuse_factors(n_in, n_out)))
    spec = everywhere(positions, n_in, n_out, reuse)
    kind, words = FixedPoint(True, 8, 4), np.arange(positions * n_in).reshape(1, positions, n_in)
    weight, bias, port = np.ones((1, n_in, n_out)), np.zeros((1, n_out)), Port.of([kind.kif] * words.size)
    conv = SharedConv("layer", port, words, weight, kind, bias, FixedPoint(True, 24, 12), 1, reuse)
    assert cycles(layer_table([spec])) == conv.latency_cycles
    assert analytic_costs([spec]).initiation_interval == conv.initiation_interval == positions * reuse
    assert layer_dsp(layer_table([spec])) == layer_dsp(layer_table([dense(n_in, n_out, reuse)]))


@pytest.mark.parametrize(
    ("spec", "dsp"),
    [
        (dense(16, 8, 0), 0),
        (dense(16, 8, 2), 64),
        (dense(16, 8, 128), 1),
        (dense(16, 8, 2, sparsity=0.5), 48),  # a quarter of the pairs of weights are both zero
        (dense(16, 8, 16, sparsity=0.5), pytest.approx(8, rel=1e-4)),  # pruning saves nothing
        (dense(16, 8, 2, sparsity=1.0), 0),
        (dense(16, 8, 2, bits=2, input_bits=2), 64),  # narrow products too
        (dense(16, 8, 1, bits=2), 0),  # constants of two bits are powers of two
        (dense(16, 8, 1, bits=16), pytest.approx(128, rel=0.01)),
    ],
)
def test_multipliers_by_hand(spec, dsp):
    assert layer_dsp(layer_table([spec])).sum() == dsp


@pytest.mark.parametrize(("bits", "sparsity", "n_in"), [(3, 0.0, 16), (4, 0.5, 32), (6, 0.5, 16), (8, 0.2, 24)])
def test_multipliers_of_constants_follow_a_simulation(bits, sparsity, n_in):
    rng, counts, limit = np.random.default_rng(4), [], 2 ** (bits - 1) - 1
    for _ in range(100):
        weights = rng.integers(1, limit + 1, (n_in, 16)) * rng.choice([-1, 1], (n_in, 16))
        weights[rng.random(weights.shape) < sparsity] = 0
        counts.append(sum(len({v for v in row if abs(v) & (abs(v) - 1)}) for row in weights.tolist()))
    found = layer_dsp(layer_table([dense(n_in, 16, 1, bits=bits, sparsity=sparsity)]))
    assert found[0] == pytest.approx(np.mean(counts), rel=0.03)


@pytest.mark.parametrize(
    ("n_in", "n_out", "reuse", "bits", "blocks"),
    [  # as yosys mapped them
        (16, 8, 64, 8, 1),
        (64, 16, 64, 8, 4),
        (64, 32, 64, 6, 6),
        (64, 32, 128, 6, 3),
        (64, 32, 256, 8, 2),
        (64, 32, 2048, 8, 1),
        (64, 32, 32, 8, 0),  # few words stay in LUTs
    ],
)
def test_block_rams_as_they_were_measured(n_in, n_out, reuse, bits, blocks):
    assert layer_bram(layer_table([dense(n_in, n_out, reuse, bits=bits)])) == blocks


def test_synthesis_uses_block_rams_from_the_same_number_of_words():
    layers = pytest.importorskip("evonas.synthesis._hls4ml.layers")
    assert layers.BLOCK_RAM_WORDS == BLOCK_RAM_WORDS


@pytest.mark.parametrize(
    ("spec", "lut", "ff"),
    [  # as yosys mapped random weights
        (dense(16, 8, 1), 1867, 4130),
        (dense(16, 8, 4), 603, 1281),
        (dense(16, 8, 4, bits=4, input_bits=4), 331, 689),
        (dense(16, 8, 32), 176, 428),
        (dense(16, 16, 1, bits=6, input_bits=6, sparsity=0.5), 1439, 3130),
        (dense(16, 16, 1, bits=3, input_bits=5), 1770, 2902),
        (dense(16, 16, 4, bits=4, input_bits=6, sparsity=0.5), 720, 1503),
        (dense(48, 24, 12, bits=7, input_bits=6, sparsity=0.7), 1815, 3452),
        (dense(64, 32, 64, bits=6), 859, 1887),
        (dense(64, 32, 2048), 235, 1338),
    ],
)
def test_cells_are_near_what_was_measured(spec, lut, ff):
    costs = analytic_costs([spec])
    assert costs.lut[0] == pytest.approx(lut, rel=0.2)
    assert costs.ff[0] == pytest.approx(ff, rel=0.06)


@pytest.mark.parametrize(
    ("arguments", "lut", "ff"),
    [  # positions, inputs, outputs, reuse, bits, input bits, sparsity: as yosys mapped random weights
        ((6, 16, 8, 1, 6, 8, 0.0), 1922, 4900),
        ((6, 16, 8, 4, 6, 8, 0.0), 844, 2701),
        ((6, 16, 8, 16, 6, 8, 0.0), 511, 1927),
        ((16, 8, 8, 4, 5, 6, 0.5), 470, 2813),
        ((8, 12, 16, 2, 4, 6, 0.0), 1374, 4450),
        ((32, 6, 8, 6, 4, 5, 0.0), 469, 3691),
    ],
)
def test_cells_of_a_layer_at_many_positions_are_near_what_was_measured(arguments, lut, ff):
    costs = analytic_costs([everywhere(*arguments)])
    assert costs.lut[0] == pytest.approx(lut, rel=0.35)
    assert costs.ff[0] == pytest.approx(ff, rel=0.13)


@given(WIDTHS, WIDTHS, st.integers(2, 16), st.floats(0, 0.95))
@settings(max_examples=60, deadline=None)
def test_more_reuse_takes_fewer_multipliers_and_is_slower(n_in, n_out, bits, sparsity):
    factors = [r for r in legal_reuse_factors(n_in, n_out) if r > 1]
    costs = analytic_costs([dense(n_in, n_out, r, bits=bits, sparsity=sparsity) for r in factors])
    assert (np.diff(costs.dsp) <= 1e-9).all()
    assert (np.diff(costs.initiation_interval) > 0).all()
    assert (np.diff(costs.latency_cycles) >= 0).all()
    unpruned = analytic_costs([dense(n_in, n_out, r, bits=bits) for r in factors])
    np.testing.assert_array_equal(unpruned.dsp, [n_in * n_out / r for r in factors])
    assert (costs.dsp <= unpruned.dsp).all()


@given(st.lists(st.sampled_from([0, 1, 2, 4, 8, 16]), min_size=3, max_size=3))
@settings(max_examples=60, deadline=None)
def test_the_slowest_layer_sets_the_interval(reuse):
    table = layer_table([chain(*reuse), chain(0, 0, 0)])
    np.testing.assert_array_equal(table.total(layer_interval(table)), [max(*reuse, 1), 1])
    assert np.count_nonzero(layer_interval(table)) == 2


def test_latency_by_hand():
    shared, before = chain(4, 4, 4), chain(0, 16, 0)
    # 16 inputs in 4 cycles: 4 + 2 tree levels + 3; then 8 taps: one level more; 2 edges of logic between any two layers
    by_hand = (4 + 2 + 3) + 2 + (4 + 3 + 3) + 2 + (4 + 2 + 3)
    costs = analytic_costs([shared, before])
    assert costs.latency_cycles[0] == by_hand
    # logic of stages + 1 edges on both sides of 16 + 1 + 3
    assert costs.latency_cycles[1] >= 20 + 2 + 2


def test_a_neighbour_does_not_change_a_latency():
    specs = [chain(4, 0, 8), chain(0, 0, 0), dense(16, 8, 4), chain(0, 2, 0)] * 4
    together = analytic_costs(specs).latency_cycles
    np.testing.assert_array_equal(together, [analytic_costs([spec]).latency_cycles[0] for spec in specs])


def test_features_tell_implementations_apart():
    rows = feature_matrix([chain(0, 0, 0), chain(4, 0, 0), chain(0, 4, 0), chain(8, 0, 0)], HardwareTarget())
    assert len(np.unique(rows, axis=0)) == 4
    shared = [feature_names().index(f"layer{place}_shared") for place in range(3)]
    np.testing.assert_array_equal(rows[:, shared], [[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 0, 0]])


@pytest.mark.parametrize("reuse", [0, -4, 3, 5, 256])
def test_illegal_reuse_factors_are_refused(reuse):
    with pytest.raises(SpecError, match="nearest legal") as caught:
        LayerSpec(16, 8, 4, 4, strategy="reuse", reuse_factor=reuse)
    assert (caught.value.field, caught.value.value) == ("reuse_factor", reuse)


def test_distributed_arithmetic_has_no_reuse_factor():
    with pytest.raises(SpecError, match="must be 1"):
        LayerSpec(16, 8, 4, 4, reuse_factor=4)


def test_descriptions_without_strategy_can_be_read():
    plain = {"n_in": 16, "n_out": 8, "weight_bits": 4, "activation_bits": 0, "activation": "linear"}
    spec = ModelSpec.from_dict({"input_bits": 8, "layers": [plain]})
    assert (spec.layers[0].strategy, spec.layers[0].reuse_factor) == ("distributed_arithmetic", 1)
    assert ModelSpec.from_dict(chain(4, 0, 8).to_dict()) == chain(4, 0, 8)
