"""The one door to rich: consoles, tables and the live display."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Literal

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "Console",
    "Group",
    "Live",
    "RenderableType",
    "Table",
    "Text",
    "bar",
    "console",
    "line",
    "pairs",
    "table",
]

Alignment = Literal["left", "right"]


def console(*, stderr: bool = False) -> Console:
    """A console on standard output (or error) that neither guesses at markup nor colours numbers.

    Without a terminal it is as wide as COLUMNS says, and 100 columns where that is not set.
    """
    width = None if os.isatty(2 if stderr else 1) else shutil.get_terminal_size((100, 24)).columns
    return Console(stderr=stderr, markup=False, highlight=False, emoji=False, width=width)


def line(to: Console, text: str, style: str = "") -> None:
    """One line that is never folded, so that paths can be copied and programs can read it."""
    to.print(text, style=style, soft_wrap=True)


def table(
    columns: Sequence[tuple[str, Alignment]],
    rows: Iterable[Sequence[str]],
    *,
    title: str | None = None,
    caption: str | None = None,
) -> Table:
    """A table without vertical lines. Only left-aligned columns fold; a number is never broken."""
    made = Table(
        title=title,
        caption=caption,
        title_justify="left",
        caption_justify="left",
        title_style="bold",
        caption_style="dim",
        header_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for name, alignment in columns:
        made.add_column(
            name, justify=alignment, no_wrap=alignment == "right", overflow="fold", vertical="top"
        )
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    return made


def pairs(rows: Iterable[tuple[str, str]]) -> Table:
    """Names and values below each other, the values folding at the right edge."""
    made = Table.grid(padding=(0, 2))
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in rows:
        made.add_row(Text(name), Text(value))
    return made


def bar(name: str, done: float, total: int, of: str, words: str) -> Table:
    """A bar with a name before it, and how many `of` how many and words behind it."""
    made = Table.grid(padding=(0, 1))
    made.add_column(width=9, no_wrap=True)
    made.add_column(width=16)
    made.add_column(justify="right", min_width=7, no_wrap=True)
    made.add_column(no_wrap=True, overflow="ellipsis")
    made.add_row(name, ProgressBar(total=max(total, 1), completed=done), of, Text(words))
    return made
