"""What logic synthesis will make of a network that is trained and traced: less doubt, for a second or two of work.

    log(1 + synthesised) = log(1 + traced) + offset + slope * (traced - mean of traced) + residual(features) + noise

The arithmetic compiler counts the adders and registers of the very weights, before logic synthesis removes those that
are alike or that nothing reads, and packs the rest. What this takes away depends on the kind of layers and on how they
share multipliers, and is learnt from networks that were carried to both stages. Cycles are the same at both.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, final

import numpy as np

from surrogates.analytic import table_costs
from surrogates.calibration import NOMINAL, weighted_quantile
from surrogates.correction import Correction
from surrogates.errors import MixedRecordsError, NotFittedError, SurrogateError
from surrogates.estimators import check_tool
from surrogates.features import COMPACT, features_of
from surrogates.ordering import ordered
from surrogates.prediction import NORMAL_REACH, Prediction
from surrogates.records import TARGETS, Stage, records_digest
from surrogates.regressors import TreesResidual
from surrogates.splits import architecture_groups
from surrogates.table import layer_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from surrogates.records import SynthesisRecord
    from surrogates.table import Floats

    Pair = tuple[SynthesisRecord, SynthesisRecord]

SCHEMA = 1  # raised whenever the same parameters and records would give other predictions
LEARNT = ("lut", "ff")  # the others are counted by the trace, and synthesis can only find some of them superfluous
COLUMNS = ("traced_lut", "traced_ff", "traced_cycles", "ff_per_lut", "lut_beyond_form", "ff_beyond_form")
N_TREES = 50
TAILS = (1 - NOMINAL) / 2, (1 + NOMINAL) / 2


@final
@dataclass(frozen=True)
class _Fitted:
    version: str
    tool: str
    pairs: tuple[Pair, ...]
    corrections: dict[str, Correction]
    ends: dict[str, tuple[float, float]]  # of what is counted: ends of the interval of the log ratio, about 0


@final
class TraceSurrogate:
    """Predicts the costs of logic synthesis from TRACED records, which know the weights; learns from both stages.

    What is predicted for n records does not depend on their company, and the same pairs give the same predictions in
    whatever order they come.
    """

    def __init__(self, *, seed: int = 0) -> None:
        self.seed = seed
        self._fitted: _Fitted | None = None

    @property
    def version(self) -> str:
        """First 16 hexadecimal digits of a SHA-256 over schema, seed, features and pairs of records."""
        return self._need().version

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """The traced and the synthesised record of each network that it has learnt from."""
        return self._need().pairs

    @property
    def records(self) -> tuple[SynthesisRecord, ...]:
        """Both records of each of `pairs`."""
        return tuple(record for pair in self.pairs for record in pair)

    @property
    def parameters(self) -> dict[str, Any]:
        """What, with the records, determines every prediction; plain data."""
        return {"seed": self.seed}

    @property
    def settings(self) -> dict[str, Any]:
        """By cost all that the fit took time to find, as plain data."""
        return {name: correction.settings() for name, correction in self._need().corrections.items()}

    def fit(self, records: Iterable[SynthesisRecord]) -> Self:
        """Learn afresh from networks that have records of both stages; others are left out. Returns itself.

        Raises `SurrogateError` if there is no such network, `MixedRecordsError` for several tools.
        """
        return self._learn(records, None)

    def restore(self, records: Iterable[SynthesisRecord], settings: Mapping[str, Any]) -> Self:
        """Be fitted as the surrogate was that had these `records` and `settings`; takes no search.

        Raises as `fit`, and `KeyError`, `TypeError` or `ValueError` for what are not settings.
        """
        return self._learn(records, settings)

    def _learn(self, records: Iterable[SynthesisRecord], settings: Mapping[str, Any] | None) -> Self:
        from surrogates._threadpoolctl import one_thread

        found = traced_and_synthesised(records)
        if not found:
            raise SurrogateError("no network has both a traced and a synthesised record: give the records of both")
        tools = sorted({traced.target.tool for traced, _ in found})
        if len(tools) > 1:
            raise MixedRecordsError(f"records of the tools {', '.join(tools)}: fit one surrogate for each tool")
        digested = [(records_digest(pair), pair) for pair in found]
        examples, mass = ordered(digested, None, "network", lambda example: example[0])
        digests, pairs = (tuple(part) for part in zip(*examples, strict=True))
        traced = [pair[0] for pair in pairs]
        features, groups = _features(traced), architecture_groups([record.spec for record in traced])
        known, wanted = ({name: _logs([pair[k] for pair in pairs], name) for name in TARGETS} for k in (0, 1))
        corrections = {}
        with one_thread():
            for name in LEARNT:
                given = known[name], wanted[name], features, mass
                if settings is None:
                    corrections[name] = Correction.fit(*given, groups, learner=TreesResidual(self.seed, N_TREES))
                else:
                    corrections[name] = Correction.from_settings(*given, settings[name])
        ends = {name: _ends(known[name], wanted[name]) for name in TARGETS if name not in LEARNT}
        self._fitted = _Fitted(self._digest(digests), tools[0], pairs, corrections, ends)
        return self

    def predict(self, traced: Sequence[SynthesisRecord]) -> Prediction:
        """Costs of n networks after logic synthesis, each for the target of its record, (n,) by name.

        Raises `NotFittedError` before `fit`, `MixedRecordsError` for a record of another stage, and `SurrogateError`
        for one of another tool or without flip-flops.
        """
        from surrogates._threadpoolctl import one_thread

        fitted = self._need()
        for record in traced:
            check_tool(record.target, fitted.tool)
            if record.stage != Stage.TRACED:
                raise MixedRecordsError(f"a record of stage {record.stage.label}: only traced ones are known here")
            if record.ff is None:
                raise SurrogateError("ff = None: the trace must say how many flip-flops there are")
        mean, std, log_std, lower, upper = ({name: np.zeros(len(traced)) for name in TARGETS} for _ in range(5))
        with one_thread():
            features = _features(traced)
            for name in TARGETS:
                known = _logs(traced, name)
                if name in LEARNT:
                    logs, log_std[name] = fitted.corrections[name].predict(known, features)
                    ends = fitted.corrections[name].calibration.interval(logs, log_std[name])
                    mean[name], lower[name], upper[name] = (np.maximum(np.expm1(part), 0.0) for part in ends)
                else:
                    low, high = (np.where(known > 0, end, 0.0) for end in fitted.ends[name])
                    log_std[name] = (high - low) / (2 * NORMAL_REACH)
                    mean[name] = np.array([getattr(record, name) for record in traced], dtype=np.float64)
                    lower[name] = np.where(low < 0, np.expm1(known + low), mean[name])
                    upper[name] = np.where(high > 0, np.expm1(known + high), mean[name])
                std[name] = log_std[name] * (1 + mean[name])
        return Prediction(mean, std, log_std, lower, upper, fitted.version)

    def _need(self) -> _Fitted:
        if self._fitted is None:
            raise NotFittedError("this surrogate has no records yet: call fit(records), or take trace_surrogate()")
        return self._fitted

    def _digest(self, pairs: Sequence[str]) -> str:
        content = {
            **self.parameters,
            "schema": SCHEMA,
            "features": [*COMPACT, *COLUMNS],
            "pairs": pairs,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def traced_and_synthesised(records: Iterable[SynthesisRecord]) -> list[Pair]:
    """The networks that have a record of both stages: the same description, target and weights; both need FFs."""
    found: dict[Any, dict[Stage, SynthesisRecord]] = {}
    for record in records:
        if record.ff is not None:
            found.setdefault((record.spec, record.target, record.weights), {})[record.stage] = record
    both = Stage.TRACED, Stage.SYNTHESISED
    return [(held[both[0]], held[both[1]]) for held in found.values() if all(stage in held for stage in both)]


def _logs(records: Sequence[SynthesisRecord], name: str) -> Floats:
    """log(1 + cost) (n,)."""
    return np.log1p(np.array([getattr(record, name) for record in records], dtype=np.float64))


def _features(traced: Sequence[SynthesisRecord]) -> Floats:
    """The compact features of the descriptions, and what the traces say, (n, p)."""
    table = layer_table([record.spec for record in traced])
    clocks = np.array([record.target.clock_period_ns for record in traced], dtype=np.float64)
    forms = table_costs(table)
    lut, ff, cycles = (_logs(traced, name) for name in ("lut", "ff", "latency_cycles"))
    columns = {
        "traced_lut": lut,
        "traced_ff": ff,
        "traced_cycles": cycles,
        "ff_per_lut": ff - lut,
        "lut_beyond_form": lut - np.log1p(forms.lut),
        "ff_beyond_form": ff - np.log1p(forms.ff),
    }
    return np.column_stack([features_of(table, clocks)[:, : len(COMPACT)], *(columns[name] for name in COLUMNS)])


def _ends(known: Floats, wanted: Floats) -> tuple[float, float]:
    """Of networks that have any, what is between the traced and the synthesised logarithm at either end, about 0."""
    errors = (wanted - known)[known > 0]
    if len(errors) == 0:
        return 0.0, 0.0
    low, high = (weighted_quantile(errors, np.ones(len(errors)), level) for level in TAILS)
    return min(low, 0.0), max(high, 0.0)
