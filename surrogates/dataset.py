"""Synthesis records together with what failed and where the networks are from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from surrogates.records import Stage, SynthesisRecord
    from surrogates.spec import HardwareTarget, ModelSpec


@final
@dataclass(frozen=True)
class FailedSynthesis:
    """A tool that ended without a result: `kind` says how, after `wall_time_s` of at most `limit_s`.

    `memory_limit_bytes` is 0 where none was set.
    """

    spec: ModelSpec
    target: HardwareTarget
    stage: Stage
    kind: str
    wall_time_s: float
    limit_s: float
    memory_limit_bytes: int


@final
@dataclass(frozen=True)
class Origin:
    """Of a network: its family, whether its weights are "random" or "trained", and on which data."""

    family: str = ""
    weights: str = ""
    data: str = ""


@final
@dataclass(frozen=True)
class Dataset:
    """Records and failures; `origins` by the digest of a network, for those of which it is known."""

    records: tuple[SynthesisRecord, ...]
    failures: tuple[FailedSynthesis, ...] = ()
    origins: Mapping[str, Origin] = field(default_factory=dict)

    def origin(self, spec: ModelSpec) -> Origin:
        """Where a network is from; without names if that is not known."""
        return self.origins.get(spec.digest, Origin())

    def of(self, stage: Stage, *, weights: str | None = None) -> list[SynthesisRecord]:
        """The records of one stage, of networks with these weights alone if they are named."""
        return [
            record
            for record in self.records
            if record.stage == stage and (weights is None or self.origin(record.spec).weights == weights)
        ]
