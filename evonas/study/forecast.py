"""The surrogate as part of a study: predicts what is asked, and learns from what is synthesised."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, final

from evonas.errors import ConfigurationError, FailureKind, StudyMismatchError
from evonas.objectives import Measurement
from surrogates import SpecError, Stage, SynthesisRecord, read_records
from surrogates.records import TARGETS, records_digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evonas.config import StudyConfig
    from evonas.study.events import Recalibrated
    from evonas.study.state import StudyState
    from surrogates import HardwareTarget, ModelSpec
    from surrogates.dataset import FailedSynthesis
    from surrogates.effort import EffortPrediction, SynthesisEffort
    from surrogates.estimators import ResidualSurrogate
    from surrogates.transfer import TransferSurrogate

    StudySurrogate = ResidualSurrogate | TransferSurrogate

# how a synthesis can end because of what is synthesised
OF_THE_NETWORK = frozenset(
    {
        FailureKind.TOOL_TIMEOUT,
        FailureKind.TOOL_CRASHED,
        FailureKind.TOOL_MEMORY,
        FailureKind.REPORT_MISSING,
        FailureKind.REPORT_BROKEN,
        FailureKind.UNSUPPORTED,
    }
)


@final
class Forecast:
    """Predictions as measurements of stage PREDICTED, each with the version of the surrogate as its source."""

    def __init__(self, config: StudyConfig) -> None:
        self._target = config.target
        self._kind = config.surrogate.estimator
        self._start = self._read(config)
        self.data_digest = records_digest(self._start)
        self._started = self._first(config)
        self._surrogate: StudySurrogate = self._started
        self._effort: tuple[int, SynthesisEffort | None] | None = None  # after so many syntheses

    def _read(self, config: StudyConfig) -> list[SynthesisRecord]:
        from surrogates.pretrained import start_records

        path = config.surrogate.start_records
        if path is None:
            return start_records()
        try:
            records = read_records(path)
        except FileNotFoundError as error:
            raise ConfigurationError("surrogate.start_records", str(path), "no such file") from error
        except SpecError as error:
            raise ConfigurationError("surrogate.start_records", str(path), str(error)) from error
        if not any(r.stage == Stage.SYNTHESISED for r in records):
            raise ConfigurationError("surrogate.start_records", str(path), "holds no record of stage synthesised")
        return records

    def _first(self, config: StudyConfig) -> ResidualSurrogate:
        from surrogates import start_surrogate

        unfitted = self._unfitted()
        shipped = config.surrogate.start_records is None
        return start_surrogate(unfitted.kind) if shipped else unfitted.fit(self._start)

    def fresh(self, tool: str) -> StudySurrogate:
        """An unfitted surrogate for records of a tool.

        For another tool than that of the start records it corrects the surrogate that the study starts with, which
        helps as long as records are few, and leaves it where they speak for themselves (`surrogates.transfer`).
        """
        from surrogates.transfer import TransferSurrogate

        if not self._start or tool == self._start[0].target.tool:
            return self._unfitted()
        known = dataclasses.replace(self._target, tool=self._start[0].target.tool)
        return TransferSurrogate(self._started, known)

    def _unfitted(self) -> ResidualSurrogate:
        """Of the configured kind; its seed is that of the one that comes with the package."""
        from surrogates.estimators import DEFAULT, KINDS, ResidualSurrogate

        kind: Any = DEFAULT if self._kind == "default" else self._kind
        if kind not in KINDS:
            raise ConfigurationError("surrogate.estimator", kind, f"must be default, {' or '.join(KINDS)}")
        return ResidualSurrogate(kind)

    @property
    def surrogate(self) -> StudySurrogate:
        """The surrogate in force."""
        return self._surrogate

    @property
    def version(self) -> str:
        """Version of the surrogate in force."""
        return str(self._surrogate.version)

    def predict(self, specs: Sequence[ModelSpec]) -> list[tuple[Measurement, ...]]:
        """Hardware metrics of each spec, before anything is trained."""
        target = self.target
        prediction = self._surrogate.predict(specs, target)
        source = f"surrogate {prediction.version}"
        result = []
        for row in range(len(specs)):
            values = {name: (float(prediction.mean[name][row]), float(prediction.std[name][row])) for name in TARGETS}
            cycles, std = values["latency_cycles"]
            values["latency_ns"] = (cycles * target.clock_period_ns, std * target.clock_period_ns)
            result.append(
                tuple(Measurement(m, mean, source, spread, Stage.PREDICTED) for m, (mean, spread) in values.items())
            )
        return result

    def effort(self, specs: Sequence[ModelSpec], state: StudyState) -> EffortPrediction | None:
        """What a synthesis of each spec takes and whether it ends with a result, by all that were tried so far.

        None where too few times are known to expect any.
        """
        from surrogates.dataset import Dataset
        from surrogates.effort import FEWEST, SynthesisEffort

        if self._effort is None or self._effort[0] != len(state.synthesised):
            found = (*self._start, *(record for event in state.synthesised for record in event.records))
            records = tuple(r for r in found if r.stage == Stage.SYNTHESISED)
            known = sum(r.wall_time_s > 0 for r in records) >= FEWEST
            learnt = SynthesisEffort(Stage.SYNTHESISED).fit(Dataset(records, self._failed(state))) if known else None
            self._effort = len(state.synthesised), learnt
        limit_s = float(state.config["synthesis"]["timeout_s"])
        return self._effort[1] and self._effort[1].predict(specs, self.target, limit_s=limit_s)

    def _failed(self, state: StudyState) -> tuple[FailedSynthesis, ...]:
        """Syntheses that the network is to blame for; a licence that was lacking says nothing of others."""
        from surrogates.dataset import FailedSynthesis

        limit_s = float(state.config["synthesis"]["timeout_s"])
        return tuple(
            FailedSynthesis(
                state.candidates[event.candidate].spec, self.target, Stage.SYNTHESISED, event.failure.kind.value,
                event.wall_time_s, limit_s, 0,
            )
            for event in state.synthesised
            if event.failure is not None and event.failure.kind in OF_THE_NETWORK
        )  # fmt: skip

    @property
    def target(self) -> HardwareTarget:
        """What predictions are for; until another tool has records, the open tool's surrogate speaks for it."""
        return dataclasses.replace(self._target, tool=self._surrogate.records[0].target.tool)

    def training_set(self, new: Sequence[SynthesisRecord], tool: str | None = None) -> list[SynthesisRecord]:
        """Start records of the same tool as the new ones (or of `tool`), and the new ones."""
        tools = {tool} if tool else {r.target.tool for r in new}
        return [*(r for r in self._start if r.target.tool in tools), *new]

    def adopt(self, surrogate: StudySurrogate) -> None:
        """Put a refitted surrogate in force."""
        self._surrogate = surrogate

    def refit(self, state: StudyState, event: Recalibrated) -> None:
        """Bring back the surrogate that `event` put in force. Raises `StudyMismatchError` if it comes out otherwise."""
        new = synthesised_records(state, event.generation)
        if new:
            unfitted = self.fresh(new[-1].target.tool).fresh(event.summary.get("foreseen"))
            self._surrogate = unfitted.fit(self.training_set(new))
        if self.version != event.surrogate_version:
            raise StudyMismatchError(
                f"the surrogate comes out as {self.version}, the log says {event.surrogate_version}; "
                "the study was made with another version of evonas"
            )


def synthesised_records(state: StudyState, generation: int) -> list[SynthesisRecord]:
    """Records of stage SYNTHESISED that recalibrations up to and including `generation` brought, in log order."""
    return [
        record
        for event in state.synthesised
        if event.purpose == "recalibration" and event.generation <= generation
        for record in event.records
        if record.stage == Stage.SYNTHESISED and event.failure is None
    ]
