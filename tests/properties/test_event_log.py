"""Whatever plain data go into the log come out again, and any change to the file is noticed."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evonas.errors import StudyCorruptError
from evonas.store.event_log import EventLog

RARE = settings(max_examples=40, deadline=None)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
EVENTS = st.lists(
    st.tuples(st.text(max_size=8), st.dictionaries(st.text(max_size=5), JSON, max_size=3)), min_size=1, max_size=5
)


@RARE
@given(events=EVENTS, data=st.data())
def test_what_goes_in_comes_out_also_in_two_sittings(events, data):
    cut = data.draw(st.integers(0, len(events)))
    with tempfile.TemporaryDirectory() as name:
        with EventLog(Path(name), create=True) as log:
            for kind, body in events[:cut]:
                log.append(kind, body)
        with EventLog(Path(name)) as log:
            assert len(log) == cut
            for kind, body in events[cut:]:
                log.append(kind, body)
        with EventLog(Path(name), write=False) as log:
            rows = list(log.read())
            assert [(row.kind, row.body) for row in rows] == events
            assert [row.position for row in rows] == list(range(1, len(events) + 1))
            after = data.draw(st.integers(0, len(events)))
            assert [row.position for row in log.read(after)] == list(range(after + 1, len(events) + 1))


@RARE
@given(events=EVENTS, data=st.data())
def test_any_edit_is_noticed(events, data):
    victim = data.draw(st.integers(1, len(events)))
    column = data.draw(st.sampled_from(["kind", "body", "checksum"]))
    with tempfile.TemporaryDirectory() as name:
        with EventLog(Path(name), create=True) as log:
            for kind, body in events:
                log.append(kind, body)
        database = sqlite3.connect(Path(name) / "study.sqlite")
        database.execute(f"UPDATE events SET {column} = {column} || 'x' WHERE position = ?", (victim,))
        database.commit()
        database.close()
        with pytest.raises(
            StudyCorruptError, match=f"event {victim} is missing or was changed; the {victim - 1} events"
        ):
            EventLog(Path(name), write=False)
