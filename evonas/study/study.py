"""The study: an append-only log, folded into a state, driven forward by ask and tell.

`run` is always "replay, then continue". Only this process touches the algorithm, the random streams and the log;
workers get plain data and return plain data, so the executor and the order of completion change nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, final

from evonas.config import StudyConfig, resolve, restore
from evonas.errors import (
    ConfigurationError,
    Failure,
    ProtocolError,
    StudyError,
    StudyExistsError,
)
from evonas.objectives import Measurement
from evonas.store.artefacts import Artefacts
from evonas.store.event_log import EventLog, holds_events
from evonas.study.device import check_device
from evonas.study.events import Event, Failed, Finished, Measured, Recalibrated, Started, Told, from_body, to_body
from evonas.study.evolution import Evolution, make_space
from evonas.study.forecast import Forecast
from evonas.study.identity import check_same, check_versions, describe, versions
from evonas.study.preselection import Preselector, rank_correlations
from evonas.study.state import CandidateState, StudyState
from evonas.study.training import TrainingRound
from evonas.study.verification import FinalFront, Recalibration, check_backend
from evonas.study.workers import Workers
from evonas.tasks import load_task
from surrogates import Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from evonas.models.quantised_network import QuantisedNetwork
    from evonas.study.observer import Observer
    from evonas.tasks import Task


@final
class Study:
    """A search in `directory`, new or resumed.

    Example::

        with evonas.Study("experiments/jets_hlf/experiment.toml", "runs/jets") as study:
            study.run()
            for design in study.front("synthesised"):
                print(design.spec.topology, design.measured["accuracy"].value)

    `config` is a `StudyConfig`, the path of a TOML file, or plain data. `task` replaces the configured task by your own
    object (see `evonas.tasks.Task`). Raises `StudyExistsError` when `directory` already holds a study: `Study.resume`
    goes on with that one.
    """

    def __init__(
        self,
        config: StudyConfig | Mapping[str, Any] | str | Path,
        directory: str | Path,
        *,
        task: Task | None = None,
        observers: Sequence[Observer] = (),
    ) -> None:
        settings = _settings(config)
        path = Path(directory)
        if holds_events(path):
            raise StudyExistsError(f"{path} already holds a study; go on with `evonas resume {path}`")
        task = task or load_task(settings.task.name, **settings.task.options)
        check_backend(settings)
        check_device(settings)
        space = make_space(settings, task)  # bad settings are found before anything is written
        forecast = Forecast(settings)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StudyError(f"{path} cannot be created: {error.strerror}; choose another directory") from error
        self._open(path, EventLog(path, create=True), task, observers)
        digests = {"space": space.digest, "task": task.digest, "start_records": forecast.data_digest}
        started = Started(settings.model_dump(mode="json"), versions(), digests, describe(task))
        try:
            self._assemble(settings, forecast)
            self.record(started)
        except BaseException:  # without this the lock would stay with an object that nobody has
            self.close()
            raise

    def _open(self, path: Path, log: EventLog, task: Task | None, observers: Sequence[Observer]) -> None:
        self.directory = path
        self.state = StudyState()
        self._log = log
        self._task = task
        self._observers = tuple(observers)
        self._workers: Workers | None = None
        self._handed_out = False
        self._clock, self._waited_s = time.perf_counter(), 0.0
        self.artefacts = Artefacts(path / "artefacts")

    def _assemble(self, settings: StudyConfig, forecast: Forecast) -> None:
        self.config = settings
        self.forecast = forecast
        self._evolution = Evolution(settings, self.task, self.state)
        self._preselector = Preselector(self)
        self._recalibration = Recalibration(self)
        self._final_front = FinalFront(self)
        self._workers = Workers(settings.execution, self.task, self._observers)

    @classmethod
    def resume(
        cls,
        directory: str | Path,
        *,
        config: StudyConfig | Mapping[str, Any] | str | Path | None = None,
        task: Task | None = None,
        observers: Sequence[Observer] = (),
    ) -> Self:
        """Go on with the study in `directory`: its log is replayed, what was in flight is done again.

        `config` may be given to make sure that it is the same. Raises `StudyMismatchError` when space, seed, data or
        version differ from what the log was made with, `StudyCorruptError` when the log is unsound.
        """
        path = Path(directory)
        study = cls.__new__(cls)
        study._open(path, EventLog(path), task, observers)
        try:
            study._replay(None if config is None else _settings(config))
        except BaseException:  # as in __init__
            study.close()
            raise
        return study

    @classmethod
    def load(cls, directory: str | Path) -> Self:
        """Open a study for reading: `state`, `front` and `to_frame` work, also while it runs elsewhere."""
        path = Path(directory)
        study = cls.__new__(cls)
        with EventLog(path, write=False) as log:
            study._open(path, log, None, ())
            for row in log.read():
                study.state.apply(from_body(row.kind, row.body))
        study.config = restore(study.state.config)
        return study

    def _replay(self, given: StudyConfig | None) -> None:
        events = [from_body(row.kind, row.body) for row in self._log.read()]
        if not events or not isinstance(events[0], Started):
            raise StudyError(f"{self.directory} holds a log without a beginning; run the study again")
        started = events[0]
        settings = restore(started.config)
        check_versions(started.versions)
        if given is not None:
            # as completed by defaults: a log of before knows no settings that are new
            check_same("configuration", given.model_dump(mode="json"), settings.model_dump(mode="json"))
        self._task = self._task or load_task(settings.task.name, **settings.task.options)
        forecast = Forecast(settings)
        digests = {"space": make_space(settings, self.task).digest, "task": self.task.digest}
        check_same("digest", digests | {"start_records": forecast.data_digest}, started.digests)
        check_device(settings)
        self._assemble(settings, forecast)
        for event in events:
            self.state.apply(event)
            self._evolution.replay(event)
        if self.state.recalibrations:
            self.forecast.refit(self.state, self.state.recalibrations[-1])

    # --- looking

    @property
    def task(self) -> Task:
        """The task; a study opened for reading has none."""
        if self._task is None:
            raise ProtocolError("this study was opened for reading; use Study.resume to go on with it")
        return self._task

    @property
    def workers(self) -> Workers:
        """Where jobs run; a study opened for reading has none."""
        if self._workers is None:
            raise ProtocolError("this study was opened for reading; use Study.resume to go on with it")
        return self._workers

    def front(self, stage: Stage | str = Stage.PREDICTED) -> list[CandidateState]:
        """Feasible non-dominated candidates by values of exactly this stage; see `StudyState.front`."""
        if isinstance(stage, str):
            try:
                stage = Stage[stage.upper()]
            except KeyError as error:
                names = ", ".join(s.label for s in Stage)
                raise ConfigurationError("stage", stage, f"must be one of {names}") from error
        return self.state.front(stage)

    def to_frame(self) -> pd.DataFrame:
        """One row per candidate; every hardware column is named by its stage, for instance `synthesised_lut`."""
        from evonas.study._pandas import to_frame

        return to_frame(self.state)

    def network(self, candidate: int) -> QuantisedNetwork:
        """The trained network of a candidate, in exact fixed point."""
        from evonas.models.quantised_network import QuantisedNetwork

        digest = self.state.candidates[candidate].network if candidate in self.state.candidates else None
        if digest is None:
            raise ProtocolError(f"candidate {candidate} has no trained network")
        return QuantisedNetwork.from_bytes(self.artefacts.get(digest))

    def steering(self, candidate: int, stage: Stage = Stage.PREDICTED) -> tuple[float, ...]:
        """Losses of a measured candidate as the algorithm sees predicted ones: hardware on a logarithmic scale."""
        losses = self.state.losses(candidate, stage)
        if losses is None:
            raise ProtocolError(f"candidate {candidate} has no losses of stage {stage.label}")
        return self._evolution.steering(losses)

    def volume(self, points: Sequence[tuple[float, ...]], reference: tuple[float, ...]) -> float:
        """Hypervolume of `points` on the scale of `steering`, as a share of the box below `reference` (raw losses)."""
        return self._evolution.volume(points, reference)

    # --- ask and tell

    def ask(self) -> list[CandidateState]:
        """The candidates of the current generation that wait for a measurement; proposes a generation if none does.

        Candidates predicted to violate a constraint are already settled and are not returned. Raises `ProtocolError`
        when called twice without telling. An empty list means that the space is exhausted, or that the
        last generations were over before any of their candidates could be trained.
        """
        self._writable()
        if self._handed_out and self._pending():
            raise ProtocolError("ask was called twice; tell the candidates that were asked first")
        self._settle()  # if the study was killed just before it would have told the algorithm
        while not (pending := self._pending()):
            if not self._propose() or (self._complete() and not self._pending()):
                return []
        self._handed_out = True
        return pending

    def _propose(self) -> bool:
        """Log a new generation; False when the space is exhausted."""
        self._clock, self._waited_s = time.perf_counter(), self.workers.waiting_s
        asked = self._evolution.ask(self.forecast, self._preselector)
        if not asked.candidates:
            return False
        self.record(asked)
        self._settle()  # at once, if every candidate was dropped by a constraint
        return True

    def _writable(self) -> None:
        _ = self.task  # raises for a study that was opened for reading

    def tell(
        self,
        candidate: int,
        result: Mapping[str, float] | Sequence[Measurement] | Failure,
        network: QuantisedNetwork | None = None,
        *,
        epochs: int = 0,
        wall_time_s: float = 0.0,
    ) -> None:
        """What became of an asked candidate: its scores on the validation split, or why there are none.

        A candidate told without its `network` can be on the predicted front but cannot be synthesised. When the last
        candidate of a generation is told, the algorithm learns of all of them in candidate order.
        """
        self._writable()
        if candidate not in {state.candidate for state in self._pending()}:
            raise ProtocolError(f"candidate {candidate} was not asked for, or was told already")
        if isinstance(result, Failure):
            self.record(Failed(candidate, result))
        else:
            measurements = (
                tuple(Measurement(metric, float(value), "validation") for metric, value in result.items())
                if isinstance(result, Mapping)
                else tuple(result)
            )
            self._evolution.check_measurements(measurements)
            digest = None if network is None else self.artefacts.put(network.to_bytes())
            self.record(Measured(candidate, measurements, digest, epochs, wall_time_s))
        self._settle()

    def _pending(self) -> list[CandidateState]:
        if not self.state.generations or self.state.generations[-1].told is not None:
            return []
        states = (self.state.candidates[n] for n in self.state.generations[-1].candidates)
        return [s for s in states if not (s.measured or s.failure or s.stopped or s.asked.dropped)]

    def _settle(self) -> None:
        """Tell the algorithm once nothing of the generation is pending."""
        if not self.state.generations or self.state.generations[-1].told is not None or self._pending():
            return
        self._handed_out = False
        told = self._evolution.tell()
        ranks = rank_correlations(self.state, self.state.generations[-1])
        wall = time.perf_counter() - self._clock
        overhead = wall - (self.workers.waiting_s - self._waited_s)
        self.record(Told(*told, wall_time_s=wall, overhead_s=overhead, rank_correlations=ranks))

    # --- running

    def run(self, generations: int | None = None) -> None:
        """Run to the configured end, or for at most `generations` more, and come back.

        At the end the front is synthesised, verified and handed over. Can be interrupted at any moment: everything
        logged stays, and `Study.resume(directory).run()` goes on to the same result.
        """
        self._writable()
        start = time.perf_counter()
        done = 0
        try:
            self._settle()  # if the study was killed just before it would have told the algorithm
            while True:
                self._recalibration.run_if_due()
                complete = self._complete()
                if complete or (generations is not None and done >= generations):
                    break
                if not self._train_generation():
                    break
                done += 1
            if self._complete() and self.state.finished is None:
                self._final_front.run()
                self.record(Finished("all generations done", time.perf_counter() - start))
        finally:
            self.workers.stop()

    def _complete(self) -> bool:
        told = [g for g in self.state.generations if g.told is not None]
        return len(told) >= self.config.search.generations or self._evolution.exhausted

    def _train_generation(self) -> bool:
        if not self._pending() and not self._propose():
            return False
        self._handed_out = True
        if self._pending():  # else a constraint dropped every candidate, which also is a generation
            TrainingRound(self).run()
        return True

    def record(self, event: Event) -> None:
        """Log an event, then act on it: what is not in the log did not happen."""
        self._log.append(event.kind, to_body(event))
        self.state.apply(event)
        if isinstance(event, (Told, Recalibrated)):
            self._evolution.learn(event)
        for observer in self._observers:
            observer.happened(event, self.state)

    def close(self) -> None:
        """Stop the workers and give the log's lock back."""
        if self._workers is not None:
            self._workers.stop()
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def load_study(directory: str | Path) -> Study:
    """Open the study in `directory` for reading."""
    return Study.load(directory)


def _settings(config: StudyConfig | Mapping[str, Any] | str | Path) -> StudyConfig:
    from evonas.config import load_config

    if isinstance(config, StudyConfig):
        return config
    return load_config(config) if isinstance(config, (str, Path)) else resolve(config)
