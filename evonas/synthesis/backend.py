"""The seam between a trained network and a tool that turns it into hardware."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, final

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from evonas.errors import Failure
    from evonas.models.quantised_network import QuantisedNetwork
    from surrogates import HardwareTarget, Stage, SynthesisRecord


@final
@dataclass(frozen=True)
class SynthesisResult:
    """Records by increasing stage, and the failure that stopped it, if one did.

    A network that traces but whose synthesis times out has a TRACED record *and* a failure.
    """

    records: tuple[SynthesisRecord, ...] = ()
    failure: Failure | None = None
    files: dict[str, Path] = field(default_factory=dict)  # role -> file or folder, e.g. "verilog", "report", "hls4ml"

    def record(self, stage: Stage) -> SynthesisRecord | None:
        """The record of exactly this stage."""
        return next((r for r in self.records if r.stage == stage), None)


@final
@dataclass(frozen=True)
class Availability:
    """Whether a backend can run here: the version of its tool, or the reason why not."""

    version: str | None
    reason: str | None = None


class SynthesisBackend(Protocol):
    """Turns a `QuantisedNetwork` into firmware and numbers."""

    @property
    def name(self) -> str:
        """What configurations call this backend."""

    def available(self) -> Availability:
        """Whether the tool can be run here."""

    def check(self, target: HardwareTarget) -> None:
        """Raise `ConfigurationError` for a target that this tool cannot aim at."""

    def synthesise(
        self,
        network: QuantisedNetwork,
        vectors: NDArray[np.floating],
        target: HardwareTarget,
        directory: Path,
        *,
        until: Stage,
        timeout_s: float,
        progress: Callable[[str], None] | None = None,
    ) -> SynthesisResult:
        """Write, build and check `network` in `directory`, going no further than stage `until`.

        `vectors` (n, n_inputs) real-valued inputs, at least 64, on which every implementation must agree bit for
        bit. Never raises for what a tool does: that is a `SynthesisResult.failure`.
        """
