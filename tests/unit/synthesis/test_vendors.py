"""The vendors' backends against stand-in programs: records, files, and what belongs to one vendor alone."""

from __future__ import annotations

import json
import shutil
import tempfile

import numpy as np
import pytest
from fakes import vendors
from fakes.networks import random_network

from evonas.errors import ConfigurationError, FailureKind
from evonas.synthesis.catapult import CatapultBackend
from evonas.synthesis.licences import licence
from evonas.synthesis.oneapi import OneApiBackend
from evonas.synthesis.quartus import QuartusBackend
from evonas.synthesis.vitis import VitisBackend
from surrogates import HardwareTarget, Stage

NETWORK = random_network(0, (5, 4, 3), weight_bits=3, activation_bits=3)
WEIGHTS = sum(NETWORK.nonzero_weights)
VECTORS = np.random.default_rng(1).normal(0, 1.5, (64, 5))
CLASSES = {"quartus": QuartusBackend, "oneapi": OneApiBackend, "catapult": CatapultBackend}
PARTS = {"quartus": "Arria10", "oneapi": "Agilex7", "catapult": "xcku115-flvb2104-2-i"}


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    """`stand_in(vendor, behaviour)`: its programs in a folder named like a release; returns the folder."""

    def install(vendor, behaviour="success"):
        if vendor == "quartus" and shutil.which("make") is None:
            pytest.skip("the project of i++ is built by make")
        folder = tmp_path / "opt" / "2023.4" / "bin"
        vendors.install(vendor, folder, monkeypatch)(behaviour)
        return folder

    return install


def synthesise(vendor, folder, until=Stage.ROUTED, timeout_s=120.0, **options):
    backend = CLASSES[vendor](**({"csim": "never"} | options))
    target = HardwareTarget(part=PARTS[vendor], tool=vendor)
    return backend.synthesise(NETWORK, VECTORS, target, folder, until=until, timeout_s=timeout_s)


def figures(record):
    return record.lut, record.ff, record.dsp, record.latency_cycles, record.initiation_interval, record.delay_ns


def test_quartus(stand_in, tmp_path):
    stand_in("quartus")
    result = synthesise("quartus", tmp_path / "work")
    csynth, routed = result.records
    assert (csynth.stage, routed.stage) == (Stage.CSYNTH, Stage.ROUTED)
    assert figures(csynth) == (25 * WEIGHTS, 40 * WEIGHTS, WEIGHTS // 2, 8, 2, None)
    assert figures(routed) == (17 * WEIGHTS, 30 * WEIGHTS, WEIGHTS // 2, 8, 2, 4.0)
    assert csynth.bram_18k == routed.bram_18k == 10  # 9 blocks of 20 kbit
    assert csynth.tool_version == "Intel HLS 2023.4"
    report = json.loads(result.files["report"].read_text())
    assert (report["csynth"]["m20k"], report["fit"]["area"]["alm"]) == (9, 9.5 * WEIGHTS)


def test_quartus_stops_where_it_is_told(stand_in, tmp_path):
    stand_in("quartus")
    for until in (Stage.CSYNTH, Stage.SYNTHESISED):
        result = synthesise("quartus", tmp_path / "work", until)
        assert result.failure is None
        assert [record.stage for record in result.records] == [Stage.CSYNTH]
        assert "--quartus-compile" not in result.files["log"].read_text()


def test_without_a_simulator_i_plus_plus_has_no_cycles(stand_in, tmp_path):
    stand_in("quartus", "no_simulator")
    result = synthesise("quartus", tmp_path / "work")
    assert result.failure.kind is FailureKind.TOOL_CRASHED
    assert "simulator" in result.failure.message
    assert result.records == ()


def test_alm_make_no_record(stand_in, tmp_path):
    stand_in("quartus", "no_alut")
    result = synthesise("quartus", tmp_path / "work")
    assert result.failure is None
    assert [record.stage for record in result.records] == [Stage.CSYNTH]
    assert json.loads(result.files["report"].read_text())["fit"]["area"]["alm"] == 9.5 * WEIGHTS


def test_oneapi(stand_in, tmp_path):
    stand_in("oneapi")
    result = synthesise("oneapi", tmp_path / "work")
    csynth, routed = result.records
    assert (csynth.stage, routed.stage) == (Stage.CSYNTH, Stage.ROUTED)
    assert figures(csynth) == (24 * WEIGHTS, 41 * WEIGHTS, 1 + WEIGHTS / 2, 21, 1, 4.0)
    assert figures(routed) == (17 * WEIGHTS, 30 * WEIGHTS, 4, 21, 1, 2.5)
    assert csynth.verified_vectors == 0


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [("fit_no_licence", FailureKind.TOOL_LICENCE), ("no_fit", FailureKind.REPORT_MISSING)],
)
def test_the_estimate_survives_a_failure_of_quartus(stand_in, tmp_path, behaviour, kind):
    stand_in("oneapi", behaviour)
    result = synthesise("oneapi", tmp_path / "work")
    assert result.failure.kind is kind
    assert [record.stage for record in result.records] == [Stage.CSYNTH]


def test_no_c_simulation_of_oneapi(stand_in, tmp_path):
    stand_in("oneapi")
    assert synthesise("oneapi", tmp_path / "a", csim="always").failure.kind is FailureKind.UNSUPPORTED
    assert synthesise("oneapi", tmp_path / "b", csim="auto").failure is None


def test_catapult(stand_in, tmp_path):
    stand_in("catapult")
    result = synthesise("catapult", tmp_path / "work")
    (record,) = result.records
    assert record.stage is Stage.SYNTHESISED
    assert figures(record) == (20 * WEIGHTS, 6 * WEIGHTS, WEIGHTS // 8, 6, 1, None)
    assert record.bram_18k == 3
    assert record.tool_version == "Catapult 2024.1_2/1117371, Vivado 2023.2"
    report = json.loads(result.files["report"].read_text())
    assert report["catapult"]["area"]["LUTs"] == 31.0 * WEIGHTS
    assert report["utilisation"]["worst_slack_ns"] == 1.25
    assert result.files["verilog"].name == "dut.v10"
    assert not (tmp_path / "work" / "hls4ml.tar.gz").exists()


def test_catapult_alone_makes_no_record(stand_in, tmp_path):
    stand_in("catapult")
    result = synthesise("catapult", tmp_path / "work", Stage.CSYNTH)
    assert (result.failure, result.records) == (None, ())
    report = json.loads(result.files["report"].read_text())
    assert list(report) == ["catapult"]
    assert (report["catapult"]["latency_cycles"], report["catapult"]["initiation_interval"]) == (6, 1)


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [("vivado_no_licence", FailureKind.TOOL_LICENCE), ("no_vsynth", FailureKind.REPORT_MISSING)],
)
def test_without_vivado_the_cycles_of_catapult_are_kept(stand_in, tmp_path, behaviour, kind):
    stand_in("catapult", behaviour)
    result = synthesise("catapult", tmp_path / "work")
    assert result.failure.kind is kind
    assert "catapult" in json.loads(result.files["report"].read_text())


def test_catapult_below_its_home(stand_in, tmp_path, monkeypatch):
    folder = stand_in("catapult")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert CatapultBackend().available().version is None
    monkeypatch.setenv("MGC_HOME", str(folder.parent))
    assert CatapultBackend().available().version == "Catapult 2023.4"
    assert CatapultBackend().find() == (str(folder / "catapult"),)


@pytest.mark.parametrize(
    ("vendor", "variable", "folder"),
    [
        ("quartus", "LM_LICENSE_FILE", "."),
        ("quartus", "SALT_LICENSE_SERVER", "."),
        ("oneapi", "LM_LICENSE_FILE", "build"),
        ("catapult", "MGLS_LICENSE_FILE", "."),
        ("catapult", "SALT_LICENSE_SERVER", "."),
        ("catapult", "XILINXD_LICENSE_FILE", "."),
    ],
)
def test_licences_reach_the_tool(stand_in, tmp_path, monkeypatch, vendor, variable, folder):
    """From the environment, and from what the licence manager keeps in the user's home, which the tool does not see."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    (home / ".flexlmrc").write_text(f"{variable}=2100@kept\nOTHER=1@x\n")
    monkeypatch.setenv(variable, "1717@given")
    stand_in(vendor)
    result = synthesise(vendor, tmp_path / "work", Stage.CSYNTH)
    given = (result.files["hls4ml"] / folder / "licences.txt").read_text().splitlines()
    assert f"{variable}=1717@given:2100@kept" in given
    assert not any("OTHER" in line for line in given)


def test_a_tool_waits_for_a_licence_no_longer_than_its_time_out(stand_in, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    stand_in("catapult")
    assert synthesise("catapult", tmp_path / "a", licences=1).failure is None
    with licence("catapult", 1, timeout_s=1.0):
        result = synthesise("catapult", tmp_path / "b", licences=1, timeout_s=3.0)
        assert result.failure.kind is FailureKind.TOOL_TIMEOUT
        assert "licence" in result.failure.message
        assert not (result.files["hls4ml"] / "licences.txt").exists()  # never started
        assert synthesise("catapult", tmp_path / "c", licences=2).failure is None


def test_impossible_options():
    with pytest.raises(ConfigurationError, match="licences"):
        QuartusBackend(licences=0)
    with pytest.raises(ConfigurationError, match="csim"):
        VitisBackend(csim="sometimes")
    for backend in (QuartusBackend(), OneApiBackend(), CatapultBackend()):
        part = "xcvu13p" if backend.name != "catapult" else "Arria10"
        with pytest.raises(ConfigurationError, match="part"):
            backend.check(HardwareTarget(part=part))
