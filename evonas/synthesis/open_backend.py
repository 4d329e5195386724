"""The open tool chain: hls4ml graph -> Verilog -> yosys.

Layers are alkaid's distributed arithmetic, pipelined and open for a new input every clock edge, or multipliers that
work through their weights one after the other (`LayerSpec.strategy` "reuse"): then the network takes an input every
`initiation_interval` edges, through a handshake.

Needs no licence. What its numbers are and are not: logic synthesis without place and route. LUT is the raw count of
LUT cells; placement packs small pairs into one site and gives every carry bit its own (`lut_packed`). Carries are
CARRY4 cells, and the delay has cell delays of the 7 series and no wires, so it orders designs and promises no clock.
"""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import asdict, dataclass
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, final

from evonas.errors import FailureKind, ToolError
from evonas.synthesis import firmware, verilator, yosys
from evonas.synthesis.backend import Availability, SynthesisResult
from evonas.synthesis.figures import Figures
from evonas.synthesis.job import CSim, Limits, check_csim, start
from evonas.synthesis.parts import family
from surrogates import Stage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from evonas.models.quantised_network import QuantisedNetwork
    from evonas.synthesis.job import DesignJob
    from surrogates import HardwareTarget


@final
@dataclass(frozen=True)
class OpenBackend:
    """hls4ml, alkaid and yosys. `csim` says when hls4ml's C simulation joins the bit for bit comparison.

    "auto" compiles it if g++ exists; it costs seconds of g++ per design. `simulator` simulates the Verilog (see
    `firmware.choose`): "yosys" is shown the first 128 vectors at most, "verilator" all of them, and "auto" is verilator
    where it is installed and there are at least 1000. `memory_limit_bytes` bounds each tool. `cancelled` is asked
    several times a second while a tool runs; True ends it (failure CANCELLED).
    """

    csim: CSim = "auto"
    memory_limit_bytes: int | None = None
    cancelled: Callable[[], bool] | None = None
    name: str = "openrtl"
    simulator: str = "yosys"

    def __post_init__(self) -> None:
        check_csim(self.csim)
        firmware.choose(self.simulator, 0)

    def available(self) -> Availability:
        """The versions of the three tools, or which one is missing."""
        found = {}
        for package in ("hls4ml", "alkaid", "pyosys"):
            try:
                found[package] = version(package)
            except PackageNotFoundError:
                return Availability(None, f"the package {package} is not installed")
        if self.csim == "always" and shutil.which("g++") is None:
            return Availability(None, 'g++ is not on PATH and csim is "always"')
        if self.simulator == "verilator" and verilator.find_program() is None:
            return Availability(None, 'verilator is not on PATH and simulator is "verilator"')
        return Availability(" ".join(f"{package} {number}" for package, number in found.items()))

    def check(self, target: HardwareTarget) -> None:
        """Raise `ConfigurationError` for a part that yosys has no family for."""
        family(target.part)

    def synthesise(
        self,
        network: QuantisedNetwork,
        vectors: NDArray[np.floating],
        target: HardwareTarget,
        directory: Path,
        *,
        until: Stage = Stage.SYNTHESISED,
        timeout_s: float = 3600.0,
        progress: Callable[[str], None] | None = None,
    ) -> SynthesisResult:
        """Trace `network`, check it bit for bit, and for `until` >= SYNTHESISED map it to cells.

        Raises `ConfigurationError` for an unknown part or unsuitable vectors; what a tool does is a failure.
        """
        family(target.part)
        limits = Limits(self.memory_limit_bytes, self.cancelled)
        job = start(network, vectors, target, directory, timeout_s, limits, progress)
        availability = self.available()
        if availability.version is None:
            return job.result(ToolError(FailureKind.TOOL_MISSING, str(availability.reason)).failure)
        try:
            figures = _trace(job, availability.version)
            if until >= Stage.SYNTHESISED:
                _synthesise(job, availability.version, self.csim, self.simulator, figures)
        except ToolError as error:
            return job.result(error.failure)
        return job.result(None)


def _trace(job: DesignJob, tool_version: str) -> Figures:
    """Network to Verilog, compared with torch or onnxruntime and alkaid's interpreter: the TRACED record."""
    began = time.monotonic()
    job.progress("tracing")
    rtl = job.path("verilog")
    shutil.rmtree(rtl, ignore_errors=True)
    peak = job.call("trace")
    job.compare("torch" if job.network.fits_hls4ml else "onnxruntime", job.saved("other_outputs.npy"))
    job.compare("alkaid's interpreter", job.saved("alkaid_outputs.npy"))
    job.files["verilog"] = rtl
    figures = Figures.read(rtl)
    job.add(
        Stage.TRACED,
        **traced(figures),
        tool_version=tool_version,
        wall_time_s=time.monotonic() - began,
        peak_memory_bytes=peak,
        report_digest=sha256((rtl / "figures.json").read_bytes()).hexdigest(),
    )
    return figures


def _synthesise(job: DesignJob, tool_version: str, csim: CSim, simulator: str, figures: Figures) -> None:
    """Verilog to cells, after comparing the C and the clock by clock simulation: the SYNTHESISED record."""
    began = time.monotonic()
    peak = job.write_hls4ml(csim) if job.network.fits_hls4ml else 0  # hls4ml has no part in the others
    job.progress("RTL simulation")
    rtl, folder = job.path("verilog"), job.path("yosys")
    job.files["log"] = folder / "simulation.log"
    outputs, simulation = firmware.simulate(rtl, folder, figures, job.inputs, simulator=simulator, **job.bounds())
    job.compare(f"the Verilog's simulation ({figures.latency_cycles} clock edges later)", outputs)
    job.progress("logic synthesis")
    job.files["log"] = folder / "synthesis.log"
    used, run = yosys.synthesise(rtl, folder, job.target.part, **job.bounds())
    report = {"tool_version": tool_version, "latency_cycles": figures.latency_cycles, "seconds": run.seconds}
    job.files["report"] = job.path("synthesis.json")
    job.files["report"].write_text(json.dumps(report | asdict(used), indent=1, sort_keys=True) + "\n")
    job.add(
        Stage.SYNTHESISED,
        **synthesised(figures, asdict(used)),
        tool_version=tool_version,
        wall_time_s=time.monotonic() - began,
        peak_memory_bytes=max(run.peak_memory_bytes, peak, simulation.peak_memory_bytes),
        report_digest=sha256((folder / "stat.json").read_bytes()).hexdigest(),
    )


def traced(figures: Figures) -> dict[str, Any]:
    """What a TRACED record has of emitted Verilog."""
    cells = {"lut": figures.lut, "ff": figures.ff, "dsp": figures.multipliers, "bram_18k": figures.block_ram_18k}
    return cells | {"latency_cycles": figures.latency_cycles, "initiation_interval": figures.initiation_interval}


def synthesised(figures: Figures, used: dict[str, Any]) -> dict[str, Any]:
    """What a SYNTHESISED record has of a `Utilisation` as plain data."""
    return traced(figures) | {name: used[name] for name in ("lut", "ff", "dsp", "bram_18k", "carry", "delay_ns")}
