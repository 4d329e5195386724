"""Synthesis results with their provenance, and JSON lines in and out."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from surrogates.errors import SpecError
from surrogates.spec import HardwareTarget, ModelSpec
from surrogates.weights import LayerWeights

if TYPE_CHECKING:
    from collections.abc import Iterable

SCHEMA = 2
TARGETS: tuple[str, ...] = ("lut", "ff", "dsp", "bram_18k", "latency_cycles", "initiation_interval")


class Stage(IntEnum):
    """How a number came to be; numbers of different stages are never mixed."""

    ANALYTIC = 0  # a formula
    PREDICTED = 1  # a learned model
    TRACED = 2  # the arithmetic compiler's own cost of the very weights
    CSYNTH = 3  # C synthesis
    SYNTHESISED = 4  # logic synthesis
    ROUTED = 5  # placed and routed

    @property
    def label(self) -> str:
        """Lower-case name, as the command line and the report write it."""
        return self.name.lower()


@final
@dataclass(frozen=True)
class SynthesisRecord:
    """What one tool said about one network on one target.

    Counts are cells of the whole design; `None` means "this tool does not say", never zero. `weights` counts what the
    weights of each layer really hold, in order, where that was noted. `delay_ns` is the tool's own critical path:
    relative only where `stage` is SYNTHESISED. `verified_vectors` is how many input vectors were compared bit for bit
    without a mismatch.
    """

    spec: ModelSpec
    target: HardwareTarget
    stage: Stage
    tool_version: str
    lut: float
    ff: float | None
    dsp: float
    bram_18k: float
    latency_cycles: float
    initiation_interval: int
    carry: float | None = None
    delay_ns: float | None = None
    weights: tuple[LayerWeights, ...] = ()
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
        data = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        data |= {
            "spec": self.spec.to_dict(),
            "target": self.target.to_dict(),
            "stage": self.stage.label,
            "weights": [layer.to_list() for layer in self.weights],
            "schema": SCHEMA,
        }
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> SynthesisRecord:
        """Read what `to_dict` wrote, also with schema 1. Raises `SpecError` for another schema or an unknown field."""
        data = dict(data)
        schema = data.pop("schema", None)
        if schema == 1:  # knew of weights only how many are left
            data = {name: value for name, value in data.items() if name != "nonzero_weights"} | {"weights": ()}
        elif schema != SCHEMA:
            raise SpecError("schema", schema, f"this version reads schemas 1 and {SCHEMA}; make the records again")
        data["spec"] = ModelSpec.from_dict(data["spec"])
        data["target"] = HardwareTarget(**data["target"])
        data["stage"] = Stage[data["stage"].upper()]
        try:
            data["weights"] = tuple(LayerWeights(*counts) for counts in data["weights"])
            return cls(**data)
        except TypeError as error:
            raise SpecError("record", str(error), "has a field of the wrong name or form") from error


def read_records(path: Path | str) -> list[SynthesisRecord]:
    """Read JSON lines (gzip when the name ends in .gz). Raises `SpecError` naming file and line."""
    path = Path(path)
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    records = []
    for number, line in enumerate(data.decode().splitlines(), 1):
        try:
            records.append(SynthesisRecord.from_dict(json.loads(line)))
        except (json.JSONDecodeError, KeyError, SpecError) as error:
            raise SpecError(f"{path}:{number}", str(error), "is not a synthesis record") from error
    return records


def write_records(records: Iterable[SynthesisRecord], path: Path | str) -> None:
    """Write JSON lines (gzip when the name ends in .gz); the bytes depend on the records alone."""
    path = Path(path)
    data = "".join(json.dumps(r.to_dict(), sort_keys=True) + "\n" for r in records).encode()
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def records_digest(records: Iterable[SynthesisRecord]) -> str:
    """Digest of a training set, without what differs from run to run (wall time, memory)."""
    digest = hashlib.sha256()
    for record in records:
        data = record.to_dict()
        for noisy in ("wall_time_s", "peak_memory_bytes", "report_digest"):
            del data[noisy]
        digest.update(json.dumps(data, sort_keys=True).encode())
    return digest.hexdigest()


def training_digest(records: Iterable[SynthesisRecord]) -> str:
    """Digest of a training set whatever the order of its records."""
    return hashlib.sha256("\n".join(sorted(records_digest([record]) for record in records)).encode()).hexdigest()
