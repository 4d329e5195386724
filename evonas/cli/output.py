"""JSON on standard output, and nothing else on it."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SCHEMA = 1  # of every --json output; raised when a key is renamed, removed or changes its meaning


def json_object(data: Mapping[str, Any], *, lines: bool = False) -> str:
    """`data` behind the integer `schema`: indented, or on one line."""
    body = {"schema": SCHEMA, **data}
    return json.dumps(body, ensure_ascii=False, allow_nan=False, indent=None if lines else 2)


def emit(data: Mapping[str, Any]) -> None:
    """Write one JSON object to standard output."""
    with machine_output() as stream:
        stream.write(json_object(data) + "\n")


@contextmanager
def machine_output() -> Iterator[TextIO]:
    """Standard output for this program alone: whatever a library or a child writes there goes to standard error."""
    sys.stdout.flush()
    captured = sys.stdout is not sys.__stdout__  # by somebody in this process
    if captured:
        yield sys.stdout
        return
    own = os.dup(1)
    os.dup2(2, 1)
    stream = os.fdopen(own, "w", encoding="utf-8", closefd=False)
    try:
        yield stream
        stream.flush()
    finally:
        sys.stdout.flush()
        os.dup2(own, 1)
        os.close(own)
