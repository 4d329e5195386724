"""Convolutions with a reuse factor, from torch through hls4ml's converter to Verilog."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest

from evonas.errors import ToolError
from evonas.synthesis import firmware
from evonas.synthesis.openrtl import emit
from evonas.synthesis.per_layer import alone

hls4ml = pytest.importorskip("hls4ml")
torch = pytest.importorskip("torch")
nn = torch.nn

PART, CLOCK_PERIOD_NS = "xcvu13p-flga2577-2-e", 5.0


def sequence():
    """Windows of which pooling drops the last, and a convolution behind it."""
    return nn.Sequential(
        nn.Conv1d(2, 3, 2), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(3, 2, 2, padding=1), nn.Flatten(), nn.Linear(8, 2)
    ), (2, 8)


def image():
    """A strided convolution, a pointwise one, and a dense layer."""
    return nn.Sequential(
        nn.Conv2d(2, 2, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(2, 2, 1), nn.Flatten(), nn.Linear(8, 2)
    ), (2, 4, 4)


def converted(directory, make, **choices):
    """The network with `choices` for each layer that has weights."""
    torch.manual_seed(3)
    net, shape = make()
    with contextlib.redirect_stdout(io.StringIO()):
        config = hls4ml.utils.config_from_pytorch_model(
            net, shape, granularity="name", backend="OpenRTL", default_precision="fixed<8,3>"
        )
        for layer in config["LayerName"].values():
            if {"weight", "scale"} & set(layer["Precision"]):
                layer |= choices
                layer["Precision"] |= {"weight": "fixed<6,2>", "bias": "fixed<6,2>", "result": "fixed<9,5>"}
        model = hls4ml.converters.convert_from_pytorch_model(
            net.eval(), hls_config=config, backend="OpenRTL", output_dir=str(directory)
        )
    model.compile()
    x = np.random.default_rng(0).normal(0, 1, (50, *shape))
    return model, x


def products(model):
    return [node for node in model.openrtl_graph.nodes if hasattr(node, "parallel")]


@pytest.mark.parametrize(
    ("make", "reuse", "pixels", "chosen"),
    [
        (sequence, 2, 7, [(2, 7), (2, 4), (2, 1)]),  # 7 of 7 positions; of 4, hls4ml takes 4 for 7
        (sequence, 1, 1, [(1, 1), (1, 1), (1, 1)]),
        (image, 3, 2, [(3, 2), (2, 2), (2, 1)]),  # a pointwise kernel of 2 x 2 and a dense of 8 x 2 have no 3
        (image, 9, 1, [(9, 1), (4, 1), (8, 1)]),
    ],
)
def test_sharing_changes_no_bit(tmp_path, make, reuse, pixels, chosen):
    model, x = converted(tmp_path / "a", make, Strategy="Resource", ReuseFactor=reuse, ParallelizationFactor=pixels)
    assert [(node.reuse_factor, node.parallel) for node in products(model)] == chosen
    assert {node.implementation for node in products(model)} == {"dsp"}
    unrolled, _ = converted(tmp_path / "b", make)
    assert {node.implementation for node in products(unrolled)} == {"distributed_arithmetic"}
    assert np.array_equal(model.predict(x), unrolled.predict(x))
    assert np.ptp(model.predict(x)) > 0.25


@pytest.mark.parametrize(
    ("make", "reuse", "pixels", "interval", "multipliers"),
    [
        (sequence, 2, 7, 2, 6 * 6 + 4 * 6 + 8),  # a position that pooling drops has none
        (image, 9, 1, 36, 4 + 1 + 2),
    ],
)
def test_the_verilog_computes_what_is_predicted(tmp_path, make, reuse, pixels, interval, multipliers):
    model, x = converted(tmp_path, make, Strategy="Resource", ReuseFactor=reuse, ParallelizationFactor=pixels)
    graph = model.openrtl_graph
    verilog = emit(graph, tmp_path / "rtl", PART, CLOCK_PERIOD_NS)
    assert verilog.figures.initiation_interval == interval
    assert 0 < verilog.figures.multipliers <= multipliers  # less those whose weights are zero
    inputs = graph.inputs[0].result.quantise(x.reshape(len(x), -1))
    expected = model.predict(x)
    assert np.array_equal(verilog.interpret(inputs), expected)
    outputs, _ = firmware.simulate(tmp_path / "rtl", tmp_path / "sim", verilog.figures, inputs, timeout_s=100)
    assert np.array_equal(outputs, expected[: len(outputs)])
    single = emit(alone(graph, products(model)[0]), tmp_path / "alone", PART, CLOCK_PERIOD_NS).figures
    assert single.initiation_interval <= interval
    assert single.multipliers > 0


def test_without_a_strategy_a_reuse_factor_alone_shares(tmp_path):
    model, _ = converted(tmp_path, image, ReuseFactor=2)
    assert [(node.reuse_factor, node.parallel) for node in products(model)] == [(2, 1)] * 3


def test_many_weights_to_a_multiplier_move_to_block_ram(tmp_path):
    def wide():
        return nn.Sequential(nn.Conv1d(8, 8, 2), nn.Flatten(), nn.Linear(8, 1)), (8, 2)

    model, _ = converted(tmp_path, wide, Strategy="Resource", ReuseFactor=64)
    assert [node.implementation for node in products(model)] == ["block_ram", "dsp"]
    figures = emit(model.openrtl_graph, tmp_path / "rtl", PART, CLOCK_PERIOD_NS).figures
    assert figures.block_ram_bits == 2 * 64 * 6
    assert figures.multipliers == 3


def test_what_stays_unrolled_is_refused_by_name(tmp_path):
    def pooled():
        return nn.Sequential(nn.Conv1d(2, 2, 2), nn.BatchNorm1d(2), nn.ReLU(), nn.BatchNorm1d(2)), (2, 4)

    with pytest.raises(ToolError, match=r"batch normalisation is only unrolled"):
        converted(tmp_path, pooled, Strategy="Resource", ReuseFactor=2)


@pytest.mark.slow
def test_build_reports_the_multipliers_of_a_convolution(tmp_path):
    model, _ = converted(tmp_path, image, Strategy="Resource", ReuseFactor=9, ParallelizationFactor=2)
    report = model.build(csim=False, synth=True, vsynth=True)
    assert int(report["CSynthesisReport"]["IntervalMax"]) == 18
    assert int(report["VivadoSynthReport"]["DSP48E"]) == 2 * 4 + 2 * 1 + 2
    assert report["OpenRTL"]["simulated_vectors"] >= 16
