"""What every synthesis backend promises; the vendors' run against stand-in programs."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
from fakes import vendors
from fakes.networks import random_network

from evonas.errors import ConfigurationError, FailureKind
from evonas.synthesis.backend import SynthesisResult
from evonas.synthesis.catapult import CatapultBackend
from evonas.synthesis.oneapi import OneApiBackend
from evonas.synthesis.open_backend import OpenBackend
from evonas.synthesis.quartus import QuartusBackend
from evonas.synthesis.vitis import VitisBackend
from surrogates import HardwareTarget, Stage

FAKES = Path(__file__).parents[1] / "fakes" / "vitis"
NETWORK = random_network(0, (5, 4, 3), weight_bits=3, activation_bits=3)
CLASSES = {
    "openrtl": OpenBackend,
    "vitis": VitisBackend,
    "quartus": QuartusBackend,
    "oneapi": OneApiBackend,
    "catapult": CatapultBackend,
}
PARTS = {"quartus": "Arria10", "oneapi": "Agilex7"}
LAST = {"quartus": Stage.ROUTED, "oneapi": Stage.ROUTED}  # as far as it goes; SYNTHESISED for the others
VENDORS = ["quartus", "oneapi", "catapult"]  # besides Vitis, which has its own tests below
VECTORS = np.random.default_rng(1).normal(0, 1.5, (64, 5))


@pytest.fixture
def fake_vitis(monkeypatch, tmp_path):
    """Puts the stand-in on PATH, run by this interpreter; returns how to choose its behaviour."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "vitis-run"
    program.write_text((FAKES / "vitis-run").read_text().replace("#!/usr/bin/env python3", f"#!{sys.executable}", 1))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return lambda behaviour: monkeypatch.setenv("FAKE_VITIS", behaviour)


@pytest.fixture
def stand_ins(monkeypatch, tmp_path):
    """Installs the stand-in programs of one vendor; returns how to choose their behaviour."""

    def install(vendor):
        if vendor == "quartus" and shutil.which("make") is None:
            pytest.skip("the project of i++ is built by make")
        return vendors.install(vendor, tmp_path / vendor, monkeypatch)

    return install


@pytest.fixture(params=list(CLASSES))
def backend(request, fake_vitis, stand_ins):
    if request.param in VENDORS:
        stand_ins(request.param)
    return CLASSES[request.param](csim="never")


def synthesise(backend, folder, until=None, timeout_s=120.0, **options):
    target = HardwareTarget(part=PARTS.get(backend.name, HardwareTarget.part), tool=backend.name)
    until = LAST.get(backend.name, Stage.SYNTHESISED) if until is None else until
    return backend.synthesise(NETWORK, VECTORS, target, folder, until=until, timeout_s=timeout_s, **options)


def test_a_target_is_checked_without_running_anything(backend):
    backend.check(HardwareTarget(part=PARTS.get(backend.name, HardwareTarget.part), tool=backend.name))
    with pytest.raises(ConfigurationError, match="part"):
        backend.check(HardwareTarget(part=" ", tool=backend.name))


def test_success(backend, tmp_path):
    steps = []
    result = synthesise(backend, tmp_path / "work", progress=steps.append)
    assert result.failure is None
    assert backend.available().version is not None
    assert steps
    stages = [record.stage for record in result.records]
    assert stages == sorted(set(stages))
    assert stages[-1] is LAST.get(backend.name, Stage.SYNTHESISED)
    for record in result.records:
        assert result.record(record.stage) is record
        assert record.spec == NETWORK.spec
        assert record.target.tool == backend.name
        assert record.tool_version
        assert record.weights == NETWORK.layer_weights
        assert min(record.lut, record.ff, record.latency_cycles, record.initiation_interval) > 0
        assert record.wall_time_s > 0
        assert record.peak_memory_bytes > 0
        assert len(record.report_digest) == 64
    assert {"hls4ml", "verilog", "report", "log"} <= set(result.files)
    assert all(path.exists() and path.is_relative_to((tmp_path / "work").resolve()) for path in result.files.values())
    assert list((result.files["verilog"]).rglob("*.v"))


def test_the_same_folder_can_be_used_again(backend, tmp_path):
    until = Stage.SYNTHESISED if backend.name == "catapult" else Stage.CSYNTH  # the first that has a record
    first, second = (synthesise(backend, tmp_path / "work", until=until) for _ in range(2))
    assert [r.lut for r in first.records] == [r.lut for r in second.records] != []


def test_an_earlier_stage_costs_no_synthesis(backend, tmp_path):
    result = synthesise(backend, tmp_path / "work", until=Stage.TRACED)
    assert result.failure is None
    assert all(record.stage <= Stage.TRACED for record in result.records)


def test_no_time_is_a_failure(backend, tmp_path):
    result = synthesise(backend, tmp_path / "work", timeout_s=0.0)
    assert result.failure.kind is FailureKind.TOOL_TIMEOUT
    assert result.records == ()


def test_cancelled(backend, tmp_path):
    stopped = type(backend)(csim="never", cancelled=lambda: True)
    assert synthesise(stopped, tmp_path / "work").failure.kind is FailureKind.CANCELLED


def test_unsuitable_vectors_raise(backend, tmp_path):
    target = HardwareTarget(part=PARTS.get(backend.name, HardwareTarget.part))
    with pytest.raises(ConfigurationError, match="vectors"):
        backend.synthesise(NETWORK, VECTORS[:10], target, tmp_path, until=Stage.TRACED, timeout_s=60.0)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="the C simulation needs g++")
@pytest.mark.parametrize("vendor", ["vitis", "quartus", "catapult"])
def test_c_simulation_counts_as_verification(fake_vitis, stand_ins, tmp_path, vendor):
    if vendor != "vitis":
        stand_ins(vendor)
    result = synthesise(CLASSES[vendor](csim="always"), tmp_path / "work")
    assert result.failure is None
    assert {record.verified_vectors for record in result.records} == {64}


def has_gone(number):
    """Whether a process has ended; one that was killed may take a moment to leave a busy machine."""
    try:
        process = psutil.Process(number)
        gone, _ = psutil.wait_procs([process], timeout=10)
        return bool(gone) or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize(
    ("behaviour", "kind", "stages"),
    [
        ("hang", FailureKind.TOOL_TIMEOUT, []),
        ("exit_1", FailureKind.TOOL_CRASHED, []),
        ("no_licence", FailureKind.TOOL_LICENCE, []),
        ("vivado_no_licence", FailureKind.TOOL_LICENCE, [Stage.CSYNTH]),
        ("memory", FailureKind.TOOL_MEMORY, []),
        ("no_report", FailureKind.REPORT_MISSING, []),
        ("no_vsynth", FailureKind.REPORT_MISSING, [Stage.CSYNTH]),
        ("broken_report", FailureKind.REPORT_BROKEN, []),
    ],
)
def test_failures_of_vitis_are_typed(fake_vitis, tmp_path, behaviour, kind, stages):
    synthesise(VitisBackend(csim="never"), tmp_path / "warm", until=Stage.TRACED)  # the libraries are loaded now
    fake_vitis(behaviour)
    timeout_s = 5.0 if behaviour == "hang" else 120.0
    result = synthesise(VitisBackend(csim="never"), tmp_path / "work", timeout_s=timeout_s)
    assert isinstance(result, SynthesisResult)
    assert result.failure.kind is kind
    assert [record.stage for record in result.records] == stages
    if behaviour == "hang":
        assert has_gone(int((tmp_path / "work" / "hls4ml" / "child.pid").read_text()))


def test_figures_of_vitis(fake_vitis, tmp_path):
    csynth, synthesised = synthesise(VitisBackend(csim="never"), tmp_path / "work").records
    weights = sum(NETWORK.nonzero_weights)
    assert (csynth.lut, csynth.dsp, csynth.latency_cycles, csynth.delay_ns) == (31 * weights, weights // 4, 9, 3.612)
    assert (synthesised.lut, synthesised.bram_18k, synthesised.delay_ns) == (20 * weights, 3, None)
    assert synthesised.tool_version == "Vitis HLS 2023.2, Vivado 2023.2"


def test_c_synthesis_only(fake_vitis, tmp_path):
    for backend, until in ((VitisBackend("never"), Stage.CSYNTH), (VitisBackend("never", vsynth=False), Stage.ROUTED)):
        result = synthesise(backend, tmp_path / "work", until=until)
        assert result.failure is None
        assert [record.stage for record in result.records] == [Stage.CSYNTH]


def test_without_vitis(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    backend = VitisBackend(csim="never")
    assert "PATH" in backend.available().reason
    result = synthesise(backend, tmp_path / "work")
    assert result.failure.kind is FailureKind.TOOL_MISSING
    assert (result.files["hls4ml"] / "build_prj.tcl").is_file()  # writing needs no tool


def test_licences_in_the_home_folder_are_found(tmp_path, monkeypatch):
    monkeypatch.delenv("LM_LICENSE_FILE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XILINXD_LICENSE_FILE", "2100@server")
    (tmp_path / ".Xilinx").mkdir()
    (tmp_path / ".Xilinx" / "mine.lic").touch()
    assert VitisBackend().environment() == {"XILINXD_LICENSE_FILE": f"2100@server:{tmp_path}/.Xilinx/mine.lic"}


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        ("exit_1", FailureKind.TOOL_CRASHED),
        ("no_licence", FailureKind.TOOL_LICENCE),
        ("memory", FailureKind.TOOL_MEMORY),
        ("no_report", FailureKind.REPORT_MISSING),
        ("broken_report", FailureKind.REPORT_BROKEN),
    ],
)
def test_failures_of_every_vendor_are_typed(stand_ins, tmp_path, vendor, behaviour, kind):
    stand_ins(vendor)(behaviour)
    result = synthesise(CLASSES[vendor](csim="never"), tmp_path / "work")
    assert result.failure.kind is kind
    assert result.records == ()


@pytest.mark.parametrize("how", ["time-out", "cancelled"])
@pytest.mark.parametrize("vendor", VENDORS)
def test_a_hanging_tool_leaves_nothing_behind(stand_ins, tmp_path, vendor, how):
    choose = stand_ins(vendor)
    synthesise(CLASSES[vendor](csim="never"), tmp_path / "warm", until=Stage.TRACED)  # the libraries are loaded now
    choose("hang")
    note = tmp_path / "work" / "hls4ml" / ("build" if vendor == "oneapi" else ".") / "child.pid"
    stop = note.exists if how == "cancelled" else None
    backend = CLASSES[vendor](csim="never", cancelled=stop)
    result = synthesise(backend, tmp_path / "work", timeout_s=60.0 if how == "cancelled" else 3.0)
    assert result.failure.kind is (FailureKind.CANCELLED if how == "cancelled" else FailureKind.TOOL_TIMEOUT)
    assert has_gone(int(note.read_text()))


def test_without_the_programs_of_a_vendor(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    for vendor in VENDORS:
        backend = CLASSES[vendor](csim="never")
        assert "PATH" in backend.available().reason
        result = synthesise(backend, tmp_path / vendor)
        assert result.failure.kind is FailureKind.TOOL_MISSING
        assert (result.files["hls4ml"] / "hls4ml_config.yml").is_file()  # writing needs no tool
