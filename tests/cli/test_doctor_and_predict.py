"""doctor and predict."""

from __future__ import annotations

import json
import os

import numpy as np
import onnx
import pytest
import torch
from command_line import ROOT
from onnx import TensorProto, helper, numpy_helper

from surrogates import LayerSpec, ModelSpec


def test_doctor_in_words(evonas):
    ended = evonas("doctor")
    assert ended.code == 0, ended.out
    assert "Everything needed is here." in ended.out
    assert all(word in ended.out for word in ("g++", "vitis-run", "verilator", "pyosys", "embedded jets", "cores"))
    assert all(len(line) <= 80 for line in ended.out.splitlines())


def test_doctor_in_json(evonas):
    ended = evonas("doctor", "--json")
    data = json.loads(ended.out)
    assert next(iter(data)) == "schema"
    assert data["schema"] == 1
    assert data["healthy"] == (ended.code == 0)
    checks = {check["name"]: check for check in data["checks"]}
    assert {c["verdict"] for c in data["checks"]} <= {"ok", "missing", "warning", "failed"}
    assert checks["surrogates"]["verdict"] == "ok"
    assert checks["pyosys"]["verdict"] == "ok"
    assert checks["hls4ml: OpenRTL"]["verdict"] == "ok"
    assert checks["embedded jets"]["found"] == "checksum right"
    assert all(checks[name]["group"] == "machine" for name in ("cores", "memory", "disk"))


def test_a_missing_optional_tool_is_not_wrong(evonas, tmp_path):
    checks = json.loads(evonas("doctor", "--json", PATH=str(tmp_path)).out)["checks"]
    tools = [check for check in checks if check["group"] == "tool"]
    assert {check["verdict"] for check in tools} == {"missing"}
    assert all("optional" in check["note"] for check in tools)


@pytest.fixture
def foreign(tmp_path):
    """A PYTHONPATH on which another package called `surrogates` comes first."""
    package = tmp_path / "other" / "surrogates"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("__version__ = '1.0'\n")
    return os.pathsep.join([str(package.parent), str(ROOT)])


def test_doctor_flags_an_unrelated_surrogates(evonas, foreign, tmp_path):
    ended = evonas("doctor", "--json", PYTHONPATH=foreign)
    assert ended.code == 1
    data = json.loads(ended.out)
    assert not data["healthy"]
    (check,) = [c for c in data["checks"] if c["name"] == "surrogates"]
    assert check["verdict"] == "failed"
    assert check["found"] == str(tmp_path / "other" / "surrogates")
    assert "pip uninstall surrogates" in check["note"]


def test_other_commands_blame_an_unrelated_surrogates_too(evonas, foreign, tmp_path):
    ended = evonas("predict", "16-8-5", PYTHONPATH=foreign)
    assert ended.code == 1
    assert "another package called 'surrogates'" in ended.err
    assert "evonas doctor" in ended.err
    assert "Traceback" not in ended.err


def test_predict_a_topology(evonas):
    ended = evonas("predict", "16-32-16-5", "--weight-bits", "6")
    assert ended.code == 0, ended.err
    assert all(word in ended.out for word in ("LUT", "FF", "DSP", "cycles", "90 %", "stage predicted", "surrogate"))
    assert all(len(line) <= 80 for line in ended.out.splitlines())


def test_predict_in_json_and_from_files_agree(evonas, tmp_path):
    layers = (LayerSpec(16, 8, 4, 5, "relu", 0.5), LayerSpec(8, 5, 4, 0, "linear", 0.5))
    spec = ModelSpec(7, layers)
    as_spec, as_design = tmp_path / "spec.json", tmp_path / "design.json"
    as_spec.write_text(json.dumps(spec.to_dict()))
    as_design.write_text(json.dumps({"format": "evonas-design", "network": {"spec": spec.to_dict()}}))
    bits = ("--weight-bits", "4", "--activation-bits", "5", "--input-bits", "7", "--sparsity", "0.5")
    found = []
    for arguments in (("16-8-5", *bits), (as_spec,), (as_design,)):
        ended = evonas("predict", *arguments, "--json")
        assert ended.code == 0, ended.err
        found.append(json.loads(ended.out))
    data = found[0]
    assert found == [data] * 3
    assert next(iter(data)) == "schema"
    assert data["stage"] == "predicted"
    assert data["interval"] == pytest.approx(0.9)
    assert data["surrogate_version"]
    assert data["spec"] == spec.to_dict()
    for metric in ("lut", "ff", "dsp", "bram_18k", "latency_cycles", "latency_ns", "initiation_interval"):
        values = data["predicted"][metric]
        assert values["lower"] <= values["value"] <= values["upper"]
    assert data["predicted"]["lut"]["value"] > 0


def test_predict_shared_multipliers(evonas):
    ended = evonas("predict", "16-8-5", "--reuse-factor", "7")
    assert ended.code == 0, ended.err
    assert "reuse factors 8,8, the legal ones nearest to 7" in ended.out
    rows = {line.split()[0]: line.split() for line in ended.out.splitlines() if line.strip()}
    assert float(rows["DSP"][1]) > 0
    assert rows["II"][-3:] == ["8", "8", "8"]
    assert len(rows["BRAM"]) == 4


@pytest.fixture(scope="module")
def foreign_onnx(tmp_path_factory):
    """Gemm and ReLU, Gemm, and half of the weights of the first zero."""
    first, second = np.full((6, 4), 0.5, np.float32), np.full((4, 3), 0.25, np.float32)
    first[:3] = 0
    constants = {"a": first, "c": np.zeros(4, np.float32), "b": second, "d": np.zeros(3, np.float32)}
    nodes = [
        helper.make_node("Gemm", ["x", "a", "c"], ["h"], name="first"),
        helper.make_node("Relu", ["h"], ["r"], name="relu"),
        helper.make_node("Gemm", ["r", "b", "d"], ["y"], name="second"),
    ]
    ends = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, n])] for name, n in (("x", 6), ("y", 3))]
    graph = helper.make_graph(nodes, "g", *ends, [numpy_helper.from_array(v, n) for n, v in constants.items()])
    path = tmp_path_factory.mktemp("foreign") / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def test_predict_an_onnx_file_of_others(evonas, foreign_onnx):
    ended = evonas("predict", foreign_onnx, "--json")
    assert ended.code == 0, ended.err
    first, second = json.loads(ended.out)["spec"]["layers"]
    assert (first["n_in"], first["n_out"], second["n_out"], first["sparsity"]) == (6, 4, 3, 0.5)
    assert (first["weight_bits"], first["activation"], first["activation_bits"]) == (2, "relu", 15)  # of fixed<16,6>
    asked = ("--weight-bits", "4", "--activation-bits", "5", "--input-bits", "7", "--reuse-factor", "2")
    ended = evonas("predict", foreign_onnx, "--json", *asked)
    assert ended.code == 0, ended.err
    data = json.loads(ended.out)
    first, second = data["spec"]["layers"]
    assert data["spec"]["input_bits"] == 7
    assert (first["weight_bits"], first["activation_bits"], first["reuse_factor"]) == (4, 5, 2)
    assert first["strategy"] == "reuse"
    assert (second["weight_bits"], second["activation_bits"], second["reuse_factor"]) == (4, 0, 2)
    ended = evonas("predict", foreign_onnx, "--sparsity", "0.5")
    assert ended.code == 2
    assert "--sparsity" in ended.err


def test_predict_a_torch_state_dict(evonas, tmp_path):
    network = torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.ReLU(), torch.nn.Linear(4, 3))
    path = tmp_path / "net.pt"
    torch.save(network.state_dict(), path)
    found = []
    for arguments in ((path,), ("6-4-3",)):
        ended = evonas("predict", *arguments, "--weight-bits", "5", "--reuse-factor", "4", "--json")
        assert ended.code == 0, ended.err
        found.append(json.loads(ended.out))
    assert found[0] == found[1]
    ended = evonas("predict", path)
    assert "6-4-3" in ended.out


def test_predict_a_network_that_is_no_chain(evonas, tmp_path):
    torch.save({"conv.weight": torch.zeros(3, 2, 3, 3)}, tmp_path / "net.pt")
    ended = evonas("predict", tmp_path / "net.pt")
    assert ended.code != 0
    assert "conv.weight has the shape 3x2x3x3" in ended.err
    assert "Traceback" not in ended.err
