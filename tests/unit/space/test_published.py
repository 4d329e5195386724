"""The published networks: their sizes as the papers count them, and that families and operations can express them."""

from __future__ import annotations

import numpy as np
import pytest

from evonas.errors import ConfigurationError
from evonas.space import Phenotype, published, published_bragg
from evonas.space.families import fitted
from evonas.space.published import PUBLISHED
from evonas.space.published_bragg import BRAGG
from evonas.space.published_readout import linear_readout, qick_readout
from surrogates import LayerSpec, ModelSpec, SpecError, Window, analytic_costs


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
    for size in ("base", "large"):  # the others mix activations from layer to layer
        spec = published.nac_deep_sets(size)
        assert space.decode(space.encode(Phenotype(spec, space.learning_rate[0]))).spec == spec


def test_mixed_activations():
    layers = published.nac_deep_sets("small").weighted
    assert [layer.activation for layer in layers] == ["leaky_relu", "relu", "leaky_relu", "relu", "linear"]
    layers = PUBLISHED["nac_deep_sets_tiny"]().weighted
    assert [layer.activation for layer in layers] == ["relu", "relu", "gelu", "relu", "linear"]


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


def parameters(spec):
    """Weights and biases, as the public networks have them."""
    return sum(layer.n_weights + layer.n_out for layer in spec.weighted)


def test_networks_for_bragg_peaks_have_the_parameters_of_the_public_code():
    """Counted from github.com/lzhengchun/BraggNN and nac-opt; normalisation is not counted."""
    attention = 3 * (64 * 32 + 32) + 32 * 64 + 64
    convolutions = 64 * 9 + 64 + 64 * 9 * 32 + 32 + 32 * 9 * 8 + 8
    dense = 200 * 64 + 64 + 64 * 32 + 32 + 32 * 16 + 16 + 16 * 8 + 8 + 8 * 2 + 2
    assert parameters(published_bragg.braggnn()) == attention + convolutions + dense == 45_394
    assert parameters(published_bragg.braggnn((16, 8, 4, 2))) == 33_172  # the weights published beside the code
    counts = {"openhls": 3_016, "nac_large": 13_594, "nac_small": 7_204}
    assert {name: parameters(BRAGG[name]()) for name in counts} == counts


def test_braggnn_multiplies_two_million_times():
    places = 9 * 9
    attention = places * 4 * 64 * 32 + 2 * places**2 * 32
    convolutions = places * 9 * 64 + 7 * 7 * 9 * 64 * 32 + 5 * 5 * 9 * 32 * 8
    head = 200 * 64 + 64 * 32 + 32 * 16 + 16 * 8 + 8 * 2
    assert analytic_costs([published_bragg.braggnn()]).macs[0] == attention + convolutions + head == 2_106_384


@pytest.mark.parametrize(
    ("name", "topology"),
    [
        ("nac_large", "121x1-32k3-4k1-32k1-4k1-32k3-8k3-64k3-flatten-8-4-4-2"),
        ("nac_small", "121x1-16k3-4k1-2k3-flatten-64-8-4-2"),
        ("nac_example_1", "121x1-64k3-32k1-64k3-4k3-4k3-flatten-8-16-64-2"),
        ("nac_example_2", "121x1-8k3-64k3-32k3-8k3-8k3-8k1-8k1-flatten-8-64-32-2"),
        ("nac_example_3", "121x1-32k3-8k1-8k1-4k1-32k1-flatten-8-16-32-2"),
    ],
)
def test_topologies_of_nac_for_bragg_peaks(name, topology):
    assert BRAGG[name]().topology == topology


@pytest.mark.parametrize("name", BRAGG)
def test_networks_for_bragg_peaks_are_sound(name):
    spec = BRAGG[name]()
    assert (spec.n_inputs, spec.n_outputs) == (121, 2)
    assert ModelSpec.from_dict(spec.to_dict()) == spec
    assert parameters(BRAGG[name](bits=4)) == parameters(spec)


def test_a_convolution_is_counted_once_for_each_output_position():
    """Not so in the public code of NAC: output words x all input words x kernel, height x width times too many."""
    bits, side, kernel, n_in, n_out = 8, 9, 3, 4, 2
    window = Window(side, side, kernel)
    conv = LayerSpec(n_in, n_out, bits, 0, "linear", kind="conv", positions=side**2, window=window)
    ours = float(analytic_costs([ModelSpec(bits, (conv,))]).bops[0])
    outputs, fan_in = (side - kernel + 1) ** 2 * n_out, kernel**2 * n_in
    assert ours == pytest.approx(outputs * fan_in * (bits**2 + 2 * bits + np.log2(fan_in)))
    inputs = side**2 * n_in
    theirs = outputs * inputs * kernel**2 * (bits**2 + 2 * bits + np.log2(inputs * kernel**2))
    assert theirs / ours == pytest.approx(side**2, rel=0.1)


def test_the_published_readout_reads_400_samples_from_the_100th():
    spec = qick_readout()
    assert spec.topology == "770x2-select100+400-flatten-4-2"
    assert [layer.n_weights for layer in spec.weighted] == [800 * 4, 4 * 2]
    assert qick_readout(10).topology == "77x2-select10+40-flatten-4-2"
    assert linear_readout(77).topology == "77x2-flatten-2"
    for decimation in (0, 3, 20):
        with pytest.raises(ConfigurationError, match="must divide 100"):
            qick_readout(decimation)


def test_the_published_window_lies_in_the_space_of_the_family():
    chosen = {"window_start": (0, 10), "window_size": (8, 40), "widths": (2, 4), "decimation": (1, 2)}
    chosen |= {"input_bits": (14,), "weight_bits": (6,), "activation_bits": (16,)}
    space = fitted("readout", chosen, (77, 2), 2)
    phenotype = Phenotype(qick_readout(10), space.learning_rate[0])
    assert space.decode(space.encode(phenotype)) == phenotype
