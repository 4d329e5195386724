"""Whole designs: what is emitted computes the graph, at the clock edges that its figures claim."""

from __future__ import annotations

import numpy as np
import pytest
from fakes.graphs import dense, random_graph

from evonas.errors import FailureKind, ToolError
from evonas.models.fixed_point import FixedPoint
from evonas.synthesis import firmware
from evonas.synthesis import graph as g
from evonas.synthesis.evaluate import cast, evaluate
from evonas.synthesis.figures import Figures
from evonas.synthesis.openrtl import emit
from evonas.synthesis.per_layer import alone

PART, CLOCK_PERIOD_NS = "xcvu13p-flga2577-2-e", 5.0


def made(graph, directory, count=200):
    x = np.random.default_rng(0).uniform(-3, 3, (count, graph.inputs[0].size))
    x = cast(x, graph.inputs[0].result)
    verilog = emit(graph, directory, PART, CLOCK_PERIOD_NS)
    return verilog, x, np.concatenate(evaluate(graph, x), axis=1)


@pytest.mark.parametrize("seed", range(6))
def test_any_mixture_of_links_computes_the_graph_in_time(seed, tmp_path):
    graph = random_graph(seed, depth=3)
    verilog, x, expected = made(graph, tmp_path)
    assert np.array_equal(verilog.interpret(x), expected)
    figures = Figures.read(tmp_path)
    assert figures == verilog.figures
    assert figures.initiation_interval == max([node.reuse_factor for node in verilog.chain.shared], default=1)
    assert figures.handshake == bool(verilog.chain.shared)
    outputs, _ = firmware.simulate(tmp_path, tmp_path / "sim", figures, x, timeout_s=100)
    assert len(outputs) >= firmware.MINIMUM_VECTORS
    assert np.array_equal(outputs, expected[: len(outputs)])


def test_a_wrong_claim_about_the_latency_is_found(tmp_path):
    graph = random_graph(3, depth=3)
    verilog, x, _ = made(graph, tmp_path)
    assert verilog.figures.handshake
    from dataclasses import replace

    wrong = replace(verilog.figures, latency_cycles=verilog.figures.latency_cycles + 1)
    with pytest.raises(ToolError) as caught:
        firmware.simulate(tmp_path, tmp_path / "sim", wrong, x, timeout_s=100)
    assert caught.value.failure.kind is FailureKind.MISMATCH


def test_weights_move_to_block_ram(tmp_path):
    rng = np.random.default_rng(1)
    word, weight_type, accumulator = FixedPoint(True, 6, 2), FixedPoint(True, 5, 1), FixedPoint(True, 18, 9)
    weight = weight_type.quantise(rng.uniform(-1, 1, (16, 8)))
    layer = dense("big", "x", weight, np.zeros(8), weight_type, accumulator, accumulator, reuse=64)
    graph = g.Graph((g.Input("x", (), 16, word), layer), ("big",))
    verilog, x, expected = made(graph, tmp_path)
    assert verilog.figures.block_ram_bits == 128 * weight_type.width
    assert verilog.figures.multipliers == 2
    outputs, _ = firmware.simulate(tmp_path, tmp_path / "sim", verilog.figures, x, timeout_s=200)
    assert np.array_equal(outputs, expected[: len(outputs)])


def convolution(kind, bias):
    return g.Linear(
        "conv",
        ("x",),
        4,
        kind,
        gather=np.array([[[0, 1], [1, 2], [2, 3], [3, g.ABSENT]]]),
        weight=np.ones((1, 2, 1)),
        bias=bias,
        weight_type=kind,
        accumulator=kind,
        implementation="dsp",
        reuse_factor=2,
        parallel=2,
    )


def test_a_convolution_shares_multipliers_and_passes_its_input_by(tmp_path):
    kind = FixedPoint(True, 6, 2)
    layer, total = convolution(kind, np.full((1, 1, 1), 0.5)), g.Merge("sum", ("conv", "x"), 4, kind, kind="add")
    graph = g.Graph((g.Input("x", (), 4, kind), layer, total), ("sum",))
    verilog, x, expected = made(graph, tmp_path)
    assert np.array_equal(verilog.interpret(x), expected)
    assert (verilog.figures.initiation_interval, verilog.figures.multipliers) == (4, 2)
    outputs, _ = firmware.simulate(tmp_path, tmp_path / "sim", verilog.figures, x, timeout_s=100)
    assert np.array_equal(outputs, expected[: len(outputs)])


def test_positions_with_a_bias_each_cannot_share_multipliers(tmp_path):
    kind = FixedPoint(True, 6, 2)
    graph = g.Graph((g.Input("x", (), 4, kind), convolution(kind, np.zeros((4, 1, 1)))), ("conv",))
    with pytest.raises(ToolError, match=r"conv.*a bias for each position"):
        emit(graph, tmp_path, PART, CLOCK_PERIOD_NS)


def test_a_layer_alone_computes_what_it_does_in_its_place():
    graph = random_graph(5)
    x = np.random.default_rng(0).uniform(-3, 3, (50, 4))
    from evonas.synthesis.evaluate import trace

    values = trace(graph, x)
    for node in graph.nodes:
        if node.inputs:
            single = alone(graph, node)
            operands = [values[name] for name in dict.fromkeys(node.inputs)]
            assert np.array_equal(evaluate(single, *operands)[0], values[node.name])
