"""Firmware for a network file that evonas did not train: by the open tools or a vendor's.

hls4ml converts the file in a killable process. The Verilog of the open tools must have the bits of the converted
network. A vendor's project is compared by its C simulation, where g++ can compile that and OpenRTL can read the same
network; a note says where it could not be. Vitis must then agree in every bit. Other compilers have lookup tables and
means of their own: where a network has such layers, a difference is a note as well.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import time
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, final

import numpy as np

from evonas.errors import ConfigurationError, Failure, FailureKind, ToolError
from evonas.synthesis import build, open_backend
from evonas.synthesis.figures import Figures
from evonas.synthesis.job import CSim, Job, Limits, wants_csim
from evonas.synthesis.open_backend import OpenBackend
from evonas.synthesis.vendor import VendorBackend
from evonas.synthesis.verification import compare
from surrogates import Stage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from evonas.synthesis.backend import SynthesisBackend
    from surrogates import HardwareTarget

STRATEGIES = ("latency", "resource")
TYPE = re.compile(r"(ap_|ac_)?u?(fixed<[1-9]\d*,-?\d+(,\w+)*>|int<[1-9]\d*>)")


@final
@dataclass(frozen=True)
class Conversion:
    """How hls4ml is to convert a file: the default type, and the reuse factor and strategy of every layer."""

    precision: str = "fixed<16,6>"
    reuse_factor: int = 1
    strategy: str = "latency"

    def __post_init__(self) -> None:
        if not TYPE.fullmatch(self.precision.replace(" ", "")):
            raise ConfigurationError("precision", self.precision, "must be a type such as fixed<16,6> or int<8>")
        if self.reuse_factor < 1:
            raise ConfigurationError("reuse_factor", self.reuse_factor, "must be at least 1")
        if self.strategy.lower() not in STRATEGIES:
            raise ConfigurationError("strategy", self.strategy, f"must be {' or '.join(STRATEGIES)}")


@final
@dataclass(frozen=True)
class FileRecord:
    """What one tool said about one network file: the fields of a `SynthesisRecord` that need no network of ours."""

    target: HardwareTarget
    stage: Stage
    tool_version: str
    lut: float
    ff: float
    dsp: float
    bram_18k: float
    latency_cycles: float
    initiation_interval: int
    carry: float | None = None
    delay_ns: float | None = None
    verified_vectors: int = 0
    wall_time_s: float = 0.0
    peak_memory_bytes: int = 0
    report_digest: str = ""

    @property
    def latency_ns(self) -> float:
        """Latency in cycles times the clock period of the target."""
        return self.latency_cycles * self.target.clock_period_ns

    def to_dict(self) -> dict[str, Any]:
        """Plain data, fit for JSON."""
        return dataclasses.asdict(self) | {"stage": self.stage.label}


@final
@dataclass(frozen=True)
class FileResult:
    """Records by increasing stage, the failure that stopped it, if one did, and what the user must know besides.

    `report` is hls4ml's report of the open tools (see `build.build`), empty for a vendor's.
    """

    records: tuple[FileRecord, ...]
    failure: Failure | None
    files: dict[str, Path]
    notes: tuple[str, ...]
    report: dict[str, Any]


@final
@dataclass(kw_only=True)
class FileJob(Job[FileRecord]):
    """A network file on its way."""

    model: Path
    conversion: Conversion
    vectors: int
    no_csim: str = ""  # why csim is "never"
    report: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def convert(self, operation: str, **arguments: Any) -> tuple[int, dict[str, Any]]:
        """Have a worker do `operation` on the file: the peak of its memory in bytes, and what it found out.

        Raises `DataError` for a damaged file, and as `call`.
        """
        shutil.rmtree(self.path("hls4ml"), ignore_errors=True)
        common = {"model": str(self.model), "vectors": self.vectors}
        peak = self.call(operation, **common, **dataclasses.asdict(self.conversion), **arguments)
        found = json.loads(self.path("conversion.json").read_text())
        self.notes += found["warnings"]
        return peak, found

    def write_hls4ml(self, csim: CSim, backend: str = "Vitis") -> int:
        """As for every job; "auto" takes no C simulation that cannot be compiled or compared for a failure."""
        compile_it = wants_csim(csim)
        self.progress("conversion and hls4ml C simulation" if compile_it else "conversion")
        peak, found = self.convert("write_file", backend=backend, compile=compile_it)
        self.files["hls4ml"] = self.path("hls4ml")
        reason = found["reason"] if compile_it else self.no_csim or "g++ is not on PATH"
        if reason is None:
            self._compare(backend, found["own"])
        elif csim == "always":
            raise ToolError(FailureKind.UNSUPPORTED, f"not compared bit for bit: {reason}")
        else:
            self.notes.append(f"not compared bit for bit: {reason}")
        return peak

    def _compare(self, backend: str, own: list[str]) -> None:
        """Hold the C simulation against the converted network; `own` are layers that compilers compute differently."""
        inputs, expected, outputs = (self.saved(f"{name}.npy") for name in ("inputs", "expected", "csim_outputs"))
        names = "the converted network's exact arithmetic", f"hls4ml's C simulation for {backend}"
        try:
            compare(inputs, expected, outputs, names)
            self.verified = len(outputs)
        except ToolError:
            if backend == "Vitis" or not own or expected.shape != outputs.shape:
                raise
            different = int(np.any(expected != outputs, axis=1).sum())
            self.notes.append(
                f"not compared bit for bit: {names[1]} computes {', '.join(own)} in its own way; outputs differ from "
                f"those for Vitis on {different} of {len(outputs)} inputs, by {np.abs(expected - outputs).max():.3g} "
                "at most"
            )

    def add(self, stage: Stage, **measured: Any) -> None:
        """Append the record of `stage`."""
        self.records.append(FileRecord(self.target, stage, verified_vectors=self.verified, **measured))

    def result(self, failure: Failure | None) -> FileResult:
        """What there is so far."""
        return FileResult(tuple(self.records), failure, dict(self.files), tuple(self.notes), self.report)


def synthesise_file(
    model: Path,
    backend: SynthesisBackend,
    target: HardwareTarget,
    directory: Path,
    conversion: Conversion,
    *,
    until: Stage = Stage.SYNTHESISED,
    vectors: int = build.VECTORS,
    timeout_s: float = 3600.0,
    progress: Callable[[str], None] | None = None,
) -> FileResult:
    """Make firmware of the network in `model` (.onnx, .keras, .h5) in `directory`, going no further than `until`.

    It is compared on `vectors` random inputs over the whole range of its input types. Raises `DataError` for a damaged
    file and `ConfigurationError` for an unsuitable target; what a tool does is a failure, also that it is not there.
    """
    if not isinstance(backend, OpenBackend | VendorBackend):
        raise ConfigurationError("backend", backend.name, "makes no firmware of network files")
    deadline = time.monotonic() + timeout_s
    backend.check(target)
    job = FileJob(
        target=target,
        directory=directory.resolve(),
        deadline=deadline,
        limits=Limits(backend.memory_limit_bytes, backend.cancelled),
        progress=progress or (lambda _: None),
        model=model.resolve(),
        conversion=conversion,
        vectors=vectors,
    )
    available = backend.available()
    if available.version is None:
        return job.result(Failure(FailureKind.TOOL_MISSING, str(available.reason)))
    job.directory.mkdir(parents=True, exist_ok=True)
    if isinstance(backend, VendorBackend):
        if not backend.has_csim or backend.csim == "never":
            job.no_csim = 'csim is "never"' if backend.has_csim else backend.no_csim
        return job.result(backend.run(job, until))
    try:
        _openly(job, backend.simulator, available.version, until)
    except ToolError as error:
        return job.result(error.failure)
    return job.result(None)


def _openly(job: FileJob, simulator: str, tool_version: str, until: Stage) -> None:
    """By the open tools: traced, and for `until` >= SYNTHESISED simulated and mapped to cells."""
    began = time.monotonic()
    job.progress("conversion and tracing")
    peak, _ = job.convert("make_file")
    rtl = job.path("verilog")
    figures = Figures.read(rtl)
    job.verified, job.files["verilog"] = job.vectors, rtl
    common = {"tool_version": tool_version, "wall_time_s": time.monotonic() - began, "peak_memory_bytes": peak}
    digest = sha256((rtl / "figures.json").read_bytes()).hexdigest()
    job.add(Stage.TRACED, **open_backend.traced(figures), **common, report_digest=digest)
    if until < Stage.SYNTHESISED:
        return
    began = time.monotonic()
    target = job.target
    options: dict[str, Any] = {"simulator": simulator, "progress": job.progress}
    job.report = build.finish(job.directory, target.part, target.clock_period_ns, **options, **job.bounds())
    own = job.report["OpenRTL"]
    job.verified = own["simulated_vectors"]
    job.files |= {"vivado": job.path("vivado"), "report": job.path("openrtl_report.json")}
    common |= {"wall_time_s": time.monotonic() - began, "peak_memory_bytes": own["peak_memory_bytes"]}
    digest = sha256((job.path("yosys") / "stat.json").read_bytes()).hexdigest()
    measured = open_backend.synthesised(figures, own["utilisation"])
    job.add(Stage.SYNTHESISED, **measured, **common, report_digest=digest)
