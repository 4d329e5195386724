"""Refit on newly synthesised records, and say honestly what the old surrogate got wrong and the new one gets right."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeVar, final

import numpy as np

from surrogates.acquisition import REASONS
from surrogates.errors import SurrogateError
from surrogates.estimators import predict_records
from surrogates.metrics import Accuracy, accuracy
from surrogates.prediction import joined
from surrogates.records import TARGETS, records_digest, training_digest
from surrogates.splits import architecture_groups, group_folds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from surrogates.prediction import Foreseen, Prediction, Surrogate
    from surrogates.records import SynthesisRecord

AnySurrogate = TypeVar("AnySurrogate", bound="Surrogate")
Accuracies = dict[str, dict[str, Accuracy]]  # role or "all" -> target -> accuracy
N_FOLDS = 5


@final
@dataclass(frozen=True)
class RecalibrationSummary:
    """What a recalibration did.

    `before`: the old surrogate on the new records, which it had never seen. `after`: the refitted surrogate on the
    same records by the cross-validation that `after_method` states, never its training error. Both go from a role
    ("all" and `acquisition.REASONS`) to a target to an `Accuracy`. Only the random role estimates
    the error over the whole space of candidates; the front role estimates it where the user looks. `learners` says by
    target what the refitted surrogate chose to predict it with. `foreseen` are the scores, by target, of all
    predictions so far that were made before their networks were synthesised; the refitted surrogate knows them.
    """

    n_old: int
    n_new: int
    version_before: str
    version_after: str
    data_before: str
    data_after: str
    after_method: str
    learners: dict[str, str]
    before: Accuracies
    after: Accuracies
    foreseen: Foreseen

    def to_dict(self) -> dict[str, Any]:
        """Plain data, fit for JSON."""
        return asdict(self)


def recalibrate(
    surrogate: AnySurrogate,
    old_records: Sequence[SynthesisRecord],
    new_records: Sequence[SynthesisRecord],
    roles: Sequence[str],
    *,
    new_weight: float = 1.0,
    n_folds: int = N_FOLDS,
) -> tuple[AnySurrogate, RecalibrationSummary]:
    """A new surrogate fitted on `old_records` and `new_records`, and the summary; `surrogate` itself is not changed.

    `surrogate` must be fitted on `old_records`; `roles` has one of `acquisition.REASONS` for each
    new record; a new record weighs `new_weight` times as much as an old one. Takes up to `n_folds` + 1 fits. Raises
    `SurrogateError` for unknown or missing roles, for no new records, or if a new record is among the old ones (the
    error before would not be honest), and whatever `fit` raises.
    """
    _check(old_records, new_records, roles)
    weights = np.concatenate([np.ones(len(old_records)), np.full(len(new_records), float(new_weight))])
    predicted = predict_records(surrogate, new_records)
    before, scores = _by_role(predicted, new_records, roles), predicted.scores(new_records)
    renewed = surrogate.fresh(scores).fit([*old_records, *new_records], weights)
    after, method = _held_out(surrogate, old_records, new_records, roles, weights, n_folds)
    summary = RecalibrationSummary(
        n_old=len(old_records),
        n_new=len(new_records),
        version_before=surrogate.version,
        version_after=renewed.version,
        data_before=training_digest(old_records),
        data_after=training_digest([*old_records, *new_records]),
        after_method=method,
        learners=dict(renewed.learners),
        before=before,
        after=after,
        foreseen=joined(surrogate.foreseen, scores),
    )
    return renewed, summary


def _check(old: Sequence[SynthesisRecord], new: Sequence[SynthesisRecord], roles: Sequence[str]) -> None:
    if not new:
        raise SurrogateError("no new records: there is nothing to recalibrate with")
    if len(roles) != len(new):
        raise SurrogateError(f"{len(roles)} roles for {len(new)} new records: give one for each")
    strange = sorted(set(roles) - set(REASONS))
    if strange:
        raise SurrogateError(f"roles {', '.join(strange)}: must be among {', '.join(REASONS)}")
    seen = {records_digest([record]) for record in old}
    twice = [record.spec.topology for record in new if records_digest([record]) in seen]
    if twice:
        raise SurrogateError(f"new records that are also old ones: {', '.join(twice[:3])}; each belongs in one place")


def _held_out(
    surrogate: Surrogate,
    old: Sequence[SynthesisRecord],
    new: Sequence[SynthesisRecord],
    roles: Sequence[str],
    weights: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    n_folds: int,
) -> tuple[Accuracies, str]:
    """Accuracy on each new record of a model refitted without it and its new siblings of the same architecture."""
    folds = group_folds(architecture_groups([record.spec for record in new]), n_folds)
    if len(folds) < 2:
        method = "none: the new records are of one architecture, so leaving it out leaves nothing new to learn from"
        return {role: {name: _accuracy([], None, name) for name in TARGETS} for role in ("all", *REASONS)}, method
    everything, place, parts = np.arange(len(old) + len(new)), len(old), []
    both = [*old, *new]
    for fold in folds:
        kept = np.setdiff1d(everything, fold + place)
        model = surrogate.fresh().fit([both[row] for row in kept], weights[kept])
        parts.append((fold, predict_records(model, [new[row] for row in fold])))
    order = np.argsort(np.concatenate([fold for fold, _ in parts]))
    joined = _joined([part for _, part in parts], order)
    method = (
        f"{len(folds)}-fold cross-validation over the architectures of the new records: refitted on all old records "
        "and the new ones of the other folds"
    )
    return _by_role(joined, new, roles), method


def _joined(parts: Sequence[Prediction], order: np.ndarray[Any, np.dtype[np.intp]]) -> Prediction:
    def join(field: str) -> Mapping[str, Any]:
        return {name: np.concatenate([getattr(part, field)[name] for part in parts])[order] for name in TARGETS}

    first = parts[0]
    return type(first)(
        mean=join("mean"),
        std=join("std"),
        log_std=join("log_std"),
        lower=join("lower"),
        upper=join("upper"),
        version=first.version,
    )


def _by_role(predicted: Prediction, records: Sequence[SynthesisRecord], roles: Sequence[str]) -> Accuracies:
    result: Accuracies = {}
    for role in ("all", *REASONS):
        rows = [row for row, own in enumerate(roles) if role in ("all", own)]
        result[role] = {name: _accuracy([records[row] for row in rows], (predicted, rows), name) for name in TARGETS}
    return result


def _accuracy(
    records: Sequence[SynthesisRecord], predicted: tuple[Prediction, Sequence[int]] | None, name: str
) -> Accuracy:
    if predicted is None or not records:
        return accuracy(np.zeros(0), np.zeros(0))
    prediction, rows = predicted
    truth = np.array([getattr(record, name) for record in records], dtype=np.float64)
    keep = list(rows)
    return accuracy(truth, prediction.mean[name][keep], prediction.lower[name][keep], prediction.upper[name][keep])
