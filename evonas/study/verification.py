"""The rounds of real synthesis in a study: recalibrations during the search, and the final front.

Both go the same way: choose, log the choice, synthesise what the log does not hold yet, log each result. A study that
was killed half-way finds its choice in the log and goes on with what is missing.
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

from evonas.config import SpaceConfig
from evonas.errors import ConfigurationError, Failure
from evonas.execution import Job
from evonas.seeding import stream
from evonas.study.effort import expected_efforts
from evonas.study.events import Chosen, HandedOver, Pick, Recalibrated, Synthesised
from evonas.study.forecast import synthesised_records
from evonas.study.identity import preparation
from evonas.study.improvement import expected_improvement
from evonas.study.jobs import SynthesisOrder, score, synthesise_candidate
from evonas.study.observer import Progress
from surrogates import Stage
from surrogates.layers import TABLES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evonas.config import FamilyConfig, StudyConfig
    from evonas.study.effort import Effort
    from evonas.study.state import CandidateState
    from evonas.study.study import Study
    from surrogates.policy import Situation


def _synthesise(study: Study, chosen: Chosen) -> list[Synthesised]:
    """Synthesise the picks of `chosen` that have no result yet; returns all their results in the order of the picks."""

    def results() -> dict[int, Synthesised]:
        key = (chosen.purpose, chosen.generation)
        return {e.candidate: e for e in study.state.synthesised if (e.purpose, e.generation) == key}

    reasons = {pick.candidate: pick.reason for pick in chosen.picks}
    root = study.directory.resolve()  # backends give absolute paths

    def done(key: str, value: Any, seconds: float) -> None:
        candidate = int(key.rpartition("-")[2])
        failure = value if isinstance(value, Failure) else value.failure
        records = () if isinstance(value, Failure) else value.records
        files = {} if isinstance(value, Failure) else value.files
        study.record(
            Synthesised(
                candidate,
                chosen.purpose,
                reasons[candidate],
                chosen.generation,
                tuple(records),
                failure,
                {role: str(Path(path).resolve().relative_to(root)) for role, path in files.items()},
                seconds,
            )
        )

    missing = [pick.candidate for pick in chosen.picks if pick.candidate not in results()]
    jobs = []
    for candidate in missing:
        arguments = (_network(study, candidate), _order(study, candidate))
        jobs.append(Job(f"synthesise-{candidate}", synthesise_candidate, arguments))
    study.workers.run("synthesise", jobs, done)
    return [results()[pick.candidate] for pick in chosen.picks]


def _network(study: Study, candidate: int) -> bytes:
    digest = study.state.candidates[candidate].network
    return study.artefacts.get(digest) if digest else b""


def _backend(config: StudyConfig) -> tuple[str, dict[str, Any]]:
    """The name of the configured backend, and its options."""
    from evonas.synthesis import choose

    settings, wanted = config.synthesis, config.synthesis.backend
    if beyond := _beyond_hls4ml(config.space):
        if wanted not in ("auto", "openrtl"):
            mend = f"takes multi-layer perceptrons without activations by table; {beyond} needs openrtl"
            raise ConfigurationError("synthesis.backend", wanted, mend)
        wanted = "openrtl"
    name = choose(wanted).name
    own = {"simulator": settings.simulator} if name == "openrtl" else {"licences": settings.licences}
    return name, {"csim": settings.csim} | own


def _beyond_hls4ml(space: SpaceConfig | FamilyConfig) -> str:
    """What of a space neither hls4ml nor the vendors' tools behind it take; empty if they take all."""
    if not isinstance(space, SpaceConfig):
        return f"the family {space.family}"
    tables = [name for name in space.activations if name in TABLES]
    return f"the activation {tables[0]}" if tables else ""


def _order(study: Study, candidate: int) -> SynthesisOrder:
    settings = study.config.synthesis
    name, options = _backend(study.config)
    directory = study.directory / "synthesis" / f"{candidate:04d}"
    target = dataclasses.replace(study.config.target, tool=name)  # type: ignore[arg-type]
    return SynthesisOrder(name, options, target, str(directory), settings.timeout_s, settings.vectors)


def _synthesisable(study: Study) -> list[CandidateState]:
    """Trained candidates, feasible by prediction, with a network to synthesise."""
    state = study.state
    return [
        c
        for n, c in state.candidates.items()
        if c.network and c.failure is None and not any(state.violations(n, Stage.PREDICTED).values())
    ]


def _pick(candidate: CandidateState, reason: str, efforts: Mapping[str, Effort]) -> Pick:
    effort = efforts.get(candidate.spec.digest)
    return Pick(candidate.candidate, reason, effort and effort.seconds, effort and effort.success)


def _error(candidate: CandidateState) -> float:
    """Validation error, also of a candidate that was told its accuracy alone."""
    measured = candidate.measured
    if "error" in measured:
        return measured["error"].value
    return 1.0 - measured["accuracy"].value if "accuracy" in measured else 0.0


def check_backend(config: StudyConfig) -> None:
    """Raise `ConfigurationError` if the configured backend cannot run here or cannot aim at the configured part.

    Asked before a study starts, so that it does not come out after an hour of training.
    """
    from evonas.synthesis import choose

    recalibrates = config.surrogate.recalibrate_every > 0 and config.surrogate.designs > 0
    if not recalibrates and config.synthesis.front_designs == 0:
        return
    name, options = _backend(config)
    backend = choose(name, **options)
    availability = backend.available()
    if availability.version is None:
        mend = f"cannot run here: {availability.reason}; `evonas doctor` tells what is missing"
        raise ConfigurationError("synthesis.backend", backend.name, mend)
    backend.check(config.target)


@final
class Recalibration:
    """When the policy says so: synthesise a few candidates, refit the surrogate, re-score the population.

    Acquisition (`surrogates.acquisition`) takes some from the predicted front, where errors hurt, some where the
    surrogate is unsure or has seen nothing alike, and some at random, which alone give an unbiased error.
    """

    def __init__(self, study: Study) -> None:
        self._study = study

    def run_if_due(self) -> None:
        """Recalibrate when the last told generation calls for it and the log does not hold it yet."""
        settings = self._study.config.surrogate
        state = self._study.state
        if not state.generations or state.generations[-1].told is None:
            return
        generation = state.generations[-1].generation
        if not (settings.recalibrate_every and settings.designs) or self._last() == generation:
            return
        from surrogates.policy import policy

        # what is chosen already was due, also where a refit has changed the front since
        begun = any((c.purpose, c.generation) == ("recalibration", generation) for c in state.chosen)
        if begun or policy(settings.when, settings.recalibrate_every).due(self._situation(generation)):
            self._run(generation)

    def _last(self) -> int | None:
        recalibrations = self._study.state.recalibrations
        return recalibrations[-1].generation if recalibrations else None

    def _situation(self, generation: int) -> Situation:
        from surrogates.policy import Observed, Situation

        study = self._study
        summary = study.state.recalibrations[-1].summary if study.state.recalibrations else {}
        observed = {
            target: Observed(found["median_relative_error"], found["coverage"])
            for target, found in summary.get("before", {}).get("all", {}).items()
        }
        front = [c.spec for c in study.front(Stage.PREDICTED)]
        known = [record.spec for record in study.forecast.surrogate.records]
        return Situation(generation, self._last(), front, known, study.forecast.target, observed)

    def _run(self, generation: int) -> None:
        study = self._study
        earlier = synthesised_records(study.state, generation - 1)
        chosen = next(
            (c for c in study.state.chosen if (c.purpose, c.generation) == ("recalibration", generation)), None
        )
        if chosen is None:
            chosen = Chosen(generation, "recalibration", self._choose(generation))
            study.record(chosen)
        results = _synthesise(study, chosen)
        start = time.perf_counter()
        fresh = [
            (record, event.reason)
            for event in results
            for record in event.records
            if record.stage == Stage.SYNTHESISED and event.failure is None
        ]
        summary = self._refit(earlier, [r for r, _ in fresh], [reason for _, reason in fresh]) if fresh else {}
        predicted = self._rescored() if study.config.surrogate.rescore and fresh else {}
        seconds = time.perf_counter() - start
        study.record(Recalibrated(generation, study.forecast.version, summary, predicted, seconds))

    def _choose(self, generation: int) -> tuple[Pick, ...]:
        from surrogates.acquisition import choose
        from surrogates.policy import affordable

        study = self._study
        candidates = _synthesisable(study)
        # of several candidates with one spec (they differ in learning rate) the most accurate stands for it
        best = {c.spec.digest: c for c in sorted(candidates, key=lambda c: -_error(c))}
        front = {c.candidate for c in study.front(Stage.PREDICTED)}
        seed = study.config.seed
        gains = expected_improvement(study, list(best.values()), stream(seed, "improvement", generation))
        efforts = expected_efforts(study, [c.spec for c in best.values()])
        picks = choose(
            [c.spec for c in best.values() if c.candidate in front],
            [c.spec for c in best.values()],
            study.config.surrogate.designs,
            surrogate=study.forecast.surrogate,
            target=study.forecast.target,
            known=[e.spec for e in study.state.candidates.values() if e.synthesis],
            rng=stream(seed, "acquisition", generation),
            improvement=dict(zip(best, gains, strict=True)),
            success={digest: effort.success for digest, effort in efforts.items()},
        )
        if study.config.surrogate.budget_s is not None and picks and efforts:
            seconds = np.array([efforts[pick.spec.digest].seconds for pick in picks])
            picks = affordable(picks, seconds, study.config.surrogate.budget_s)
        return tuple(_pick(best[pick.spec.digest], pick.reason, efforts) for pick in picks)

    def _refit(self, earlier: list[Any], fresh: list[Any], roles: list[str]) -> dict[str, Any]:
        from surrogates.recalibration import recalibrate

        forecast = self._study.forecast
        self._study.workers.progress(Progress("refit", 0, 1))
        tool = fresh[0].target.tool
        if tool != forecast.target.tool:  # the first records of another tool: nothing to compare with
            forecast.adopt(forecast.fresh(tool).fit(forecast.training_set(fresh)))
            return {}
        known = forecast.training_set(earlier, tool=fresh[0].target.tool)
        surrogate, summary = recalibrate(forecast.surrogate, known, fresh, roles)
        forecast.adopt(surrogate)
        self._study.workers.progress(Progress("refit", 1, 1))
        return summary.to_dict()

    def _rescored(self) -> dict[int, Any]:
        measured = [c for c in self._study.state.candidates.values() if c.measured]
        predictions = self._study.forecast.predict([c.spec for c in measured])
        return {c.candidate: values for c, values in zip(measured, predictions, strict=True)}


@final
class FinalFront:
    """At the end: synthesise the predicted front, keep what is verified, and hand it over."""

    def __init__(self, study: Study) -> None:
        self._study = study

    def run(self) -> None:
        """Synthesise, then write one folder per design of the verified front and score it on the test split."""
        study = self._study
        chosen = next((c for c in study.state.chosen if c.purpose == "front"), None)
        if chosen is None:
            efforts = expected_efforts(study, [c.spec for c in _synthesisable(study)])
            candidates = (study.state.candidates[number] for number in self._choose(efforts))
            picks = tuple(_pick(candidate, "front", efforts) for candidate in candidates)
            chosen = Chosen(len(study.state.generations) - 1, "front", picks)
            study.record(chosen)
        _synthesise(study, chosen)
        for design in study.front(Stage.SYNTHESISED):
            if design.handed_over is None:
                self._hand_over(design)

    def _choose(self, efforts: Mapping[str, Effort]) -> list[int]:
        """The best of the predicted front in each objective, then greedy hypervolume subset selection.

        The extremes are what a user asks for first, and add little volume. The rest starts from what is synthesised
        already, so each pick adds what the verified front most lacks (Guerreiro et al., ACM CSUR 54, 119, 2021), times
        the probability that its synthesis ends with a result.
        """
        study = self._study
        state = study.state
        told = [g.told.reference for g in state.generations if g.told is not None and g.told.reference]
        if not told:
            return []
        front = {c.candidate for c in study.front(Stage.PREDICTED)}
        points = {c.candidate: study.steering(c.candidate) for c in _synthesisable(study)}
        taken = [points[c] for c in points if state.candidates[c].synthesis]
        left = [c for c in points if c in front and not state.candidates[c].synthesis]
        limit = study.config.synthesis.front_designs
        success = {c: efforts[state.candidates[c].spec.digest].success if efforts else 1.0 for c in left}
        candidates = sorted(front & points.keys())
        different = [i for i in range(len(told[0])) if len({points[c][i] for c in candidates}) > 1]
        extremes = [min(candidates, key=lambda c: points[c][i]) for i in different]
        picks = [c for c in dict.fromkeys(extremes) if c in left][:limit]
        while len(picks) < min(limit, len(left)):
            known = taken + [points[c] for c in picks]
            least = study.volume(known, told[0])
            more = {c: study.volume([*known, points[c]], told[0]) - least for c in left if c not in picks}
            gain = {c: volume * success[c] for c, volume in more.items()}
            picks.append(max(gain, key=lambda c: (gain[c], -c)))
        return picks

    def _hand_over(self, design: CandidateState) -> None:
        from evonas.synthesis.handover import hand_over

        study = self._study
        directory = Path("designs") / f"{design.candidate:04d}"
        network = study.network(design.candidate)
        tested = score(study.task, network, "test")
        event = design.synthesis[-1]
        measurements = [*design.measured.values(), *tested, *design.predicted.values()]
        hand_over(
            network,
            [m.to_dict() for m in measurements],
            event.records,
            {role: study.directory / path for role, path in event.files.items()},
            study.directory / directory,
            preparation=preparation(study.task),
            vectors=np.asarray(study.task.split("validation").x[:256], np.float64),
        )
        study.record(HandedOver(design.candidate, str(directory), tested))
