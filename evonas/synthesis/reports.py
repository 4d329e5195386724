"""Reports of Vitis HLS and Vivado as numbers, in one unit: Vivado counts block RAM in tiles of 36 kbit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, final
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


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError as error:
        raise ToolError(FailureKind.REPORT_MISSING, f"the tool wrote no {path.name}") from error


def read_csynth(path: Path) -> CSynthesisReport:
    """Read `<top>_csynth.xml`. Raises `ToolError` (REPORT_MISSING, REPORT_BROKEN)."""
    text = _read(path)
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
    return CSynthesisReport(
        tool_version=f"Vitis HLS {field('ReportVersion/Version')}",
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
    text = _read(path)
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
