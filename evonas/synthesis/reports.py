"""Reports of Vitis HLS, Vivado HLS and Vivado as numbers, in one unit: Vivado counts block RAM in tiles of 36 kbit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final
from xml.etree import ElementTree as ET

from evonas.errors import FailureKind, ToolError

if TYPE_CHECKING:
    from pathlib import Path


@final
@dataclass(frozen=True)
class CSynthesisReport:
    """C synthesis: estimated cells, cycles of the worst case, and the estimated clock period in nanoseconds."""

    tool_version: str
    lut: int
    ff: int
    dsp: int
    bram_18k: int
    uram: int
    latency_cycles: int
    initiation_interval: int
    estimated_clock_period_ns: float


@final
@dataclass(frozen=True)
class UtilisationReport:
    """Cells after logic synthesis. `bram_18k` is twice the number of block RAM tiles."""

    tool_version: str
    lut: float
    ff: float
    dsp: float
    bram_18k: float
    uram: float

    def figures(self) -> dict[str, Any]:
        """What of it a `SynthesisRecord` has fields for."""
        return {"lut": self.lut, "ff": self.ff, "dsp": self.dsp, "bram_18k": self.bram_18k}


def read_text(path: Path) -> str:
    """The text of a report. Raises `ToolError` (REPORT_MISSING)."""
    try:
        return path.read_text(errors="replace")
    except OSError as error:
        raise ToolError(FailureKind.REPORT_MISSING, f"the tool wrote no {path.name}") from error


def read_csynth(path: Path) -> CSynthesisReport:
    """Read `<top>_csynth.xml` of Vitis HLS or Vivado HLS. Raises `ToolError` (REPORT_MISSING, REPORT_BROKEN)."""
    text = read_text(path)
    try:
        root = ET.fromstring(text)  # noqa: S314 - written by the tool we started
    except ET.ParseError as error:
        raise ToolError(FailureKind.REPORT_BROKEN, f"{path.name} is no XML: {error}") from error

    def field(*names: str) -> str:
        found = next((value for name in names if (value := root.findtext(name)) is not None), None)
        if found is None:
            raise ToolError(FailureKind.REPORT_BROKEN, f"{path.name} has no {names[0]}")
        return found.strip()

    def number(*names: str) -> int:
        value = field(*names)
        if not value.isdecimal():
            raise ToolError(FailureKind.REPORT_BROKEN, f"{path.name} has {value!r} for {names[0]}")
        return int(value)

    area, overall = "AreaEstimates/Resources", "PerformanceEstimates/SummaryOfOverallLatency"
    clock = field("PerformanceEstimates/SummaryOfTimingAnalysis/EstimatedClockPeriod")
    if not re.fullmatch(r"\d+(\.\d+)?", clock):
        raise ToolError(FailureKind.REPORT_BROKEN, f"{path.name} has {clock!r} for EstimatedClockPeriod")
    product = "Vivado HLS" if root.find(f"{area}/DSP48E") is not None else "Vitis HLS"  # which called DSP slices so
    return CSynthesisReport(
        tool_version=f"{product} {field('ReportVersion/Version')}",
        lut=number(f"{area}/LUT"),
        ff=number(f"{area}/FF"),
        dsp=number(f"{area}/DSP", f"{area}/DSP48E"),
        bram_18k=number(f"{area}/BRAM_18K"),
        uram=number(f"{area}/URAM") if root.find(f"{area}/URAM") is not None else 0,
        latency_cycles=number(f"{overall}/Worst-caseLatency"),
        initiation_interval=number(f"{overall}/Interval-max"),
        estimated_clock_period_ns=float(clock),
    )


def read_utilisation(path: Path) -> UtilisationReport:
    """Read the table that `report_utilization` writes. Raises `ToolError` (REPORT_MISSING, REPORT_BROKEN)."""
    text = read_text(path)
    rows: dict[str, float] = {}
    for line in text.splitlines():
        match = re.match(r"\|\s*([^|]+?)\*?\s*\|\s*(\d+(?:\.\d+)?)\s*\|", line)
        if match:
            rows.setdefault(match[1], float(match[2]))  # the first table with a name is the summary

    def row(*names: str) -> float:
        found = next((rows[name] for name in names if name in rows), None)
        if found is None:
            raise ToolError(FailureKind.REPORT_BROKEN, f"{path.name} has no row {names[0]!r}")
        return found

    version = re.search(r"Tool Version\s*:\s*(Vivado) v\.?(\S+)", text)
    return UtilisationReport(
        tool_version=f"{version[1]} {version[2]}" if version else "Vivado",
        lut=row("CLB LUTs", "Slice LUTs"),
        ff=row("CLB Registers", "Slice Registers"),
        dsp=row("DSPs"),
        bram_18k=2 * row("Block RAM Tile"),
        uram=rows.get("URAM", 0.0),
    )


def read_worst_slack_ns(path: Path) -> float:
    """The worst negative slack in nanoseconds of a `report_timing_summary`; positive where all constraints are met.

    Raises `ToolError` (REPORT_MISSING, REPORT_BROKEN).
    """
    found = re.search(r"^\s*WNS\(ns\).*\n[\s-]*\n\s*(-?\d+(?:\.\d+)?)\s", read_text(path), re.MULTILINE)
    if found is None:
        raise ToolError(FailureKind.REPORT_BROKEN, f"{path.name} has no worst negative slack")
    return float(found[1])
