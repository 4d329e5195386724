"""How fast an activity goes and when it will be done."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

from evonas.report.formatting import duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from evonas.study.observer import Advance, Progress


@final
@dataclass
class Pace:
    """The current activity of a study; `clock` returns seconds."""

    clock: Callable[[], float] = time.monotonic
    activity: str = ""
    done: float = 0
    total: int = 0
    running: tuple[Advance, ...] = ()
    _since: float = field(default=0.0, repr=False)
    _first: float = field(default=0, repr=False)

    def update(self, progress: Progress) -> None:
        """Take a report of progress; another activity, another total or fewer done begin anew."""
        if (progress.activity, progress.total) != (self.activity, self.total) or progress.done < self.done:
            self._since, self._first = self.clock(), progress.done
        self.activity, self.done, self.total = progress.activity, progress.done, progress.total
        self.running = progress.running

    @property
    def busy(self) -> bool:
        """Whether something is left to do."""
        return self.done < self.total

    @property
    def elapsed(self) -> float:
        """Seconds since the activity began."""
        return self.clock() - self._since

    @property
    def left(self) -> float | None:
        """Expected seconds to the end by the pace so far; None before anything is done."""
        progressed = self.done - self._first
        if progressed <= 0:
            return None
        return self.elapsed / progressed * (self.total - self.done)

    @property
    def rate(self) -> float | None:
        """What is done in a second, by the pace so far; None before anything is done."""
        progressed = self.done - self._first
        return progressed / self.elapsed if progressed > 0 and self.elapsed > 0 else None

    def words(self) -> str:
        """Such as `about 30 s left`, or for how long it has been going while nothing is done yet."""
        if not self.busy:
            return "done"
        left = self.left
        return f"{duration(self.elapsed)} so far" if left is None else f"about {duration(max(1.0, round(left)))} left"
