"""What the reader of hls4ml's models refuses, by name, instead of computing something else."""

from __future__ import annotations

import hls4ml
import numpy as np
import pytest
from fakes import hls4ml_graphs
from fakes.hls4ml_kinds import KINDS, LAST, along
from hls4ml.model.types import (
    ExponentPrecisionType,
    IntegerPrecisionType,
    StandardFloatPrecisionType,
    XnorPrecisionType,
)

from evonas.errors import ConfigurationError, FailureKind, ToolError
from evonas.models.fixed_point import FixedPoint
from evonas.synthesis import _hls4ml, firmware
from evonas.synthesis._hls4ml import reader
from evonas.synthesis.evaluate import evaluate
from evonas.synthesis.openrtl import emit

SIGNED = FixedPoint(True, 8, 3)
UNSIGNED = FixedPoint(False, 8, 3)
WIDE = FixedPoint(True, 16, 6)


def branch(seed=0):
    return hls4ml_graphs.Branch("made here", "b", np.random.default_rng(seed))


def read(part, tmp_path):
    return _hls4ml.read(hls4ml_graphs.model([part], tmp_path, "OpenRTL"))


def refused(part, tmp_path, *words):
    with pytest.raises(ToolError) as caught:
        read(part, tmp_path)
    assert caught.value.failure.kind is FailureKind.UNSUPPORTED
    for word in words:
        assert word in caught.value.failure.message


def dense(part, types=None, options=None):
    types = {"weight": SIGNED, "bias": SIGNED, "accum": WIDE, "result": WIDE} | (types or {})
    data = {"weight_data": np.ones((4, 2)), "bias_data": np.zeros(2)}
    return part.layer("Dense", [part.input(4, kind=SIGNED)], types, options, n_in=4, n_out=2, **data)


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_is_read_and_computed(kind, tmp_path):
    (part,) = hls4ml_graphs.branches(7, [kind])
    (output,) = evaluate(read(part, tmp_path), *part.vectors(20))
    assert output.shape[0] == 20
    assert np.isfinite(output).all()


def test_unknown_strategy_and_reuse_that_is_not_honoured(tmp_path):
    part = branch()
    dense(part, options={"Strategy": "Fancy"})
    refused(part, tmp_path, "blayer1", "Strategy fancy")
    for options in ({"ReuseFactor": 2}, {"Strategy": "Resource"}):
        part = branch()
        KINDS["einsum_dense"](part)
        part.config["blayer1"] |= options
        refused(part, tmp_path, "blayer1", "ReuseFactor 1")


def test_resource_strategy_adds_in_the_order_of_its_loops(tmp_path):
    part = branch()
    dense(part, options={"Strategy": "Resource", "ReuseFactor": 2})
    node = read(part, tmp_path).nodes[-1]
    assert node.gather.ravel().tolist() == [0, 2, 1, 3]
    assert (node.implementation, node.reuse_factor) == ("dsp", 2)


def depthwise(part, **options):
    """Three taps on four positions of two channels."""
    types, size = {"weight": SIGNED, "bias": SIGNED, "accum": WIDE, "result": WIDE}, {"in_width": 4, "out_width": 4}
    attributes = size | {"filt_width": 3, "stride_width": 1, "pad_left": 1, "pad_right": 1, "depth_multiplier": 1}
    data = {"depthwise_data": np.arange(6.0).reshape(3, 2, 1) / 4 - 0.5, "bias_data": np.array([0.25, -1])}
    source = part.input(4, 2, kind=SIGNED)
    part.layer("DepthwiseConv1D", [source], types, options, n_chan=2, n_filt=2, **attributes, **LAST, **data)


def test_depthwise_convolutions_share_the_multipliers_of_each_channel(tmp_path):
    graphs = []
    for options in ({}, {"ReuseFactor": 3, "ParallelizationFactor": 2}):
        part = branch()
        depthwise(part, **options)
        graphs.append(read(part, tmp_path))
    unrolled, shared = graphs
    node = shared.nodes[-1]
    assert (node.implementation, node.reuse_factor, node.parallel) == ("dsp", 3, 2)
    x = np.random.default_rng(0).uniform(-4, 4, (30, 4, 2))
    expected = evaluate(unrolled, x)[0]
    assert np.array_equal(evaluate(shared, x)[0], expected)
    verilog = emit(shared, tmp_path / "rtl", "xcvu13p-flga2577-2-e", 5.0)
    assert (verilog.figures.multipliers, verilog.figures.initiation_interval) == (4, 6)
    outputs, _ = firmware.simulate(tmp_path / "rtl", tmp_path / "sim", verilog.figures, x.reshape(30, -1), timeout_s=60)
    assert np.array_equal(outputs, expected[: len(outputs)])
    part = branch()
    depthwise(part, ReuseFactor=2)
    refused(part, tmp_path, "blayer1", "ReuseFactor 2", "3 taps")


@pytest.mark.parametrize(
    ("types", "words"),
    [
        ({"weight": "fixed<8,3,RND,SAT,2>"}, ("weight", "saturation bits")),
        ({"result": "float"}, ("result", "not fixed point")),
        ({"accum": "int<9>", "bias": FixedPoint(True, 4, 0)}, ("accum_t", "rounds wrongly")),
    ],
)
def test_types_without_a_path(types, words, tmp_path):
    part = branch()
    dense(part, types)
    refused(part, tmp_path, "blayer1", *words)


@pytest.mark.parametrize(
    "precision", [XnorPrecisionType(), ExponentPrecisionType(4), StandardFloatPrecisionType(32, 8)], ids=str
)
def test_precisions_that_are_not_fixed_point(precision):
    with pytest.raises(ToolError, match="which is not fixed point"):
        reader.fixed(precision, "somewhere")


def test_integers_cut_towards_zero():
    assert str(reader.fixed(IntegerPrecisionType(5, signed=True))) == "fixed<5,5,TRN_ZERO,WRAP>"


def test_layers_that_hls4ml_cannot_compute_itself(tmp_path):
    part = branch()
    part.layer("TernaryTanh", [part.input(4, kind=SIGNED)], {"result": WIDE}, activation="ternary_tanh", n_in=4)
    refused(part, tmp_path, "TernaryTanh", "blayer1")
    part = branch()
    numbers = {"gamma_data": np.ones(3), "beta_data": np.zeros(3)}
    source = part.input(2, 3, kind=SIGNED)
    part.layer("LayerNormalization", [source], {"result": WIDE}, n_in=6, seq_len=2, **numbers)
    refused(part, tmp_path, "LayerNormalization", "blayer1")


def test_padding_of_an_unsigned_maximum(tmp_path):
    part = branch()
    shape, _, attributes = along(part, 1, "pool", pool=True)
    attributes |= {"n_in": shape[0], "n_out": shape[0], "in_width": shape[0], "out_width": shape[0], "pool_width": 3}
    attributes |= {"stride_width": 1, "pad_left": 1, "pad_right": 1}
    source = part.input(*shape, 1, kind=UNSIGNED)
    part.layer("MaxPooling1D", [source], {"accum": WIDE, "result": WIDE}, n_filt=1, n_chan=1, **attributes)
    refused(part, tmp_path, "blayer1", "unsigned")


def test_integers_in_means_and_tables(tmp_path):
    part = branch()
    source, types = part.input(4, 1, kind=SIGNED), {"accum": "int<9>", "result": WIDE}
    part.layer("GlobalAveragePooling1D", [source], types, n_filt=1, n_in=4, **LAST)
    refused(part, tmp_path, "blayer1", "integer accum_t")
    part = branch()
    source, options = part.input(4, kind=SIGNED), {"table_t": "int<9>"}
    part.layer("Activation", [source], {"result": WIDE}, options, activation="sigmoid", n_in=4)
    refused(part, tmp_path, "table_t of blayer1")


def test_merging_shapes_that_numpy_would_repeat_otherwise(tmp_path):
    part = branch()
    part.layer("Merge", [part.input(2, 3, kind=SIGNED), part.input(2, 1, kind=SIGNED)], {"result": WIDE}, op="add")
    refused(part, tmp_path, "blayer2", "(2, 1)")


def test_streaming_is_refused_before_a_model_is_made():
    with pytest.raises(ConfigurationError, match="io_parallel"):
        hls4ml.utils.config.create_config(backend="OpenRTL", io_type="io_stream")
