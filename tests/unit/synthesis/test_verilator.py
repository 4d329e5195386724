"""Compiled simulation of whole designs: many vectors equal the graph, and no claim about timing passes unseen."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes.graphs import random_graph

from evonas.errors import ConfigurationError, FailureKind, ToolError
from evonas.synthesis import build, firmware, verilator
from evonas.synthesis.evaluate import cast, evaluate
from evonas.synthesis.figures import Figures
from evonas.synthesis.graph import Port
from evonas.synthesis.openrtl import emit
from evonas.synthesis.verification import pack, unpack

PART, CLOCK_PERIOD_NS = "xcvu13p-flga2577-2-e", 5.0
VECTORS = 5000
PIPELINE, HANDSHAKE = 0, 6  # seeds of random graphs, without and with shared multipliers

installed = pytest.mark.skipif(
    not all(map(shutil.which, ("verilator", "make", "g++"))), reason="verilator or what it needs is not installed"
)


def made(seed):
    graph = random_graph(seed, depth=2)
    x = np.random.default_rng(0).uniform(-3, 3, (VECTORS, graph.inputs[0].size))
    x = cast(x, graph.inputs[0].result)
    return graph, x, np.concatenate(evaluate(graph, x), axis=1)


@pytest.fixture(scope="module", params=[PIPELINE, HANDSHAKE], ids=["pipeline", "handshake"])
def compiled(request, tmp_path_factory):
    """A design's figures, vectors and expected outputs, the build's report, and the folder of the simulation."""
    directory = tmp_path_factory.mktemp("with a space")
    graph, x, expected = made(request.param)
    options = {"part": PART, "clock_period_ns": CLOCK_PERIOD_NS, "vsynth": False, "export": False, "vectors": [x]}
    report = build.build(graph, directory, simulator="verilator", **options)["OpenRTL"]
    figures = Figures.read(directory / "verilog")
    assert figures.handshake == (request.param == HANDSHAKE)
    return figures, x, expected, report, directory / "yosys" / "verilator"


@installed
@pytest.mark.slow
def test_a_build_simulates_all_vectors(compiled):
    _, _, _, report, _ = compiled
    assert (report["simulator"], report["simulated_vectors"]) == ("verilator", VECTORS)


@installed
@pytest.mark.slow
def test_outputs_with_and_without_pauses_equal_the_graph(compiled):
    figures, x, expected, _, folder = compiled
    for gaps in [], np.random.default_rng(1).integers(0, 9, VECTORS).tolist():
        outputs, run = verilator.run(folder, figures, pack(x, figures.inputs), gaps, timeout_s=60)
        assert np.array_equal(unpack(outputs, figures.outputs), expected)
        assert run.seconds > 0


@installed
@pytest.mark.slow
@pytest.mark.parametrize("offset", [-1, 1])
def test_a_wrong_claim_about_the_latency_is_found(compiled, offset):
    figures, x, expected, _, folder = compiled
    wrong = replace(figures, latency_cycles=figures.latency_cycles + offset)
    words = pack(x[:100], figures.inputs)
    if figures.handshake:
        with pytest.raises(ToolError, match="result 0 of the Verilog comes at clock edge") as caught:
            verilator.run(folder, wrong, words, timeout_s=60)
        assert caught.value.failure.kind is FailureKind.MISMATCH
    else:
        outputs, _ = verilator.run(folder, wrong, words, timeout_s=60)
        assert not np.array_equal(unpack(outputs, figures.outputs), expected[:100])


@installed
@pytest.mark.slow
def test_a_wrong_claim_about_the_interval_is_found(compiled):
    figures, x, _, _, folder = compiled
    if not figures.handshake:
        pytest.skip("an input at every clock edge")
    words = pack(x[:20], figures.inputs)
    for offset in (-1, 1):
        wrong = replace(figures, initiation_interval=figures.initiation_interval + offset)
        with pytest.raises(ToolError, match="input 1 of the Verilog is taken at clock edge"):
            verilator.run(folder, wrong, words, timeout_s=60)


WIDE = """
module dut (input clk, input rst, input in_valid, output in_ready, input [69:0] model_inp,
            output out_valid, output [79:0] model_out);
    reg [35:0] sum;
    reg [43:0] unset;
    reg valid = 0, leak;
    assign in_ready = 1;
    assign out_valid = valid;
    assign model_out = {unset, sum};
    always @(posedge clk) begin
        valid <= in_valid & !rst;
        sum <= model_inp[69:35] + model_inp[34:0] + leak;
        leak <= in_valid ? 0 : model_inp[0];
        unset <= unset;
    end
endmodule
"""


@installed
@pytest.mark.slow
def test_what_a_design_must_not_depend_on_is_no_zero(tmp_path):
    """Words between inputs are the complement of the next one, and registers that are never set are random."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "dut.v").write_text(WIDE)
    words = Port((False,) * 2, (35,) * 2, (0,) * 2), Port((False,), (80,), (0,))
    figures = Figures(0, 0, 0, 0, 1, 1, 1, True, *words)
    verilator.compile_verilog(tmp_path, tmp_path / "sim", figures, timeout_s=300)
    x = np.random.default_rng(0).integers(0, 2**35, (50, 2))
    outputs, _ = verilator.run(tmp_path / "sim", figures, pack(x.astype(float), words[0]), [1, 0] * 25, timeout_s=60)
    leaks = (1 - x[:, 0] % 2) * ([1, 0] * 25)
    assert [word % 2**36 for word in outputs] == (x.sum(axis=1) + leaks).tolist()
    assert {word >> 36 for word in outputs}.isdisjoint({0, 2**44 - 1})


def test_without_the_program(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    graph, x, _ = made(PIPELINE)
    figures = emit(graph, tmp_path, PART, CLOCK_PERIOD_NS).figures
    with pytest.raises(ToolError, match="verilator is not on PATH") as caught:
        firmware.simulate(tmp_path, tmp_path / "sim", figures, x, simulator="verilator", timeout_s=60)
    assert caught.value.failure.kind is FailureKind.TOOL_MISSING
    assert firmware.choose("auto", 10**6) == "yosys"


@installed
def test_without_a_compiler(tmp_path, monkeypatch):
    figures = emit(made(PIPELINE)[0], tmp_path, PART, CLOCK_PERIOD_NS).figures
    programs = tmp_path / "programs"
    programs.mkdir()
    for program in Path("/usr/bin").iterdir():
        if program.name not in {"make", "gmake", "g++", "c++"}:
            (programs / program.name).symlink_to(program)
    monkeypatch.setenv("PATH", str(programs))
    if verilator.find_program() is None:
        pytest.skip("verilator is not in /usr/bin")
    with pytest.raises(ToolError) as caught:
        verilator.compile_verilog(tmp_path, tmp_path / "sim", figures, timeout_s=60)
    assert caught.value.failure.kind is FailureKind.TOOL_MISSING


def test_the_choice(tmp_path, monkeypatch):
    assert firmware.choose("yosys", 10**6) == "yosys"
    assert firmware.choose("verilator", 1) == "verilator"
    monkeypatch.setattr(verilator, "find_program", lambda: "/somewhere/verilator")
    assert firmware.choose("auto", 256) == "yosys"
    assert firmware.choose("auto", 1000) == "verilator"
    with pytest.raises(ConfigurationError, match="simulator"):
        build.build(random_graph(PIPELINE), tmp_path, part=PART, clock_period_ns=5.0, simulator="modelsim")
