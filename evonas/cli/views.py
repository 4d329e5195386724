"""Which of the three views of a running study fits where its output goes."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from evonas.study.observer import Observer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evonas.study.state import StudyState


class View(Observer, Protocol):
    """An `Observer` that is told once what the log already holds."""

    def begin(self, state: StudyState) -> None:
        """Called once, before the study runs."""

    def note(self, text: str) -> None:
        """Something happened that is no event of a study."""


@contextmanager
def chosen_view(*, json_lines: bool) -> Iterator[View]:
    """JSON lines if asked for, a live display on a terminal, plain lines anywhere else."""
    if json_lines:
        from evonas.cli.output import machine_output
        from evonas.cli.plain import JsonView

        with machine_output() as stream:
            yield JsonView(stream)
    elif sys.stdout.isatty():
        from evonas.cli.live import LiveView

        with LiveView() as live:
            yield live
    else:
        from evonas.cli.plain import PlainView

        yield PlainView(sys.stdout)
