"""Runs the command line as users do, in a process of its own; study directories written by hand."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evonas.store.event_log import EventLog
from evonas.study.events import Event, to_body

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "unit" / "report"))


@dataclass(frozen=True)
class Ended:
    """What a command left behind."""

    code: int
    out: str
    err: str


def environment(**extra: str) -> dict[str, str]:
    """This process's environment with a fixed width and no colours."""
    kept = {k: v for k, v in os.environ.items() if k not in ("FORCE_COLOR", "EVONAS_DEBUG", "PY_COLORS")}
    path = os.pathsep.join([str(ROOT), *([kept["PYTHONPATH"]] if kept.get("PYTHONPATH") else [])])
    return {**kept, "PYTHONPATH": path, "COLUMNS": "80", "TERM": "dumb", "OMP_NUM_THREADS": "1", **extra}


def write_log(directory: Path, events: Sequence[Event]) -> Path:
    """A study directory whose log holds these events."""
    directory.mkdir(parents=True)
    with EventLog(directory, create=True) as log:
        for event in events:
            log.append(event.kind, to_body(event))
    return directory


def events(count: int | None = None) -> list[Event]:
    """The first events of the report's hand-written study."""
    import synthetic

    found: list[Any] = synthetic.complete_events()
    return found[:count]
