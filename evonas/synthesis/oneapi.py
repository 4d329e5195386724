"""Intel's oneAPI compiler icpx with hls4ml's project for it.

The "report" target estimates cells and cycles; the "fpga" target has Quartus place and route, for the stage ROUTED.
hls4ml's C simulation of such a project needs icpx itself, so its designs are not compared bit for bit here. The latency
is that of the slowest block of the schedule, which is the whole pipeline of a design with parallel inputs and outputs.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, ClassVar, final

from evonas.errors import FailureKind, ToolError
from evonas.synthesis import intel
from evonas.synthesis.vendor import PROJECT, Reading, Step, VendorBackend
from surrogates import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from surrogates import HardwareTarget


@final
@dataclass(frozen=True)
class OneApiBackend(VendorBackend):
    """icpx through cmake and make, and from stage ROUTED on Quartus's compilation."""

    name: ClassVar[str] = "oneapi"
    title: ClassVar[str] = "oneAPI"
    hls4ml_name: ClassVar[str] = "oneAPI"
    programs: ClassVar[tuple[tuple[str, ...], ...]] = (("icpx",), ("cmake",), ("make",))
    licence_variables: ClassVar[tuple[str, ...]] = ("LM_LICENSE_FILE", "SALT_LICENSE_SERVER")
    has_csim: ClassVar[bool] = False

    def check(self, target: HardwareTarget) -> None:
        """Raise `ConfigurationError` unless the part is an Intel device with M20K block RAM."""
        intel.check_part(target)

    def steps(self, programs: tuple[str, ...], project: Path, until: Stage) -> tuple[Step, ...]:
        """Configure the project, then make its targets."""
        _, cmake, make = programs
        (project / "build").mkdir(exist_ok=True)
        steps = (Step("configuring", (cmake, ".."), "build"), Step("C synthesis", (make, "report"), "build"))
        return (*steps, Step("place and route", (make, "fpga"), "build")) if until >= Stage.ROUTED else steps

    def rtl(self, project: Path) -> Path:
        """The folder of the compiled report target, which holds the hardware description."""
        return project / "build" / f"{PROJECT}.report.prj"

    def readings(self, project: Path, until: Stage) -> Iterator[Reading]:
        """The estimate of the report target, and what Quartus found."""
        folder = self.rtl(project) / "reports" / "resources" / "json"
        path = folder / "summary.ndjson"
        estimate, schedule = read_estimate(path), read_schedule(folder / "loop_attr.ndjson")
        common = {
            "tool_version": self.available().version or self.title,
            "latency_cycles": schedule.latency_cycles,
            "initiation_interval": schedule.initiation_interval,
        }
        figures = estimate.figures() | common | {"delay_ns": 1000.0 / schedule.clock_mhz}
        yield Reading("csynth", path, asdict(estimate) | asdict(schedule), Stage.CSYNTH, figures)
        if until >= Stage.ROUTED:
            path = project / "build" / f"{PROJECT}.fpga.prj" / "reports" / "resources" / "json" / "quartus.ndjson"
            found = read_fit(path)
            figures = found.area.figures()
            figures = figures | common | {"delay_ns": 1000.0 / found.clock_mhz} if figures else {}
            yield Reading("fit", path, asdict(found), Stage.ROUTED, figures)


@final
@dataclass(frozen=True)
class Schedule:
    """The worst of all scheduled blocks: cycles, and the clock frequency in MHz that was scheduled for."""

    latency_cycles: float
    initiation_interval: int
    clock_mhz: float


def read_estimate(path: Path) -> intel.IntelArea:
    """The whole design in `summary.ndjson`. Raises `ToolError` (REPORT_MISSING, REPORT_BROKEN)."""
    rows = intel.read_lines(path)
    head = next((row for row in rows if row.get("summary_type") == "estimatedResources"), None)
    total = next((row for row in rows if row.get("name") == "Total" and "data" in row), None)
    if head is None or total is None or "columns" not in head:
        raise ToolError(FailureKind.REPORT_BROKEN, f"{path.name} has no estimate of the resources")
    return intel.area(head["columns"], total["data"], int(head.get("dsp_packing_factor", 1)), path)


def read_schedule(path: Path) -> Schedule:
    """The blocks in `loop_attr.ndjson`. Raises `ToolError` (REPORT_MISSING, REPORT_BROKEN)."""
    blocks = [row for row in intel.read_lines(path) if {"af", "ii", "lt"} <= set(row)]
    if not blocks:
        raise ToolError(FailureKind.REPORT_BROKEN, f"{path.name} has no scheduled block")
    intervals = [int(str(row["ii"])) for row in blocks if str(row["ii"]).isdecimal()]  # not "n/a", of what is no loop
    if not intervals:
        raise ToolError(FailureKind.REPORT_BROKEN, f"{path.name} has no initiation interval")
    latency_cycles = max(intel.number(row["lt"], path, "lt") for row in blocks)
    return Schedule(latency_cycles, max(intervals), min(intel.number(row["af"], path, "af") for row in blocks))


def read_fit(path: Path) -> intel.Fit:
    """What Quartus found, in `quartus.ndjson`. Raises `ToolError` (REPORT_MISSING, REPORT_BROKEN)."""
    merged = {key: value for row in intel.read_lines(path) for key, value in row.items()}
    return intel.fit(merged, path)
