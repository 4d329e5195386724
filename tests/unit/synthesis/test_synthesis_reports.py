"""Numbers out of the tools' own files, and typed failures for what cannot be read."""

import pytest

from evonas.errors import ConfigurationError, FailureKind, ToolError
from evonas.synthesis import yosys
from evonas.synthesis.reports import read_csynth, read_utilisation
from evonas.synthesis.vendor import diagnose
from evonas.synthesis.vitis import build_options

CSYNTH = """<?xml version="1.0"?>
<profile>
<ReportVersion><Version>{version}</Version></ReportVersion>
<PerformanceEstimates>
<SummaryOfTimingAnalysis><unit>ns</unit><EstimatedClockPeriod>{clock}</EstimatedClockPeriod></SummaryOfTimingAnalysis>
<SummaryOfOverallLatency><Best-caseLatency>6</Best-caseLatency><Worst-caseLatency>{latency}</Worst-caseLatency>
<Interval-min>1</Interval-min><Interval-max>2</Interval-max></SummaryOfOverallLatency>
</PerformanceEstimates>
<AreaEstimates><Resources>
<BRAM_18K>4</BRAM_18K><{dsp}>12</{dsp}><FF>345</FF><LUT>6789</LUT>
</Resources></AreaEstimates>
</profile>
"""


def csynth(tmp_path, version="2022.2", clock="3.636", latency="7", dsp="DSP"):
    path = tmp_path / "dut_csynth.xml"
    path.write_text(CSYNTH.format(version=version, clock=clock, latency=latency, dsp=dsp))
    return path


@pytest.mark.parametrize(("dsp", "product"), [("DSP", "Vitis HLS"), ("DSP48E", "Vivado HLS")])
def test_csynth(tmp_path, dsp, product):
    report = read_csynth(csynth(tmp_path, dsp=dsp))
    assert (report.lut, report.ff, report.dsp, report.bram_18k, report.uram) == (6789, 345, 12, 4, 0)
    assert (report.latency_cycles, report.initiation_interval) == (7, 2)
    assert report.estimated_clock_period_ns == 3.636
    assert report.tool_version == f"{product} 2022.2"


@pytest.mark.parametrize("broken", [{"latency": "undef"}, {"clock": "?"}, {"latency": ""}])
def test_csynth_without_a_number(tmp_path, broken):
    with pytest.raises(ToolError) as caught:
        read_csynth(csynth(tmp_path, **broken))
    assert caught.value.failure.kind is FailureKind.REPORT_BROKEN


def test_missing_reports(tmp_path):
    for read, name in (
        (read_csynth, "a.xml"),
        (read_utilisation, "a.rpt"),
        (lambda p: yosys.read_reports(p.parent), "x"),
    ):
        with pytest.raises(ToolError) as caught:
            read(tmp_path / name)
        assert caught.value.failure.kind is FailureKind.REPORT_MISSING


@pytest.mark.parametrize(("lut", "ff"), [("CLB LUTs*", "CLB Registers"), ("Slice LUTs*", "Slice Registers")])
def test_utilisation(tmp_path, lut, ff):
    path = tmp_path / "vivado_synth.rpt"
    rows = [(lut, 100), ("  LUT as Logic", 90), (ff, 50), ("Block RAM Tile", 1.5), ("URAM", 2), ("DSPs", 7)]
    head = "| Tool Version : Vivado v.2022.2 (lin64) Build 1\n"
    path.write_text(head + "".join(f"| {name} | {used} | 0 | 1000 | 0.1 |\n" for name, used in rows))
    report = read_utilisation(path)
    assert (report.lut, report.ff, report.dsp, report.bram_18k, report.uram) == (100, 50, 7, 3, 2)
    assert report.tool_version == "Vivado 2022.2"
    path.write_text(head)
    with pytest.raises(ToolError, match="CLB LUTs"):
        read_utilisation(path)


@pytest.mark.parametrize(
    "line",
    [
        "ERROR: [Common 17-345] A valid license was not found for feature 'Synthesis' and/or device 'xcvu13p'.",
        "FLEXnet Licensing error:-5,357",
        "ERROR: License check-out failed for 'vivado_implementation'",
        "Failed to obtain license for feature Synthesis",
        "Error (119013): Current license file does not support the 10AX115S2F45I1SG device",
        "Error (292000): FLEXlm software error: Invalid host.",
        "# ** Fatal: Unable to checkout a license.",
        "Error: License request for catapult_ultra feature failed",
    ],
)
def test_a_missing_licence_is_recognised(line):
    assert diagnose(f"INFO: all is well\n{line}\n") is FailureKind.TOOL_LICENCE


def test_a_kill_is_recognised_behind_make():
    assert diagnose("i++ dut.cpp\nmake[1]: *** [Makefile:30: dut-fpga] Killed\n") is FailureKind.TOOL_MEMORY
    assert diagnose("make: *** [Makefile:30: dut-fpga] Error 1\n") is None


def test_other_errors_are_no_licence():
    assert diagnose("INFO: [Common 17-349] Got license for feature 'Synthesis'\nERROR: [HLS 200-1715] problem") is None


def test_build_options_are_those_of_hls4ml():
    lines = build_options(vsynth=True).split()
    assert lines[lines.index("vsynth") + 1] == "1"
    assert lines[lines.index("csim") + 1] == "0"


def test_cells_are_counted_by_kind():
    cells = {"LUT1": 1, "LUT6": 2, "SRL16E": 3, "RAM64M8": 1, "FDRE": 5, "FDSE": 1, "DSP48E2": 7, "RAMB36E2": 2}
    cells |= {"RAMB18E2": 1, "CARRY4": 8, "INV": 9, "$scopeinfo": 10}
    used = yosys.count(cells, 1.5)
    assert (used.lut, used.memory_lut, used.ff) == (14, 11, 6)
    assert (used.dsp, used.bram_18k, used.carry, used.delay_ns) == (7, 5, 8, 1.5)


def test_an_unmapped_cell_is_a_broken_report():
    with pytest.raises(ToolError, match=r"\$mul"):
        yosys.count({"$mul": 1}, None)


def test_delay():
    assert yosys.parse_delay_ns("x\nLatest arrival time in 'dut' is 6642:\n") == 6.642
    assert yosys.parse_delay_ns("nothing") is None


@pytest.mark.parametrize(
    ("part", "family"),
    [
        ("xcvu13p-flga2577-2-e", "xcup"),
        ("xcvu9p-flga2104-2-e", "xcup"),
        ("xcu250-figd2104-2L-e", "xcup"),
        ("XCZU7EV-ffvc1156-2-e", "xcup"),
        ("xc7z020clg400-1", "xc7"),
    ],
)
def test_families(part, family):
    assert yosys.family(part) == family


def test_unknown_part():
    with pytest.raises(ConfigurationError, match="xcvu"):
        yosys.family("ep4cgx150")


WAVEFORM = """$var wire 1 n3 clk $end
$var reg 2 n1 model_out [1:0] $end
$enddefinitions $end
#0
bxx n1
#5
b0 n3
#10
b1x n1
#20
b11 n1
#30
#40
b00 n1
"""


def test_waveform():
    assert yosys.read_waveform(WAVEFORM, "model_out", 6) == [None, None, 3, 3, 0, 0]
    with pytest.raises(ToolError, match="other"):
        yosys.read_waveform(WAVEFORM, "other", 1)
