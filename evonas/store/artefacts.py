"""Files by the digest of their content: trained weights and anything else too large for the log."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import final

from evonas.errors import StudyCorruptError, StudyError


@final
class Artefacts:
    """Content-addressed files below `directory`; a file that exists is whole, because it is renamed into place."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def path(self, digest: str) -> Path:
        """Where the artefact of this digest lies."""
        return self.directory / digest[:2] / digest

    def put(self, data: bytes) -> str:
        """Store `data` and return its SHA-256. Storing the same bytes again costs nothing."""
        digest = hashlib.sha256(data).hexdigest()
        target = self.path(digest)
        if target.exists():
            return digest
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=target.parent, prefix=".new-")
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            Path(name).replace(target)
        except OSError as error:
            raise StudyError(f"{target}: {error.strerror}; make room or mend the permissions, then resume") from error
        return digest

    def get(self, digest: str) -> bytes:
        """Content of an artefact. Raises `StudyCorruptError` when it is missing or was changed."""
        try:
            data = self.path(digest).read_bytes()
        except FileNotFoundError as error:
            raise StudyCorruptError(f"{self.path(digest)} is missing; restore it from a copy") from error
        if hashlib.sha256(data).hexdigest() != digest:
            raise StudyCorruptError(f"{self.path(digest)} was changed after it was written; restore it from a copy")
        return data
