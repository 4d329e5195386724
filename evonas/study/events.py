"""What can happen in a study. Each event is immutable plain data; the log of them *is* the study."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, ClassVar, final

from evonas.errors import Failure, FailureKind, StudyCorruptError
from evonas.objectives import Measurement
from surrogates import SynthesisRecord


@final
@dataclass(frozen=True)
class Started:
    """The first event: the resolved configuration, versions of the software, digests of space and task."""

    kind: ClassVar[str] = "started"
    config: dict[str, Any]
    versions: dict[str, str]
    digests: dict[str, str]
    task: dict[str, Any]


@final
@dataclass(frozen=True)
class AskedCandidate:
    """One candidate of a generation.

    `predicted` was computed before anything is trained. `copy_of` names an earlier candidate with the same phenotype
    whose measurement is reused. `dropped` means: predicted to violate a constraint, so it is not trained.
    """

    candidate: int
    genome: tuple[int, ...]
    phenotype: dict[str, Any]
    predicted: tuple[Measurement, ...]
    violations: dict[str, float] = field(default_factory=dict)
    copy_of: int | None = None
    dropped: bool = False


@final
@dataclass(frozen=True)
class Preselection:
    """How the candidates of a generation were chosen among more offspring.

    `offspring` is how many the algorithm was asked for. `held_out` is Spearman's correlation of predicted with measured
    task metrics of architectures that were held out, by metric. `versions` are of the predictors that chose, and
    `predicted` what these say of each candidate; both are empty where they ranked no better than chance, and the
    offspring were taken as they came.
    """

    offspring: int
    versions: dict[str, str] = field(default_factory=dict)
    held_out: dict[str, float] = field(default_factory=dict)
    predicted: dict[int, tuple[Measurement, ...]] = field(default_factory=dict)


@final
@dataclass(frozen=True)
class Asked:
    """The algorithm proposed a population; logged before any work on it begins.

    `preselection` says how it was chosen among more offspring, None if it was not.
    """

    kind: ClassVar[str] = "asked"
    generation: int
    candidates: tuple[AskedCandidate, ...]
    surrogate_version: str
    preselection: Preselection | None = None


@final
@dataclass(frozen=True)
class Measured:
    """A candidate was trained: measurements on the validation split, and the quantised network as an artefact."""

    kind: ClassVar[str] = "measured"
    candidate: int
    measurements: tuple[Measurement, ...]
    network: str | None
    epochs: int
    wall_time_s: float


@final
@dataclass(frozen=True)
class Failed:
    """A candidate could not be measured."""

    kind: ClassVar[str] = "failed"
    candidate: int
    failure: Failure


@final
@dataclass(frozen=True)
class Halved:
    """The candidates of a generation that are still trained were compared after `epochs`, and some were `stopped`.

    `scores` are the validation's after so many epochs of each that was compared; they are no measurements.
    """

    kind: ClassVar[str] = "halved"
    generation: int
    epochs: int
    scores: dict[int, tuple[Measurement, ...]]
    stopped: tuple[int, ...]


@final
@dataclass(frozen=True)
class Told:
    """The algorithm was told a generation, in candidate order.

    `losses` maps a candidate to its objective values, to be minimised (None: failed or dropped). The algorithm and the
    hypervolume see hardware metrics as log(1 + x): dominance stays as it is, and a step from 200 to 100 LUT counts as
    much as one from 20,000 to 10,000. `hypervolume` is the share of the box between the ideal point 0 and `reference`
    (in the units of the losses) that everything told so far dominates. `rank_correlations` are Spearman's of what the
    preselection of this generation predicted with what was measured, by task metric.
    """

    kind: ClassVar[str] = "told"
    generation: int
    losses: dict[int, tuple[float, ...] | None]
    reference: tuple[float, ...]
    hypervolume: float
    wall_time_s: float
    overhead_s: float
    rank_correlations: dict[str, float] = field(default_factory=dict)


@final
@dataclass(frozen=True)
class Pick:
    """A candidate chosen for synthesis, and why: one of `surrogates.acquisition.REASONS`.

    `expected_s` is the time that its synthesis is expected to take, and `success` the probability that it ends with a
    result; None where nothing was known to expect them by.
    """

    candidate: int
    reason: str
    expected_s: float | None = None
    success: float | None = None


@final
@dataclass(frozen=True)
class Chosen:
    """Candidates were chosen for synthesis; logged before any of them is synthesised.

    `purpose` is "recalibration" or "front" (the final front).
    """

    kind: ClassVar[str] = "chosen"
    generation: int
    purpose: str
    picks: tuple[Pick, ...]


@final
@dataclass(frozen=True)
class Synthesised:
    """A candidate went through synthesis: records by stage, a failure, or both.

    `purpose` is "recalibration" or "front"; `reason` says why acquisition chose it. `files` maps a role (verilog,
    report, ...) to a path relative to the study.
    """

    kind: ClassVar[str] = "synthesised"
    candidate: int
    purpose: str
    reason: str
    generation: int
    records: tuple[SynthesisRecord, ...]
    failure: Failure | None
    files: dict[str, str]
    wall_time_s: float


@final
@dataclass(frozen=True)
class Recalibrated:
    """The surrogate was refitted.

    `summary` holds, per target, error and interval coverage before and after, on the front and at random
    (`surrogates.recalibration.RecalibrationSummary`). `predicted` are the refitted surrogate's values for every
    candidate measured so far, when the study re-scores; empty otherwise.
    """

    kind: ClassVar[str] = "recalibrated"
    generation: int
    surrogate_version: str
    summary: dict[str, Any]
    predicted: dict[int, tuple[Measurement, ...]]
    wall_time_s: float


@final
@dataclass(frozen=True)
class HandedOver:
    """A verified design was written to `directory` (relative to the study) and scored once on the test split."""

    kind: ClassVar[str] = "handed_over"
    candidate: int
    directory: str
    measurements: tuple[Measurement, ...]


@final
@dataclass(frozen=True)
class Finished:
    """The study reached its end."""

    kind: ClassVar[str] = "finished"
    reason: str
    wall_time_s: float


Event = (
    Started | Asked | Halved | Measured | Failed | Told | Chosen | Synthesised | Recalibrated | HandedOver | Finished
)
_KINDS: dict[str, type[Any]] = {
    e.kind: e
    for e in (Started, Asked, Halved, Measured, Failed, Told, Chosen, Synthesised, Recalibrated, HandedOver, Finished)
}


def to_body(event: Event) -> dict[str, Any]:
    """Plain JSON-able data of an event."""
    return {f.name: _plain(getattr(event, f.name)) for f in dataclasses.fields(event)}


def _plain(value: Any) -> Any:
    if isinstance(value, (Measurement, SynthesisRecord)):
        return value.to_dict()
    if isinstance(value, Failure):
        return {"kind": value.kind.value, "message": value.message}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value


def from_body(kind: str, body: dict[str, Any]) -> Event:
    """The event that `to_body` wrote. Raises `StudyCorruptError` for an unknown kind or field."""
    try:
        event: Event = _KINDS[kind](**{name: _READERS.get(name, _same)(value) for name, value in body.items()})
    except (KeyError, TypeError, ValueError) as error:
        raise StudyCorruptError(f"event of kind {kind!r} cannot be read: {error}") from error
    return event


def _same(value: Any) -> Any:
    return value


def _measurements(values: Any) -> tuple[Measurement, ...]:
    return tuple(Measurement.from_dict(v) for v in values)


def _failure(value: Any) -> Failure | None:
    return None if value is None else Failure(FailureKind(value["kind"]), value["message"])


def _asked(values: Any) -> tuple[AskedCandidate, ...]:
    return tuple(
        AskedCandidate(**{**v, "genome": tuple(v["genome"]), "predicted": _measurements(v["predicted"])})
        for v in values
    )


def _preselection(value: Any) -> Preselection | None:
    return None if value is None else Preselection(**{**value, "predicted": _predicted(value["predicted"])})


def _predicted(value: Any) -> dict[int, tuple[Measurement, ...]]:
    return {int(k): _measurements(v) for k, v in value.items()}


def _losses(value: Any) -> dict[int, tuple[float, ...] | None]:
    return {int(k): None if v is None else tuple(v) for k, v in value.items()}


# Readers by field name; a field of one name has one type in every event.
_READERS: dict[str, Any] = {
    "candidates": _asked,
    "preselection": _preselection,
    "measurements": _measurements,
    "failure": _failure,
    "losses": _losses,
    "reference": tuple,
    "records": lambda values: tuple(SynthesisRecord.from_dict(v) for v in values),
    "predicted": _predicted,
    "scores": _predicted,
    "stopped": tuple,
    "picks": lambda values: tuple(Pick(**v) for v in values),
}
