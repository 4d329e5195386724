"""An append-only event log in SQLite: the one truth about a study.

One writer per log, held by a lock on a file beside it; any number of readers. Every row carries a checksum chained to
the row before it, so that a truncated or edited log is noticed on opening and not half-way through a replay.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from evonas.errors import StudyCorruptError, StudyError, StudyLockedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA = 1
_NETWORK_FILE_SYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "lustre", "fuse.sshfs", "9p"}


@final
@dataclass(frozen=True)
class Row:
    """One event as stored: position in the log, kind and plain-data body."""

    position: int
    kind: str
    body: dict[str, Any]


@final
class EventLog:
    """The log in `directory/study.sqlite`.

    Opened for writing it holds an exclusive lock until `close`. Raises `StudyLockedError` when another writer has it,
    `StudyCorruptError` when the file is no log or its checksums do not follow from each other, `StudyError` when the
    disk is full, read-only, or a network file system, on which SQLite's locks cannot be trusted.
    """

    def __init__(self, directory: Path, *, write: bool = True, create: bool = False) -> None:
        self.path = directory / "study.sqlite"
        self._lock: int | None = None
        if not create and not self.path.exists():
            raise StudyError(f"{directory} holds no study; start one with `evonas run CONFIG --out {directory}`")
        if write:
            _refuse_network_file_system(directory)
            self._lock = _acquire(directory / "study.lock")
        try:
            self._open(write=write, create=create)
        except BaseException:  # also an interruption: nobody has this object, so nobody could give the lock back
            self._release()
            raise

    def _open(self, *, write: bool, create: bool) -> None:
        with _storage_errors(self.path):
            mode = "rwc" if create else "rw" if write else "ro"
            uri = f"{self.path.absolute().as_uri()}?mode={mode}"
            self._database = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=10.0)
            if write:
                self._database.execute("PRAGMA journal_mode=WAL")
                self._database.execute("PRAGMA synchronous=NORMAL")
            if create:
                self._database.execute("BEGIN")
                self._database.execute(f"PRAGMA user_version={SCHEMA}")
                self._database.execute(
                    "CREATE TABLE IF NOT EXISTS events"
                    "(position INTEGER PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL, checksum TEXT NOT NULL)"
                )
                self._database.execute("COMMIT")
            (schema,) = self._database.execute("PRAGMA user_version").fetchone()
            if schema != SCHEMA:
                raise StudyCorruptError(f"{self.path}: log schema {schema}; this version of evonas reads {SCHEMA}")
        self._position, self._checksum = 0, ""
        for row, checksum in self._rows(0):
            self._position, self._checksum = row.position, checksum

    def append(self, kind: str, body: dict[str, Any]) -> Row:
        """Write one event; it is safe from a crash of this process when this returns."""
        text = json.dumps(body, sort_keys=True, allow_nan=False)
        position = self._position + 1
        checksum = _chain(self._checksum, position, kind, text)
        with _storage_errors(self.path):
            self._database.execute("INSERT INTO events VALUES (?, ?, ?, ?)", (position, kind, text, checksum))
        self._position, self._checksum = position, checksum
        return Row(position, kind, body)

    def read(self, after: int = 0) -> Iterator[Row]:
        """The events behind position `after`, in order, each checked against its checksum."""
        for row, _ in self._rows(after):
            yield row

    def _rows(self, after: int) -> Iterator[tuple[Row, str]]:
        expected = 0
        previous = ""
        with _storage_errors(self.path):
            for position, kind, text, checksum in self._database.execute(
                "SELECT position, kind, body, checksum FROM events ORDER BY position"
            ):
                expected += 1
                if position != expected or checksum != _chain(previous, position, kind, text):
                    raise StudyCorruptError(
                        f"{self.path}: event {expected} is missing or was changed; the {expected - 1} events before it "
                        "are sound. Restore the file from a copy, or start a new study in another directory"
                    )
                previous = checksum
                if position > after:
                    yield Row(position, kind, json.loads(text)), checksum

    def __len__(self) -> int:
        return self._position

    def close(self) -> None:
        """Fold the write-ahead log into the file and give the lock back."""
        self._database.close()
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> EventLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def holds_events(directory: Path) -> bool:
    """Whether `directory` has a log with at least one event, or a file in its place that must not be overwritten.

    A log that was created and never written to, because its process died in between, does not count.
    """
    path = directory / "study.sqlite"
    if not path.exists():
        return False
    try:
        database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10.0)
        try:
            (schema,) = database.execute("PRAGMA user_version").fetchone()
            return schema != 0 and bool(database.execute("SELECT EXISTS (SELECT 1 FROM events)").fetchone()[0])
        finally:
            database.close()
    except sqlite3.Error:
        return True


def _chain(previous: str, position: int, kind: str, text: str) -> str:
    return hashlib.sha256(f"{previous}\n{position}\n{kind}\n{text}".encode()).hexdigest()[:32]


def _acquire(path: Path) -> int:
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StudyError(f"{path.parent} cannot be written: {error.strerror}; choose another directory") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.read(handle, 32).decode(errors="replace").strip() or "unknown"
        os.close(handle)
        raise StudyLockedError(
            f"{path.parent} is in use by process {holder}; wait for it or stop it. Reading (status, front) still works"
        ) from error
    os.ftruncate(handle, 0)
    os.pwrite(handle, str(os.getpid()).encode(), 0)
    return handle


@contextmanager
def _storage_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into one clear sentence each."""
    try:
        yield
    except sqlite3.OperationalError as error:
        text = str(error)
        if "locked" in text:
            raise StudyLockedError(f"{path}: the database is locked by another program; close it and resume") from error
        if "full" in text:
            raise StudyError(f"{path}: no free disk; make room and resume, nothing logged so far is lost") from error
        raise StudyError(f"{path}: {text}; check that the directory exists and can be written") from error
    except sqlite3.DatabaseError as error:
        raise StudyCorruptError(f"{path}: not a readable study log ({error}); restore it from a copy") from error


def _refuse_network_file_system(directory: Path) -> None:
    kind = file_system(directory)
    if kind in _NETWORK_FILE_SYSTEMS:
        raise StudyError(
            f"{directory} is on a network file system ({kind}), where SQLite's locks cannot be trusted; "
            "use a local disk and copy the finished study"
        )


def file_system(directory: Path, mounts: str | None = None) -> str | None:
    """Type of the file system that holds `directory`, from /proc/mounts; None where that does not exist."""
    if mounts is None:
        try:
            with open("/proc/mounts", encoding="utf-8") as file:  # noqa: PTH123
                mounts = file.read()
        except OSError:
            return None
    target, best, kind = str(directory.resolve()) + "/", "", None
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = fields[1].rstrip("/") + "/"
        if target.startswith(point) and len(point) > len(best):
            best, kind = point, fields[2]
    return kind
