"""The published networks: their sizes as the papers count them, and that families and operations can express them."""

from __future__ import annotations

import numpy as np
import pytest

from evonas.errors import ConfigurationError
from evonas.space import Phenotype, published
from evonas.space.families import fitted
from evonas.space.published import PUBLISHED
from surrogates import ModelSpec, SpecError, analytic_costs


def weights(name):
    return sum(layer.n_weights for layer in PUBLISHED[name]().weighted)


def multiplications(name):
    return analytic_costs([PUBLISHED[name]()]).macs[0]


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_network_is_sound_and_survives_plain_data(name):
    spec = PUBLISHED[name]()
    assert spec.n_outputs == 5
    assert ModelSpec.from_dict(spec.to_dict()) == spec
    assert spec.weighted[-1].activation == "linear"
    assert {layer.sparsity for layer in spec.weighted} == {0.0}


def test_networks_are_different():
    assert len({make().digest for make in PUBLISHED.values()}) == len(PUBLISHED)


def test_published_counts_of_weights():
    assert weights("hls4ml_mlp") == 4256  # arXiv:1804.06913 has 4,389 parameters, 133 of them biases
    assert weights("ultrafast_mlp_8") == 25_916  # the "BOPs" of SNAC-Pack's baseline, arXiv:2512.15998, table 1


@pytest.mark.parametrize(
    ("name", "topology"),
    [
        ("hls4ml_mlp", "16-64-32-32-5"),
        ("ultrafast_mlp_8", "24-120-60-32-64-64-64-32-44-5"),
        ("ultrafast_deep_sets_16", "16x3-32-32-32-mean-32-5"),
        ("ultrafast_interaction_8", "8x3-pairs-12-6-sum8-concatenate(-1,3)-36-18-6-mean-170-5"),
        ("nac_deep_sets_large", "8x3-32-32-mean-32-64-5"),
        ("nac_deep_sets_small", "8x3-8-8-mean-16-16-5"),
        ("nac_deep_sets_tiny", "8x3-16-mean-8-8-4-5"),
        ("ll_gnn_none", "30x16-pairs-4-sum30-concatenate(-1,2)-50-25-4-sum-50-25-5"),
    ],
)
def test_topologies(name, topology):
    assert PUBLISHED[name]().topology == topology


@pytest.mark.parametrize("n", [8, 16, 32])
def test_a_set_costs_in_proportion_to_its_constituents_and_pairs_to_their_square(n):
    phi, rho = 3 * 32 + 2 * 32 * 32, 32 * 32 + 32 * 5
    assert multiplications(f"ultrafast_deep_sets_{n}") == n * phi + rho
    effects, classifier = ((3,), 512) if n == 32 else ((12, 6), 170)
    pair = sum(a * b for a, b in zip((6, *effects), effects, strict=False))
    each = (3 + effects[-1]) * 36 + 36 * 18 + 18 * 6
    head = (6 + 5) * classifier
    assert multiplications(f"ultrafast_interaction_{n}") == n * (n - 1) * pair + n * each + head


def test_linear_interaction_grows_linearly():
    once = 64 * 64 + 64 * 64 + 64 * 32 + 32 * 16 + 16 * 5  # of the mean and of the head
    for n in (8, 16, 32, 64):
        assert multiplications(f"jedi_linear_{n}") == n * (3 * 64 + 2 * 64 * 64) + once


def test_the_deep_sets_of_nac_lie_in_the_space_of_the_family():
    chosen = {"phi_depth": (1, 3), "rho_depth": (1, 3), "widths": (4, 8, 16, 32, 64), "bottleneck": (8, 16, 32)}
    chosen |= {"weight_bits": (8,), "activation_bits": (8,), "input_bits": (8,)}
    space = fitted("deep_sets", chosen, (8, 3), 5)
    for size in ("base", "large", "tiny"):  # the others mix activations from layer to layer
        spec = published.nac_deep_sets(size)
        assert space.decode(space.encode(Phenotype(spec, space.learning_rate[0]))).spec == spec


def test_mixed_activations():
    layers = published.nac_deep_sets("small").weighted
    assert [layer.activation for layer in layers] == ["leaky_relu", "relu", "leaky_relu", "relu", "linear"]


def test_bits_and_sparsity():
    spec = published.ultrafast_deep_sets(8, bits=6, sparsity=0.5)
    assert spec.input_bits == 6
    assert {layer.weight_bits for layer in spec.weighted} == {6}
    assert {layer.activation_bits for layer in spec.weighted[:-1]} == {6}
    assert {layer.sparsity for layer in spec.weighted} == {0.5}
    assert spec.topology == published.ultrafast_deep_sets(8).topology
    tight = published.ultrafast_deep_sets(8, sparsity=0.9).weighted[0]
    assert tight.sparsity == 0.0  # a tenth of 3 x 32 weights is fewer than 32 outputs


@pytest.mark.parametrize("bits", [0, 17])
def test_impossible_bits(bits):
    with pytest.raises(SpecError, match="bits"):
        published.hls4ml_mlp(bits)


@pytest.mark.parametrize(
    "call",
    [
        lambda: published.ultrafast_mlp(9),
        lambda: published.ultrafast_interaction(64),
        lambda: published.nac_deep_sets("huge"),
    ],
)
def test_unpublished_sizes_are_refused(call):
    with pytest.raises(ConfigurationError, match="is not published; choose from"):
        call()


@pytest.mark.parametrize("name", ["ultrafast_interaction_8", "jedi_linear_8", "nac_deep_sets_small"])
def test_sets_do_not_depend_on_the_order_of_constituents(name):
    torch = pytest.importorskip("torch")
    from evonas.models.stacked_network import StackedNetwork

    spec = PUBLISHED[name]()
    stack = StackedNetwork([spec], 4.0, [torch.Generator().manual_seed(1)])
    rows = np.random.default_rng(1).normal(size=(64, 8, 3)).clip(-4, 4).astype(np.float32)
    stack.calibrate(stack.quantise_input(torch.from_numpy(rows.reshape(1, 64, 24))))
    network = stack.export(0)
    outputs = network.predict(rows.reshape(64, 24))
    assert np.ptp(outputs, axis=0).min() > 0
    assert np.array_equal(network.predict(rows[:, ::-1].reshape(64, 24)), outputs)
