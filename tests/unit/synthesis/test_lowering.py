"""Networks as graphs for hardware: the same bits for every family, every cast, every implementation."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from fakes.families import FAMILIES, inputs, narrow_space, space_of, untrained

from evonas.models.quantised_network import QuantisedNetwork
from evonas.space.draft import Draft
from evonas.synthesis import _alkaid, _onnx, openrtl
from evonas.synthesis import graph as g
from evonas.synthesis.evaluate import evaluate
from evonas.synthesis.lowering import lower
from surrogates import LayerSpec, ModelSpec, OperationSpec, Window
from surrogates.reuse import legal_reuse_factors

PART = "xcvu13p-flga2577-2-e"


def computed(graph, x):
    return np.concatenate(evaluate(graph, x), axis=1)


@pytest.fixture(scope="module", params=FAMILIES)
def networks(request):
    space = space_of(request.param)
    specs = [space.decode(genome).spec for genome in space.sample(6, np.random.default_rng(8))]
    return [untrained([spec], [seed]).export(0) for seed, spec in enumerate(specs)]


def test_a_graph_computes_the_bits_of_its_network(networks):
    for network in networks:
        x = network.input_type.quantise(inputs(network.spec, 200, np.random.default_rng(9)))
        graph = lower(network)
        np.testing.assert_array_equal(computed(graph, x), network.predict(x))
        assert graph.inputs[0].size == network.spec.n_inputs
        assert graph[graph.outputs[0]].size == network.spec.n_outputs


def test_each_part_leaves_words_of_its_type(networks):
    for network in networks:
        graph = lower(network)
        for index, part in enumerate(network.spec.layers):
            name = f"layer{index}" if isinstance(part, LayerSpec) else f"{part.kind}{index}"
            last = [node for node in graph.nodes if node.name.split("_")[0] == name][-1]
            assert last.result == network.result_types[index + 1]
            assert last.size == np.prod(network.spec.shapes[index + 1])


def test_accumulators_are_exact(networks):
    """Wider accumulators change nothing: what is declared already holds every partial sum."""
    for network in networks[:2]:
        graph = lower(network)
        wider = tuple(
            dataclasses.replace(node, accumulator=wide(node.accumulator)) if isinstance(node, g.Linear) else node
            for node in graph.nodes
        )
        x = network.input_type.quantise(inputs(network.spec, 100, np.random.default_rng(3)))
        np.testing.assert_array_equal(computed(g.Graph(wider, graph.outputs), x), computed(graph, x))


def wide(kind):
    return dataclasses.replace(kind, width=kind.width + 8, integer=kind.integer + 4)


def test_nothing_but_layers_with_weights_multiplies():
    space = narrow_space("interaction")
    network = untrained([space.decode(space.sample(1, np.random.default_rng(0))[0]).spec], [1]).export(0)
    for node in lower(network).nodes:
        if isinstance(node, g.Linear) and not node.name.startswith("layer"):
            assert set(np.unique(node.weight)) <= {2.0**-power for power in range(4)}
            assert not node.bias.any()
            np.testing.assert_array_equal(node.weight_type.quantise(node.weight), node.weight)


def shared(positions=3, window=None):
    """A layer of shared multipliers at several positions, behind and ahead of unrolled ones."""
    middle = LayerSpec(4, 4, 5, 5, "relu", 0.0, "reuse", 4, positions=positions)
    if window is not None:
        middle = dataclasses.replace(middle, kind="conv", window=window, reuse_factor=legal_reuse_factors(16, 4)[2])
    behind = int(np.prod(middle.shape))
    return ModelSpec(
        5,
        (
            LayerSpec(2, 4, 4, 4, "leaky_relu", positions=positions),
            middle,
            OperationSpec("flatten"),
            LayerSpec(behind, 2, 4, 0, "linear"),
        ),
    )


@pytest.mark.parametrize(
    "spec", [shared(), shared(1), shared(12, Window(3, 4, 2))], ids=["three positions", "one", "convolution"]
)
def test_shared_multipliers_at_several_positions(spec, tmp_path):
    network = untrained([spec], [4]).export(0)
    graph = lower(network)
    node = graph["layer1"]
    assert (node.implementation, node.reuse_factor) == ("dsp", spec.layers[1].reuse_factor)
    x = network.input_type.quantise(inputs(spec, 100, np.random.default_rng(5)))
    np.testing.assert_array_equal(computed(graph, x), network.predict(x))
    verilog = openrtl.emit(graph, tmp_path, PART, 5.0)
    np.testing.assert_array_equal(verilog.interpret(x), network.predict(x))
    assert len(verilog.shared) == 1
    assert verilog.figures.initiation_interval >= spec.layers[1].reuse_factor * spec.shapes[2][0]


@pytest.mark.parametrize("window", [Window(4, 5, 3, 2, 1), Window(5, 4, 2, 1, 1)], ids=["stride", "rim"])
def test_a_padded_convolution(window, tmp_path):
    conv = LayerSpec(2, 2, 4, 4, "leaky_relu", kind="conv", positions=20, window=window)
    network = untrained([ModelSpec(5, (conv, OperationSpec("sum"), LayerSpec(2, 2, 4, 0, "linear")))], [6]).export(0)
    x = network.input_type.quantise(inputs(network.spec, 100, np.random.default_rng(5)))
    graph = lower(network)
    assert (graph["layer0"].gather == g.ABSENT).any()
    np.testing.assert_array_equal(computed(graph, x), network.predict(x))
    np.testing.assert_array_equal(openrtl.emit(graph, tmp_path, PART, 5.0).interpret(x), network.predict(x))
    np.testing.assert_array_equal(_onnx.run(_onnx.build(network), x), network.predict(x))


def test_many_words_at_a_multiplier_live_in_block_ram():
    layer = LayerSpec(16, 8, 4, 0, "linear", 0.0, "reuse", 128)
    network = untrained([ModelSpec(6, (layer,))], [1]).export(0)
    assert lower(network)["layer0"].implementation == "block_ram"


def test_multi_layer_perceptrons_take_this_way_too():
    layers = (LayerSpec(5, 6, 4, 4, "hard_tanh", 0.5), LayerSpec(6, 3, 4, 0, "linear"))
    network = untrained([ModelSpec(5, layers)], [1]).export(0)
    x = network.input_type.quantise(inputs(network.spec, 300, np.random.default_rng(1)))
    graph = lower(network)
    np.testing.assert_array_equal(computed(graph, x), network.predict(x))
    np.testing.assert_array_equal(_alkaid.interpret(_alkaid.combine(graph), x), network.predict(x))


def test_a_network_read_back_lowers_to_the_same_graph(networks):
    network = networks[0]
    again = QuantisedNetwork.from_bytes(network.to_bytes())
    x = network.input_type.quantise(inputs(network.spec, 50, np.random.default_rng(2)))
    np.testing.assert_array_equal(computed(lower(again), x), computed(lower(network), x))


@pytest.mark.parametrize("bits", [2, 4, 6])
def test_attention_in_hardware(bits, tmp_path):
    """q k^T v of a network in which every word matters: random spaces meet many in which none does."""
    genes = {"weight_bits": 5, "activation_bits": bits, "activation": "identity"}
    values = {f"{block}.{gene}": value for block in ("qkv", "back", "output") for gene, value in genes.items()}
    draft = Draft((4, 3), values | {"qkv.width": 2})
    spec = draft.spec(draft.output("output", draft.join("flatten", draft.non_local("", draft.input)), 2), 4)
    network = untrained([spec], [1]).export(0)
    x = network.input_type.quantise(inputs(spec, 300, np.random.default_rng(2)))
    expected, graph = network.predict(x), lower(network)
    assert len(np.unique(expected, axis=0)) > 250
    np.testing.assert_array_equal(computed(graph, x), expected)
    verilog = openrtl.emit(graph, tmp_path, PART, 5.0)
    np.testing.assert_array_equal(verilog.interpret(x), expected)
