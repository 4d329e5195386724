"""AMD's tool chain: hls4ml's Vitis project, Vitis HLS for C synthesis, Vivado for logic synthesis.

Vitis HLS is free of charge; Vivado's synthesis of large parts needs a licence. Where only the second is missing, a
candidate has a CSYNTH record and a failure.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, final

from evonas.errors import ConfigurationError
from evonas.synthesis.reports import read_csynth, read_utilisation
from evonas.synthesis.vendor import PROJECT, VIVADO_STARTS, Reading, Step, VendorBackend
from surrogates import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from surrogates import HardwareTarget

ARGUMENTS = {  # of each program for hls4ml's script
    "vitis-run": ("--tcl", "build_prj.tcl", "--mode", "hls"),
    "vitis_hls": ("-f", "build_prj.tcl"),
}


@final
@dataclass(frozen=True)
class VitisBackend(VendorBackend):
    """`vsynth` asks Vivado for logic synthesis after C synthesis when the wanted stage is SYNTHESISED."""

    vsynth: bool = True

    name: ClassVar[str] = "vitis"
    title: ClassVar[str] = "Vitis"
    hls4ml_name: ClassVar[str] = "Vitis"
    programs: ClassVar[tuple[tuple[str, ...], ...]] = (tuple(ARGUMENTS),)
    licence_variables: ClassVar[tuple[str, ...]] = ("XILINXD_LICENSE_FILE", "LM_LICENSE_FILE")

    def check(self, target: HardwareTarget) -> None:
        """Raise `ConfigurationError` for a target without a part; which parts there are, only Vitis knows."""
        if not target.part.strip():
            raise ConfigurationError("target.part", target.part, "must name a part, such as xcvu13p-flga2577-2-e")

    def environment(self) -> dict[str, str]:
        """As for every vendor, and the licence files in the vendor's folder of the user's home."""
        found = super().environment()
        files = map(str, sorted((Path.home() / ".Xilinx").glob("*.lic")))
        places = os.pathsep.join(filter(None, [found.get("XILINXD_LICENSE_FILE", ""), *files]))
        return found | ({"XILINXD_LICENSE_FILE": places} if places else {})

    def steps(self, programs: tuple[str, ...], project: Path, until: Stage) -> tuple[Step, ...]:
        """hls4ml's script does everything; what that is, it reads from `build_opt.tcl`."""
        vsynth = self._vsynth(until)
        (project / "build_opt.tcl").write_text(build_options(vsynth))
        announced = (VIVADO_STARTS,) if vsynth else ()
        return (Step("C synthesis", (programs[0], *ARGUMENTS[Path(programs[0]).name]), announced=announced),)

    def rtl(self, project: Path) -> Path:
        """The Verilog of Vitis HLS."""
        return _solution(project) / "syn" / "verilog"

    def readings(self, project: Path, until: Stage) -> Iterator[Reading]:
        """The report of C synthesis, and Vivado's utilisation."""
        path = _solution(project) / "syn" / "report" / f"{PROJECT}_csynth.xml"
        csynth = read_csynth(path)
        cycles = {"latency_cycles": csynth.latency_cycles, "initiation_interval": csynth.initiation_interval}
        figures = {"tool_version": csynth.tool_version, "delay_ns": csynth.estimated_clock_period_ns}
        figures |= {"lut": csynth.lut, "ff": csynth.ff, "dsp": csynth.dsp, "bram_18k": csynth.bram_18k}
        yield Reading("csynth", path, asdict(csynth), Stage.CSYNTH, figures | cycles)
        if self._vsynth(until):
            path = project / "vivado_synth.rpt"
            used = read_utilisation(path)
            tool_version = f"{csynth.tool_version}, {used.tool_version}"
            figures = used.figures() | cycles | {"tool_version": tool_version}
            yield Reading("utilisation", path, asdict(used), Stage.SYNTHESISED, figures)

    def _vsynth(self, until: Stage) -> bool:
        return self.vsynth and until >= Stage.SYNTHESISED


def _solution(project: Path) -> Path:
    return project / f"{PROJECT}_prj" / "solution1"


def build_options(vsynth: bool) -> str:
    """hls4ml's `build_opt.tcl` for `build(csim=False, synth=True, vsynth=vsynth)`."""
    options = dict.fromkeys(("reset", "csim", "synth", "cosim", "validation", "export", "vsynth", "fifo_opt"), 0)
    options |= {"synth": 1, "vsynth": int(vsynth)}
    return "array set opt {\n" + "".join(f"    {name:<10} {value}\n" for name, value in options.items()) + "}\n"
