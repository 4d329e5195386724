"""Exact networks of every family: bytes, descriptions, types, and what they compute."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from fakes.families import FAMILIES, inputs, narrow_space, space_of, untrained
from fakes.networks import random_network

from evonas.models.fixed_point import FixedPoint, QuantisedDense
from evonas.models.operations import QuantisedOperation
from evonas.models.quantised_network import QuantisedNetwork
from surrogates import LayerSpec, ModelSpec, OperationSpec, Window


@pytest.fixture(scope="module", params=FAMILIES)
def network(request):
    space = narrow_space(request.param)
    genome = space.sample(3, np.random.default_rng(1))[2]
    return untrained([space.decode(genome).spec], [7]).export(0)


def test_bytes_hold_the_whole_network(network):
    restored = QuantisedNetwork.from_bytes(network.to_bytes())
    assert restored.digest == network.digest
    assert restored.to_bytes() == network.to_bytes()
    assert restored.spec == network.spec
    assert restored.result_types == network.result_types
    x = inputs(network.spec, 50, np.random.default_rng(0))
    np.testing.assert_array_equal(restored.predict(x), network.predict(x))


def test_a_description_and_the_codes_hold_the_whole_network(network):
    codes = [codes for layer in network.weighted for codes in (layer.weight_codes, layer.bias_codes)]
    assert QuantisedNetwork.restore(network.describe(), codes).digest == network.digest


def test_another_code_is_another_digest(network):
    last = network.layers[-1]
    codes = last.bias_codes.copy()
    codes[0] ^= 1
    other = dataclasses.replace(network, layers=(*network.layers[:-1], dataclasses.replace(last, bias_codes=codes)))
    assert other.digest != network.digest


def test_every_word_lies_on_the_grid_of_its_type(network):
    x = inputs(network.spec, 200, np.random.default_rng(3))
    assert len(network.result_types) == len(network.layers) + 1
    for index, part in enumerate(network.layers):
        cut = dataclasses.replace(network, layers=network.layers[: index + 1])
        values = words_behind(cut, x, index)
        kind = network.result_types[index + 1]
        np.testing.assert_array_equal(kind.quantise(values), values)
        linear = {"activation": "linear"} if isinstance(part, QuantisedDense) else {}
        exact = dataclasses.replace(part, output_type=None, **linear)
        uncut = words_behind(dataclasses.replace(network, layers=(*network.layers[:index], exact)), x, index)
        np.testing.assert_array_equal(network.exact_types[index].quantise(uncut), uncut)


def words_behind(network, x, index):
    """What leaves the part `index`, (n, positions, channels)."""
    spec = network.spec
    values = [network.input_type.quantise(x).reshape(len(x), *spec.input_shape)]
    for place in range(index + 1):
        operands = [values[source + 1] for source in spec.sources[place]]
        part = network.layers[place]
        if isinstance(part, QuantisedOperation):
            values.append(part.forward(*operands))
        else:
            values.append(part.forward(network._words(place, operands[0])))  # any number of leading dimensions
    return values[-1]


def test_a_convolution_is_a_loop_over_its_window():
    window = Window(3, 4, 2, 1, 1)
    layer = LayerSpec(2, 3, 4, 4, kind="conv", positions=12, window=window)
    spec = ModelSpec(4, (layer, OperationSpec("flatten"), LayerSpec(60, 1, 2, 0, "linear")))
    rng = np.random.default_rng(2)
    kind, output, word = FixedPoint(True, 4, 1), FixedPoint(False, 4, 2, "RND", "SAT"), FixedPoint(True, 4, 2)
    conv = QuantisedDense(rng.integers(-7, 8, (8, 3)), kind, rng.integers(-7, 8, 3), kind, "relu", output)
    last = QuantisedDense(np.ones((60, 1), int), FixedPoint(True, 2, 2), np.zeros(1, int), kind, "linear", None)
    network = QuantisedNetwork(spec, word, (conv, QuantisedOperation(spec.layers[1]), last))
    x = word.quantise(rng.uniform(-2, 2, (5, 24)))
    image = x.reshape(5, 3, 4, 2)
    total = np.zeros(5)
    for row in range(-1, 3):
        for column in range(-1, 4):
            sums = np.tile(conv.bias, (5, 1))
            for dy in range(2):
                for dx in range(2):
                    if 0 <= row + dy < 3 and 0 <= column + dx < 4:
                        weight = conv.weight.reshape(2, 2, 2, 3)[dy, dx]
                        sums = sums + image[:, row + dy, column + dx] @ weight
            total += output.quantise(np.maximum(sums, 0)).sum(axis=1)
    np.testing.assert_array_equal(network.predict(x)[:, 0], total)


def test_the_order_of_the_constituents_does_not_matter_to_a_deep_set():
    space = space_of("deep_sets")
    spec = space.decode(space.sample(1, np.random.default_rng(0))[0]).spec
    network = untrained([spec], [3]).export(0)
    x = inputs(spec, 20, np.random.default_rng(1))
    turned = x.reshape(20, 6, 3)[:, [3, 1, 5, 0, 2, 4]].reshape(20, 18)
    np.testing.assert_array_equal(network.predict(turned), network.predict(x))
    assert len(np.unique(network.predict(x), axis=0)) > 10


def test_multi_layer_perceptrons_keep_their_digests():
    """As written by earlier versions: artefacts of a study are found by them."""
    digests = [random_network(seed, (5, 6, 4)).digest for seed in range(2)]
    assert digests == [
        "50966025561bc564206614a3a115ef14131c72367c16cc4b3edb07ed7bd13c96",
        "9a720e05cdddf94c07e3e6c88eab085ec91f239408e22bb9d00f0dc3ecefd615",
    ]


@pytest.mark.parametrize("family", ["attention", "deep_sets", "interaction", "linear_interaction"])
def test_the_order_of_a_set_does_not_matter(family):
    space = narrow_space(family)
    network = untrained([space.decode(space.sample(3, np.random.default_rng(1))[2]).spec], [7]).export(0)
    x = inputs(network.spec, 50, np.random.default_rng(0))
    other = x.reshape(50, *network.spec.input_shape)[:, ::-1].reshape(50, -1)
    np.testing.assert_array_equal(network.predict(other), network.predict(x))
    assert not np.array_equal(network.input_type.quantise(other), network.input_type.quantise(x))
