"""The vendor's tool chain: hls4ml's Vitis project, Vitis HLS for C synthesis, Vivado for logic synthesis.

Vitis HLS is free of charge; Vivado's synthesis of large parts needs a licence. Where only the second is missing, a
candidate has a CSYNTH record and a failure.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from evonas.errors import ConfigurationError, FailureKind, ToolError
from evonas.synthesis.backend import Availability, SynthesisResult
from evonas.synthesis.job import CSim, Job, Limits, check_csim, start
from evonas.synthesis.process import run_tool
from evonas.synthesis.reports import read_csynth, read_utilisation
from surrogates import Stage, SynthesisRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from evonas.models.fixed_point import QuantisedNetwork
    from surrogates import HardwareTarget

PROJECT = "dut"
COMMANDS = {  # program -> its arguments for hls4ml's script; the first that is found is used
    "vitis-run": ("--tcl", "build_prj.tcl", "--mode", "hls"),
    "vitis_hls": ("-f", "build_prj.tcl"),
}
NO_LICENCE = re.compile(
    r"\[Common 17-345\]|valid licen[cs]e was not found|licen[cs]e check-?\s?out failed|FLEXnet Licensing error"
    r"|failed to (obtain|check ?out|get) (a |the )?licen[cs]e|licen[cs]e (has )?expired|no licen[cs]e (was )?found",
    re.IGNORECASE,
)


def diagnose(log: str) -> FailureKind | None:
    """TOOL_LICENCE if the log of a failed run says so."""
    return FailureKind.TOOL_LICENCE if NO_LICENCE.search(log) else None


@final
@dataclass(frozen=True)
class VitisBackend:
    """hls4ml's Vitis backend in a killable process. `csim` as for the open backend; needs no Vitis.

    `vsynth` asks Vivado for logic synthesis after C synthesis when the wanted stage is SYNTHESISED.
    """

    csim: CSim = "auto"
    vsynth: bool = True
    memory_limit_bytes: int | None = None
    cancelled: Callable[[], bool] | None = None
    name: str = "vitis"

    def __post_init__(self) -> None:
        check_csim(self.csim)

    def available(self) -> Availability:
        """The installed release, as its folder is called, or that there is none."""
        program = next(filter(None, map(shutil.which, COMMANDS)), None)
        if program is None:
            return Availability(None, "neither vitis-run nor vitis_hls is on PATH")
        release = re.search(r"\b(20\d\d\.\d)\b", str(Path(program).resolve()))
        return Availability(f"Vitis {release[1]}" if release else "Vitis, release unknown")

    def check(self, target: HardwareTarget) -> None:
        """Raise `ConfigurationError` for a target without a part; which parts there are, only Vitis knows."""
        if not target.part.strip():
            raise ConfigurationError("target.part", target.part, "must name a part, such as xcvu13p-flga2577-2-e")

    def synthesise(
        self,
        network: QuantisedNetwork,
        vectors: NDArray[np.floating],
        target: HardwareTarget,
        directory: Path,
        *,
        until: Stage = Stage.SYNTHESISED,
        timeout_s: float = 7200.0,
        progress: Callable[[str], None] | None = None,
    ) -> SynthesisResult:
        """Write the project, compare its C simulation, run C synthesis and, for `until` >= SYNTHESISED, Vivado.

        There is no TRACED record: `until` below CSYNTH writes and compares only. Raises `ConfigurationError` for
        unsuitable vectors; what a tool does is a failure.
        """
        limits = Limits(self.memory_limit_bytes, self.cancelled)
        job = start(network, vectors, target, directory, timeout_s, limits, progress)
        try:
            peak = job.write_hls4ml(self.csim)
            if until >= Stage.CSYNTH:
                self._build(job, self.vsynth and until >= Stage.SYNTHESISED, peak)
        except ToolError as error:
            return job.result(error.failure)
        return job.result(None)

    def _build(self, job: Job, vsynth: bool, peak: int) -> None:
        """Run the tool; records come from whatever reports there are, also if it failed in the end."""
        began = time.monotonic()
        program = next((name for name in COMMANDS if shutil.which(name)), None)
        if program is None:
            raise ToolError(FailureKind.TOOL_MISSING, str(self.available().reason))
        project = job.path("hls4ml")
        (project / "build_opt.tcl").write_text(build_options(vsynth))
        job.progress("C and logic synthesis" if vsynth else "C synthesis")
        job.files["log"] = job.path("vitis.log")
        job.files["log"].unlink(missing_ok=True)
        failure: ToolError | None = None
        try:
            run = run_tool(
                [program, *COMMANDS[program]],
                name=program,
                log=job.files["log"],
                cwd=project,
                environment=licence_environment(),
                diagnose=diagnose,
                **job.bounds(),
            )
            peak = max(peak, run.peak_memory_bytes)
        except ToolError as error:
            failure = error
        try:
            _collect(job, vsynth, time.monotonic() - began, peak)
        except ToolError as error:
            raise failure or error from error
        if failure is not None:
            raise failure


def licence_environment() -> dict[str, str]:
    """The variable that still points to licences in the user's home folder: tools get a private HOME."""
    places = [os.environ.get("XILINXD_LICENSE_FILE", ""), *map(str, sorted((Path.home() / ".Xilinx").glob("*.lic")))]
    value = os.pathsep.join(filter(None, places))
    return {"XILINXD_LICENSE_FILE": value} if value else {}


def build_options(vsynth: bool) -> str:
    """hls4ml's `build_opt.tcl` for `build(csim=False, synth=True, vsynth=vsynth)`."""
    options = dict.fromkeys(("reset", "csim", "synth", "cosim", "validation", "export", "vsynth", "fifo_opt"), 0)
    options |= {"synth": 1, "vsynth": int(vsynth)}
    return "array set opt {\n" + "".join(f"    {name:<10} {value}\n" for name, value in options.items()) + "}\n"


def _collect(job: Job, vsynth: bool, seconds: float, peak: int) -> None:
    """Append the records of the reports. Raises `ToolError` for the first that is missing or broken."""
    project = job.path("hls4ml")
    csynth_path = project / f"{PROJECT}_prj" / "solution1" / "syn" / "report" / f"{PROJECT}_csynth.xml"
    csynth = read_csynth(csynth_path)
    verilog = csynth_path.parents[1] / "verilog"
    if verilog.is_dir():
        job.files["verilog"] = verilog
    common: dict[str, Any] = {
        "spec": job.network.spec,
        "target": job.target,
        "latency_cycles": csynth.latency_cycles,
        "initiation_interval": csynth.initiation_interval,
        "nonzero_weights": job.network.nonzero_weights,
        "verified_vectors": job.verified,
        "wall_time_s": seconds,
        "peak_memory_bytes": peak,
    }
    report: dict[str, Any] = {"csynth": asdict(csynth)}
    job.files["report"] = job.path("synthesis.json")
    _write_report(job, report)
    job.records.append(
        SynthesisRecord(
            stage=Stage.CSYNTH,
            tool_version=csynth.tool_version,
            lut=csynth.lut,
            ff=csynth.ff,
            dsp=csynth.dsp,
            bram_18k=csynth.bram_18k,
            delay_ns=csynth.estimated_clock_period_ns,
            report_digest=sha256(csynth_path.read_bytes()).hexdigest(),
            **common,
        )
    )
    if not vsynth:
        return
    path = project / "vivado_synth.rpt"
    used = read_utilisation(path)
    _write_report(job, report | {"utilisation": asdict(used)})
    job.records.append(
        SynthesisRecord(
            stage=Stage.SYNTHESISED,
            tool_version=f"{csynth.tool_version}, {used.tool_version}",
            lut=used.lut,
            ff=used.ff,
            dsp=used.dsp,
            bram_18k=used.bram_18k,
            report_digest=sha256(path.read_bytes()).hexdigest(),
            **common,
        )
    )


def _write_report(job: Job, report: dict[str, Any]) -> None:
    job.files["report"].write_text(json.dumps(report, indent=1, sort_keys=True) + "\n")
