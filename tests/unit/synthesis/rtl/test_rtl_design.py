"""Chains of segments with different initiation intervals, skip connections, the handshake, and pipelines of alkaid."""

import json
from dataclasses import replace

import numpy as np
import pytest
from alkaid.codegen import RTLModel
from alkaid.trace import FVArrayInput, HWConfig, trace
from rtl_layers import random_layer, random_port, random_values, reference

from evonas.errors import ConfigurationError, FailureKind, ToolError
from evonas.models.fixed_point import FixedPoint
from evonas.synthesis import yosys
from evonas.synthesis.graph import Port
from evonas.synthesis.rtl import Design, LogicSegment, Stage
from evonas.synthesis.rtl.simulation import simulate
from evonas.synthesis.verification import pack, unpack

WIDE = FixedPoint(True, 16, 8)
NARROW = FixedPoint(True, 6, 3)


def alkaid_pipeline(directory, module, inputs, function):
    """A segment made by alkaid: `function` of a port whose words all have the type `inputs`."""
    hardware = HWConfig(1, 1, -1)
    source = FVArrayInput((len(inputs.widths),), hardware, {"hard_dc": 2})
    kif = int(inputs.signed[0]), inputs.integer[0], inputs.fraction[0]
    logic = trace(source, function(source.quantize(*kif)))
    model = RTLModel(logic, directory, module, latency_cutoff=2, print_latency=False, ternary_fuse=False)
    model.write()
    ports = []
    for signal in (model.fsm.inp_signals[0], model.fsm.out_signals[0]):
        signed, integer, fraction = zip(*signal.precisions, strict=True)
        ports.append(Port(tuple(map(bool, signed)), tuple(map(int, integer)), tuple(map(int, fraction))))
    return LogicSegment(module, directory, *ports, model.fsm.out_signals[0].schedule.bias)


def port_of(kind, words):
    signed, integer, fraction = kind.kif
    return Port((bool(signed),) * words, (integer,) * words, (fraction,) * words)


def relu_cast(x):
    return x.relu().quantize(0, 2, 3)


def relu_cast_reference(x):
    return FixedPoint(False, 5, 2).quantise(np.maximum(x, 0))


@pytest.fixture(scope="module")
def residual(tmp_path_factory):
    """inputs -> dense (R 6) -> relu -> dense (R 2) -> sum with the first relu, which goes by the second layer."""
    folder = tmp_path_factory.mktemp("residual")
    rng = np.random.default_rng(5)
    inputs = random_port(rng, 6)
    first = random_layer(1, (6, 4), 6, name="first", inputs=inputs, accumulator=WIDE, storage="block")
    relu = alkaid_pipeline(folder / "relu", "relu", first.outputs, relu_cast)
    second = random_layer(2, (4, 4), 2, name="second", inputs=port_of(FixedPoint(False, 5, 2), 4), accumulator=WIDE)
    joined = port_of(WIDE, 8)
    total = alkaid_pipeline(folder / "total", "total", joined, lambda x: (x[:4] + x[4:]).quantize(1, 7, 8))
    stages = (
        Stage(first, (0, 1, 2, 3, 4, 5), (5, 0)),
        Stage(relu, (0, 1, 2, 3), (4, 5)),
        Stage(second, (0, 1, 2, 3), (3, 2, 1, 0, 5)),
        Stage(total, (0, 1, 2, 3, 7, 6, 5, 4), (8,)),
    )
    design = Design(inputs, stages)
    design.write(folder / "rtl")
    x = random_values(rng, inputs, 24)
    hidden = relu_cast_reference(reference(first, x))
    sums = FixedPoint(True, 16, 8).quantise(reference(second, hidden) + hidden)
    return design, folder, x, np.concatenate([sums, x[:, :1]], axis=1)


@pytest.mark.parametrize("stalls", ["none", "random", "longer than the interval"])
def test_a_residual_network(residual, tmp_path, stalls):
    design, folder, x, expected = residual
    rng = np.random.default_rng(0)
    gaps = {"none": [], "random": rng.integers(0, 9, len(x)).tolist(), "longer than the interval": [7] * len(x)}
    words, _ = simulate(design, folder / "rtl", tmp_path, pack(x, design.inputs), gaps[stalls], timeout_s=60)
    assert np.array_equal(unpack(words, design.outputs), expected)


def test_figures(residual):
    design, folder, _, _ = residual
    assert design.initiation_interval == 6
    assert design.latency_cycles == sum(stage.segment.latency_cycles for stage in design.stages)
    written = json.loads((folder / "rtl" / "ports.json").read_text())
    assert written["latency_cycles"] == design.latency_cycles
    assert written["initiation_interval"] == 6
    assert written["multipliers"] == sum(stage.segment.multipliers for stage in design.stages[::2])
    assert Port.from_dict(written["outputs"]) == design.outputs
    assert written["memory_bits"] == design.memory_bits > 0


def test_reset_drops_what_is_under_way(residual, tmp_path):
    design, folder, x, expected = residual
    words, width = pack(x[:2], design.inputs), sum(design.inputs.widths)
    valid, reset, latency = 1 << width, 2 << width, design.latency_cycles
    stimulus = [reset, valid | words[0], 0, 0, reset, valid | words[1], *[0] * (2 * latency)]
    outputs, _ = yosys.simulate(folder / "rtl", tmp_path, stimulus, width, controls=("in_valid", "rst"), timeout_s=60)
    waveform = (tmp_path / "out.vcd").read_text()
    flags = yosys.read_waveform(waveform, "out_valid", len(stimulus))
    assert [edge for edge, flag in enumerate(flags) if flag and edge] == [5 + latency]
    assert np.array_equal(unpack([outputs[5 + latency]], design.outputs), expected[1:2])


def test_pipelines_alone_take_an_input_at_every_edge(tmp_path):
    inputs = port_of(NARROW, 3)
    first = alkaid_pipeline(tmp_path / "a", "a", inputs, lambda x: x @ np.array([[1.5, -2], [0.25, 3], [-1, 1]]))
    second = alkaid_pipeline(tmp_path / "b", "b", port_of(FixedPoint(True, 12, 7), 2), lambda x: x * 2.5 + 1.0)
    design = Design(inputs, (Stage(first, (0, 1, 2), (2,)), Stage(second, (1, 0), (2, 0))))
    assert design.initiation_interval == 1
    design.write(tmp_path / "rtl")
    x = random_values(np.random.default_rng(0), inputs, 32)
    words, _ = simulate(design, tmp_path / "rtl", tmp_path, pack(x, inputs), [0, 0, 0, 2, 0, 1], timeout_s=60)
    y = x @ np.array([[1.5, -2], [0.25, 3], [-1, 1]])
    expected = np.stack([y[:, 1] * 2.5 + 1, y[:, 0] * 2.5 + 1, x[:, 2], y[:, 0]], axis=1)
    assert np.array_equal(unpack(words, design.outputs), expected)


@pytest.mark.parametrize(
    ("claim", "message"),
    [({"reuse_factor": 3}, "input 1 of the Verilog is taken"), ({"reuse_factor": 12}, "input 1 of the Verilog")],
)
def test_a_design_that_does_not_keep_to_its_claim(tmp_path, claim, message):
    layer = random_layer(0, (6, 4), 6)
    words = tuple(range(6))
    Design(layer.inputs, (Stage(layer, words),)).write(tmp_path / "rtl")
    claimed = Design(layer.inputs, (Stage(replace(layer, **claim), words),))
    x = pack(random_values(np.random.default_rng(0), layer.inputs, 8), layer.inputs)
    with pytest.raises(ToolError, match=message) as caught:
        simulate(claimed, tmp_path / "rtl", tmp_path, x, timeout_s=60)
    assert caught.value.failure.kind is FailureKind.MISMATCH


def test_a_latency_that_is_not_the_claimed_one(tmp_path):
    inputs = port_of(NARROW, 2)
    logic = alkaid_pipeline(tmp_path / "a", "a", inputs, lambda x: (x * 173.0).relu() * 11.0)
    x = pack(random_values(np.random.default_rng(0), inputs, 8), inputs)
    stages = [Stage(replace(logic, latency_cycles=cycles), (0, 1)) for cycles in (logic.latency_cycles, 1, 9)]
    assert logic.latency_cycles > 2
    honest, short, long = (Design(inputs, (stage,)) for stage in stages)
    honest.write(tmp_path / "rtl")
    with pytest.raises(
        ToolError, match=f"result 0 of the Verilog comes at clock edge {logic.latency_cycles + 1}, not 10"
    ):
        simulate(long, tmp_path / "rtl", tmp_path, x, timeout_s=60)
    short.write(tmp_path / "short")
    with pytest.raises(ToolError, match="result 0 of the Verilog is undefined"):
        simulate(short, tmp_path / "short", tmp_path, x, timeout_s=60)


def test_what_does_not_fit_together_is_refused(tmp_path):
    layer = random_layer(0, (4, 2), 2)
    for stages, named in (
        ((), "at least one stage"),
        ((Stage(layer, (0, 1, 2)),), "as many words"),
        ((Stage(layer, (0, 1, 2, 4)),), "only 4 words arrive"),
        ((Stage(layer, (0, 1, 2, 3), (-1,)),), "only 4 words arrive"),
        ((Stage(layer, (0, 1, 2, 3), (0, 1)), Stage(replace(layer), (0, 1, 2, 3))), "must differ"),
        ((Stage(replace(layer, name="dut"), (0, 1, 2, 3)),), "must differ"),
    ):
        with pytest.raises(ConfigurationError, match=named):
            Design(layer.inputs, stages)


def test_one_layer_twice_is_written_once_and_works(tmp_path):
    port = port_of(NARROW, 2)
    layer = random_layer(4, (2, 2), 4, inputs=port, accumulator=NARROW)
    design = Design(port, (Stage(layer, (0, 1)), Stage(layer, (1, 0))))
    design.write(tmp_path / "rtl")
    assert sorted(file.name for file in yosys.sources(tmp_path / "rtl")) == ["dut.v", "fc.v"]
    x = random_values(np.random.default_rng(0), port, 8)
    words, _ = simulate(design, tmp_path / "rtl", tmp_path, pack(x, port), timeout_s=60)
    assert np.array_equal(unpack(words, design.outputs), reference(layer, reference(layer, x)[:, ::-1]))
