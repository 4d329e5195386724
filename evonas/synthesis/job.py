"""One synthesis on its way, as every backend drives it: its files, what time is left, and what has come out."""

from __future__ import annotations

import shutil
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, final

import numpy as np

from evonas.errors import ConfigurationError, FailureKind, ToolError
from evonas.synthesis.backend import SynthesisResult
from evonas.synthesis.verification import REFERENCE, check_vectors, compare
from evonas.synthesis.worker import POOL
from surrogates import SynthesisRecord

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from evonas.errors import Failure
    from evonas.models.quantised_network import QuantisedNetwork
    from surrogates import HardwareTarget, Stage

CSim = Literal["auto", "never", "always"]
CSIMS: tuple[CSim, ...] = ("auto", "never", "always")


@final
@dataclass(frozen=True)
class Limits:
    """What bounds every tool of a job besides the time."""

    memory_limit_bytes: int | None = None
    cancelled: Callable[[], bool] | None = None


Record = TypeVar("Record")


@dataclass(kw_only=True)
class Job(ABC, Generic[Record]):
    """The folder that takes everything, the time that is left, and what has come out."""

    target: HardwareTarget
    directory: Path
    deadline: float
    limits: Limits
    progress: Callable[[str], None]
    records: list[Record] = field(default_factory=list)
    files: dict[str, Path] = field(default_factory=dict)
    verified: int = 0  # input vectors that were compared bit for bit

    @abstractmethod
    def write_hls4ml(self, csim: CSim, backend: str = "Vitis") -> int:
        """Write hls4ml's project for its `backend`; compare its C simulation where `csim` says so.

        Returns peak memory in bytes.
        """

    @abstractmethod
    def add(self, stage: Stage, **measured: Any) -> None:
        """Append the record of `stage`, with what was `measured` and what this job knows itself."""

    def path(self, name: str) -> Path:
        """A file or folder of this job."""
        return self.directory / name

    def bounds(self) -> dict[str, Any]:
        """Keyword arguments that bound the next tool. Raises `ToolError` (TOOL_TIMEOUT) when no time is left."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise ToolError(FailureKind.TOOL_TIMEOUT, "the time for this synthesis was used up")
        limits = self.limits
        return {"timeout_s": left, "memory_limit_bytes": limits.memory_limit_bytes, "cancelled": limits.cancelled}

    def call(self, operation: str, **arguments: Any) -> int:
        """Have a worker do `operation`; returns the peak of its resident memory in bytes."""
        common = {"directory": str(self.directory), "target": self.target.to_dict()}
        self.files["log"] = self.path("tools.log")
        return POOL.call(operation, common | arguments, log=self.files["log"], **self.bounds())

    def saved(self, name: str) -> NDArray[np.float64]:
        """An array that a worker saved."""
        return np.asarray(np.load(self.path(name), allow_pickle=False), np.float64)


@final
@dataclass(kw_only=True)
class DesignJob(Job[SynthesisRecord]):
    """A network of ours, and the vectors on which all implementations must agree."""

    network: QuantisedNetwork
    inputs: NDArray[np.float64]
    expected: NDArray[np.float64]

    def compare(self, name: str, found: NDArray[np.float64]) -> None:
        """Hold the outputs of another implementation, for the first `len(found)` vectors, against the reference."""
        count = len(found)
        compare(self.inputs[:count], self.expected[:count], found, (REFERENCE, name))
        self.verified = count

    def call(self, operation: str, **arguments: Any) -> int:
        """As for every job, with the network and its inputs in the folder."""
        self.path("network.bin").write_bytes(self.network.to_bytes())
        np.save(self.path("inputs.npy"), self.inputs, allow_pickle=False)
        return super().call(operation, **arguments)

    def write_hls4ml(self, csim: CSim, backend: str = "Vitis") -> int:
        """As for every job; a C simulation that differs is a failure."""
        compile_it = wants_csim(csim)
        self.progress("hls4ml C simulation" if compile_it else "hls4ml project")
        shutil.rmtree(self.path("hls4ml"), ignore_errors=True)
        peak = self.call("write_hls4ml", compile=compile_it, backend=backend)
        self.files["hls4ml"] = self.path("hls4ml")
        if compile_it:
            self.compare("hls4ml's C simulation", self.saved("csim_outputs.npy"))
        return peak

    def add(self, stage: Stage, **measured: Any) -> None:
        """Append the record of `stage`."""
        network = self.network
        known = {"spec": network.spec, "weights": network.layer_weights, "verified_vectors": self.verified}
        self.records.append(SynthesisRecord(target=self.target, stage=stage, **known, **measured))  # type: ignore[arg-type]

    def result(self, failure: Failure | None) -> SynthesisResult:
        """What there is so far."""
        return SynthesisResult(tuple(self.records), failure, dict(self.files))


def wants_csim(csim: CSim) -> bool:
    """Whether the C simulation is to be compiled here."""
    return csim == "always" or (csim == "auto" and shutil.which("g++") is not None)


def check_csim(csim: str) -> None:
    """Raises `ConfigurationError` for an unknown value."""
    if csim not in CSIMS:
        raise ConfigurationError("csim", csim, f"must be one of {', '.join(CSIMS)}")


def start(
    network: QuantisedNetwork,
    vectors: NDArray[np.floating],
    target: HardwareTarget,
    directory: Path,
    timeout_s: float,
    limits: Limits,
    progress: Callable[[str], None] | None,
) -> DesignJob:
    """A job in `directory` (made if needed). Raises `ConfigurationError` for unsuitable vectors."""
    deadline = time.monotonic() + timeout_s
    inputs = check_vectors(network, vectors)
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    expected = network.predict(inputs)
    return DesignJob(
        target=target,
        directory=directory,
        deadline=deadline,
        limits=limits,
        progress=progress or (lambda _: None),
        network=network,
        inputs=inputs,
        expected=expected,
    )
