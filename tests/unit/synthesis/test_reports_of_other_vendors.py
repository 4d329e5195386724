"""Reports of Intel's and Siemens' tools, in the layouts of several releases."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evonas.errors import ConfigurationError, FailureKind, ToolError
from evonas.synthesis import catapult, intel, oneapi, quartus
from evonas.synthesis.reports import read_worst_slack_ns
from surrogates import HardwareTarget

AREA = {"columns": ["", "ALUTs", "FFs", "RAMs", "DSPs", "Details"], "total": [3923, 3092, 12, 8], "name": "System"}
NEWER = {"columns": ["", "ALUTs", "FFs", "RAMs", "DSPs", "MLABs", "Details"], "total": [3923, 3092, 12, 7.5, 4]}
NOISE = """;\nvar fileJSON=[{'path':'it.cpp', "content":"a 'quote\\" and a brace {"}];\n"""
VERIFICATION = """var verifJSON={
  "columns":["Invocations", "Latency\\n(min,max,avg)", "II\\n(min,max,avg)"]
  , "functions":
  [
    {
      "name":"dut"
      , "data":
      ['10', '54,56,55', '%s']
      , "details":
      [
        "Click for details"
      ]
    }
  ]
};
"""


def write(folder, name, text):
    path = folder / name
    path.write_text(text)
    return path


def kind_of(read, *arguments):
    with pytest.raises(ToolError) as caught:
        read(*arguments)
    return caught.value.failure.kind


def test_estimate_of_an_old_release_is_a_string(tmp_path):
    inner = json.dumps(AREA | {"children": [{"name": 'it\'s \\ a "name"'}]})
    quoted = inner.replace("\\", "\\\\").replace("'", "\\'")
    path = write(tmp_path, "report_data.js", f"var areaJSON='{quoted}'{NOISE}")
    assert quartus.read_estimate(path) == intel.IntelArea(3923, 3092, 8, 12)


def test_estimate_of_a_new_release_is_an_object(tmp_path):
    path = write(tmp_path, "report_data.js", f"var mavJSON={{'a':1}};\nvar areaJSON={json.dumps(NEWER)}{NOISE}")
    assert quartus.read_estimate(path) == intel.IntelArea(3923, 3092, 7.5, 12, 4)


@pytest.mark.parametrize(
    "text",
    [
        "var other={}",
        "var areaJSON={",
        "var areaJSON=[1]",
        'var areaJSON=\'{"columns": [',
        'var areaJSON={"columns":["ALUTs"]}',
        'var areaJSON={"columns":["ALUTs"], "total":[1]}',
        'var areaJSON={"columns":["ALUTs", "FFs", "RAMs", "DSPs"], "total":[1, 2, 3, "?"]}',
        'var areaJSON={"columns":["ALUTs", "FFs", "RAMs", "DSPs"], "total":[1, 2, 3]}',
        'var areaJSON={"columns":null, "total":3}',
    ],
)
def test_broken_estimates(tmp_path, text):
    path = write(tmp_path, "report_data.js", text)
    assert kind_of(quartus.read_estimate, path) is FailureKind.REPORT_BROKEN


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.text(), st.text() | st.integers() | st.none() | st.lists(st.text())))
def test_any_object_of_a_script_is_read_as_it_was_written(tmp_path, value):
    path = write(tmp_path, "data.js", f"var before={{'x':\"y\"}};\nvar some={json.dumps(value)}{NOISE}")
    assert intel.read_script(path, "some") == value


def test_cycles_are_the_worst(tmp_path):
    path = write(tmp_path, "verification_data.js", VERIFICATION % "1,2,1")
    assert quartus.read_cycles(path) == (56, 2)


@pytest.mark.parametrize("text", [VERIFICATION % "n/a,n/a,n/a", VERIFICATION % "1", "var verifJSON={}"])
def test_without_an_interval_there_are_no_cycles(tmp_path, text):
    path = write(tmp_path, "verification_data.js", text)
    assert kind_of(quartus.read_cycles, path) is FailureKind.REPORT_BROKEN


def fit(clock, row):
    nodes = [{"name": "system", "alm": "1", "reg": "1", "dsp": "1", "ram": "1"}, row]
    return {"quartusFitClockSummary": {"nodes": [clock]}, "quartusFitResourceUsageSummary": {"nodes": nodes}}


def test_fit_with_thousands_and_without_adaptive_luts(tmp_path):
    row = {"name": "dut", "alm": "58,968", "dsp": "3", "ram": "926", "reg": "97,925"}
    found = intel.fit(fit({"clock": "212.12"}, row), tmp_path / "quartus_data.js")
    assert found == intel.Fit(intel.IntelArea(None, 97925, 3, 926, None, 58968), 212.12)
    assert found.area.figures() == {}  # ALM are not LUT
    counted = intel.fit(fit({"clock": "TBD", "clock fmax": "250.0"}, row | {"alut": "60,000"}), tmp_path / "q")
    assert counted.clock_mhz == 250.0
    assert counted.area.figures() == {
        "lut": 60000,
        "ff": 97925,
        "dsp": 3,
        "bram_18k": pytest.approx(1028.889, abs=0.001),
    }


def test_a_fit_that_is_to_be_done_is_missing(tmp_path):
    row = dict.fromkeys(("alm", "reg", "dsp", "ram"), "TBD")
    assert kind_of(intel.fit, fit({"clock": "TBD"}, row), tmp_path / "q") is FailureKind.REPORT_MISSING
    assert kind_of(intel.fit, fit({"clock": "9"}, row), tmp_path / "q") is FailureKind.REPORT_MISSING
    assert kind_of(intel.fit, fit({"clock": "9"}, {"alm": "1"}), tmp_path / "q") is FailureKind.REPORT_BROKEN
    assert kind_of(intel.fit, {}, tmp_path / "q") is FailureKind.REPORT_BROKEN


def test_missing_reports(tmp_path):
    reads = [quartus.read_estimate, quartus.read_cycles, oneapi.read_estimate, oneapi.read_schedule, oneapi.read_fit]
    for read in (*reads, catapult.read_design, read_worst_slack_ns):
        assert kind_of(read, tmp_path / "no.file") is FailureKind.REPORT_MISSING


@pytest.mark.parametrize("text", ["", "[1]\n", '{"name":"x"}\n', "nonsense\n"])
def test_broken_reports_of_oneapi(tmp_path, text):
    path = write(tmp_path, "x.ndjson", text)
    for read in (oneapi.read_estimate, oneapi.read_schedule, oneapi.read_fit):
        assert kind_of(read, path) is FailureKind.REPORT_BROKEN


def test_the_worst_block_counts(tmp_path):
    rows = [("480.00", "n/a", "3.0"), ("240.00", "1", "9.0"), ("300.00", "3", "21.0"), ("480.00", "2", "4.0")]
    lines = [json.dumps({"af": af, "ii": ii, "lt": lt, "type": "bb"}) for af, ii, lt in rows]
    path = write(tmp_path, "loop_attr.ndjson", "\n".join(['{"name":"loop_attributes", "nodes":[1]}', *lines]))
    assert oneapi.read_schedule(path) == oneapi.Schedule(21.0, 3, 240.0)


def test_a_schedule_without_a_loop_has_no_interval(tmp_path):
    path = write(tmp_path, "loop_attr.ndjson", '{"af":"480.00", "ii":"n/a", "lt":"3.0"}\n')
    assert kind_of(oneapi.read_schedule, path) is FailureKind.REPORT_BROKEN


@pytest.mark.parametrize("part", ["Arria10", "Arria 10", "Agilex7", "agilex", "10AS066N3F40E2SG", "AGFB014R24A3E3V"])
def test_intel_parts(part):
    intel.check_part(HardwareTarget(part=part))


@pytest.mark.parametrize("part", ["", "xcvu13p-flga2577-2-e", "MAX10", "CycloneV", "Arria10; rm -rf", "5CSEMA5F31C6"])
def test_parts_without_m20k_are_refused(part):
    with pytest.raises(ConfigurationError, match="M20K"):
        intel.check_part(HardwareTarget(part=part))


RTL = """-- Catapult University Version: Report
-- Version:                     10.0a/269363 Production Release
  Processes/Blocks in Design
    Process          Real Operation(s) count Latency Throughput Reset Length II Comments
    /top/core                             85 5709895    5709902            0  0
    Design Total:                         85 5709895    5709902            0  0

  Bill Of Materials (Datapath)
    Component Name           Area Score Area(DSP48E1s) Area(LUTs) Area(MUX_CARRYs) Delay Post Alloc Post Assign
    mgc_add(11,0,11,0,11)        11.000          0.000     11.000           10.000 1.440          1           1
    TOTAL AREA (After Assignment):   2007.520          7.000    624.000          165.000
  Timing Report
    Critical Path
      Max Delay:  9.358097999999998
"""


def test_catapult(tmp_path):
    design = catapult.read_design(write(tmp_path, "rtl.rpt", RTL))
    assert (design.tool_version, design.latency_cycles, design.initiation_interval) == (
        "Catapult 10.0a/269363",
        5709895,
        5709902,
    )
    assert design.area == {"Area Score": 2007.52, "DSP48E1s": 7.0, "LUTs": 624.0, "MUX_CARRYs": 165.0}
    assert design.max_delay_ns == pytest.approx(9.358098)
    path = write(tmp_path, "rtl.rpt", RTL[: RTL.index("    Design Total:")])
    assert kind_of(catapult.read_design, path) is FailureKind.REPORT_BROKEN


@pytest.mark.parametrize("slack", ["24.941", "-0.125"])
def test_worst_slack(tmp_path, slack):
    head = "    WNS(ns)      TNS(ns)  TNS Failing Endpoints  \n    -------      -------  ---------------------  \n"
    tail = f"     {slack}        0.000                      0  \n"
    table = "Clock    WNS(ns)      TNS(ns)\n-----    -------      -------\nclk      1.000        0.000\n"
    path = write(tmp_path, "timing.rpt", f"| Design Timing Summary\n\n{head}{tail}\n{table}")
    assert read_worst_slack_ns(path) == float(slack)
    assert kind_of(read_worst_slack_ns, write(tmp_path, "timing.rpt", table)) is FailureKind.REPORT_BROKEN
