"""What a terminal shows while a study runs: generations, recalibrations, and how far the current activity is."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Self, final

from evonas.cli._rich import Group, Live, Text, bar, console
from evonas.cli.pace import Pace
from evonas.cli.rows import generation_row, task_of
from evonas.cli.words import (
    activity_name,
    done_of,
    event_line,
    generation_table,
    headline,
    pace_words,
    recalibration_line,
)
from evonas.study.events import Failed, Finished, Recalibrated, Synthesised
from evonas.study.observer import Progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from evonas.cli._rich import Console, RenderableType
    from evonas.cli.rows import GenerationRow
    from evonas.study.events import Event
    from evonas.study.state import StudyState

REFRESHES_PER_SECOND = 2
LINES_KEPT = 3  # of the messages below the table; the log and the report have all
FRAME_HEIGHT = 12  # lines of the view that are not rows of the table


@final
class LiveView:
    """An `Observer` that redraws itself in place; use it as a context manager around the run.

    Parameters:
        to: the console; that of standard output by default.
        clock: seconds, for the expected time left.
    """

    def __init__(self, to: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = to if to is not None else console()
        self._rows: dict[int, GenerationRow] = {}
        self._refits: list[str] = []
        self._messages: list[str] = []
        self._headline = ""
        self._provenance = ""
        self._over = False
        self._pace = Pace(clock)
        self._search = Pace(clock)
        self._live = Live(
            get_renderable=lambda: self.render(None if self._over else self._console.height),
            console=self._console,
            refresh_per_second=REFRESHES_PER_SECOND,
            vertical_overflow="crop",
        )

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._over = True  # at the end all rows stay, above whatever comes next
        self._live.vertical_overflow = "visible"
        self._live.__exit__(None, None, None)

    def begin(self, state: StudyState) -> None:
        """Show what the log already holds; called once before the run."""
        if state.started is None:
            return
        self._read(state)
        for generation in state.generations:
            self._rows[generation.generation] = generation_row(state, generation)
        self._refits = [recalibration_line(event) for event in state.recalibrations]

    def happened(self, event: Event, state: StudyState) -> None:
        """See `Observer`."""
        self._read(state)
        if state.generations:
            newest = state.generations[-1]
            self._rows = {**self._rows, newest.generation: generation_row(state, newest)}
        if isinstance(event, Recalibrated):
            self._refits = [*self._refits, recalibration_line(event)]
        elif isinstance(event, (Failed, Synthesised)):
            message = event_line(event, state)
            self._messages = [*self._messages, message or ""][-LINES_KEPT:]
        elif isinstance(event, Finished):
            self._pace = replace(self._pace, activity="", done=0, total=0, running=())

    def note(self, text: str) -> None:
        """A line above the view, where it stays."""
        self._live.console.print(Text(text))

    def progress(self, progress: Progress) -> None:
        """See `Observer`."""
        self._pace.update(progress)

    def _read(self, state: StudyState) -> None:
        if state.started is None:
            return
        self._headline, self._provenance = headline(state), task_of(state)["provenance"]
        told = sum(g.told is not None for g in state.generations)
        self._search.update(Progress("search", told, int(state.config["search"]["generations"])))

    def render(self, height: int | None) -> RenderableType:
        """The view now, with at most as many rows as fit `height` lines; None shows everything."""
        rows = [self._rows[number] for number in sorted(self._rows)]
        refits = self._refits
        if height is not None:
            refits = refits[-LINES_KEPT:]
            kept = max(3, height - FRAME_HEIGHT - 2 * len(refits) - len(self._messages))
            rows = rows[-kept:]
        parts: list[RenderableType] = [Text(self._headline, style="bold")] if self._headline else []
        if rows:
            parts.append(generation_table(rows, self._provenance))
        parts += [Text(line, style="green") for line in refits]
        if height is not None:
            parts += [Text(line, style="dim", no_wrap=True, overflow="ellipsis") for line in self._messages]
            parts += self._bars()
        return Group(*parts)

    def _bars(self) -> list[RenderableType]:
        """The current activity, and the search as a whole."""
        bars: list[RenderableType] = []
        if self._pace.busy:
            name = activity_name(self._pace.activity).partition(" ")[0]  # not up to which epoch
            bars.append(bar(name, self._pace.done, self._pace.total, done_of(self._pace), pace_words(self._pace)))
        if self._search.busy:
            words = f"generations, {self._search.words()}"
            bars.append(bar("search", self._search.done, self._search.total, done_of(self._search), words))
        return bars
