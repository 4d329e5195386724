"""Descriptions of foreign networks: what hls4ml reads is described as what it was made from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fakes.graphs import dense, random_graph
from fakes.networks import random_network

from evonas.errors import ToolError
from evonas.models.fixed_point import FixedPoint
from evonas.synthesis import _hls4ml
from evonas.synthesis import graph as g
from evonas.synthesis.description import describe
from surrogates import HardwareTarget, LayerSpec

WORD = FixedPoint(True, 6, 2, "RND", "SAT")
WEIGHT, SUM = FixedPoint(True, 5, 2), FixedPoint(True, 14, 6)
RNG = np.random.default_rng(0)


def layer(name, source, n_in, n_out, reuse=0):
    weight = WEIGHT.quantise(RNG.uniform(-2, 2, (n_in, n_out)))
    weight[0, 0] = WEIGHT.low
    return dense(name, source, weight, np.zeros(n_out), WEIGHT, SUM, SUM, reuse)


def chain(*nodes):
    """Input of four words, a layer to three, `nodes`, and a layer to two."""
    first = layer("a", "x", 4, 3)
    last = layer("b", nodes[-1].name if nodes else "a", 3, 2)
    return g.Graph((g.Input("x", (), 4, WORD), first, *nodes, last), ("b",))


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "hard_tanh", "identity"])
@pytest.mark.parametrize("seed", range(3))
def test_what_hls4ml_makes_of_a_network(activation, seed, tmp_path):
    network = random_network(seed, (7, 9, 4), weight_bits=5, activation_bits=4, activation=activation, sparsity=0.4)
    converted = _hls4ml.convert(network, HardwareTarget(), tmp_path, "OpenRTL")
    found = describe(_hls4ml.read(converted))
    assert found.notes == ()
    spec = found.spec
    assert (spec.topology, spec.input_bits) == ("7-9-4", network.input_type.width)
    for one, other, exact in zip(spec.layers, network.spec.layers, network.weighted, strict=True):
        kind = "identity" if other.activation == "hard_tanh" else other.activation  # a cast that saturates
        assert (one.activation, one.activation_bits) == (kind, other.activation_bits)
        assert one.sparsity == pytest.approx(np.mean(exact.weight_codes == 0))
        assert one.weight_bits <= other.weight_bits


def test_bits_are_those_that_codes_need():
    first = layer("a", "x", 4, 3)
    doubled = replace(first, weight=np.array([[[0.25, 0, 2], [0.5, 0, -2], [0.75, 0, 0], [-1, 0, 1]]]))
    spec = describe(g.Graph((g.Input("x", (), 4, WORD), doubled), ("a",))).spec
    (only,) = spec.layers
    # in steps of a quarter, a half and one: 1 2 3 -4, nothing, 2 -2 0 1
    assert (only.weight_bits, only.sparsity, only.activation, only.activation_bits) == (3, 5 / 12, "linear", 0)
    assert spec.input_bits == 6


def test_a_shared_multiplier_and_its_reuse_factor():
    first, last = layer("a", "x", 4, 3, reuse=4), layer("b", "a", 3, 2)
    spec = describe(g.Graph((g.Input("x", (), 4, WORD), first, last), ("b",))).spec
    assert spec.layers[0] == LayerSpec(4, 3, 5, 14, "identity", spec.layers[0].sparsity, "reuse", 4)
    assert spec.layers[1].strategy == "distributed_arithmetic"


RELU = g.Rectify("r", ("a",), 3, WORD, slope=np.zeros(3))
TABLES = {"tanh": [-1.0, 0.0, 0.9], "sigmoid": [0.0, 0.5, 1.0], "gelu": [-0.1, 0.0, 3.0]}


@pytest.mark.parametrize(
    ("node", "activation", "bits"),
    [
        (RELU, "relu", 5),
        (replace(RELU, result=FixedPoint(False, 5, 2)), "relu", 5),
        (replace(RELU, slope=np.full(3, 0.125)), "leaky_relu", 6),
        (g.Clip("c", ("a",), 3, WORD, 1.0, 0.0, -1.0, 1.0), "hard_tanh", 6),
        (g.Table("t", ("a",), 3, WORD, 8.0, 1, np.array(TABLES["tanh"])), "tanh", 6),
        (g.Table("t", ("a",), 3, WORD, 8.0, 1, np.array(TABLES["sigmoid"])), "sigmoid", 5),
        (g.Table("t", ("a",), 3, WORD, 8.0, 1, np.array(TABLES["gelu"])), "gelu", 6),
        (g.Rearrange("k", ("a",), 3, WORD, np.arange(3)), "identity", 6),
    ],
)
def test_activations(node, activation, bits):
    found = describe(chain(node)).spec.layers[0]
    assert (found.activation, found.activation_bits) == (activation, bits)


def test_a_cast_behind_an_activation_settles_its_bits():
    narrow = g.Rearrange("k", ("r",), 3, FixedPoint(True, 4, 2), np.arange(3))
    found = describe(chain(RELU, narrow)).spec.layers[0]
    assert (found.activation, found.activation_bits) == ("relu", 3)


def test_what_follows_the_last_layer_is_said():
    nodes = chain(RELU).nodes
    rectified = g.Rectify("out", ("b",), 2, WORD, slope=np.zeros(2))
    rows = np.arange(2)[None]
    table = np.zeros(4)
    softmax = g.Softmax("s", ("out",), 2, WORD, "stable", rows, WORD, SUM, WORD, table, table)
    found = describe(g.Graph((*nodes, rectified, softmax), ("s",)))
    assert found.spec.layers[-1].activation == "linear"
    assert found.notes == ("s, a softmax, is not counted", "the relu behind the last layer is not counted")


def test_the_same_layer_at_each_position():
    first = layer("a", "x", 2, 3)
    rowwise = replace(first, size=6, gather=np.arange(4).reshape(1, 2, 2), bias=np.zeros((1, 1, 3)))
    spec = describe(g.Graph((g.Input("x", (), 4, WORD), rowwise), ("a",))).spec
    assert (spec.topology, spec.input_shape) == ("2x2-3", (2, 2))


CONVOLUTION = replace(layer("a", "x", 2, 3), size=6, gather=np.array([[[0, 1], [1, 2]]]))


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (g.Graph((g.Input("x", (), 4, WORD), CONVOLUTION), ("a",)), "a is no dense layer"),
        (g.Graph((g.Input("x", (), 4, WORD),), ("x",)), "no layer with weights"),
        (chain(RELU, replace(RELU, name="q", inputs=("r",))), "q, of kind Rectify, follows another activation"),
        (chain(replace(RELU, slope=np.full(3, 0.3))), "r, of kind Rectify, is no activation"),
        (chain(g.Scale("s", ("a",), 3, WORD, np.full(3, 2.0), np.zeros(3))), "s, of kind Scale, is no activation"),
        (random_graph(3), "not what comes before it|reads"),
        (g.Graph(chain().nodes, ("a", "b")), "1 inputs and 2 outputs"),
        (g.Graph((g.Input("x", (), 4, WORD), replace(RELU, inputs=("x",))), ("r",)), "begins with r"),
    ],
)
def test_other_networks_are_refused(graph, message):
    with pytest.raises(ToolError, match=message) as caught:
        describe(graph)
    assert "evonas synth" in str(caught.value)
