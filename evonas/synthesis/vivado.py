"""Vivado on the same Verilog: a script that places and routes it out of context, and its reports as numbers.

Vivado is not part of the open tool chain. `write_project` lets anyone who has it turn the estimates of logic synthesis
into placed and routed figures: `vivado -mode batch -source build_vivado.tcl` in the directory, then `read_reports`.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

from evonas.errors import ConfigurationError, FailureKind, ToolError
from evonas.synthesis.reports import read_text, read_utilisation, read_worst_slack_ns
from evonas.synthesis.yosys import sources

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = "build_vivado.tcl"
CONSTRAINTS = "clock.xdc"
SYNTHESISED = "utilization_synth.rpt"
PLACED = "utilization.rpt"
HIERARCHY = "utilization_hierarchical.rpt"
TIMING = "timing.rpt"

XDC = """# Out of context: only paths between registers are timed; the ports are those of the design around.
create_clock -name {clock} -period {period_ns} [get_ports {clock}]
"""
TCL = """# vivado -mode batch -source build_vivado.tcl
# Synthesis, placement and routing of module {top} on its own. The reports are written beside this script.
set here [file dirname [file normalize [info script]]]
cd $here
read_verilog -sv [list \\
{sources}
]
read_xdc [file join $here {constraints}]
synth_design -mode out_of_context -top {top} -part {part}
report_utilization -file {synthesised}
opt_design
place_design
phys_opt_design
route_design
report_utilization -file {placed}
report_utilization -hierarchical -file {hierarchy}
report_timing_summary -file {timing}
write_checkpoint -force routed.dcp
"""


@final
@dataclass(frozen=True)
class VivadoResult:
    """A design after `stage`, "synthesised" or "routed", in Vivado's count.

    `lut` includes `memory_lut`; `carry` is CARRY8 (UltraScale) or CARRY4 (7 series), None where the report has no
    such row; `bram_18k` is twice the block RAM tiles. Of the routed design, `worst_slack_ns` at the clock period
    asked for: the slowest path would just fit `clock_period_ns`, the period less the slack. None before routing.
    """

    stage: str
    tool_version: str
    lut: float
    memory_lut: float
    ff: float
    carry: float | None
    dsp: float
    bram_18k: float
    uram: float
    worst_slack_ns: float | None = None
    clock_period_ns: float | None = None

    @property
    def clock_mhz(self) -> float | None:
        """The highest clock."""
        return None if self.clock_period_ns is None else 1000 / self.clock_period_ns


def write_project(
    rtl: Path, directory: Path, part: str, clock_period_ns: float, *, top: str = "dut", clock: str = "clk"
) -> Path:
    """Write the script and the clock constraint for the Verilog under `rtl` to `directory`; returns the script.

    The Verilog is not copied: the script names it relative to `directory`, so both may move together. `part` is
    Vivado's full name of it. Raises `ConfigurationError`, also where there is no Verilog.
    """
    for field, name in (("part", part), ("top", top), ("clock", clock)):
        if not re.fullmatch(r"[A-Za-z_][\w-]*", name):
            raise ConfigurationError(field, name, "must be one word of letters, digits, - and _")
    if not (math.isfinite(clock_period_ns) and clock_period_ns > 0):
        raise ConfigurationError("clock_period_ns", clock_period_ns, "must be a positive number of nanoseconds")
    files = sources(rtl)
    if not files:
        raise ConfigurationError("rtl", str(rtl), "has no Verilog in src/")
    directory.mkdir(parents=True, exist_ok=True)
    relative = [os.path.relpath(file.resolve(), directory.resolve()) for file in files]
    script = TCL.format(
        top=top,
        part=part,
        sources="\n".join(f"    {_quote(name)} \\" for name in relative),
        constraints=CONSTRAINTS,
        synthesised=SYNTHESISED,
        placed=PLACED,
        hierarchy=HIERARCHY,
        timing=TIMING,
    )
    (directory / CONSTRAINTS).write_text(XDC.format(clock=clock, period_ns=f"{clock_period_ns:g}"))
    path = directory / SCRIPT
    path.write_text(script)
    return path


def _quote(word: str) -> str:
    """One word of Tcl, whatever characters it has."""
    return re.sub(r"([^\w./+=:,@%-])", r"\\\1", word)


def read_reports(directory: Path) -> VivadoResult:
    """Figures of the routed design in `directory`, or of the synthesised one if that is all there is.

    Raises `ToolError` (REPORT_MISSING, REPORT_BROKEN).
    """
    if not (directory / PLACED).exists():
        return read_result(directory / SYNTHESISED, "synthesised")
    slack_ns = read_worst_slack_ns(directory / TIMING)
    achieved_ns = read_clock_period_ns(directory / TIMING) - slack_ns
    return replace(read_result(directory / PLACED, "routed"), worst_slack_ns=slack_ns, clock_period_ns=achieved_ns)


def read_result(path: Path, stage: str) -> VivadoResult:
    """The figures of one `report_utilization`. Raises `ToolError` (REPORT_MISSING, REPORT_BROKEN)."""
    summary = read_utilisation(path)
    text = read_text(path)
    return VivadoResult(
        stage=stage,
        tool_version=summary.tool_version,
        lut=summary.lut,
        memory_lut=_row(text, "LUT as Memory") or 0.0,
        ff=summary.ff,
        carry=next((used for name in ("CARRY8", "CARRY4") if (used := _row(text, name)) is not None), None),
        dsp=summary.dsp,
        bram_18k=summary.bram_18k,
        uram=summary.uram,
    )


def _row(text: str, name: str) -> float | None:
    """The number in the first table row called `name`."""
    found = re.search(rf"^\|\s*{re.escape(name)}\*?\s*\|\s*(\d+(?:\.\d+)?)\s*\|", text, re.MULTILINE)
    return float(found[1]) if found else None


def read_clock_period_ns(path: Path) -> float:
    """The clock period asked for, of a `report_timing_summary`; the shortest if there are several clocks.

    Raises `ToolError` (REPORT_MISSING, REPORT_BROKEN).
    """
    clock = r"^\s*\S+\s+\{[\d. ]+\}\s+(\d+(?:\.\d+)?)\s+\d+(?:\.\d+)?\s*$"
    periods = [float(period) for period in re.findall(clock, read_text(path), re.MULTILINE)]
    if not periods:
        raise ToolError(FailureKind.REPORT_BROKEN, f"{path.name} has no clock period")
    return min(periods)
