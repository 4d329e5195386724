"""Siemens' Catapult with hls4ml's project for it, for a Xilinx part: Catapult schedules, Vivado synthesises the logic.

Catapult's own report says how many cycles a design takes and gives an area score, but counts neither flip-flops nor
DSP slices of the whole design, so there is no CSYNTH record; what it says is in `synthesis.json`. The SYNTHESISED
record has the cells from Vivado and the cycles from Catapult.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, ClassVar, final

from evonas.errors import ConfigurationError, FailureKind, ToolError
from evonas.synthesis.reports import read_text, read_utilisation, read_worst_slack_ns
from evonas.synthesis.vendor import PROJECT, VIVADO_STARTS, Reading, Step, VendorBackend
from surrogates import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from surrogates import HardwareTarget

OPTIONS = (  # of hls4ml's script
    *("reset", "csim", "synth", "cosim", "validation", "export", "vsynth", "fifo_opt", "bitfile", "sw_opt", "power"),
    *("da", "vhdl", "verilog", "bup"),
)


@final
@dataclass(frozen=True)
class CatapultBackend(VendorBackend):
    """Catapult as far as RTL, and from stage SYNTHESISED on Vivado's logic synthesis, which Catapult starts."""

    name: ClassVar[str] = "catapult"
    title: ClassVar[str] = "Catapult"
    hls4ml_name: ClassVar[str] = "Catapult"
    programs: ClassVar[tuple[tuple[str, ...], ...]] = (("catapult",),)
    licence_variables: ClassVar[tuple[str, ...]] = (
        *("MGLS_LICENSE_FILE", "SALT_LICENSE_SERVER", "LM_LICENSE_FILE"),
        "XILINXD_LICENSE_FILE",
    )

    def check(self, target: HardwareTarget) -> None:
        """Raise `ConfigurationError` for a target without a part; which parts there are, only Catapult knows."""
        if not re.fullmatch(r"xc\w[\w-]+", target.part.strip(), re.IGNORECASE):
            raise ConfigurationError("target.part", target.part, "must be a Xilinx part, such as xcvu13p-flga2577-2-e")

    def find(self) -> tuple[str, ...]:
        """As for every vendor; Catapult is also found below MGC_HOME and CATAPULT_HOME."""
        homes = (os.environ.get(variable) for variable in ("MGC_HOME", "CATAPULT_HOME"))
        places = ["catapult", *(f"{home}/bin/catapult" for home in homes if home)]
        path = next(filter(None, map(shutil.which, places)), None)
        if path is None:
            raise ToolError(FailureKind.TOOL_MISSING, "catapult is not on PATH, nor below MGC_HOME or CATAPULT_HOME")
        return (path,)

    def steps(self, programs: tuple[str, ...], project: Path, until: Stage) -> tuple[Step, ...]:
        """hls4ml's script does everything that its arguments say."""
        (project.parent / f"{project.name}.tar.gz").unlink(missing_ok=True)  # hls4ml packs what is here already
        vsynth = until >= Stage.SYNTHESISED
        chosen = {"synth", "verilog"} | ({"vsynth"} if vsynth else set())
        arguments = " ".join(f"{option}={option in chosen}" for option in OPTIONS)
        command = (programs[0], "-product", "ultra", "-shell", "-f", "build_prj.tcl")
        announced = (VIVADO_STARTS,) if vsynth else ()
        return (Step("C synthesis", (*command, "-eval", f"set ::argv {{{arguments}}}"), announced=announced),)

    def rtl(self, project: Path) -> Path:
        """The newest solution, which holds the Verilog."""
        folders = (project / f"{PROJECT}_prj").glob(f"{PROJECT}.v*")
        numbered = {int(f.name.rpartition(".v")[2]): f for f in folders if f.name.rpartition(".v")[2].isdecimal()}
        return numbered[max(numbered)] if numbered else project / f"{PROJECT}_prj" / f"{PROJECT}.v1"

    def readings(self, project: Path, until: Stage) -> Iterator[Reading]:
        """Catapult's report, which makes no record, and Vivado's utilisation."""
        solution = self.rtl(project)
        design = read_design(solution / "rtl.rpt")
        yield Reading("catapult", solution / "rtl.rpt", asdict(design))
        if until < Stage.SYNTHESISED:
            return
        path = solution / "vivado_concat_v" / "utilization_synth.rpt"
        used = read_utilisation(path)
        figures = used.figures() | {"tool_version": f"{design.tool_version}, {used.tool_version}"}
        figures |= {"latency_cycles": design.latency_cycles, "initiation_interval": design.initiation_interval}
        says = asdict(used)
        timing = path.with_name("timing_summary_synth.rpt")
        if timing.is_file():
            says["worst_slack_ns"] = read_worst_slack_ns(timing)
        yield Reading("utilisation", path, says, Stage.SYNTHESISED, figures)


@final
@dataclass(frozen=True)
class CatapultDesign:
    """What Catapult says of the whole design: cycles, its critical path in ns, and sums of its library's estimates."""

    tool_version: str
    latency_cycles: int
    initiation_interval: int
    max_delay_ns: float | None
    area: dict[str, float]  # by column of the bill of materials, such as "Area Score" and "LUTs"


def read_design(path: Path) -> CatapultDesign:
    """Read `rtl.rpt`. Raises `ToolError` (REPORT_MISSING, REPORT_BROKEN)."""
    text = read_text(path)
    total = re.search(r"^\s*Design Total:\s+\d+\s+(\d+)\s+(\d+)\b", text, re.MULTILINE)
    if total is None:
        raise ToolError(FailureKind.REPORT_BROKEN, f"{path.name} has no total of the design")
    version = re.search(r"^-- Version:\s+(\S+)", text, re.MULTILINE)
    delay = re.search(r"^\s*Max Delay:\s+(\d+(?:\.\d+)?)", text, re.MULTILINE)
    head = re.search(r"^\s*Component Name\s+(Area Score.*)$", text, re.MULTILINE)
    sums = re.search(r"^\s*TOTAL AREA \(After Assignment\):\s+([\d. ]+)$", text, re.MULTILINE)
    columns = ["Area Score", *re.findall(r"Area\((\w+)\)", head[1])] if head else []
    values = map(float, sums[1].split()) if sums else ()
    return CatapultDesign(
        tool_version=f"Catapult {version[1]}" if version else "Catapult",
        latency_cycles=int(total[1]),
        initiation_interval=int(total[2]),
        max_delay_ns=float(delay[1]) if delay else None,
        area=dict(zip(columns, values, strict=False)),
    )
