"""Every parser against reports that the vendors' tools wrote, with the numbers as they stand in the files."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

import pytest

from evonas.errors import FailureKind, ToolError
from evonas.synthesis import oneapi
from evonas.synthesis.reports import CSynthesisReport, read_csynth, read_utilisation

SHARED = Path(__file__).parents[3].parent / "shared" / "data" / "synthesis"
VITIS_2022 = SHARED / "fixture_vitis2022_2_nrp"
VIVADO_2018 = SHARED / "fixture_vivado2018_3_nas"
HLS4ML = SHARED / "hls4ml_report_fixtures"

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not SHARED.is_dir(), reason="real reports are not part of the project"),
]


def test_vitis_hls_2022_2():
    report = read_csynth(VITIS_2022 / "myproject_csynth.xml")
    assert report == CSynthesisReport("Vitis HLS 2022.2", 116694, 24233, 2557, 8, 0, 15, 1, 3.636)


def test_vivado_hls_2018_3():
    """No URAM at all, a range for the latency and for the interval, of which the worst counts."""
    report = read_csynth(VIVADO_2018 / "myproject_csynth.xml")
    assert report == CSynthesisReport("Vivado HLS 2018.3", 8349, 4852, 9, 124, 0, 7004283, 2917349, 4.35)


def test_vivado_hls_2020_1():
    report = read_csynth(HLS4ML / "Vivado" / "myproject_csynth.xml")
    assert report == CSynthesisReport("Vivado HLS 2020.1", 2532, 7969, 73, 0, 0, 10, 8, 4.049)


def test_vivado_2020_1():
    report = read_utilisation(HLS4ML / "Vivado" / "vivado_synth.rpt")
    assert report.figures() == {"lut": 1526, "ff": 2428, "dsp": 66, "bram_18k": 0}
    assert (report.uram, report.tool_version) == (0, "Vivado 2020.1")


@pytest.mark.parametrize("folder", [VITIS_2022, VIVADO_2018], ids=["2022.2", "2018.3"])
def test_reports_of_single_layers_say_the_same_as_their_text(folder):
    """The XML of each layer against the table that the tool wrote beside it for people."""
    compared = 0
    for path in sorted(folder.glob("*_csynth.xml")):
        report = read_csynth(path)
        text = path.with_suffix(".rpt").read_text()
        total = next(line for line in text.splitlines() if re.match(r"\|Total\s", line))
        bram, dsp, ff, lut = (int(cell) for cell in re.findall(r"\|\s*(\d+)", total)[:4])
        assert (report.bram_18k, report.dsp, report.ff, report.lut) == (bram, dsp, ff, lut), path.name
        compared += 1
    assert compared >= 8


def test_oneapi_2025_0():
    """The estimate counts half DSP blocks apart: 80 of two to a block are the 40 that Quartus then uses."""
    folder = HLS4ML / "oneAPI"
    estimate = oneapi.read_estimate(folder / "summary.ndjson")
    assert asdict(estimate) == {"alut": 2462, "ff": 7938, "dsp": 40, "m20k": 77, "mlab": 92, "alm": None}
    assert oneapi.read_schedule(folder / "loop_attr.ndjson") == oneapi.Schedule(200.0, 1, 480.0)
    fit = oneapi.read_fit(folder / "quartus.ndjson")
    assert asdict(fit.area) == {"alut": 4181, "ff": 16419, "dsp": 40, "m20k": 36, "mlab": 52, "alm": 4520.0}
    assert fit.clock_mhz == 597.73
    assert fit.area.figures() == {"lut": 4181, "ff": 16419, "dsp": 40, "bram_18k": 40}


def test_a_half_of_every_report_is_broken(tmp_path):
    """As when the disk is full: never a wrong number."""
    folder = HLS4ML / "oneAPI"
    cases = [
        (read_csynth, VITIS_2022 / "myproject_csynth.xml", 0.5),
        (read_csynth, VIVADO_2018 / "myproject_csynth.xml", 0.5),
        (read_utilisation, HLS4ML / "Vivado" / "vivado_synth.rpt", 0.3),  # before the table of the DSP slices
        (oneapi.read_estimate, folder / "summary.ndjson", 0.5),
        (oneapi.read_schedule, folder / "loop_attr.ndjson", 0.53),
        (oneapi.read_fit, folder / "quartus.ndjson", 0.5),
    ]
    for read, path, fraction in cases:
        text = path.read_text()
        cut = tmp_path / path.name
        cut.write_text(text[: int(fraction * len(text))])
        with pytest.raises(ToolError) as caught:
            read(cut)
        assert caught.value.failure.kind is FailureKind.REPORT_BROKEN, path.name
