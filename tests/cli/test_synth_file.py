"""`evonas synth` on a network file that evonas did not train."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
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
    report = json.loads(ended.out)["report"]
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
        "--strategy", "resource",
    )  # fmt: skip
    assert shared.code == 0, shared.err
    assert "synthesised" in shared.out


def test_what_is_refused(evonas, network, tmp_path):
    path, _ = network
    for arguments, words in (
        (("--backend", "vitis"), "use openrtl"),
        (("--part", "abc"), "a part that yosys can map to"),
        (("--timeout-s", "0"), "must be above 0"),
    ):
        ended = evonas("synth", path, "--out", tmp_path / "o", *arguments)
        assert ended.code == 2, ended.out
        assert words in " ".join(ended.err.split())
    (tmp_path / "broken.onnx").write_bytes(b"no protobuf")
    ended = evonas("synth", tmp_path / "broken.onnx", "--out", tmp_path / "o")
    assert ended.code == 2
    assert "is no ONNX file" in " ".join(ended.err.split())


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
