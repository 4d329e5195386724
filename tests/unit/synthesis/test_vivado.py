"""The script for Vivado, run as Tcl with stand-ins for its commands, and Vivado's reports as numbers."""

import shutil
import subprocess
from pathlib import Path

import pytest

from evonas.errors import ConfigurationError, FailureKind, ToolError
from evonas.synthesis import vivado

SHARED = Path(__file__).parents[3].parent / "shared" / "data" / "synthesis"
PART = "xcvu13p-flga2577-2-e"

UTILISATION = """| Tool Version : Vivado v.2023.2 (lin64) Build 4029153
| Design State : Routed
1. CLB Logic
+----------------------------+------+-------+------------+-----------+-------+
|          Site Type         | Used | Fixed | Prohibited | Available | Util% |
+----------------------------+------+-------+------------+-----------+-------+
| CLB LUTs                   | 2210 |     0 |          0 |   1728000 |  0.13 |
|   LUT as Logic             | 2201 |     0 |          0 |   1728000 |  0.13 |
|   LUT as Memory            |    9 |     0 |          0 |    791040 | <0.01 |
|     LUT as Shift Register  |    9 |     0 |            |           |       |
| CLB Registers              | 1290 |     0 |          0 |   3456000 |  0.04 |
| CARRY8                     |  402 |     0 |          0 |    216000 |  0.19 |
+----------------------------+------+-------+------------+-----------+-------+
| Block RAM Tile    |  1.5 |     0 |          0 |      2688 |  0.06 |
|   RAMB36/FIFO*    |    1 |     0 |          0 |      2688 |  0.04 |
|   RAMB18          |    1 |     0 |          0 |      5376 |  0.02 |
| URAM              |    2 |     0 |          0 |      1280 |  0.16 |
| DSPs              |   16 |     0 |          0 |     12288 |  0.13 |
| CARRY8   |  402 |               CLB |
"""
TIMING = """------------------------------------------------------------------------------------------------
| Design Timing Summary
| ---------------------
------------------------------------------------------------------------------------------------

    WNS(ns)      TNS(ns)  TNS Failing Endpoints  TNS Total Endpoints      WHS(ns)      THS(ns)
    -------      -------  ---------------------  -------------------      -------      -------
     {slack}        0.000                      0                 1250        0.045        0.000

------------------------------------------------------------------------------------------------
| Clock Summary
| -------------
------------------------------------------------------------------------------------------------

Clock  Waveform(ns)       Period(ns)      Frequency(MHz)
-----  ------------       ----------      --------------
clk    {{0.000 2.500}}        5.000           200.000
"""
STAND_INS = """
foreach name {synth_design opt_design place_design phys_opt_design route_design write_checkpoint} {
    proc $name args "puts \\"$name \\$args\\""
}
proc report_utilization args { puts "report_utilization $args" }
proc report_timing_summary args { puts "report_timing_summary $args" }
proc create_clock args { puts "create_clock $args" }
proc get_ports name { return $name }
proc read_verilog {option files} {
    foreach file $files { if {![file exists $file]} { error "no $file" }; puts "read $file" }
}
proc read_xdc file { source $file }
"""


def verilog(folder):
    (folder / "src" / "static").mkdir(parents=True)
    for name in ("dut.v", "logic0.v", "dut_wrapper.v", "static/adder.v"):
        (folder / "src" / name).write_text("// nothing\n")
    return folder


@pytest.mark.skipif(shutil.which("tclsh") is None, reason="no tclsh on PATH")
@pytest.mark.parametrize("folder", ["plain", "with space", "od[d] $name; {x"])
def test_the_script_runs_from_anywhere_and_reads_every_file(tmp_path, folder):
    rtl = verilog(tmp_path / "made" / folder)
    script = vivado.write_project(rtl, tmp_path / "made" / "work" / folder, PART, 2.5)
    moved = tmp_path / "moved"
    (tmp_path / "made").rename(moved)
    (tmp_path / "run.tcl").write_text(STAND_INS + "source [lindex $argv 0]\n")
    command = ["tclsh", tmp_path / "run.tcl", moved / script.relative_to(tmp_path / "made")]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.rsplit("/", 1)[-1] for line in lines if line.startswith("read ")] == ["dut.v", "logic0.v", "adder.v"]
    assert "create_clock -name clk -period 2.5 clk" in lines
    assert f"synth_design -mode out_of_context -top dut -part {PART}" in lines
    steps = [line.split()[0] for line in lines]
    order = ["synth_design", "opt_design", "place_design", "route_design", "report_timing_summary"]
    assert [step for step in steps if step in order] == order
    written = {line.split()[-1] for line in lines if line.startswith("report_")}
    assert {vivado.SYNTHESISED, vivado.PLACED, vivado.TIMING} <= written


@pytest.mark.parametrize(
    "wrong", [{"part": "x; exit"}, {"clock_period_ns": 0.0}, {"clock_period_ns": float("nan")}, {"top": "a b"}]
)
def test_wrong_arguments(tmp_path, wrong):
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        vivado.write_project(verilog(tmp_path), tmp_path / "v", **({"part": PART, "clock_period_ns": 5.0} | wrong))


def test_no_verilog(tmp_path):
    with pytest.raises(ConfigurationError, match="no Verilog"):
        vivado.write_project(tmp_path, tmp_path / "v", PART, 5.0)


def test_figures_of_a_routed_design(tmp_path):
    (tmp_path / vivado.PLACED).write_text(UTILISATION)
    (tmp_path / vivado.TIMING).write_text(TIMING.format(slack="1.187"))
    result = vivado.read_reports(tmp_path)
    assert (result.stage, result.tool_version) == ("routed", "Vivado 2023.2")
    assert (result.lut, result.memory_lut, result.ff, result.carry) == (2210, 9, 1290, 402)
    assert (result.dsp, result.bram_18k, result.uram) == (16, 3, 2)
    assert result.worst_slack_ns == 1.187
    assert result.clock_period_ns == pytest.approx(3.813)
    assert result.clock_mhz == pytest.approx(1000 / 3.813)


def test_carries_of_the_7_series(tmp_path):
    (tmp_path / vivado.SYNTHESISED).write_text(UTILISATION.replace("CARRY8", "CARRY4").replace("CLB", "Slice"))
    assert vivado.read_reports(tmp_path).carry == 402


def test_a_missed_clock_gives_a_longer_period(tmp_path):
    (tmp_path / vivado.PLACED).write_text(UTILISATION)
    (tmp_path / vivado.TIMING).write_text(TIMING.format(slack="-0.750"))
    assert vivado.read_reports(tmp_path).clock_period_ns == 5.75


def test_before_placement_there_is_no_clock(tmp_path):
    (tmp_path / vivado.SYNTHESISED).write_text(UTILISATION)
    result = vivado.read_reports(tmp_path)
    assert (result.stage, result.lut, result.clock_period_ns, result.clock_mhz) == ("synthesised", 2210, None, None)


def test_missing_and_broken_reports(tmp_path):
    with pytest.raises(ToolError) as caught:
        vivado.read_reports(tmp_path)
    assert caught.value.failure.kind is FailureKind.REPORT_MISSING
    (tmp_path / vivado.PLACED).write_text(UTILISATION)
    for text in ("nothing", TIMING.format(slack="1.0").replace("5.000", "")):
        (tmp_path / vivado.TIMING).write_text(text)
        with pytest.raises(ToolError) as caught:
            vivado.read_reports(tmp_path)
        assert caught.value.failure.kind is FailureKind.REPORT_BROKEN


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no reports of vendor tools at {SHARED}")
def test_a_real_report(tmp_path):
    real = SHARED / "hls4ml_report_fixtures" / "Vivado" / "vivado_synth.rpt"
    shutil.copy(real, tmp_path / vivado.SYNTHESISED)
    result = vivado.read_reports(tmp_path)
    assert result.tool_version == "Vivado 2020.1"
    assert (result.lut, result.memory_lut, result.ff, result.carry) == (1526, 48, 2428, 295)
    assert (result.dsp, result.bram_18k, result.uram) == (66, 0, 0)
