"""Fetch a public file once: progress, resume, checksum, and an atomic move into the cache.

Pooch decides whether the cached copy is good, verifies the checksum and moves the finished file into place; the
transfer itself is ours, because pooch starts again from nothing after an interruption.
"""

from __future__ import annotations

import errno
import json
import os
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from evonas.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TIMEOUT = (20.0, 60.0)  # seconds to connect, and without a byte
BLOCK = 1 << 16  # bytes; what is lost of a transfer that breaks off
_OFFLINE = "check the network, or download the file elsewhere and pass its path as the source"


def cache_path(cache_dir: Path | str | None) -> Path:
    """The directory for downloads: `cache_dir`, or the user's cache directory of evonas."""
    if cache_dir is not None:
        return Path(cache_dir).expanduser()
    import platformdirs

    return platformdirs.user_cache_path("evonas")


def fetch(url: str, name: str, checksum: str, cache_dir: Path | str | None = None) -> Path:
    """The path of the cached file `name`, downloaded from `url` if it is absent or damaged.

    `checksum` is `algorithm:hexdigest`. An interrupted download stays in `<name>.part` and goes on from there when
    the server allows it.

    Raises: `DataError` for no network, an HTTP error, a truncated body, a checksum mismatch or a full disk.
    """
    import pooch

    folder = cache_path(cache_dir)
    target = folder / name
    pooch.get_logger().setLevel("WARNING")
    with _explained(url, target):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            pooch.retrieve(url, known_hash=checksum, fname=name, path=folder, downloader=partial(_transfer, target))
        except ValueError as error:  # pooch has removed the damaged file
            if isinstance(error, OSError):  # an error of requests that is a ValueError too, such as a malformed URL
                raise
            raise DataError(
                f"checksum mismatch ({error}). The damaged download was removed; try again, and if it persists "
                "the file has changed at its origin",
                url,
            ) from error
    return target


def fetch_json(url: str) -> Any:
    """The JSON document at `url`. Raises: `DataError` as `fetch` does, or if it is not JSON."""
    import requests

    with _explained(url, None):
        response = requests.get(url, timeout=TIMEOUT, headers={"Accept": "application/json"})
        _check_status(response, url)
        try:
            return response.json()
        except json.JSONDecodeError as error:
            raise DataError("the server's answer is not JSON; the service may be down, try later", url) from error


def describe(
    url: str, parse: Callable[[Any], tuple[str, str]], name: str, cache_dir: Path | str | None = None
) -> tuple[str, str]:
    """Address and checksum of a file, as `parse` finds them in the JSON description at `url`.

    The answer is kept in the cache as `name` and used again where the service cannot be reached, so that cached
    data stay usable without a network.

    Raises: `DataError` if there is neither an answer nor a kept one, or if `parse` misses a key.
    """
    kept = cache_path(cache_dir) / name
    try:
        answer = fetch_json(url)
    except DataError:
        if not kept.is_file():
            raise
        address, checksum = json.loads(kept.read_text())
        return str(address), str(checksum)
    try:
        found = parse(answer)
    except (KeyError, TypeError) as error:
        raise DataError(f"the description lacks {error}; the service has changed or is down, try later", url) from error
    with _explained(url, kept):
        kept.parent.mkdir(parents=True, exist_ok=True)
        fresh = kept.with_name(f"{name}.{os.getpid()}")
        fresh.write_text(json.dumps(found))
        fresh.replace(kept)
    return found


def _transfer(target: Path, url: str, output_file: str, _pooch: Any) -> None:
    """Download to `<target>.part`, resuming what is there, and hand the finished file to pooch for its checksum."""
    part = target.with_name(target.name + ".part")
    with part.open("ab") as file:
        _lock(file, part)
        _receive(url, file)
    part.replace(output_file)


def _receive(url: str, file: IO[bytes]) -> None:
    """Append to `file` what is missing of `url`; start over when the server does not resume."""
    import requests

    have = file.seek(0, 2)
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(url, stream=True, timeout=TIMEOUT, headers=headers) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable and have:
            return  # everything is there already; the checksum decides
        _check_status(response, url)
        if response.status_code != requests.codes.partial_content:
            if have:
                file.truncate(0)
            have = 0
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            raise DataError("the server resumed at the wrong place; delete the .part file and try again", url)
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        with _progress(url, have, total) as advance:
            for block in response.iter_content(BLOCK):
                file.write(block)
                advance(len(block))
        file.flush()
        if total is not None and file.tell() < total:
            raise DataError(f"truncated: {file.tell()} of {total} bytes came; run again to resume", url)


@contextmanager
def _progress(url: str, have: int, total: int | None) -> Iterator[Any]:
    """A progress bar on standard error, silent where that is not a terminal; yields `advance(n_bytes)`."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(url.rsplit("/", 1)[-1], completed=have, total=total)
        yield lambda n: progress.advance(task, n)


@contextmanager
def _explained(url: str, target: Path | None) -> Iterator[None]:
    """Turn the errors of requests and of the file system into one `DataError`."""
    import requests

    try:
        yield
    except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError) as error:
        raise DataError("truncated: the connection broke off; run again to resume", url) from error
    except requests.exceptions.Timeout as error:
        raise DataError(f"no answer in {TIMEOUT[1]:.0f} s; try again, what came is kept", url) from error
    except requests.exceptions.ConnectionError as error:
        raise DataError(f"cannot connect: {_OFFLINE}", url) from error
    except requests.exceptions.RequestException as error:
        raise DataError(f"cannot download ({error}): {_OFFLINE}", url) from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DataError("the disk is full; free space or pass another cache_dir", target) from error
        raise DataError(f"cannot write ({error.strerror}); pass another cache_dir", target) from error


def _check_status(response: Any, url: str) -> None:
    """Raise `DataError` for an HTTP error status."""
    if response.status_code == 404:
        raise DataError(f"not found (HTTP 404): the file has moved; {_OFFLINE}", url)
    if response.status_code >= 400:
        raise DataError(f"HTTP {response.status_code} {response.reason}: try later, or {_OFFLINE}", url)


def _lock(file: IO[bytes], path: Path) -> None:
    """Keep a second process from writing to the same partial file."""
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise DataError("another process is downloading this file; wait for it and run again", path) from error
