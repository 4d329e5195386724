"""A design leaves as a folder and comes back as the same network."""

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from fakes.networks import random_network
from onnx import TensorProto, helper

from evonas.errors import ConfigurationError, DataError, ToolError
from evonas.models.fixed_point import FixedPoint
from evonas.synthesis import _onnx
from evonas.synthesis.handover import hand_over, load_design
from surrogates import HardwareTarget, Stage, SynthesisRecord

PREPARATION = {"feature_names": ["a", "b", "c"], "mean": np.zeros(3), "scale": np.ones(3), "clip": 4.0}


def record(network):
    figures = {"lut": 10, "ff": 5, "dsp": 0, "bram_18k": 0, "latency_cycles": 3, "initiation_interval": 1}
    return SynthesisRecord(network.spec, HardwareTarget(), Stage.SYNTHESISED, "tools 1.0", **figures, carry=4)


@pytest.fixture
def tool_files(tmp_path):
    for role in ("hls4ml", "verilog"):
        (tmp_path / "work" / role).mkdir(parents=True)
        (tmp_path / "work" / role / "file").write_text(role)
    (tmp_path / "work" / "report.json").write_text('{"lut": 10}')
    return {role: tmp_path / "work" / role for role in ("hls4ml", "verilog")} | {
        "report": tmp_path / "work" / "report.json"
    }


def test_folder(tmp_path, tool_files):
    network = random_network(1, (3, 4, 2))
    accuracy = {"metric": "accuracy", "value": 0.75, "source": "validation"}
    path = hand_over(network, [accuracy], [record(network)], tool_files, tmp_path / "d", preparation=PREPARATION)
    assert {p.name for p in (tmp_path / "d").iterdir()} == {
        "model.onnx",
        "weights.npz",
        "hls4ml",
        "verilog",
        "synthesis_report.json",
        "design.json",
    }
    design = json.loads(path.read_text())
    assert design["input_preparation"]["mean"] == [0, 0, 0]
    assert accuracy in design["measurements"]
    lut = next(row for row in design["measurements"] if row["metric"] == "lut")
    expected = {"value": 10, "unit": "cells", "stage": "synthesised", "tool": "openrtl", "tool_version": "tools 1.0"}
    assert lut == {"metric": "lut", **expected}
    assert "delay_ns" not in {row["metric"] for row in design["measurements"]}  # unknown is not zero
    assert design["files"]["verilog"] == "verilog"
    for source in (tmp_path / "d", path, tmp_path / "d" / "model.onnx"):
        assert load_design(source).digest == network.digest


@pytest.mark.parametrize(
    ("preparation", "field"),
    [({"mean": [0.0]}, "mean"), ({"scale": [1.0, np.nan, 1.0]}, "finite"), ({"note": object()}, "plain data")],
)
def test_unsound_preparation(tmp_path, preparation, field):
    with pytest.raises(ConfigurationError, match=field):
        hand_over(random_network(1, (3, 2)), [], [], {}, tmp_path, preparation=preparation)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "hard_tanh"])
@pytest.mark.parametrize("rounding", ["TRN", "RND", "RND_CONV"])
@pytest.mark.parametrize("overflow", ["WRAP", "SAT"])
@pytest.mark.parametrize(("bits", "precision"), [(1, np.float32), (6, np.float32), (14, np.float64)])
def test_onnx_is_exact_and_comes_back(tmp_path, activation, rounding, overflow, bits, precision):
    modes = {"activation": activation, "rounding": rounding, "overflow": overflow}
    network = random_network(7, (5, 6, 3), weight_bits=bits, activation_bits=bits, **modes)
    assert _onnx.precision(network) is precision
    x = np.random.default_rng(0).normal(0, 3, (300, 5))
    _onnx.write_onnx(network, x, tmp_path / "m.onnx")
    assert _onnx.read_onnx(tmp_path / "m.onnx").digest == network.digest
    optimised = onnxruntime.InferenceSession(tmp_path / "m.onnx").run(None, {"x": x.astype(precision)})[0]
    assert np.array_equal(optimised, network.predict(x.astype(precision)))


def test_inputs_on_the_edge_of_rounding():
    network = random_network(3, (2, 3, 2), input_type=FixedPoint(True, 6, 2, "RND", "SAT"))
    edges = (np.arange(-40, 40) + 0.5) / 16
    x = np.stack([np.nextafter(edges, -9), np.nextafter(edges, 9)], axis=1).astype(np.float32)
    assert np.array_equal(_onnx.run(_onnx.build(network), x), network.predict(x.astype(np.float64)))


def test_a_wrong_graph_is_not_written(tmp_path, monkeypatch):
    network = random_network(1, (3, 4, 2))
    monkeypatch.setattr(import_module("evonas.synthesis._onnx.build"), "LEAKY_SLOPE", 0.25)
    leaky = random_network(1, (3, 4, 2), activation="leaky_relu")
    _onnx.write_onnx(network, np.ones((64, 3)), tmp_path / "good.onnx")
    with pytest.raises(ToolError, match="onnxruntime"):
        _onnx.write_onnx(leaky, np.random.default_rng(0).normal(0, 1, (64, 3)), tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


def test_foreign_damaged_and_changed_files(tmp_path):
    network = random_network(1, (3, 4, 2))
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "foreign",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
    )
    foreign = tmp_path / "foreign.onnx"
    onnx.save(helper.make_model(graph), foreign)
    with pytest.raises(ConfigurationError, match="evonas wrote"):
        load_design(foreign)
    (tmp_path / "text.onnx").write_text("no protobuf at all")
    for name in ("text.onnx", "none.onnx", "none.json"):
        with pytest.raises((DataError, ConfigurationError), match=name):
            load_design(tmp_path / name)
    with pytest.raises(ConfigurationError, match="must be"):
        load_design(tmp_path / "weights.txt")
    path = hand_over(network, [], [], {}, tmp_path / "d")
    design = json.loads(path.read_text())
    design["network"]["input_type"] = "fixed<9,3,TRN,WRAP>"
    path.write_text(json.dumps(design))
    with pytest.raises(DataError, match="not those"):
        load_design(path)
    (tmp_path / "d" / "weights.npz").unlink()
    with pytest.raises(DataError, match="weights"):
        load_design(path)


def test_nothing_heavy_is_imported_with_the_package():
    modules = ["backend", "handover", "job", "open_backend", "process", "verification", "vitis", "worker", "yosys"]
    code = f"""
import sys
import evonas.synthesis, {", ".join(f"evonas.synthesis.{name}" for name in modules)}
print([name for name in ("torch", "hls4ml", "alkaid", "pyosys", "onnx", "onnxruntime") if name in sys.modules])
"""
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
