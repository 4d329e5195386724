"""Surrogates: an analytic law over layers, corrected by a learned residual on log costs, with calibrated intervals.

    log(1 + cost) = log(1 + sum over layers of closed form x power law) + residual(features) + noise

The layer law (`surrogates.layer_law`) carries the extrapolation, the residual (`surrogates.regressors`) the rest, and
held-out architectures (`surrogates.calibration`) say how far to trust the sum.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Self, final

import numpy as np

from surrogates.errors import MixedRecordsError, NotFittedError, SurrogateError
from surrogates.features import feature_names
from surrogates.graph_law import graph_digest
from surrogates.kinds import DEFAULT, KINDS, Kind, unfitted
from surrogates.law_choice import LAWS, LawName
from surrogates.ordering import ordered
from surrogates.prediction import Prediction, Surrogate, joined
from surrogates.records import TARGETS, Stage, records_digest, training_digest
from surrogates.regressors import MIN_LEARNED, NoResidual, OffsetResidual, Residual
from surrogates.target_model import TargetModel
from surrogates.training_set import Described, TrainingSet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from surrogates.prediction import Foreseen
    from surrogates.records import SynthesisRecord
    from surrogates.spec import HardwareTarget, ModelSpec
    from surrogates.table import Floats

SCHEMA = 4  # raised whenever the same parameters and records would give other predictions

__all__ = ["DEFAULT", "KINDS", "Kind", "ResidualSurrogate", "Surrogate", "fit_surrogate", "predict_records"]


@final
@dataclass(frozen=True)
class _Fitted:
    version: str
    tool: str
    records: tuple[SynthesisRecord, ...]
    weights: Floats
    models: dict[str, TargetModel]


@final
class ResidualSurrogate:
    """Analytic law + learned residual, by target (`surrogates.TARGETS`), for records of one stage and tool.

    Kinds of residual: "gp" Gaussian process, "ridge" quadratic ridge, "trees" extremely randomised trees, "ensemble"
    their mean, "auto" whichever of these, or the law alone, held-out architectures speak for, by target; "boosting"
    gradient boosting and "deep_ensemble" perceptrons (whose fit needs torch), which take longer. The same records give
    the same predictions in whatever order they come: they are sorted first. `foreseen` are scores of earlier
    predictions of a search, which widen the intervals where these were too narrow (`surrogates.calibration`).

    `law` is what the residual corrects: "auto" closed forms fitted to the records or, of our own tools, the layer-graph
    network that comes with the package, whichever held-out architectures speak for; "closed forms" those alone, which
    predicts several times faster.
    """

    def __init__(
        self,
        kind: Kind = DEFAULT,
        *,
        seed: int = 0,
        stage: Stage = Stage.SYNTHESISED,
        foreseen: Foreseen | None = None,
        law: LawName = "auto",
    ) -> None:
        if kind not in KINDS:
            raise SurrogateError(f"kind = {kind!r}: must be one of {', '.join(KINDS)}")
        if law not in LAWS:
            raise SurrogateError(f"law = {law!r}: must be one of {', '.join(LAWS)}")
        self.kind: Kind = kind
        self.law: LawName = law
        self.seed = seed
        self.stage = stage
        self.foreseen: Foreseen = {} if foreseen is None else foreseen
        self._fitted: _Fitted | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """What, with the records, determines every prediction; plain data."""
        foreseen = {name: list(scores) for name, scores in self.foreseen.items()}
        plain = {"kind": self.kind, "seed": self.seed, "stage": self.stage.label, "law": self.law}
        return {**plain, "foreseen": foreseen}

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002 (scikit-learn's interface)
        """What the constructor was given, as scikit-learn's estimators have it."""
        names = ("kind", "seed", "stage", "foreseen", "law")
        return {name: getattr(self, name) for name in names}

    def set_params(self, **params: Any) -> Self:
        """Change what the constructor was given, for the next fit. Raises `SurrogateError` for an unknown name."""
        self.__dict__.update(vars(type(self)(**changed_params(self.get_params(), params))) | {"_fitted": self._fitted})
        return self

    @property
    def version(self) -> str:
        """First 16 hexadecimal digits of a SHA-256 over parameters, schema, features, records and their weights."""
        return self._need().version

    @property
    def records(self) -> tuple[SynthesisRecord, ...]:
        """The training set, in the order of the fit."""
        return self._need().records

    @property
    def weights(self) -> Floats:
        """Weight of each of `records`, (n,), largest one."""
        return self._need().weights

    @property
    def data_digest(self) -> str:
        """Digest of the training set, whatever its order."""
        return training_digest(self._need().records)

    @property
    def learners(self) -> dict[str, str]:
        """By target what was chosen: a kind, "offset" below 20 records, "law" or "closed form" where that is enough."""
        return {target: model.learner for target, model in self._need().models.items()}

    def fresh(self, foreseen: Foreseen | None = None) -> Self:
        """An unfitted surrogate with the same parameters, and more scores of predictions (`Prediction.scores`)."""
        known = joined(self.foreseen, foreseen or {})
        return type(self)(self.kind, seed=self.seed, stage=self.stage, foreseen=known, law=self.law)

    def fit(self, records: Sequence[SynthesisRecord], weights: Floats | None = None) -> Self:
        """Learn from `records` afresh; `weights` (n,) are positive and relative (recent or front records higher).

        Raises `SurrogateError` without records or for bad weights, `MixedRecordsError` for records of another stage
        than the surrogate's or of several tools.
        """
        from surrogates._threadpoolctl import one_thread

        ordered, mass = ordered_records(records, weights)
        tool = source_of(ordered, self.stage)
        data = TrainingSet.of(ordered, mass, self.law)
        with one_thread():
            learners = partial(unfitted_learners, self.kind, self.seed)
            models = {
                target: TargetModel.fit(data, target, learners, self.foreseen.get(target, ())) for target in TARGETS
            }
        self._fitted = _Fitted(self._digest(ordered, mass), tool, ordered, mass, models)
        return self

    @property
    def settings(self) -> dict[str, Any]:
        """By target all that the fit took time to find, as plain data."""
        return {target: model.settings() for target, model in self._need().models.items()}

    def restore(self, records: Sequence[SynthesisRecord], weights: Floats, settings: Mapping[str, Any]) -> Self:
        """Be fitted as the surrogate was that had these `records`, `weights` and `settings`; takes no search.

        Raises as `fit`, and `KeyError`, `TypeError` or `ValueError` for what are not settings.
        """
        from surrogates._threadpoolctl import one_thread

        ordered, mass = ordered_records(records, weights)
        tool = source_of(ordered, self.stage)
        data = TrainingSet.of(ordered, mass, self.law)
        with one_thread():
            models = {target: TargetModel.from_settings(data, settings[target]) for target in TARGETS}
        self._fitted = _Fitted(self._digest(ordered, mass), tool, ordered, mass, models)
        return self

    def predict(self, specs: Sequence[ModelSpec], target: HardwareTarget) -> Prediction:
        """Costs of `specs` on `target`.

        Raises `NotFittedError` before `fit`, and `SurrogateError` for a target of a tool that is not in the records:
        tools count differently.
        """
        fitted = self._need()
        check_tool(target, fitted.tool)
        from surrogates._threadpoolctl import one_thread

        with one_thread():
            networks = Described.of(specs, target, self.stage)
            parts = {name: model.predict(networks) for name, model in fitted.models.items()}
        return Prediction(
            mean={name: part.mean for name, part in parts.items()},
            std={name: part.log_std * (1 + part.mean) for name, part in parts.items()},
            log_std={name: part.log_std for name, part in parts.items()},
            lower={name: part.lower for name, part in parts.items()},
            upper={name: part.upper for name, part in parts.items()},
            version=fitted.version,
        )

    def _need(self) -> _Fitted:
        if self._fitted is None:
            raise NotFittedError("this surrogate has no records yet: call fit(records), or take start_surrogate()")
        return self._fitted

    def _digest(self, records: tuple[SynthesisRecord, ...], weights: Floats) -> str:
        content = {
            **self.parameters,
            "schema": SCHEMA,
            "features": feature_names(),
            "graph": graph_digest(records[0].target) if self.law == "auto" else "",
            "records": records_digest(records),
            "weights": [round(float(w), 12) for w in weights],
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def unfitted_learners(kind: Kind, seed: int, n_records: int) -> dict[str, Residual]:
    """What a kind of surrogate fits, or chooses from, for so many records."""
    if n_records < MIN_LEARNED:
        return {"offset": OffsetResidual()}
    learners = unfitted(kind, seed)
    return {"law": NoResidual(), **learners} if kind == "auto" else learners


def fit_surrogate(
    records: Sequence[SynthesisRecord],
    kind: Kind = DEFAULT,
    *,
    weights: Floats | None = None,
    seed: int = 0,
    stage: Stage = Stage.SYNTHESISED,
    law: LawName = "auto",
) -> ResidualSurrogate:
    """A fitted surrogate; see `ResidualSurrogate` for parameters and errors."""
    return ResidualSurrogate(kind, seed=seed, stage=stage, law=law).fit(records, weights)


def predict_records(surrogate: Surrogate, records: Sequence[SynthesisRecord]) -> Prediction:
    """Predict each record's network on the record's own target; raises what `predict` raises."""
    by_target: dict[HardwareTarget, list[int]] = {}
    for row, record in enumerate(records):
        by_target.setdefault(record.target, []).append(row)
    fields = ("mean", "std", "log_std", "lower", "upper")
    columns = {field: {name: np.empty(len(records)) for name in TARGETS} for field in fields}
    for target, rows in by_target.items():
        part = surrogate.predict([records[row].spec for row in rows], target)
        for field in fields:
            for name in TARGETS:
                columns[field][name][rows] = getattr(part, field)[name]
    mean, std, log_std, lower, upper = (columns[field] for field in fields)
    return Prediction(mean, std, log_std, lower, upper, surrogate.version)


def changed_params(known: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """`known` with what is `wanted`. Raises `SurrogateError` for a name that is not known."""
    strange = sorted(set(wanted) - set(known))
    if strange:
        raise SurrogateError(f"{', '.join(strange)}: no such parameter; there are {', '.join(known)}")
    return {**known, **wanted}


def check_tool(target: HardwareTarget, known: str) -> None:
    """Raise `SurrogateError` for a target of another tool than the records are of."""
    if target.tool != known:
        raise SurrogateError(
            f"target.tool = {target.tool!r}, but the records are from {known!r}: fit on records of that tool"
        )


def ordered_records(
    records: Sequence[SynthesisRecord], weights: Floats | None
) -> tuple[tuple[SynthesisRecord, ...], Floats]:
    """Records and weights in an order that depends on their content alone; the largest weight becomes 1."""
    if not records:
        raise SurrogateError("no records: a surrogate needs at least one synthesis to learn from")
    return ordered(records, weights, "record", lambda record: records_digest([record]))


def source_of(records: Sequence[SynthesisRecord], stage: Stage) -> str:
    """The one tool of records of this stage. Raises `MixedRecordsError` for other stages or several tools."""
    stages = sorted({record.stage for record in records})
    if stages != [stage]:
        found = ", ".join(s.label for s in stages)
        raise MixedRecordsError(f"records of stage {found}, but this surrogate learns {stage.label}: filter them first")
    tools = sorted({record.target.tool for record in records})
    if len(tools) > 1:
        raise MixedRecordsError(f"records of the tools {', '.join(tools)}: fit one surrogate for each tool")
    return str(tools[0])


if TYPE_CHECKING:
    _conforms: Surrogate = ResidualSurrogate()  # the type checker compares the class with the protocol here
