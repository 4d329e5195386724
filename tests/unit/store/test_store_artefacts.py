"""Files by digest."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from evonas.errors import StudyCorruptError, StudyError
from evonas.store.artefacts import Artefacts


def visible(directory: Path) -> list[str]:
    return [p.name for p in directory.rglob("*") if p.is_file() and not p.name.startswith(".")]


def test_what_goes_in_comes_out_once(tmp_path):
    artefacts = Artefacts(tmp_path / "a")
    digest = artefacts.put(b"weights")
    assert digest == hashlib.sha256(b"weights").hexdigest()
    assert artefacts.put(b"weights") == digest
    assert artefacts.get(digest) == b"weights"
    assert visible(tmp_path) == [digest]


def test_a_changed_or_missing_file_is_noticed(tmp_path):
    artefacts = Artefacts(tmp_path)
    digest = artefacts.put(b"weights")
    artefacts.path(digest).write_bytes(b"wEights")
    with pytest.raises(StudyCorruptError, match="was changed"):
        artefacts.get(digest)
    artefacts.path(digest).unlink()
    with pytest.raises(StudyCorruptError, match="is missing"):
        artefacts.get(digest)


def test_a_crash_before_the_rename_leaves_nothing_visible(tmp_path, monkeypatch):
    artefacts = Artefacts(tmp_path)

    def crash(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", crash)
        with pytest.raises(KeyboardInterrupt):
            artefacts.put(b"weights")
    assert visible(tmp_path) == []
    assert artefacts.get(artefacts.put(b"weights")) == b"weights"


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StudyError, match="make room or mend the permissions"):
        Artefacts(tmp_path / "file").put(b"weights")


def test_a_full_disk_is_one_clear_error(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StudyError, match="No space left on device"):
        Artefacts(tmp_path).put(b"weights")
    assert visible(tmp_path) == []
