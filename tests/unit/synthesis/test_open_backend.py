"""The open tool chain: real figures, and every failure with its type."""

import json
import pickle
import shutil
from dataclasses import replace

import numpy as np
import pytest
from fakes.families import untrained
from fakes.networks import random_network

from evonas.errors import ConfigurationError, FailureKind, ToolError
from evonas.models.fixed_point import FixedPoint, QuantisedDense
from evonas.models.quantised_network import QuantisedNetwork
from evonas.synthesis import backends, choose, yosys
from evonas.synthesis.open_backend import OpenBackend
from evonas.synthesis.vitis import VitisBackend
from surrogates import HardwareTarget, LayerSpec, ModelSpec, Stage

BACKEND = OpenBackend(csim="never")
TARGET = HardwareTarget()


def vectors(network, count=100):
    return np.random.default_rng(1).normal(0, 1.5, (count, network.spec.n_inputs))


def synthesise(tmp_path, network, backend=BACKEND, target=TARGET, until=Stage.SYNTHESISED, **options):
    options = {"timeout_s": 120.0} | options
    return backend.synthesise(network, vectors(network), target, tmp_path / "work", until=until, **options)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A real synthesis of 16-8-5 at four bits."""
    steps = []
    folder = tmp_path_factory.mktemp("small")
    result = synthesise(folder, random_network(0, (16, 8, 5), weight_bits=4, activation_bits=4), progress=steps.append)
    return result, steps


def test_real_figures(small):
    result, steps = small
    assert result.failure is None
    traced, synthesised = result.records
    assert (traced.stage, synthesised.stage) == (Stage.TRACED, Stage.SYNTHESISED)
    assert 850 < synthesised.lut < 1100
    assert 400 < synthesised.ff < 560
    assert (synthesised.dsp, synthesised.bram_18k, synthesised.initiation_interval) == (0, 0, 1)
    assert synthesised.latency_cycles == traced.latency_cycles
    assert 2 <= synthesised.latency_cycles <= 6
    assert 0.7 < traced.lut / synthesised.lut < 1.1
    assert 0.8 < traced.ff / synthesised.ff < 1.2
    assert synthesised.carry > 50
    assert 2 < synthesised.delay_ns < 12
    assert synthesised.verified_vectors == 100
    assert synthesised.peak_memory_bytes > 50 * 2**20
    assert synthesised.tool_version.startswith("hls4ml 1.3")
    assert steps == ["tracing", "hls4ml project", "RTL simulation", "logic synthesis"]


def test_files(small):
    result, _ = small
    assert (result.files["verilog"] / "src" / "dut.v").is_file()
    assert (result.files["hls4ml"] / "firmware" / "dut.cpp").is_file()
    report = json.loads(result.files["report"].read_text())
    assert report["lut"] == result.records[-1].lut
    assert "LUT2" in report["cells"]
    assert result.files["log"].is_file()


def test_figures_do_not_depend_on_the_run(small, tmp_path):
    again = synthesise(tmp_path, random_network(0, (16, 8, 5), weight_bits=4, activation_bits=4), until=Stage.TRACED)
    first, second = small[0].records[0], again.records[0]
    noisy = {"wall_time_s": 0, "peak_memory_bytes": 0}
    assert replace(first, **noisy) == replace(second, **noisy)


def test_a_shorter_clock_period_gives_more_stages(tmp_path):
    network = random_network(0, (16, 8, 5))
    cycles = {
        period: synthesise(tmp_path, network, target=HardwareTarget(clock_period_ns=period), until=Stage.TRACED)
        .records[0]
        .latency_cycles
        for period in (10.0, 5.0, 2.5)
    }
    assert cycles[10.0] < cycles[5.0] < cycles[2.5]


def test_no_time(tmp_path):
    failure = synthesise(tmp_path, random_network(0, (4, 3, 2)), timeout_s=0.0).failure
    assert failure.kind is FailureKind.TOOL_TIMEOUT


def test_timeout_in_yosys_keeps_the_traced_record(tmp_path, monkeypatch):
    original = yosys.synthesise
    monkeypatch.setattr(yosys, "synthesise", lambda *a, **k: original(*a, **(k | {"timeout_s": 0.5})))
    result = synthesise(tmp_path, random_network(0, (16, 8, 5)))
    assert result.failure.kind is FailureKind.TOOL_TIMEOUT
    assert [record.stage for record in result.records] == [Stage.TRACED]


def test_broken_verilog_is_a_crash_of_yosys(tmp_path):
    source = tmp_path / "rtl" / "src"
    source.mkdir(parents=True)
    (source / "dut.v").write_text("module dut (input clk; endmodule")
    for call in (
        lambda: yosys.synthesise(tmp_path / "rtl", tmp_path / "y", "xcvu13p", timeout_s=30),
        lambda: yosys.simulate(tmp_path / "rtl", tmp_path / "y", [0], 1, timeout_s=30),
    ):
        with pytest.raises(ToolError, match="syntax error") as caught:
            call()
        assert caught.value.failure.kind is FailureKind.TOOL_CRASHED


def test_an_activation_by_table_does_without_hls4ml(tmp_path):
    layers = (LayerSpec(4, 5, 4, 4, "gelu"), LayerSpec(5, 2, 4, 0, "linear"))
    network = untrained([ModelSpec(4, layers)], [3]).export(0)
    steps = []
    result = synthesise(tmp_path, network, OpenBackend(csim="always"), progress=steps.append)
    assert result.failure is None
    assert result.records[-1].verified_vectors == 100
    assert "hls4ml" not in result.files
    assert steps == ["tracing", "RTL simulation", "logic synthesis"]
    from evonas.synthesis import _hls4ml

    with pytest.raises(ToolError, match="table of layer 0's gelu is not hls4ml's; the backend openrtl") as caught:
        _hls4ml.convert(network, TARGET, tmp_path / "hls4ml")
    assert caught.value.failure.kind is FailureKind.UNSUPPORTED


def test_identity_and_folded_normalisation_go_through_hls4ml(tmp_path):
    layers = (LayerSpec(4, 5, 4, 4, "identity"), LayerSpec(5, 4, 4, 4, "relu"), LayerSpec(4, 2, 4, 0, "linear"))
    network = untrained([ModelSpec(4, layers)], [3], [True]).export(0)
    assert network.fits_hls4ml
    result = synthesise(tmp_path, network, until=Stage.TRACED)
    assert result.failure is None


def flipped(network):
    """The network with the lowest bit of one weight changed."""
    first = network.layers[0]
    codes = first.weight_codes.copy()
    codes[0, 0] ^= 1
    layer = QuantisedDense(
        codes, first.weight_type, first.bias_codes, first.bias_type, first.activation, first.output_type
    )
    return QuantisedNetwork(network.spec, network.input_type, (layer, *network.layers[1:]))


def test_a_flipped_weight_on_the_way_is_found_and_named(tmp_path, monkeypatch):
    network = random_network(2, (4, 3), sparsity=0.0)
    other = flipped(network).to_bytes()
    monkeypatch.setattr(QuantisedNetwork, "to_bytes", lambda self: other)
    result = synthesise(tmp_path, network, until=Stage.TRACED)
    assert result.failure.kind is FailureKind.MISMATCH
    assert not result.records
    for part in ("QuantisedNetwork.predict", "torch", "first on 0", "inputs ["):
        assert part in result.failure.message


def test_a_flipped_bit_in_the_verilog_is_found_and_named(tmp_path, monkeypatch):
    network = random_network(2, (4, 3), sparsity=0.0)
    original = yosys.simulate

    def tampered(rtl, *args, **options):
        top = rtl / "src" / "dut.v"
        text = top.read_text()
        register = "model_inp_reg[{0}] <= model_inp[{0}]".format(text.split("model_inp_reg[")[2].split("]")[0])
        assert register in text
        top.write_text(text.replace(register, register + " ^ 1"))
        return original(rtl, *args, **options)

    monkeypatch.setattr(yosys, "simulate", tampered)
    result = synthesise(tmp_path, network)
    assert result.failure.kind is FailureKind.MISMATCH
    assert "Verilog's simulation" in result.failure.message
    assert [record.stage for record in result.records] == [Stage.TRACED]


def test_a_constant_network_is_unsupported(tmp_path):
    result = synthesise(tmp_path, random_network(0, (4, 3, 2), sparsity=1.0))
    assert result.failure.kind is FailureKind.UNSUPPORTED


def test_too_wide_an_accumulator_is_unsupported(tmp_path):
    biases = FixedPoint(True, 50, -3)
    network = random_network(0, (4, 3), bias_type=biases, input_type=FixedPoint(True, 16, 16))
    assert synthesise(tmp_path, network).failure.kind is FailureKind.UNSUPPORTED


def test_missing_tool(tmp_path, monkeypatch):
    def gone(package):
        raise __import__("importlib.metadata").metadata.PackageNotFoundError(package)

    monkeypatch.setattr("evonas.synthesis.open_backend.version", gone)
    assert BACKEND.available().version is None
    assert synthesise(tmp_path, random_network(0, (4, 3))).failure.kind is FailureKind.TOOL_MISSING


def test_csim_needs_a_compiler_only_when_asked_for(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert OpenBackend(csim="auto").available().version is not None
    assert "g++" in OpenBackend(csim="always").available().reason


def test_wrong_arguments(tmp_path):
    network = random_network(0, (4, 3))
    with pytest.raises(ConfigurationError, match="part"):
        synthesise(tmp_path, network, target=HardwareTarget(part="ep4c"))
    with pytest.raises(ConfigurationError, match="64"):
        BACKEND.synthesise(network, vectors(network, 63), HardwareTarget(), tmp_path)
    with pytest.raises(ConfigurationError, match="csim"):
        OpenBackend(csim="sometimes")


def test_choice(monkeypatch):
    assert list(backends()) == ["openrtl", "vitis", "quartus", "oneapi", "catapult"]
    assert all(backend.name == name for name, backend in backends().items())
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert choose("auto").name == "openrtl"
    monkeypatch.setattr("shutil.which", lambda name: f"/opt/{name}")
    assert choose("auto", csim="never") == VitisBackend(csim="never")
    with pytest.raises(ConfigurationError, match="auto, openrtl, vitis, quartus, oneapi or catapult"):
        choose("vivado")
    with pytest.raises(ConfigurationError, match="nonsense"):
        choose("openrtl", nonsense=1)


def test_backends_travel_between_processes():
    assert pickle.loads(pickle.dumps(BACKEND)) == BACKEND


def test_simulators(monkeypatch):
    with pytest.raises(ConfigurationError, match="simulator"):
        OpenBackend(simulator="none")
    monkeypatch.setenv("PATH", "")
    assert "verilator is not on PATH" in OpenBackend(simulator="verilator").available().reason
    assert OpenBackend(simulator="auto").available().version


@pytest.mark.slow
@pytest.mark.skipif(not all(map(shutil.which, ("verilator", "make", "g++"))), reason="verilator is not installed")
def test_verilator_is_shown_all_vectors(tmp_path):
    network = random_network(0, (5, 4, 3), weight_bits=3, activation_bits=3)
    vectors = np.random.default_rng(1).normal(0, 1.5, (1500, 5))
    for simulator, verified in (("yosys", 128), ("auto", 1500)):
        backend = OpenBackend("never", simulator=simulator)
        result = backend.synthesise(network, vectors, HardwareTarget(), tmp_path, timeout_s=300)
        assert result.failure is None
        assert [record.verified_vectors for record in result.records] == [1500, verified]
