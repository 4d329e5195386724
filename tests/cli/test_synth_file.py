"""`evonas synth` on a network file that evonas did not train."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from fakes import vendors
from onnx import TensorProto, helper, numpy_helper


@pytest.fixture
def network(tmp_path):
    """A foreign ONNX file: Gemm, ReLU, Gemm with the weights transposed, as torch exports linear layers."""
    rng = np.random.default_rng(0)
    constants = {
        "a.weight": rng.uniform(-1, 1, (4, 6)),
        "a.bias": rng.uniform(-1, 1, 4),
        "b.weight": rng.uniform(-1, 1, (4, 3)),
        "b.bias": rng.uniform(-1, 1, 3),
    }
    nodes = [
        helper.make_node("Gemm", ["in/put", "a.weight", "a.bias"], ["/0/out"], name="/0/Gemm", transB=1),
        helper.make_node("Relu", ["/0/out"], ["/1/out"], name="/1/Relu"),
        helper.make_node("Gemm", ["/1/out", "b.weight", "b.bias"], ["out"], name="/2/Gemm"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("in/put", TensorProto.FLOAT, [1, 6])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 3])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()],
    )
    path = tmp_path / "foreign.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path, constants


@pytest.mark.slow
def test_a_foreign_network_becomes_verified_firmware(evonas, network, tmp_path):
    path, constants = network
    out = tmp_path / "out"
    ended = evonas("synth", path, "--out", out, "--precision", "fixed<10,4>", "--json")
    assert ended.code == 0, ended.err
    data = json.loads(ended.out)
    assert (data["succeeded"], data["backend"], data["failure"]) == (True, "openrtl", None)
    assert [record["stage"] for record in data["records"]] == ["traced", "synthesised"]
    assert data["records"][1]["verified_vectors"] == 128
    report = data["report"]
    assert report["OpenRTL"]["verified_vectors"] == 256
    assert int(report["VivadoSynthReport"]["LUT"]) > 100
    assert report["VivadoSynthReport"]["DSP48E"] == "0"
    with np.load(out / "vectors.npz") as saved:
        x, found = saved["inputs"], saved["outputs"]
    hidden = np.maximum(x @ constants["a.weight"].T + constants["a.bias"], 0)
    exact = hidden @ constants["b.weight"] + constants["b.bias"]
    inside = np.abs(hidden).max(axis=1) < 7  # beyond the range of fixed<10,4> words wrap
    assert inside.sum() > 30
    assert np.abs(found - exact)[inside].max() < 0.5
    shared = evonas(
        "synth", path, "--out", tmp_path / "two", "--precision", "fixed<10,4>", "--reuse-factor", "2",
        "--strategy", "resource", "--simulator", "yosys", "--vectors", "64",
    )  # fmt: skip
    assert shared.code == 0, shared.err
    assert "synthesised" in shared.out
    assert shared.err.splitlines() == ["conversion and tracing ...", "RTL simulation ...", "logic synthesis ..."]


@pytest.mark.parametrize("behaviour", ["success", "vivado_no_licence"])
def test_a_vendor(evonas, network, tmp_path, monkeypatch, behaviour):
    """auto is Vitis where it is installed; hls4ml's C simulation is left out where there is no g++."""
    folder = tmp_path / "2023.2" / "bin"
    vendors.install("vitis", folder, monkeypatch)
    monkeypatch.setenv("PATH", f"{folder}:{Path(sys.executable).parent}")
    arguments = ("synth", network[0], "--precision", "fixed<10,4>", "--out")
    ended = evonas(*arguments, tmp_path / "a", "--json", FAKE_VITIS=behaviour)
    data = json.loads(ended.out)
    failed = behaviour != "success"
    assert ended.code == int(failed), ended.err
    assert data["backend"] == data["target"]["tool"] == "vitis"
    assert [record["stage"] for record in data["records"]] == ["csynth", "synthesised"][: 2 - failed]
    assert data["notes"] == ["not compared bit for bit: g++ is not on PATH"]
    assert data["succeeded"] == (data["failure"] is None) == (not failed)
    assert "report" not in data
    if failed:
        assert data["failure"]["kind"] == "tool_licence"
        assert "synthesis failed: tool_licence" in ended.err
    shown = evonas(*arguments, tmp_path / "b", FAKE_VITIS=behaviour)
    assert shown.code == int(failed)
    assert shown.err.splitlines()[:3] == ["conversion ...", "C synthesis ...", "logic synthesis ..."]
    assert "foreign.onnx by vitis" in shown.out
    assert "g++ is not on PATH" in shown.out


def test_an_absent_vendor(evonas, network, tmp_path):
    ended = evonas("synth", network[0], "--backend", "vitis", "--out", tmp_path / "o", PATH=str(tmp_path))
    assert ended.code == 1
    assert ended.err == "evonas: synthesis failed: tool_missing: vitis-run or vitis_hls is not on PATH\n"
    assert not (tmp_path / "o").exists()


def test_what_is_refused(evonas, network, tmp_path):
    path, _ = network
    for arguments, words in (
        (("--backend", "quartus"), "must be an Intel family"),
        (("--backend", "nothing"), "must be auto, openrtl"),
        (("--backend", "vitis", "--simulator", "yosys"), "is for openrtl"),
        (("--simulator", "nothing"), "must be one of yosys"),
        (("--vectors", "63"), "must be at least 64"),
        (("--precision", "float"), "must be a type such as"),
        (("--reuse-factor", "0"), "must be at least 1"),
        (("--strategy", "fast"), "must be latency or resource"),
        (("--part", "abc"), "a part that yosys can map to"),
        (("--timeout-s", "0"), "must be above 0"),
    ):
        ended = evonas("synth", path, "--out", tmp_path / "o", *arguments)
        assert ended.code == 2, ended.out
        assert words in " ".join(ended.err.split())


@pytest.mark.parametrize("name", ["broken.onnx", "broken.keras", "broken.h5"])
def test_a_damaged_file_is_bad_input(evonas, tmp_path, name):
    (tmp_path / name).write_bytes(b"no protobuf, no zip, no HDF5")
    ended = evonas("synth", tmp_path / name, "--out", tmp_path / "o")
    assert ended.code == 2
    complaint = ended.err.splitlines()[-1]
    assert complaint.startswith(f"evonas: {tmp_path / name}: is no ")
    assert "again" in complaint
    assert "Traceback" not in ended.err
    assert not (tmp_path / "o").exists()


def test_a_layer_without_hardware_is_named(evonas, tmp_path):
    nodes = [helper.make_node("Sin", ["x"], ["y"], name="wave")]
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:])
    path = tmp_path / "sine.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    ended = evonas("synth", path, "--out", tmp_path / "o")
    assert ended.code == 1
    assert "unsupported" in ended.err
    assert "Sin" in ended.err
