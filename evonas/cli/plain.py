"""What a log file shows while a study runs: one line for each thing that happened."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TextIO, final

from evonas.cli.output import json_object
from evonas.cli.pace import Pace
from evonas.cli.words import activity_name, done_of, event_line, headline, pace_words
from evonas.study.events import to_body

if TYPE_CHECKING:
    from collections.abc import Callable

    from evonas.study.events import Event
    from evonas.study.observer import Progress
    from evonas.study.state import StudyState

QUIET_S = 15.0  # shortest time between two lines about progress


@final
class PlainView:
    """An `Observer` that writes lines to a stream.

    A reader that goes away does not stop the study: the view falls silent.
    """

    def __init__(self, to: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._to = Lines(to)
        self._pace = Pace(clock)
        self._clock = clock
        self._spoke = clock()

    def begin(self, state: StudyState) -> None:
        """Say what is continued; called once before the run."""
        if state.started is not None and state.generations:
            told = sum(g.told is not None for g in state.generations)
            wanted = state.config["search"]["generations"]
            self._to.write(f"{headline(state)}; continuing with {told} of {wanted} generations done")

    def happened(self, event: Event, state: StudyState) -> None:
        """See `Observer`."""
        text = event_line(event, state)
        if text is not None:
            self._to.write(text)
            self._spoke = self._clock()

    def note(self, text: str) -> None:
        """Write a line."""
        self._to.write(text)
        self._spoke = self._clock()

    def progress(self, progress: Progress) -> None:
        """See `Observer`."""
        self._pace.update(progress)
        if self._clock() - self._spoke >= QUIET_S and self._pace.busy:
            name = activity_name(progress.activity)
            self._to.write(f"{name} {done_of(progress)}, {pace_words(self._pace)}")
            self._spoke = self._clock()


@final
class JsonView:
    """An `Observer` that writes each event as one JSON object on one line: `schema`, `kind`, `body`."""

    def __init__(self, to: TextIO) -> None:
        self._to = Lines(to)

    def begin(self, state: StudyState) -> None:
        """Nothing: events of an earlier run were written then."""

    def happened(self, event: Event, state: StudyState) -> None:  # noqa: ARG002 (the interface's)
        """See `Observer`."""
        self._to.write(json_object({"kind": event.kind, "body": to_body(event)}, lines=True))

    def note(self, text: str) -> None:
        """Nothing: only events are written."""

    def progress(self, progress: Progress) -> None:
        """Nothing: only events are written."""


@final
class Lines:
    """Whole lines to a stream, each flushed; silent for good once the reader has gone."""

    def __init__(self, to: TextIO) -> None:
        self._to: TextIO | None = to

    def write(self, text: str) -> None:
        """Write one line."""
        if self._to is None:
            return
        try:
            self._to.write(text + "\n")
            self._to.flush()
        except BrokenPipeError:
            self._to = None
