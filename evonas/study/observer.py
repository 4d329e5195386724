"""How a running study tells others what happens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, final

if TYPE_CHECKING:
    from evonas.study.events import Event
    from evonas.study.state import StudyState


@final
@dataclass(frozen=True)
class Advance:
    """How far a stack in training is: its share of the work, and the epoch that `alive` of its members have done.

    Members are trainings, one for each seed of a candidate; those that diverged or stopped early are alive no more.
    """

    share: float
    epoch: int
    alive: int


@final
@dataclass(frozen=True)
class Progress:
    """How far the current activity ("train", "synthesise", "refit") is: `done` of `total` candidates.

    Of a stack in training `done` counts the share of its work; `running` is how far each of these is.
    """

    activity: str
    done: float
    total: int
    running: tuple[Advance, ...] = ()


class Observer(Protocol):
    """Watches a study from the driver's process. Must be quick and must not change what it is given."""

    def happened(self, event: Event, state: StudyState) -> None:
        """An event was logged; `state` already includes it. Not called for events replayed from the log."""

    def progress(self, progress: Progress) -> None:
        """The current activity has begun, come further or ended."""
