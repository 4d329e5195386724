"""What the vendors' tool chains share: hls4ml writes the project, the vendor's programs build it, we read the reports.

The programs run in the killable wrapper and not through hls4ml's `build`, which hides exit codes and signals.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, final

from evonas.errors import ConfigurationError, FailureKind, ToolError
from evonas.synthesis.backend import Availability
from evonas.synthesis.job import CSim, Limits, check_csim, start
from evonas.synthesis.licences import licence
from evonas.synthesis.process import run_tool
from surrogates import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from evonas.errors import Failure
    from evonas.models.quantised_network import QuantisedNetwork
    from evonas.synthesis.backend import SynthesisResult
    from evonas.synthesis.job import Job
    from surrogates import HardwareTarget

PROJECT = "dut"
VIVADO_STARTS = ("***** VIVADO SYNTHESIS *****", "logic synthesis")  # in the log of hls4ml's scripts
RELEASE = re.compile(r"(?<![\d.])((?:20)?\d\d\.\d+(?:\.\d+)*)")  # in the folder of a program: 2024.1, 21.4
NO_LICENCE = re.compile(
    r"\[Common 17-345\]|valid licen[cs]e was not found|licen[cs]e check-?\s?out failed|FLEX(net|lm) \w+ error"
    r"|(failed|unable) to (obtain|check ?out|get|acquire) (a |an |the |any )?(valid )?licen[cs]e"
    r"|licen[cs]e (has )?expired|no (valid )?licen[cs]e (was )?found|licen[cs]e file (does not support|is not )"
    r"|licen[cs]e request .{0,80}(failed|denied)|cannot (find|connect to) (a |the )?licen[cs]e",
    re.IGNORECASE,
)
KILLED = re.compile(r"^make(\[\d+\])?: \*\*\* .*(Killed|Error 137)\s*$", re.MULTILINE)  # what make makes of a SIGKILL


def diagnose(log: str) -> FailureKind | None:
    """TOOL_LICENCE or TOOL_MEMORY if the log of a failed run says so."""
    if NO_LICENCE.search(log):
        return FailureKind.TOOL_LICENCE
    return FailureKind.TOOL_MEMORY if KILLED.search(log) else None


@final
@dataclass(frozen=True)
class Step:
    """One command: what it does, for the progress, its words, and the folder below the project that it runs in.

    `announced` are words of its log and what it does from there on.
    """

    what: str
    command: tuple[str, ...]
    folder: str = "."
    announced: tuple[tuple[str, str], ...] = ()


@final
@dataclass(frozen=True)
class Reading:
    """One report: everything that it says, for `synthesis.json`, and the record that it is enough for.

    `figures` are the fields of the `SynthesisRecord` of `stage`; empty where the tool does not say all of them.
    """

    name: str
    path: Path
    says: dict[str, Any]
    stage: Stage = Stage.CSYNTH
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class VendorBackend(ABC):
    """hls4ml and one vendor's tools. `csim` as for the open backend; it needs none of the vendor's programs.

    `licences` is how many runs may be under way at one time, over all processes of the user on this machine; a run
    that waits for one still heeds its time-out and `cancelled`. `memory_limit_bytes` bounds each tool.
    """

    csim: CSim = "auto"
    memory_limit_bytes: int | None = None
    cancelled: Callable[[], bool] | None = None
    licences: int | None = None

    name: ClassVar[str]
    title: ClassVar[str]  # the product, for people
    hls4ml_name: ClassVar[str]
    programs: ClassVar[tuple[tuple[str, ...], ...]]  # that must be on PATH: of each group, the first that is found
    licence_variables: ClassVar[tuple[str, ...]] = ("LM_LICENSE_FILE",)
    has_csim: ClassVar[bool] = True  # whether g++ alone can compile the project's C simulation

    def __post_init__(self) -> None:
        check_csim(self.csim)
        if self.licences is not None and self.licences < 1:
            raise ConfigurationError("licences", self.licences, "must be at least 1, or None for no limit")

    @property
    def no_csim(self) -> str:
        """Why there is no C simulation, where there is none."""
        return f"hls4ml's C simulation of a project for {self.title} needs the vendor's compiler"

    @abstractmethod
    def check(self, target: HardwareTarget) -> None:
        """Raise `ConfigurationError` for a target that the vendor cannot aim at."""

    @abstractmethod
    def steps(self, programs: tuple[str, ...], project: Path, until: Stage) -> tuple[Step, ...]:
        """The commands that build `project`, where `programs` are found; may write into the project first."""

    @abstractmethod
    def readings(self, project: Path, until: Stage) -> Iterator[Reading]:
        """Read the reports in order. Raises `ToolError` at the first that is missing or broken."""

    @abstractmethod
    def rtl(self, project: Path) -> Path:
        """The folder of the generated hardware description."""

    def find(self) -> tuple[str, ...]:
        """The path of one program of each group. Raises `ToolError` (TOOL_MISSING)."""
        found = []
        for names in self.programs:
            path = next(filter(None, map(shutil.which, names)), None)
            if path is None:
                raise ToolError(FailureKind.TOOL_MISSING, f"{' or '.join(names)} is not on PATH")
            found.append(path)
        return tuple(found)

    def available(self) -> Availability:
        """The installed release, as its folder is called, or which program is missing."""
        try:
            program = self.find()[0]
        except ToolError as error:
            return Availability(None, error.failure.message)
        release = RELEASE.search(str(Path(program).resolve()))
        return Availability(f"{self.title} {release[1]}" if release else f"{self.title}, release unknown")

    def environment(self) -> dict[str, str]:
        """The licence variables, with what the licence manager keeps in the home folder: tools get a private HOME."""
        kept = Path.home() / ".flexlmrc"
        lines = kept.read_text(errors="replace").splitlines() if kept.is_file() else []
        remembered = dict(line.strip().split("=", 1) for line in lines if "=" in line)
        both = {v: (os.environ.get(v, ""), remembered.get(v, "")) for v in self.licence_variables}
        return {v: os.pathsep.join(filter(None, values)) for v, values in both.items() if any(values)}

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
        """Write the project, compare its C simulation, and run the vendor's tools as far as stage `until`.

        There is no TRACED record: `until` below CSYNTH writes and compares only. Raises `ConfigurationError` for an
        unsuitable target or vectors; what a tool does is a failure.
        """
        self.check(target)
        limits = Limits(self.memory_limit_bytes, self.cancelled)
        job = start(network, vectors, target, directory, timeout_s, limits, progress)
        return job.result(self.run(job, until))

    def run(self, job: Job[Any], until: Stage) -> Failure | None:
        """Have `job` write its project and compare its C simulation, and build that as far as `until`."""
        try:
            if self.csim == "always" and not self.has_csim:
                raise ToolError(FailureKind.UNSUPPORTED, self.no_csim)
            peak = job.write_hls4ml(self.csim if self.has_csim else "never", self.hls4ml_name)
            if until >= Stage.CSYNTH:
                self._build(job, until, peak)
        except ToolError as error:
            return error.failure
        return None

    def _build(self, job: Job[Any], until: Stage, peak: int) -> None:
        """Run the tools; records come from whatever reports there are, also if a tool failed in the end."""
        programs, project = self.find(), job.path("hls4ml")
        steps = self.steps(programs, project, until)
        job.files["log"] = job.path(f"{self.name}.log")
        job.files["log"].unlink(missing_ok=True)
        options: dict[str, Any] = {"log": job.files["log"], "environment": self.environment(), "diagnose": diagnose}
        failure: ToolError | None = None
        waiting = job.bounds()
        with licence(self.name, self.licences, timeout_s=waiting["timeout_s"], cancelled=waiting["cancelled"]):
            began = time.monotonic()
            try:
                for step in steps:
                    job.progress(step.what)
                    name, folder = Path(step.command[0]).name, project / step.folder
                    bounds = job.bounds()
                    cancelled = _following(job, step, bounds.pop("cancelled"))
                    try:
                        run = run_tool(step.command, name=name, cwd=folder, cancelled=cancelled, **options, **bounds)
                    finally:
                        cancelled()  # tells what was announced since the last look
                    peak = max(peak, run.peak_memory_bytes)
            except ToolError as error:
                failure = error
        try:
            self._collect(job, until, time.monotonic() - began, peak)
        except ToolError as error:
            raise failure or error from error
        if failure is not None:
            raise failure

    def _collect(self, job: Job[Any], until: Stage, seconds: float, peak: int) -> None:
        """Append the records of the reports. Raises `ToolError` for the first that is missing or broken."""
        project = job.path("hls4ml")
        rtl = self.rtl(project)
        if rtl.is_dir():
            job.files["verilog"] = rtl
        report: dict[str, Any] = {}
        for reading in self.readings(project, until):
            report[reading.name] = reading.says
            job.files["report"] = job.path("synthesis.json")
            job.files["report"].write_text(json.dumps(report, indent=1, sort_keys=True) + "\n")
            if reading.figures:
                digest = sha256(reading.path.read_bytes()).hexdigest()
                measured = {"wall_time_s": seconds, "peak_memory_bytes": peak, "report_digest": digest}
                job.add(reading.stage, **measured, **reading.figures)


def _following(job: Job[Any], step: Step, cancelled: Callable[[], bool] | None) -> Callable[[], bool]:
    """`cancelled`, which is asked several times a second, telling the progress each time what the log announces."""
    log = job.files["log"]
    awaited = list(step.announced)
    seen = log.stat().st_size if log.is_file() else 0

    def look() -> bool:
        nonlocal seen
        if awaited and log.is_file():
            with log.open("rb") as lines:
                lines.seek(seen)
                text = lines.read()
            words, what = awaited[0]
            if words.encode() in text:
                awaited.pop(0)
                job.progress(what)
            else:  # the words may be half written
                seen += max(0, len(text) - len(words))
        return cancelled is not None and cancelled()

    return look
