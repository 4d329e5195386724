"""Shared convolutions: the Verilog bit for bit and edge for edge, and the figures that are known before."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rtl_layers import random_port, random_values, reference

from evonas.errors import ConfigurationError, FailureKind, ToolError
from evonas.models.fixed_point import FixedPoint
from evonas.synthesis import yosys
from evonas.synthesis.graph import ABSENT, Port
from evonas.synthesis.rtl import Design, SharedConv, Stage
from evonas.synthesis.rtl.simulation import simulate
from evonas.synthesis.verification import pack, unpack
from surrogates.reuse import legal_reuse_factors

VECTORS = 8
PART = "xcvu13p-flga2577-2-e"


def windows(width, channels, kernel, *, stride=1, padding=0, groups=1):
    """(groups, positions, taps) of a one-dimensional convolution over (width, channels) words."""
    words = np.pad(
        np.arange(width * channels).reshape(width, channels), ((padding,) * 2, (0, 0)), constant_values=ABSENT
    )
    views = np.lib.stride_tricks.sliding_window_view(words, kernel, axis=0)[::stride]  # (positions, channels, kernel)
    views = views.reshape(len(views), groups, channels // groups, kernel)
    return np.ascontiguousarray(views.transpose(1, 0, 3, 2)).reshape(groups, len(views), -1)


def conv(seed, gather, filters, parallel, factor, *, inputs=None, weight_bits=5, accumulator=None, **changes):
    """A layer with random weights, some of them zero, on words of any types."""
    rng = np.random.default_rng(seed)
    groups, _, taps = gather.shape
    kind = FixedPoint(bool(rng.random() < 0.8), weight_bits, int(rng.integers(-1, 4)))
    low = -(2 ** (weight_bits - 1)) if kind.signed else 0
    codes = rng.integers(low, low + 2**weight_bits, (groups, taps, filters))
    codes[rng.random(codes.shape) < 0.25] = 0
    accumulator = accumulator or FixedPoint(bool(rng.random() < 0.8), int(rng.integers(4, 16)), int(rng.integers(1, 7)))
    fields = {"name": "conv", "inputs": inputs or random_port(rng, int(gather.max()) + 1), "gather": gather}
    fields |= {"weight": codes * kind.lsb, "weight_type": kind, "bias": rng.integers(-64, 64, (groups, filters)) / 16}
    fields |= {"accumulator": accumulator, "parallel": parallel, "reuse_factor": factor}
    return SharedConv(**(fields | changes))


@st.composite
def convolutions(draw):
    groups, channels, kernel = draw(st.integers(1, 2)), draw(st.integers(1, 2)), draw(st.integers(1, 3))
    width, padding = draw(st.integers(kernel, 6)), draw(st.integers(0, 2))
    gather = windows(width, groups * channels, kernel, stride=draw(st.integers(1, 2)), padding=padding, groups=groups)
    filters, positions = draw(st.integers(1, 3)), gather.shape[1]
    parallel = draw(st.sampled_from([n for n in range(1, positions + 1) if positions % n == 0]))
    factor = draw(st.sampled_from(legal_reuse_factors(gather.shape[2], filters)))
    storage = draw(st.sampled_from(["distributed", "block"]))
    inputs = random_port(np.random.default_rng(draw(st.integers(0, 99))), width * groups * channels)
    return conv(draw(st.integers(0, 999)), gather, filters, parallel, factor, inputs=inputs, storage=storage)


def expected(layer, x):
    """Each window through the dense layer of its group."""
    padded = np.concatenate([x, np.zeros((len(x), 1))], axis=1)
    groups, positions, _ = layer.gather.shape
    rows = [[reference(layer.cores[g], padded[:, layer.gather[g, p]]) for g in range(groups)] for p in range(positions)]
    return np.array(rows).transpose(2, 0, 1, 3).reshape(len(x), -1)


def alone(layer):
    return Design(layer.inputs, (Stage(layer, tuple(range(len(layer.inputs.widths)))),))


def check(layer, directory, gaps=(), seed=0):
    """Every output is the reference's, at the edge that the figures say; `simulate` looks at the edges."""
    x = random_values(np.random.default_rng(seed), layer.inputs, VECTORS)
    design = alone(layer)
    design.write(directory / "rtl")
    words, _ = simulate(design, directory / "rtl", directory, pack(x, layer.inputs), gaps, timeout_s=60)
    assert np.array_equal(unpack(words, layer.outputs), expected(layer, x))


@settings(max_examples=15, deadline=None)
@given(convolutions(), st.lists(st.integers(0, 40), max_size=VECTORS))
def test_any_convolution_back_to_back_and_with_pauses(layer, gaps):
    with tempfile.TemporaryDirectory() as name:
        check(layer, Path(name), gaps)


@pytest.mark.parametrize("parallel", [1, 2, 4])
@pytest.mark.parametrize("factor", [1, 3, 6])
def test_an_image_at_each_parallelism_and_reuse_factor(tmp_path, parallel, factor):
    rows = np.pad(np.arange(9).reshape(3, 3), 1, constant_values=ABSENT)
    views = np.lib.stride_tricks.sliding_window_view(rows, (3, 2))[::2, ::3].reshape(1, 4, 6)
    layer = conv(3, views, 2, parallel, factor, storage="block" if factor == 3 else "distributed")
    assert layer.initiation_interval == 4 // parallel * factor
    check(layer, tmp_path)


def test_a_group_that_reads_nothing_is_its_bias(tmp_path):
    gather = windows(4, 2, 2, groups=2)
    port = Port((True, False) * 4, (2, 0) * 4, (3, 0) * 4)  # the words of the second group have no bits
    layer = conv(0, gather, 2, 1, 2, inputs=port, accumulator=FixedPoint(True, 12, 6))
    assert layer.multipliers == np.count_nonzero(layer.cores[0].live)
    check(layer, tmp_path)


@settings(max_examples=40, deadline=None)
@given(convolutions())
def test_figures(layer):
    groups, positions, taps = layer.gather.shape
    products = groups * taps * layer.weight.shape[2]
    assert layer.multipliers <= layer.parallel * products / layer.reuse_factor
    assert layer.initiation_interval == positions / layer.parallel * layer.reuse_factor
    assert layer.latency_cycles > layer.initiation_interval - layer.reuse_factor
    assert layer.memory_bits == replace(layer, parallel=positions).memory_bits  # one memory for all windows
    assert len(layer.outputs.widths) == positions * groups * layer.weight.shape[2]


def test_dense_weights_take_as_many_multipliers_as_hls4ml_says():
    gather = windows(6, 2, 3)
    weight = np.full((1, 6, 4), 0.75)
    for parallel, factor in ((1, 1), (1, 6), (2, 3), (4, 24)):
        layer = replace(conv(0, gather, 4, parallel, factor), inputs=Port((True,) * 12, (2,) * 12, (5,) * 12))
        layer = replace(layer, weight=weight, weight_type=FixedPoint(True, 8, 2))
        constants = 4 if factor == 1 else 1  # equal products of one word are one
        assert layer.multipliers == parallel * 24 // factor // constants


def test_reset_drops_what_is_under_way_at_any_time(tmp_path):
    layer = conv(1, windows(3, 1, 2), 2, 1, 2, accumulator=FixedPoint(True, 14, 8))
    design = alone(layer)
    design.write(tmp_path / "rtl")
    rng, width, latency = np.random.default_rng(0), sum(layer.inputs.widths), design.latency_cycles
    x = random_values(rng, layer.inputs, 2)
    first, second = pack(x, layer.inputs)
    valid, reset = 1 << width, 2 << width
    for edge in range(1, latency + 2):
        stimulus = [reset, valid | first, *[0] * (edge - 1), reset, valid | second, *[0] * (2 * latency)]
        controls = ("in_valid", "rst")
        outputs, _ = yosys.simulate(tmp_path / "rtl", tmp_path, stimulus, width, controls=controls, timeout_s=60)
        flags = yosys.read_waveform((tmp_path / "out.vcd").read_text(), "out_valid", len(stimulus))
        results = [k for k, flag in enumerate(flags) if flag and k > edge + 1]
        assert results == [edge + 2 + latency]
        assert np.array_equal(unpack([outputs[results[0]]], layer.outputs), expected(layer, x[1:]))


def test_a_wrong_claim_is_found(tmp_path):
    layer = conv(0, windows(4, 1, 2, padding=1), 2, 1, 2)
    alone(layer).write(tmp_path / "rtl")
    x = pack(random_values(np.random.default_rng(0), layer.inputs, VECTORS), layer.inputs)
    with pytest.raises(ToolError, match="of the Verilog") as caught:
        simulate(alone(replace(layer, parallel=5)), tmp_path / "rtl", tmp_path, x, timeout_s=60)
    assert caught.value.failure.kind is FailureKind.MISMATCH


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"parallel": 3}, "parallel"),
        ({"parallel": 0}, "parallel"),
        ({"reuse_factor": 3}, "reuse_factor"),
        ({"gather": np.zeros((1, 4), np.int64)}, r"gather\.shape"),
        ({"gather": np.full((1, 4, 2), 9)}, "gather"),
        ({"weight": np.zeros((1, 3, 2))}, r"weight\.shape"),
        ({"bias": np.zeros(2)}, r"bias\.shape"),
        ({"storage": "flash"}, "storage"),
    ],
)
def test_what_does_not_fit_together_is_refused(change, named):
    layer = conv(0, windows(5, 1, 2), 2, 2, 2)
    with pytest.raises(ConfigurationError, match=rf"conv.*{named}"):
        replace(layer, **change)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("parallel", "factor", "storage"), [(4, 1, "distributed"), (2, 3, "block"), (1, 12, "distributed")]
)
def test_every_multiplier_becomes_a_dsp_block_and_weights_one_memory(tmp_path, parallel, factor, storage):
    port = Port((True,) * 4, (2,) * 4, (5,) * 4)
    layer = conv(
        0,
        windows(4, 1, 3, padding=1),
        4,
        parallel,
        factor,
        inputs=port,
        weight_bits=8,
        accumulator=FixedPoint(True, 24, 12),
        storage=storage,
    )
    design = alone(layer)
    design.write(tmp_path / "rtl")
    used, _ = yosys.synthesise(tmp_path / "rtl", tmp_path, PART, timeout_s=300)
    assert used.dsp == design.multipliers > 0
    assert used.bram_18k == (storage == "block")  # 32 bits of weights, whatever the windows
