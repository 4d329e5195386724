"""How a running study tells others what happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from evonas.study.events import Event
    from evonas.study.state import StudyState


class Observer(Protocol):
    """Watches a study from the driver's process. Must be quick and must not change what it is given."""

    def happened(self, event: Event, state: StudyState) -> None:
        """An event was logged; `state` already includes it. Not called for events replayed from the log."""

    def progress(self, activity: str, done: int, total: int) -> None:
        """`done` of `total` jobs of the current activity ("train", "synthesise", "refit") are finished."""
