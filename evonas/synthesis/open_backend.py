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
from evonas.synthesis import firmware, yosys
from evonas.synthesis.backend import Availability, SynthesisResult
from evonas.synthesis.figures import Figures
from evonas.synthesis.job import CSim, Job, Limits, check_csim, start
from evonas.synthesis.parts import family
from surrogates import Stage, SynthesisRecord

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from evonas.models.fixed_point import QuantisedNetwork
    from surrogates import HardwareTarget

@final
@dataclass(frozen=True)
class OpenBackend:
    """hls4ml, alkaid and yosys. `csim` says when hls4ml's C simulation joins the bit for bit comparison.

    "auto" compiles it if g++ exists; it costs seconds of g++ per design. `memory_limit_bytes` bounds each tool.
    `cancelled` is asked several times a second while a tool runs; True ends it (failure CANCELLED).
    """

    csim: CSim = "auto"
    memory_limit_bytes: int | None = None
    cancelled: Callable[[], bool] | None = None
    name: str = "openrtl"

    def __post_init__(self) -> None:
        check_csim(self.csim)

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
                _synthesise(job, availability.version, self.csim, figures)
        except ToolError as error:
            return job.result(error.failure)
        return job.result(None)


def _record(job: Job, stage: Stage, figures: Figures, **measured: Any) -> SynthesisRecord:
    """What all records of this backend share, and what was `measured`."""
    return SynthesisRecord(
        spec=job.network.spec,
        target=job.target,
        stage=stage,
        latency_cycles=figures.latency_cycles,
        initiation_interval=figures.initiation_interval,
        nonzero_weights=job.network.nonzero_weights,
        verified_vectors=job.verified,
        **measured,
    )


def _trace(job: Job, tool_version: str) -> Figures:
    """Network to Verilog, compared with torch and alkaid's interpreter: the TRACED record."""
    began = time.monotonic()
    job.progress("tracing")
    rtl = job.path("verilog")
    shutil.rmtree(rtl, ignore_errors=True)
    peak = job.call("trace")
    job.compare("torch", job.outputs("torch_outputs.npy"))
    job.compare("alkaid's interpreter", job.outputs("alkaid_outputs.npy"))
    job.files["verilog"] = rtl
    figures = Figures.read(rtl)
    record = _record(
        job,
        Stage.TRACED,
        figures,
        tool_version=tool_version,
        lut=figures.lut,
        ff=figures.ff,
        dsp=figures.multipliers,
        bram_18k=figures.block_ram_18k,
        wall_time_s=time.monotonic() - began,
        peak_memory_bytes=peak,
        report_digest=sha256((rtl / "figures.json").read_bytes()).hexdigest(),
    )
    job.records.append(record)
    return figures


def _synthesise(job: Job, tool_version: str, csim: CSim, figures: Figures) -> None:
    """Verilog to cells, after comparing the C and the clock by clock simulation: the SYNTHESISED record."""
    began = time.monotonic()
    peak = job.write_hls4ml(csim)
    job.progress("RTL simulation")
    rtl, folder = job.path("verilog"), job.path("yosys")
    job.files["log"] = folder / "simulation.log"
    outputs, simulation = firmware.simulate(rtl, folder, figures, job.inputs, **job.bounds())
    job.compare(f"the Verilog's simulation ({figures.latency_cycles} clock edges later)", outputs)
    job.progress("logic synthesis")
    job.files["log"] = folder / "synthesis.log"
    used, run = yosys.synthesise(rtl, folder, job.target.part, **job.bounds())
    report = {"tool_version": tool_version, "latency_cycles": figures.latency_cycles, "seconds": run.seconds}
    job.files["report"] = job.path("synthesis.json")
    job.files["report"].write_text(json.dumps(report | asdict(used), indent=1, sort_keys=True) + "\n")
    record = _record(
        job,
        Stage.SYNTHESISED,
        figures,
        tool_version=tool_version,
        lut=used.lut,
        ff=used.ff,
        dsp=used.dsp,
        bram_18k=used.bram_18k,
        carry=used.carry,
        delay_ns=used.delay_ns,
        wall_time_s=time.monotonic() - began,
        peak_memory_bytes=max(run.peak_memory_bytes, peak, simulation.peak_memory_bytes),
        report_digest=sha256((folder / "stat.json").read_bytes()).hexdigest(),
    )
    job.records.append(record)
