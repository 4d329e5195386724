"""Network files that evonas did not train, through every backend; the vendors' run against stand-in programs."""

from __future__ import annotations

import json
import shutil
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
from fakes import vendors
from onnx import TensorProto, helper

from evonas.errors import ConfigurationError, DataError, FailureKind, ToolError
from evonas.synthesis import choose
from evonas.synthesis.file_build import Conversion, FileJob, synthesise_file
from evonas.synthesis.job import Limits
from surrogates import HardwareTarget, Stage

VENDORS = ("vitis", "quartus", "oneapi", "catapult")
PARTS = {"quartus": "Arria10", "oneapi": "Agilex7"}
STEPS = {
    "vitis": ["C synthesis", "logic synthesis"],
    "quartus": ["C synthesis", "co-simulation"],
    "oneapi": ["configuring", "C synthesis"],
    "catapult": ["C synthesis", "logic synthesis"],
}
STAGES = {
    "vitis": [Stage.CSYNTH, Stage.SYNTHESISED],
    "quartus": [Stage.CSYNTH],
    "oneapi": [Stage.CSYNTH],
    "catapult": [Stage.SYNTHESISED],
}


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """An ONNX file as torch exports it, with 45 weights."""
    import torch

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.ReLU(), torch.nn.Linear(5, 3)).eval()
    path = tmp_path_factory.mktemp("network") / "network.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, torch.zeros(1, 6), str(path), dynamo=False)
    return path


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    """`stand_in(vendor)`: its programs are on PATH; returns how to choose their behaviour."""

    def install(vendor):
        if vendor == "quartus" and shutil.which("make") is None:
            pytest.skip("the project of i++ is built by make")
        return vendors.install(vendor, tmp_path / "opt" / "2023.4" / "bin", monkeypatch)

    return install


def synthesise(vendor, model, folder, conversion=None, csim="never", **options):
    target = HardwareTarget(part=PARTS.get(vendor, HardwareTarget.part), tool=vendor)
    backend = choose(vendor, csim=csim)
    return synthesise_file(model, backend, target, folder, conversion or Conversion("fixed<10,4>"), **options)


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_vendor(stand_in, network, tmp_path, vendor):
    stand_in(vendor)
    steps = []
    result = synthesise(vendor, network, tmp_path / "work", progress=steps.append)
    assert result.failure is None
    assert steps == ["conversion", *STEPS[vendor]]
    assert [record.stage for record in result.records] == STAGES[vendor]
    assert {"hls4ml", "verilog", "report", "log"} <= set(result.files)
    for record in result.records:
        assert record.lut >= 17 * 40  # a stand-in's figures follow from the weights in the project
        assert record.target.tool == vendor
        assert min(record.latency_cycles, record.initiation_interval, record.wall_time_s) > 0
        data = json.loads(json.dumps(record.to_dict()))
        assert data["stage"] == record.stage.label
        assert data["target"]["part"] == record.target.part
        assert record.verified_vectors == 0
    (note,) = result.notes
    assert note.startswith("not compared bit for bit: ")
    assert ("needs the vendor's compiler" if vendor == "oneapi" else '"never"') in note


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_vendor_without_a_licence(stand_in, network, tmp_path, vendor):
    stand_in(vendor)("no_licence")
    result = synthesise(vendor, network, tmp_path / "work")
    assert result.failure.kind is FailureKind.TOOL_LICENCE
    assert result.records == ()
    assert result.files["hls4ml"].is_dir()


@pytest.mark.parametrize("vendor", VENDORS)
def test_an_absent_tool_is_told_before_the_conversion(monkeypatch, network, tmp_path, vendor):
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    steps = []
    result = synthesise(vendor, network, tmp_path / "work", progress=steps.append)
    assert result.failure.kind is FailureKind.TOOL_MISSING
    assert "PATH" in result.failure.message
    assert steps == []
    assert not (tmp_path / "work").exists()


def test_a_part_that_a_vendor_does_not_have(network, tmp_path):
    with pytest.raises(ConfigurationError, match="part"):
        synthesise_file(network, choose("quartus"), HardwareTarget(), tmp_path, Conversion())


def test_no_time_and_cancelled(stand_in, network, tmp_path):
    stand_in("vitis")
    assert synthesise("vitis", network, tmp_path / "a", timeout_s=0.0).failure.kind is FailureKind.TOOL_TIMEOUT
    backend = choose("vitis", csim="never", cancelled=lambda: True)
    result = synthesise_file(network, backend, HardwareTarget(), tmp_path / "b", Conversion())
    assert result.failure.kind is FailureKind.CANCELLED


def test_what_hls4ml_changes_is_a_note(stand_in, network, tmp_path):
    stand_in("vitis")
    conversion = Conversion("fixed<10,4>", 7, "resource")
    result = synthesise("vitis", network, tmp_path, conversion, until=Stage.TRACED)
    assert [note for note in result.notes if "ReuseFactor=7" in note and "ReuseFactor=6" in note]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="hls4ml's C simulation needs g++")
@pytest.mark.parametrize("vendor", ["vitis", "quartus", "catapult"])
def test_the_c_simulation_is_compared(stand_in, network, tmp_path, vendor):
    stand_in(vendor)
    conversion = Conversion("fixed<10,4>", 2, "resource")
    result = synthesise(vendor, network, tmp_path, conversion, "always", vectors=300)
    assert result.failure is None
    assert {record.verified_vectors for record in result.records} == {300}
    assert not [note for note in result.notes if "not compared" in note]


def job(tmp_path, outputs):
    for name, values in {"inputs": np.zeros((4, 2)), "expected": np.ones((4, 2)), "csim_outputs": outputs}.items():
        np.save(tmp_path / f"{name}.npy", values)
    return FileJob(
        target=HardwareTarget(),
        directory=tmp_path,
        deadline=0.0,
        limits=Limits(),
        progress=print,
        model=tmp_path / "x.onnx",
        conversion=Conversion(),
        vectors=4,
    )


@pytest.mark.parametrize(("backend", "own"), [("Vitis", []), ("Vitis", ["softmax"]), ("Quartus", [])])
def test_a_difference_is_a_failure(tmp_path, backend, own):
    outputs = np.ones((4, 2))
    outputs[2, 1] += 2.0**-10
    with pytest.raises(ToolError, match="differ on 1 of 4 vectors, first on 2") as caught:
        job(tmp_path, outputs)._compare(backend, own)
    assert caught.value.failure.kind is FailureKind.MISMATCH


def test_a_difference_in_tables_of_another_compiler_is_a_note(tmp_path):
    outputs = np.ones((4, 2))
    outputs[2, 1] += 2.0**-10
    other = job(tmp_path, outputs)
    other._compare("Quartus", ["softmax"])
    assert other.verified == 0
    assert "softmax" in other.notes[0]
    assert "1 of 4 inputs, by 0.000977" in other.notes[0]
    same = job(tmp_path, np.ones((4, 2)))
    same._compare("Quartus", ["softmax"])
    assert (same.verified, same.notes) == (4, [])


def test_the_open_tools(network, tmp_path):
    steps = []
    result = synthesise("openrtl", network, tmp_path, until=Stage.TRACED, vectors=100, progress=steps.append)
    assert result.failure is None
    assert steps == ["conversion and tracing"]
    (record,) = result.records
    assert (record.stage, record.verified_vectors, record.initiation_interval) == (Stage.TRACED, 100, 1)
    assert record.lut > 100
    assert list((result.files["verilog"] / "src").glob("*.v"))


def test_the_open_tools_to_the_end(network, tmp_path):
    steps = []
    result = synthesise("openrtl", network, tmp_path, vectors=70, progress=steps.append)
    assert result.failure is None
    assert steps == ["conversion and tracing", "RTL simulation", "logic synthesis"]
    traced, synthesised = result.records
    assert (traced.verified_vectors, synthesised.verified_vectors) == (70, 70)
    assert str(int(synthesised.lut)) == result.report["VivadoSynthReport"]["LUT"]
    assert traced.latency_cycles == synthesised.latency_cycles


def damaged(kind, network, tmp_path):
    data = network.read_bytes()
    model = onnx.load_model_from_string(data)
    if kind == "a node without its input":
        model.graph.node[1].input[0] = "nowhere"
        data = model.SerializeToString()
    files = {
        "half.onnx": data[: len(data) // 2],
        "empty.onnx": b"",
        "a node without its input": data,
        "text.keras": b"no zip archive",
        "text.h5": b"no HDF5",
    }
    path = tmp_path / (kind if "." in kind else "dangling.onnx")
    path.write_bytes(files[kind])
    return path


@pytest.mark.parametrize("kind", ["half.onnx", "empty.onnx", "a node without its input", "text.keras", "text.h5"])
@pytest.mark.parametrize("backend", ["openrtl", "vitis"])
def test_a_damaged_file_is_bad_input(stand_in, network, tmp_path, kind, backend):
    stand_in("vitis")
    path = damaged(kind, network, tmp_path)
    with pytest.raises(DataError, match=path.name) as caught:
        synthesise(backend, path, tmp_path / "work")
    assert "again" in str(caught.value)


def test_a_damaged_keras_file_whose_container_is_whole(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    pytest.importorskip("keras", reason="keras is an optional front end")
    import zipfile

    path = tmp_path / "network.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", '{"class_name": "Seq')
    with pytest.raises(DataError, match="again"):
        synthesise("openrtl", path, tmp_path / "work")


def test_an_unknown_layer_is_no_damage(tmp_path):
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Sin", ["x"], ["y"])], "g", ports[:1], ports[1:])
    path = tmp_path / "sine.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    failure = synthesise("openrtl", path, tmp_path / "work").failure
    assert failure.kind is FailureKind.UNSUPPORTED
    assert "Sin" in failure.message


@pytest.mark.parametrize(
    "options", [{"precision": "fixed<16>"}, {"precision": "float"}, {"reuse_factor": 0}, {"strategy": "fast"}]
)
def test_impossible_conversions(options):
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        Conversion(**options)


@pytest.mark.parametrize("precision", ["fixed<16,6>", "ap_ufixed<8, -1, RND_CONV, SAT>", "int<8>"])
def test_types(precision):
    assert Conversion(precision).precision == precision
