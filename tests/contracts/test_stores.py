"""What a store promises: events in order, one writer, many readers, and bytes by their digest."""

from __future__ import annotations

import threading

import pytest

from evonas.errors import StudyCorruptError, StudyLockedError
from evonas.store.artefacts import Artefacts
from evonas.store.event_log import EventLog


@pytest.fixture
def log(tmp_path):
    with EventLog(tmp_path, create=True) as one:
        yield one


def test_positions_count_from_one(log):
    assert len(log) == 0
    assert [log.append("a", {"i": i}).position for i in range(3)] == [1, 2, 3]
    assert len(log) == 3
    assert [row.body["i"] for row in log.read()] == [0, 1, 2]
    assert [row.body["i"] for row in log.read(after=2)] == [2]
    assert list(log.read(after=3)) == []


def test_an_event_is_there_for_others_as_soon_as_append_returns(log, tmp_path):
    for i in range(5):
        log.append("a", {"i": i})
        with EventLog(tmp_path, write=False) as reader:
            assert len(reader) == i + 1


def test_many_readers_beside_the_writer(log, tmp_path):
    seen, stop = [], threading.Event()

    def look():
        while not stop.is_set():
            with EventLog(tmp_path, write=False) as reader:
                seen.append([row.body["i"] for row in reader.read()])

    readers = [threading.Thread(target=look) for _ in range(2)]
    for reader in readers:
        reader.start()
    for i in range(100):
        log.append("a", {"i": i})
    stop.set()
    for reader in readers:
        reader.join()
    assert all(numbers == list(range(len(numbers))) for numbers in seen)


def test_one_writer_at_a_time(log, tmp_path):
    for create in (True, False):
        with pytest.raises(StudyLockedError):
            EventLog(tmp_path, create=create)
    log.close()
    log.close()
    EventLog(tmp_path).close()


def test_a_copy_of_a_closed_log_is_a_log(log, tmp_path):
    log.append("a", {"x": "ä€😀"})
    log.close()
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "study.sqlite").write_bytes((tmp_path / "study.sqlite").read_bytes())
    with EventLog(tmp_path / "copy") as copy:
        assert [row.body for row in copy.read()] == [{"x": "ä€😀"}]


@pytest.mark.parametrize("data", [b"", b"\x00" * 10, bytes(range(256)) * 100])
def test_bytes_come_back_by_their_digest(tmp_path, data):
    artefacts = Artefacts(tmp_path)
    assert artefacts.get(artefacts.put(data)) == data
    assert Artefacts(tmp_path).get(artefacts.put(data)) == data
    with pytest.raises(StudyCorruptError):
        artefacts.get("0" * 64)
