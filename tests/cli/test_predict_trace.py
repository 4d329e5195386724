"""`evonas predict --trace`: what the arithmetic compiler counts, and what logic synthesis will leave of it."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from fakes.networks import random_network
from onnx import TensorProto, helper, numpy_helper

from evonas.synthesis.handover import hand_over
from surrogates import Stage


@pytest.fixture(scope="module")
def design(tmp_path_factory):
    """A dense network of ours that is handed over."""
    return hand_over(random_network(3, (12, 16, 5)), [], [], {}, tmp_path_factory.mktemp("designs") / "d")


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """A dense layer of an ONNX file that evonas did not make."""
    weights = np.random.default_rng(0).integers(-8, 8, (6, 4)).astype(np.float32) / 8
    node = helper.make_node("Gemm", ["x", "a", "c"], ["y"], name="first")
    ends = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, n])] for name, n in (("x", 6), ("y", 4))]
    held = [numpy_helper.from_array(value, name) for name, value in (("a", weights), ("c", np.zeros(4, np.float32)))]
    path = tmp_path_factory.mktemp("foreign") / "net.onnx"
    model = helper.make_graph([node], "g", *ends, held)
    onnx.save(helper.make_model(model, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def found(evonas, *arguments):
    ended = evonas("predict", *arguments, "--trace", "--json")
    assert ended.code == 0, ended.err
    return json.loads(ended.out)


def test_a_design_is_traced_and_its_synthesis_predicted(evonas, design, tmp_path):
    data = found(evonas, design)
    assert data["stage"] == "predicted"
    assert data["spec"]["layers"][0]["n_in"] == 12
    ended = evonas("synth", design, "--out", tmp_path / "out", "--vectors", "64", "--json")
    assert ended.code == 0, ended.err
    records = {record["stage"]: record for record in json.loads(ended.out)["records"]}
    for name, values in data["predicted"].items():
        if name == "latency_ns":
            continue
        assert data["traced"][name] == records[Stage.TRACED.label][name]
        truth = records[Stage.SYNTHESISED.label][name]
        assert values["value"] == pytest.approx(truth, rel=0.25, abs=5)
    assert data["predicted"]["latency_cycles"]["value"] == records[Stage.SYNTHESISED.label]["latency_cycles"]
    assert data["traced"]["tool_version"] == records[Stage.TRACED.label]["tool_version"]
    assert data["traced"]["latency_ns"] == data["predicted"]["latency_ns"]["value"]


def test_in_words(evonas, design):
    ended = evonas("predict", design, "--trace")
    assert ended.code == 0, ended.err
    assert "tracing ..." in ended.err
    (head,) = [line for line in ended.out.splitlines() if "traced" in line]
    assert head.split() == ["traced", "predicted", "90", "%", "from", "to"]
    rows = {line.split()[0]: line.split() for line in ended.out.splitlines() if line.strip()}
    assert len(rows["LUT"]) == 5
    assert rows["cycles"][1] == rows["cycles"][2]


def test_a_network_file_of_others(evonas, foreign):
    data = found(evonas, foreign)
    assert (data["spec"]["layers"][0]["n_in"], data["spec"]["layers"][0]["n_out"]) == (6, 4)
    assert data["traced"]["lut"] > 20
    assert data["predicted"]["lut"]["lower"] < data["predicted"]["lut"]["value"] < data["predicted"]["lut"]["upper"]


def test_a_clock_is_traced_for(evonas, design):
    slow, fast = (found(evonas, design, "--clock-period-ns", period) for period in ("10", "1.5"))
    assert slow["target"]["clock_period_ns"] == 10
    assert slow["traced"]["latency_cycles"] < fast["traced"]["latency_cycles"]


def test_without_weights_there_is_nothing_to_trace(evonas, design, tmp_path):
    ended = evonas("predict", "16-8-5", "--trace")
    assert ended.code == 2
    assert "--trace = '16-8-5': give a design.json" in ended.err
    ended = evonas("predict", design, "--trace", "--weight-bits", "4")
    assert ended.code == 2
    assert "leave out --weight-bits" in ended.err
    (tmp_path / "net.pt").write_bytes(b"")
    ended = evonas("predict", tmp_path / "net.pt", "--trace")
    assert ended.code == 2
    assert "must be a folder, a design.json or a model.onnx" in ended.err


def test_a_part_that_no_tool_aims_at(evonas, design):
    ended = evonas("predict", design, "--trace", "--part", "ep4ce6")
    assert ended.code != 0
    assert "ep4ce6" in ended.err
    assert "Traceback" not in ended.err
