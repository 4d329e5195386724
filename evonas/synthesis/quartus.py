"""Intel's HLS compiler i++ (part of Quartus Prime until release 23.x) with hls4ml's Quartus project.

C synthesis estimates cells; cycles come from a co-simulation, which needs Questa or ModelSim. There is no logic
synthesis alone: Quartus places and routes, for the stage ROUTED. Reports of Quartus that count no adaptive LUTs make no
record, because ALM cannot be turned into LUT; they stay readable in `synthesis.json`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

from evonas.errors import FailureKind, ToolError
from evonas.synthesis import intel
from evonas.synthesis.vendor import PROJECT, Reading, Step, VendorBackend
from surrogates import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from surrogates import HardwareTarget

TARGET = f"{PROJECT}-fpga"


@final
@dataclass(frozen=True)
class QuartusBackend(VendorBackend):
    """i++, a co-simulation, and from stage ROUTED on Quartus's compilation."""

    name: ClassVar[str] = "quartus"
    title: ClassVar[str] = "Intel HLS"
    hls4ml_name: ClassVar[str] = "Quartus"
    programs: ClassVar[tuple[tuple[str, ...], ...]] = (("i++",), ("make",))
    licence_variables: ClassVar[tuple[str, ...]] = ("LM_LICENSE_FILE", "SALT_LICENSE_SERVER", "MGLS_LICENSE_FILE")

    def check(self, target: HardwareTarget) -> None:
        """Raise `ConfigurationError` unless the part is an Intel device with M20K block RAM."""
        intel.check_part(target)

    def steps(self, programs: tuple[str, ...], project: Path, until: Stage) -> tuple[Step, ...]:
        """hls4ml's Makefile, and the program that it makes, which simulates the component."""
        routed = until >= Stage.ROUTED
        options = ("QUARTUS_COMPILE=--quartus-compile",) if routed else ()
        what = "C synthesis, place and route" if routed else "C synthesis"
        return Step(what, (programs[1], TARGET, *options)), Step("co-simulation", (str(project / TARGET),))

    def rtl(self, project: Path) -> Path:
        """The components as i++ writes them."""
        return project / f"{TARGET}.prj" / "components"

    def readings(self, project: Path, until: Stage) -> Iterator[Reading]:
        """The estimate with the cycles of the co-simulation, and what Quartus found."""
        folder = project / f"{TARGET}.prj" / "reports" / "lib"
        path = folder / "report_data.js"
        estimate = read_estimate(path)
        latency, interval = read_cycles(folder / "verification_data.js")
        cycles = {"latency_cycles": latency, "initiation_interval": interval}
        common = cycles | {"tool_version": self.available().version or self.title}
        yield Reading("csynth", path, asdict(estimate) | cycles, Stage.CSYNTH, _if_counted(estimate, common))
        if until >= Stage.ROUTED:
            path = folder / "quartus_data.js"
            found = intel.fit(intel.read_script(path, "quartusJSON"), path)
            figures = _if_counted(found.area, common | {"delay_ns": 1000.0 / found.clock_mhz})
            yield Reading("fit", path, asdict(found), Stage.ROUTED, figures)


def _if_counted(area: intel.IntelArea, common: dict[str, Any]) -> dict[str, Any]:
    """The fields of a record, or none if the adaptive LUTs were not counted."""
    figures = area.figures()
    return figures | common if figures else {}


def read_estimate(path: Path) -> intel.IntelArea:
    """The whole design in `report_data.js`. Raises `ToolError` (REPORT_MISSING, REPORT_BROKEN)."""
    data = intel.read_script(path, "areaJSON")
    try:
        return intel.area(data["columns"], data["total"], 1, path)
    except (KeyError, TypeError, AttributeError) as error:
        raise ToolError(FailureKind.REPORT_BROKEN, f"areaJSON in {path.name} lacks {error}") from error


def read_cycles(path: Path) -> tuple[int, int]:
    """Largest latency and initiation interval in `verification_data.js`, in cycles.

    Raises `ToolError` (REPORT_MISSING, REPORT_BROKEN); one call of the component alone has no interval ("n/a").
    """
    data = intel.read_script(path, "verifJSON")
    try:
        _, latency, interval = data["functions"][0]["data"]
        found = [values.split(",")[1] for values in (latency, interval)]  # minimum, maximum, average
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise ToolError(FailureKind.REPORT_BROKEN, f"verifJSON in {path.name} lacks {error}") from error
    latency_cycles, interval_cycles = (int(intel.number(value, path, "cycles")) for value in found)
    return latency_cycles, interval_cycles
