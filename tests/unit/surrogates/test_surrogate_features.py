import time
from itertools import pairwise

import numpy as np
import pytest
from fakes.records import random_specs
from hypothesis import given, settings
from hypothesis import strategies as st

from surrogates import HardwareTarget, LayerSpec, ModelSpec, analytic_costs, feature_matrix, feature_names
from surrogates.analytic import alive_shares, signed_digits
from surrogates.reuse import legal_reuse_factors
from surrogates.splits import architecture_groups, group_folds
from surrogates.table import layer_table

TARGET = HardwareTarget()


@st.composite
def networks(draw):
    widths = draw(st.lists(st.integers(1, 200), min_size=2, max_size=8))
    layers = []
    for place, (n_in, n_out) in enumerate(pairwise(widths)):
        last = place == len(widths) - 2
        shared = draw(st.booleans())
        layers.append(
            LayerSpec(
                n_in,
                n_out,
                draw(st.integers(1, 16)),
                0 if last else draw(st.integers(1, 16)),
                "linear" if last else draw(st.sampled_from(["relu", "leaky_relu", "hard_tanh"])),
                draw(st.floats(0, 1)),
                "reuse" if shared else "distributed_arithmetic",
                draw(st.sampled_from(legal_reuse_factors(n_in, n_out))) if shared else 1,
            )
        )
    return ModelSpec(draw(st.integers(1, 16)), tuple(layers))


def dense(n_in, n_out, bits=6, reuse=1, strategy="reuse", sparsity=0.0, input_bits=8):
    return ModelSpec(input_bits, (LayerSpec(n_in, n_out, bits, 0, "linear", sparsity, strategy, reuse),))


@settings(max_examples=60, deadline=None)
@given(st.lists(networks(), min_size=1, max_size=4))
def test_features_are_finite_and_do_not_depend_on_their_neighbours(specs):
    together = feature_matrix(specs, TARGET)
    assert together.shape == (len(specs), len(feature_names()))
    assert np.isfinite(together).all()
    alone = np.concatenate([feature_matrix([spec], TARGET) for spec in specs])
    np.testing.assert_allclose(together, alone, rtol=1e-12, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(networks())
def test_closed_forms_are_finite_and_possible(spec):
    costs = analytic_costs([spec])
    for name, values in vars(costs).items():
        assert values.shape == (1,)
        assert np.isfinite(values).all(), name
        assert (values >= 0).all(), name
    assert costs.latency_cycles >= 1
    assert costs.initiation_interval >= 1


def test_names_are_distinct_and_every_depth_has_the_same_length():
    names = feature_names()
    assert len(set(names)) == len(names)
    for depth in range(1, 8):
        layers = [LayerSpec(4, 4, 4, 4)] * (depth - 1) + [LayerSpec(4, 2, 4, 0, "linear")]
        row = feature_matrix([ModelSpec(8, tuple(layers))], TARGET)
        assert row.shape == (1, len(names))
        assert row[0, names.index("n_layers")] == depth
        assert (row[0, names.index(f"layer{depth - 1}_weight_bits")]) == 4
        if depth < 7:
            assert row[0, names.index(f"layer{depth}_weight_bits")] == 0


def test_of_a_deeper_network_the_first_seven_layers_have_features_of_their_own():
    layers = [LayerSpec(4, 4, 4, 4)] * 8 + [LayerSpec(4, 2, 4, 0, "linear")]
    deep, shallow = feature_matrix([ModelSpec(8, tuple(layers)), ModelSpec(8, tuple(layers[2:]))], TARGET)
    names = feature_names()
    assert deep[names.index("n_layers")] == 9
    assert deep[names.index("log_macs")] > shallow[names.index("log_macs")]
    assert deep[names.index("layer6_log_n_out")] == np.log2(5)
    alone = feature_matrix([ModelSpec(8, tuple(layers[2:]))], TARGET)[0]
    np.testing.assert_array_equal(alone, shallow)


def test_targets_one_for_all_or_one_each():
    specs = random_specs(2, np.random.default_rng(0))
    clocks = feature_matrix(specs, [HardwareTarget(clock_period_ns=2.0), HardwareTarget(clock_period_ns=8.0)])
    np.testing.assert_array_equal(clocks[:, feature_names().index("log_clock")], [1.0, 3.0])
    with pytest.raises(ValueError, match="2 networks but 1 targets"):
        feature_matrix(specs, [TARGET])


def test_a_thousand_networks_take_well_under_a_second():
    specs = random_specs(1000, np.random.default_rng(0))
    start = time.process_time()
    feature_matrix(specs, TARGET)
    assert time.process_time() - start < 0.5


def test_macs_bops_and_ebops_by_hand():
    costs = analytic_costs([dense(16, 4, bits=6, sparsity=0.5, strategy="distributed_arithmetic")])
    assert costs.macs == 64
    assert costs.ebops == 32 * 6 * 8
    assert costs.bops == 16 * 4 * (0.5 * 8 * 6 + 8 + 6 + 4)


def test_csd_digits_are_near_the_exact_mean():
    def digits(value):
        count = 0
        while value:
            if value & 1:
                count += 1
                value -= 2 - (value & 3)
            value >>= 1
        return count

    for bits in (4, 6, 8, 10):
        values = [v for v in range(-(2 ** (bits - 1)), 2 ** (bits - 1)) if v]
        exact = np.mean([digits(abs(v)) for v in values])
        assert signed_digits(np.array([float(bits)]))[0] == pytest.approx(exact, rel=0.15)


def test_alive_shares_follow_a_simulation():
    rng = np.random.default_rng(3)
    widths, sparsity = [16, 12, 8, 5], 0.85
    layers = [LayerSpec(a, b, 6, 6, "relu", sparsity) for a, b in pairwise(widths[:-1])]
    spec = ModelSpec(8, (*layers, LayerSpec(8, 5, 6, 0, "linear", sparsity)))
    live_in, live_out = alive_shares(layer_table([spec]))
    seen_in, seen_out = np.zeros((400, 3)), np.zeros((400, 3))
    for trial in range(400):
        masks = [rng.random((a, b)) > sparsity for a, b in pairwise(widths)]
        forward = [np.ones(16, dtype=bool)]
        for mask in masks:
            forward.append((mask & forward[-1][:, None]).any(axis=0))
        backward = [np.ones(5, dtype=bool)]
        for mask in reversed(masks):
            backward.insert(0, (mask & backward[0][None, :]).any(axis=1))
        seen_in[trial] = [part.mean() for part in forward[:3]]
        seen_out[trial] = [part.mean() for part in backward[1:]]
    np.testing.assert_allclose(live_in, seen_in.mean(axis=0), atol=0.05)
    np.testing.assert_allclose(live_out, seen_out.mean(axis=0), atol=0.05)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=40), st.integers(2, 7))
def test_folds_are_a_partition_that_keeps_groups_together(groups, n_folds):
    folds = group_folds(groups, n_folds)
    assert len(folds) == min(n_folds, len(set(groups)))
    np.testing.assert_array_equal(np.sort(np.concatenate(folds)), np.arange(len(groups)))
    owners = [{groups[row] for row in fold} for fold in folds]
    assert sum(map(len, owners)) == len(set(groups))


def test_architectures_ignore_precision():
    bits = [dense(16, 8, bits=bits) for bits in (4, 8)]
    assert len(set(architecture_groups(bits))) == 1
    with pytest.raises(ValueError, match="at least 2"):
        group_folds(["a"], 1)
