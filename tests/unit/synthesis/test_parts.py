"""Named parts, their families, and the share of a device that a design takes."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evonas.errors import ConfigurationError
from evonas.synthesis.cells import count
from evonas.synthesis.parts import PARTS, family, find_part, utilisation
from surrogates import HardwareTarget

SHARED = Path(__file__).parents[3].parent / "shared" / "data" / "synthesis"


@pytest.mark.parametrize(
    ("name", "device"),
    [
        (HardwareTarget().part, "xcvu13p"),
        ("vu13p", "xcvu13p"),
        ("VU9P", "xcvu9p"),
        ("xcvu9p-flga2104-2-e", "xcvu9p"),
        ("u250", "xcu250"),
        ("Alveo U250", "xcu250"),
        ("xcu250-figd2104-2L-e", "xcu250"),
        ("XCZU7EV-ffvc1156-2-e", "xczu7ev"),
        ("xc7z020clg400-1", "xc7z020"),
        ("7z020-clg400-1", "xc7z020"),
        ("xc7a35tcpg236-1", "xc7a35t"),
        ("xc7a100tcsg324-1", "xc7a100t"),
        ("LFE5U-25F-6BG381C", "lfe5u-25f"),
        ("LFE5UM5G-85F", "lfe5u-85f"),
        ("ecp5-45f", "lfe5u-45f"),
        ("iCE40UP5K-SG48", "ice40up5k"),
        ("up5k", "ice40up5k"),
        ("iCE40-HX8K-CT256", "ice40hx8k"),
        ("hx8k", "ice40hx8k"),
    ],
)
def test_names(name, device):
    part = find_part(name)
    assert part.name == device
    assert family(name) == part.family


@given(st.sampled_from(PARTS), st.booleans(), st.sampled_from(["", "-abc123-2-e", "abc123-1"]))
def test_every_part_is_found_under_its_own_name_only(part, upper, package):
    name = part.name + package
    assert find_part(name.upper() if upper else name) is part


@pytest.mark.parametrize(
    ("name", "mend"), [("vu13", "xcvu13p"), ("xcvu15p", "xcvu13p"), ("xc7z0201", "xc7z020"), ("10AX115", "xcu250")]
)
def test_unknown_parts_name_close_ones(name, mend):
    with pytest.raises(ConfigurationError, match=mend) as caught:
        find_part(name)
    assert caught.value.value == name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("xcku115-flvb2104-2-i", "xcu"),
        ("xcku5p-ffvb676-2-e", "xcup"),
        ("xcvu190-flga2577-2-e", "xcu"),
        ("xcu280-fsvh2892-2L-e", "xcup"),
        ("xczu9eg-ffvb1156-2-e", "xcup"),
        ("xc7k325tffg900-2", "xc7"),
        ("LFE5U-12F-6BG256C", "ecp5"),
        ("iCE40LP1K", "ice40"),
        ("iCE40UL1K", "ice40up"),
    ],
)
def test_families_of_parts_that_are_not_in_the_table(name, expected):
    assert family(name) == expected


def test_a_part_of_another_vendor_has_no_family():
    with pytest.raises(ConfigurationError, match="lfe5u"):
        family("EP4CGX150")


def test_totals_are_consistent():
    """Two registers to a LUT on Xilinx and one on Lattice; a carry bit to every LUT."""
    for part in PARTS:
        assert part.ff == part.lut * (2 if part.lut_inputs == 6 else 1), part
        assert 0 <= part.lut - part.carry * {"xcup": 8, "xc7": 4, "ecp5": 2}.get(part.family, 1) < 8
        assert (part.bram_18k > 0) != (part.bram_4k > 0)
    assert find_part("vu13p").carry == 216_000


def test_utilisation():
    used = count({"LUT6": 5_320, "FDRE": 106_400, "DSP48E1": 22, "RAMB36E1": 70, "CARRY4": 1_330}, None, "xc7")
    shares = utilisation(used, find_part("7z020"))
    assert shares == {"lut": 0.1, "ff": 1.0, "dsp": 0.1, "bram_18k": 0.5, "carry": 0.1}
    assert utilisation(used, find_part("vu9p"))["carry"] == pytest.approx(1_330 * 4 / 1_182_240)
    assert utilisation(count({"URAM288": 1}, None), find_part("7z020"))["uram"] == float("inf")


def test_utilisation_is_of_the_same_kind_of_lut():
    used = count({"CCU2C": 6_072, "SB_RAM40_4K": 15}, None, "ecp5")
    assert utilisation(used, find_part("lfe5u-25f"))["lut"] == 0.5
    assert utilisation(used, find_part("lfe5u-25f"))["carry"] == 0.5
    assert utilisation(used, find_part("up5k"))["bram_4k"] == 0.5
    with pytest.raises(ConfigurationError, match="LUTs of 6 inputs"):
        utilisation(used, find_part("vu13p"))


def available(path):
    """Part and totals as Vivado HLS or Vitis HLS reported them."""
    root = ET.parse(path).getroot()
    rows = root.find("AreaEstimates/AvailableResources")
    return root.findtext("UserAssignments/Part"), {} if rows is None else {row.tag: int(row.text) for row in rows}


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no reports of vendor tools at {SHARED}")
def test_totals_are_those_that_vendor_tools_report():
    fields = {"LUT": "lut", "FF": "ff", "DSP": "dsp", "DSP48E": "dsp", "BRAM_18K": "bram_18k", "URAM": "uram"}
    checked = set()
    for path in sorted(SHARED.rglob("*_csynth.xml")):
        name, totals = available(path)
        part = find_part(name)
        for tag, total in totals.items():
            assert getattr(part, fields[tag]) == total, (path, tag)
            checked.add((part.name, tag))
    assert {name for name, _ in checked} == {"xc7z007s", "xc7z020", "xcu250"}
    for path in sorted((SHARED / "hls4ml_baselines").rglob("*.json")):
        report = json.loads(path.read_text()).get("CSynthesisReport", {})
        for tag in ("LUT", "FF", "DSP", "BRAM_18K", "URAM"):
            if f"Available{tag}" in report:
                assert int(report[f"Available{tag}"]) == getattr(find_part("u250"), fields[tag]), path
