"""The files of one baseline: what training and the tools gave, each beside the settings it was made with.

    NAME/network.bin      the trained network
    NAME/trained.json     recipes, scores, settings
    NAME/hardware.json    records, failure, settings, limits
    NAME/hardware/        what the tools wrote

A JSON file is moved into place whole and after everything it speaks of, so whatever is there is finished.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import astuple, dataclass, field
from typing import TYPE_CHECKING, Any, final

from evonas.errors import Failure, FailureKind, StudyError
from evonas.objectives import Measurement
from surrogates import Stage, SynthesisRecord

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from evonas.space.base import Norm

PASSING = (FailureKind.WORKER_DIED, FailureKind.TOOL_MISSING, FailureKind.CANCELLED)  # not the network's own: try again


@final
@dataclass(frozen=True, order=True)
class Recipe:
    """What a baseline is trained with, beside the budget."""

    learning_rate: float
    norm: Norm = "none"


@final
@dataclass(frozen=True)
class TrainedBaseline:
    """What training a baseline gave: the network as bytes, the chosen recipe, the error of each, scores."""

    network: bytes | None = None
    recipe: Recipe | None = None
    errors: Mapping[Recipe, float] = field(default_factory=dict)
    validation: tuple[Measurement, ...] = ()
    tested: tuple[Measurement, ...] = ()
    failure: Failure | None = None
    wall_time_s: float = 0.0


@final
@dataclass(frozen=True)
class RealisedBaseline:
    """What the tools gave, how far they were to go, and the limits they had."""

    records: tuple[SynthesisRecord, ...]
    failure: Failure | None
    until: Stage
    limits: Mapping[str, Any]
    wall_time_s: float = 0.0

    def serves(self, until: Stage, limits: Mapping[str, Any]) -> bool:
        """Whether there is nothing to be gained by doing it again up to `until` within `limits`."""
        if any(record.stage == until for record in self.records):
            return True
        return self.failure is not None and self.until >= until and self.limits == limits


@final
class Shelf:
    """The folder of one baseline."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def training(self, settings: Mapping[str, Any] | None = None) -> TrainedBaseline | None:
        """What training gave, if it was with these settings (None: with any)."""
        data = self._read("trained", settings)
        if data is None:
            return None
        network = self._path("network.bin").read_bytes() if data["failure"] is None else None
        errors = {Recipe(*recipe): error for *recipe, error in data["errors"]}
        validation, tested = (tuple(map(Measurement.from_dict, data[split])) for split in ("validation", "tested"))
        recipe = None if data["recipe"] is None else Recipe(*data["recipe"])
        failure, seconds = _failure(data["failure"]), data["wall_time_s"]
        return TrainedBaseline(network, recipe, errors, validation, tested, failure, seconds)

    def network(self) -> bytes | None:
        """The trained network."""
        found = self.training()
        return None if found is None else found.network

    def keep_training(self, settings: Mapping[str, Any], training: TrainedBaseline) -> None:
        """Keep what training gave in place of whatever was there."""
        for name in ("trained.json", "hardware.json"):
            self._path(name).unlink(missing_ok=True)
        if training.network is not None:
            self._write("network.bin", training.network)
        data = {
            "recipe": None if training.recipe is None else astuple(training.recipe),
            "errors": [[*astuple(recipe), error] for recipe, error in training.errors.items()],
            "validation": [m.to_dict() for m in training.validation],
            "tested": [m.to_dict() for m in training.tested],
            "failure": _plain(training.failure),
            "wall_time_s": training.wall_time_s,
        }
        self._keep("trained", settings, data)

    def hardware(self, settings: Mapping[str, Any] | None = None) -> RealisedBaseline | None:
        """What the tools gave, if it was with these settings (None: with any)."""
        data = self._read("hardware", settings)
        if data is None:
            return None
        records = tuple(map(SynthesisRecord.from_dict, data["records"]))
        until = Stage[data["until"].upper()]
        return RealisedBaseline(records, _failure(data["failure"]), until, data["limits"], data["wall_time_s"])

    def keep_hardware(self, settings: Mapping[str, Any], hardware: RealisedBaseline) -> None:
        """Keep what the tools gave in place of whatever was there."""
        data = {
            "records": [record.to_dict() for record in hardware.records],
            "failure": _plain(hardware.failure),
            "until": hardware.until.label,
            "limits": dict(hardware.limits),
            "wall_time_s": hardware.wall_time_s,
        }
        self._keep("hardware", settings, data)

    def _path(self, name: str) -> Path:
        return self.folder / name

    def _read(self, name: str, settings: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """A JSON file's content, if its settings are these; a passing failure counts as nothing when they are asked."""
        path = self._path(f"{name}.json")
        try:
            data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise StudyError(f"{path} cannot be read ({error}); delete it, it is then made again") from error
        if settings is None:
            return data
        failure = _failure(data["failure"])
        stale = data["settings"] != digest(settings) or (failure is not None and failure.kind in PASSING)
        return None if stale else data

    def _keep(self, name: str, settings: Mapping[str, Any], data: dict[str, Any]) -> None:
        text = json.dumps({"settings": digest(settings), **data}, indent=1) + "\n"
        self._write(f"{name}.json", text.encode())

    def _write(self, name: str, content: bytes) -> None:
        path, draft = self._path(name), self._path(f".{name}.part")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(content)
            draft.replace(path)
        except OSError as error:
            raise StudyError(f"{path}: {error.strerror}; make room or mend the permissions") from error


def digest(settings: Mapping[str, Any]) -> str:
    """Digest of plain data."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def _failure(data: Any) -> Failure | None:
    return None if data is None else Failure(FailureKind(data["kind"]), data["message"])


def _plain(failure: Failure | None) -> dict[str, str] | None:
    return None if failure is None else {"kind": failure.kind.value, "message": failure.message}
