"""The cost part by part against whole traces: the same figure where a network is small enough for both."""

from __future__ import annotations

import re

import numpy as np
import pytest
from fakes.families import FAMILIES, inputs, narrow_space, untrained

from evonas.errors import FailureKind, ToolError
from evonas.study.baselines import trace_parts
from evonas.synthesis import _alkaid
from evonas.synthesis import graph as g
from evonas.synthesis.by_parts import in_blocks, record_by_parts, trace_by_parts, trace_graph_by_parts
from evonas.synthesis.estimates import logic_bits, logic_bits_of
from evonas.synthesis.evaluate import evaluate, trace
from evonas.synthesis.lowering import lower
from surrogates import HardwareTarget, LayerSpec, ModelSpec, OperationSpec, Stage, Window

CLOCK_NS = 5.0


def network_of(spec, seed=1):
    return untrained([spec], [seed]).export(0)


def whole(graph):
    """LUTs and clock edges of one trace, as `openrtl.emit` has them; no logic where every output is constant."""
    try:
        logic = _alkaid.combine(graph)
    except ToolError:
        return 0.0, None
    latency = max(op.latency for op in logic.ops)
    return logic_bits(logic).lut, _alkaid.latency_cycles(latency, CLOCK_NS)


def multiplies_constants(graph, spec):
    """Whether a word of a product of matrices never changes: rows then share products with it, unseen by parts."""
    values = trace(graph, graph.inputs[0].result.quantise(inputs(spec, 500, np.random.default_rng(1))))
    operands = {name for node in graph.nodes if isinstance(node, g.Contract) for name in node.inputs}
    return any((values[name] == values[name][0]).all(axis=0).any() for name in operands)


def compared(family, count, seed):
    """Relative differences in LUTs and differences in clock edges of random networks."""
    space = narrow_space(family)
    luts, cycles = [], []
    for number, genome in enumerate(space.sample(count, np.random.default_rng(seed))):
        spec = space.decode(genome).spec
        graph = lower(network_of(spec, number))
        (lut, edges), found = whole(graph), trace_graph_by_parts(graph, CLOCK_NS)
        if edges is None:
            assert found.lut == 0.0
            continue
        if multiplies_constants(graph, spec):
            assert found.lut > 0.98 * lut
            continue
        luts.append(found.lut / lut - 1)
        cycles.append(found.latency_cycles - edges)
    return np.array(luts), np.array(cycles)


@pytest.mark.parametrize("family", FAMILIES)
def test_parts_add_up_to_the_whole(family):
    luts, cycles = compared(family, 4, seed=2)
    assert np.abs(luts).max(initial=0.0) < 0.02
    assert np.abs(cycles).max(initial=0) <= 1


@pytest.mark.long
@pytest.mark.parametrize("family", FAMILIES)
def test_parts_add_up_to_the_whole_for_fifty_networks(family):
    luts, cycles = compared(family, 50, seed=5)
    assert len(luts) >= 15
    assert np.abs(luts).mean() < 0.01  # what two parts compute alike is shared by the whole alone
    assert np.abs(luts).max() < 0.05
    assert np.abs(cycles).max() <= 1


def padded(stride=1):
    """A padded convolution, attention over its words and a head."""
    window = Window(5, 4, 3, stride, 1)
    places = window.image[0] * window.image[1]
    layers = (
        LayerSpec(1, 2, 4, 4, "leaky_relu", kind="conv", positions=20, window=window),
        LayerSpec(2, 3, 4, 4, "relu", 0.3, positions=places),
        OperationSpec("max"),
        LayerSpec(3, 2, 4, 0, "linear"),
    )
    return ModelSpec(4, layers)


def test_a_padded_convolution_is_traced_once_for_each_kind_of_rim():
    found = trace_by_parts(network_of(padded()))
    conv = found.parts[0]
    assert (conv.units, conv.traced) == (20, 9)  # corners, edges, inside
    lut, _ = whole(lower(network_of(padded())))
    assert found.lut == pytest.approx(lut, rel=0.01)


def attention(channels=2, positions=4):
    """Products of variables and a softmax between a layer and the sum over all positions."""
    each = {"positions": positions}
    layers = (
        LayerSpec(channels, channels, 4, 4, "identity", **each),
        OperationSpec("transpose"),
        OperationSpec("matmul"),
        OperationSpec("softmax", activation_bits=4),
        OperationSpec("matmul", activation_bits=4),
        OperationSpec("sum"),
        LayerSpec(channels, 2, 4, 0, "linear"),
    )
    edges = ((-1, 0), (0, 1), (0, 2), (1, 2), (2, 3), (3, 4), (0, 4), (4, 5), (5, 6))
    return ModelSpec(4, layers, edges)


def test_a_product_of_matrices_is_traced_at_few_of_its_places():
    graph = lower(network_of(attention()))
    found = trace_graph_by_parts(graph)
    lut, _ = whole(graph)
    assert found.lut == pytest.approx(lut, rel=0.02)
    products = next(part for part in found.parts if part.name == "matmul2")
    assert products.units == 16
    assert products.traced < 16


def test_cost_grows_with_the_positions_and_the_work_does_not():
    few, many = (trace_by_parts(network_of(attention(positions=n))) for n in (4, 40))
    assert many.lut > 50 * few.lut
    assert sum(part.traced for part in many.parts) < 4 * sum(part.traced for part in few.parts)


def test_blocks_of_a_matrix_compute_the_same_bits():
    network = network_of(padded())
    graph, x = lower(network), inputs(network.spec, 100, np.random.default_rng(3))
    blocks = in_blocks(graph, largest=4)
    assert len(blocks.nodes) > len(graph.nodes)
    assert in_blocks(graph).nodes == graph.nodes
    np.testing.assert_array_equal(evaluate(blocks, network.input_type.quantise(x))[0], network.predict(x))


def test_blocks_cost_a_little_more_than_the_matrix():
    graph = lower(network_of(ModelSpec(6, (LayerSpec(32, 16, 6, 6), LayerSpec(16, 2, 6, 0, "linear")))))
    at_once, halved = trace_graph_by_parts(graph), trace_graph_by_parts(in_blocks(graph, largest=256))
    assert at_once.lut < halved.lut < 1.15 * at_once.lut


def test_all_bits_wanted_are_all_bits_counted():
    logic = _alkaid.combine(lower(network_of(padded())))
    everything = [(-99, 99)] * len(logic.out_idxs)
    found, read = logic_bits_of(logic, everything)
    assert found == logic_bits(logic)
    assert all(low < high for low, high in read.values())
    none, unread = logic_bits_of(logic, [(99, -99)] * len(logic.out_idxs))
    assert none.lut == 0.0
    assert all(low >= high for low, high in unread.values())


def test_a_record_says_that_it_is_a_sum_over_parts():
    network, target = network_of(padded()), HardwareTarget()
    record = record_by_parts(network, target)
    assert record.stage == Stage.TRACED
    assert record.tool_version.endswith("part by part")
    assert (record.lut, record.ff) == (trace_by_parts(network).lut, None)
    assert record.verified_vectors == 0


def test_shared_multipliers_are_no_part_that_repeats():
    spec = ModelSpec(4, (LayerSpec(4, 4, 4, 4, strategy="reuse", reuse_factor=4), LayerSpec(4, 2, 4, 0, "linear")))
    with pytest.raises(ToolError, match="layer0: shares its multipliers"):
        trace_by_parts(network_of(spec))
    found = trace_parts(None, network_of(spec).to_bytes(), HardwareTarget())
    assert found.records == ()
    assert found.failure.kind == FailureKind.UNSUPPORTED


@pytest.mark.parametrize("enough", [False, True])
def test_tracing_stops_when_its_time_is_over(enough):
    network, target = network_of(padded()), HardwareTarget()
    found = trace_parts(None, network.to_bytes(), target, 1e6 if enough else 1e-9)
    assert len(found.records) == enough
    if not enough:
        assert found.failure.kind == FailureKind.TOOL_TIMEOUT
        assert re.search(r"longer than 1e-09 s and had come to \w+", found.failure.message)


def test_a_baseline_is_traced_by_parts_as_a_job():
    network, target = network_of(padded()), HardwareTarget()
    (record,) = trace_parts(None, network.to_bytes(), target).records
    assert record.lut == record_by_parts(network, target).lut


def test_what_cannot_be_cut_is_named():
    embedding = g.Embedding("words", ("x",), 2, lower(network_of(padded())).inputs[0].result, vectors=np.ones((2, 2)))
    x = g.Input("x", (), 1, embedding.result)
    with pytest.raises(ToolError, match="words: Embedding"):
        trace_graph_by_parts(g.Graph((x, embedding), ("words",)))
