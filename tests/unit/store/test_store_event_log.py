"""The log against everything that can happen to a file."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sqlite3
import subprocess
import sys

import pytest

from evonas.errors import StudyCorruptError, StudyError, StudyLockedError
from evonas.store import event_log
from evonas.store.event_log import EventLog, file_system


def filled(directory, n=5):
    with EventLog(directory, create=True) as log:
        for i in range(n):
            log.append("kind", {"i": i, "text": "x" * 2000})
    return directory / "study.sqlite"


def test_a_directory_without_a_study(tmp_path):
    for write in (True, False):
        with pytest.raises(StudyError, match="holds no study"):
            EventLog(tmp_path, write=write)


def test_a_second_writer_is_refused_with_the_pid_of_the_first(tmp_path):
    with EventLog(tmp_path, create=True) as log:
        log.append("a", {})
        with pytest.raises(StudyLockedError, match=f"process {os.getpid()};"):
            EventLog(tmp_path)
        log.append("b", {})
    EventLog(tmp_path).close()


def test_a_second_writer_in_another_process_is_refused(tmp_path):
    with EventLog(tmp_path, create=True):
        code = (
            "import sys; from pathlib import Path; from evonas.store.event_log import EventLog\n"
            "try: EventLog(Path(sys.argv[1]))\n"
            "except Exception as error: print(type(error).__name__, error)"
        )
        done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("StudyLockedError")
    assert str(os.getpid()) in done.stdout


def test_a_lock_of_a_dead_process_does_not_stay(tmp_path):
    def hold(directory):
        EventLog(directory, create=True).append("a", {})
        os.kill(os.getpid(), signal.SIGKILL)

    holder = multiprocessing.get_context("fork").Process(target=hold, args=(tmp_path,))
    holder.start()
    holder.join()
    with EventLog(tmp_path) as log:
        assert len(log) == 1


def test_a_reader_sees_what_is_written_meanwhile(tmp_path):
    with EventLog(tmp_path, create=True) as log:
        log.append("a", {"n": 1})
        with EventLog(tmp_path, write=False) as reader:
            assert [row.body for row in reader.read()] == [{"n": 1}]
            log.append("b", {"n": 2})
            assert [row.body for row in reader.read(after=1)] == [{"n": 2}]
            with pytest.raises(StudyError):
                reader.append("c", {})
        log.append("c", {"n": 3})
    assert len(EventLog(tmp_path, write=False)) == 3


def test_a_value_that_is_no_json_is_refused_before_anything_is_written(tmp_path):
    with EventLog(tmp_path, create=True) as log:
        for body in ({"x": float("nan")}, {"x": object()}):
            with pytest.raises((TypeError, ValueError)):
                log.append("a", body)
        log.append("b", {})
        assert [row.kind for row in log.read()] == ["b"]


def test_an_interrupted_file_is_noticed(tmp_path):
    path = filled(tmp_path, 40)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(StudyCorruptError):
        EventLog(tmp_path, write=False)


@pytest.mark.parametrize("content", [b"", b"this is no database at all" * 200, b"\x00" * 8192], ids=len)
@pytest.mark.parametrize("write", [True, False])
def test_a_file_that_is_no_log(tmp_path, content, write):
    (tmp_path / "study.sqlite").write_bytes(content)
    with pytest.raises(StudyCorruptError, match=r"study\.sqlite"):
        EventLog(tmp_path, write=write)


def test_changed_bytes_in_the_middle_are_noticed(tmp_path):
    path = filled(tmp_path)
    data = path.read_bytes()
    place = data.index(b'"i": 2')
    path.write_bytes(data[: place + 5] + b"7" + data[place + 6 :])
    with pytest.raises(StudyCorruptError, match="event 3 is missing or was changed; the 2 events before it are sound"):
        EventLog(tmp_path)


def test_a_missing_event_is_noticed(tmp_path):
    path = filled(tmp_path)
    database = sqlite3.connect(path)
    database.execute("DELETE FROM events WHERE position = 2")
    database.commit()
    database.close()
    with pytest.raises(StudyCorruptError, match="event 2"):
        EventLog(tmp_path, write=False)


def test_after_a_refusal_the_lock_is_free(tmp_path):
    path = filled(tmp_path)
    sound = path.read_bytes()
    path.write_bytes(b"garbage" * 2000)
    with pytest.raises(StudyCorruptError):
        EventLog(tmp_path)
    path.write_bytes(sound)
    EventLog(tmp_path).close()


def test_another_schema_is_named(tmp_path):
    path = filled(tmp_path)
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version=99")
    database.close()
    with pytest.raises(StudyCorruptError, match="log schema 99"):
        EventLog(tmp_path)


def test_a_database_that_another_program_locks(tmp_path, monkeypatch):
    connect = sqlite3.connect
    monkeypatch.setattr(event_log.sqlite3, "connect", lambda *a, **k: connect(*a, **{**k, "timeout": 0.05}))
    with EventLog(tmp_path, create=True) as log:
        log.append("a", {})
        other = connect(tmp_path / "study.sqlite", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StudyLockedError, match="another program"):
            log.append("b", {})
        other.execute("ROLLBACK")
        other.close()
        log.append("b", {})
        assert [row.kind for row in log.read()] == ["a", "b"]


def test_a_full_disk_loses_nothing_that_was_logged(tmp_path):
    with EventLog(tmp_path, create=True) as log:
        log.append("a", {})
        pages = log._database.execute("PRAGMA page_count").fetchone()[0]
        log._database.execute(f"PRAGMA max_page_count={pages}")
        with pytest.raises(StudyError, match="no free disk; make room and resume"):
            log.append("b", {"x": "y" * 100_000})
        log._database.execute("PRAGMA max_page_count=1000000")
        log.append("b", {})
    with EventLog(tmp_path) as log:
        assert [(row.position, row.kind) for row in log.read()] == [(1, "a"), (2, "b")]


def test_a_file_size_limit_ends_in_one_clear_error(tmp_path):
    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    code = (
        "import sys; from pathlib import Path; from evonas.store.event_log import EventLog\n"
        "log = EventLog(Path(sys.argv[1]), create=True)\n"
        "try:\n"
        "    while True: log.append('a', {'x': 'y' * 10_000})\n"
        "except Exception as error: print(type(error).__name__, len(log))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True, preexec_fn=limited
    )
    name, count = done.stdout.split()
    assert name == "StudyError"
    with EventLog(tmp_path) as log:
        assert len(log) == int(count) > 3


def test_a_place_that_cannot_hold_a_study(tmp_path):
    (tmp_path / "file").write_text("")
    for directory in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / "absent"):
        with pytest.raises(StudyError, match="cannot be written"):
            EventLog(directory, create=True)


MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
server:/home /home nfs4 rw 0 0
/dev/sdb1 /home/local xfs rw 0 0
lustre@tcp:/scratch /scratch lustre rw 0 0
broken line
"""


@pytest.mark.parametrize(
    ("directory", "kind"),
    [
        ("/data", "ext4"),
        ("/home/someone", "nfs4"),
        ("/home/local/x", "xfs"),
        ("/homework", "ext4"),
        ("/scratch", "lustre"),
    ],
)
def test_the_file_system_of_a_directory(tmp_path, directory, kind):
    assert file_system(type(tmp_path)(directory), MOUNTS) == kind


def test_a_network_file_system_is_refused_for_writing_alone(tmp_path, monkeypatch):
    filled(tmp_path)
    monkeypatch.setattr(event_log, "file_system", lambda _directory: "nfs4")
    with pytest.raises(StudyError, match=r"network file system \(nfs4\)"):
        EventLog(tmp_path)
    assert len(EventLog(tmp_path, write=False)) == 5


def test_without_mounts_nothing_is_refused(tmp_path):
    assert file_system(tmp_path, "") is None
