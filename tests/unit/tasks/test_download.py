from __future__ import annotations

import hashlib
import os
import re
import socket
from pathlib import Path

import pytest

from evonas.errors import DataError
from evonas.tasks.download import cache_path, fetch, fetch_json

BODY = bytes(range(256)) * 4000


def md5(body: bytes) -> str:
    return "md5:" + hashlib.md5(body).hexdigest()


def test_downloads_once_and_then_uses_the_cache(server, tmp_path):
    url = server.serve("/a", BODY)
    path = fetch(url, "a.bin", md5(BODY), tmp_path / "new" / "cache")
    assert path == tmp_path / "new" / "cache" / "a.bin"
    assert path.read_bytes() == BODY
    assert fetch(url, "a.bin", md5(BODY), tmp_path / "new" / "cache") == path
    assert len(server.requests) == 1
    assert [p.name for p in path.parent.iterdir()] == ["a.bin"]


def test_sha256_is_accepted_and_a_damaged_cached_file_is_fetched_again(server, tmp_path):
    checksum = "sha256:" + hashlib.sha256(BODY).hexdigest()
    url = server.serve("/a", BODY)
    (tmp_path / "a.bin").write_bytes(b"rotten")
    assert fetch(url, "a.bin", checksum, tmp_path).read_bytes() == BODY


def test_checksum_mismatch_leaves_nothing_behind_and_the_next_try_can_succeed(server, tmp_path):
    url = server.serve("/a", b"wrong" + BODY)
    with pytest.raises(DataError, match=r"/a: checksum mismatch .*removed; try again"):
        fetch(url, "a.bin", md5(BODY), tmp_path)
    assert list(tmp_path.iterdir()) == []
    server.serve("/a", BODY)
    assert fetch(url, "a.bin", md5(BODY), tmp_path).read_bytes() == BODY


def test_a_truncated_body_is_kept_and_resumed(server, tmp_path):
    url = server.serve("/a", BODY, cut_at=300_000)
    with pytest.raises(DataError, match=r"truncated.*run again to resume"):
        fetch(url, "a.bin", md5(BODY), tmp_path)
    assert not (tmp_path / "a.bin").exists()
    kept = (tmp_path / "a.bin.part").stat().st_size
    assert 0 < kept <= 300_000
    server.serve("/a", BODY)
    assert fetch(url, "a.bin", md5(BODY), tmp_path).read_bytes() == BODY
    assert server.ranges_of("/a") == [None, f"bytes={kept}-"]
    assert not (tmp_path / "a.bin.part").exists()


def test_without_ranges_the_download_starts_over(server, tmp_path):
    url = server.serve("/a", BODY, ranges=False)
    (tmp_path / "a.bin.part").write_bytes(b"something else altogether")
    assert fetch(url, "a.bin", md5(BODY), tmp_path).read_bytes() == BODY


def test_a_complete_partial_file_only_needs_its_checksum(server, tmp_path):
    url = server.serve("/a", BODY)
    (tmp_path / "a.bin.part").write_bytes(BODY)
    assert fetch(url, "a.bin", md5(BODY), tmp_path).read_bytes() == BODY


def test_a_partial_file_of_another_content_is_found_out(server, tmp_path):
    url = server.serve("/a", BODY)
    (tmp_path / "a.bin.part").write_bytes(b"x" * 1000)
    with pytest.raises(DataError, match=r"checksum mismatch"):
        fetch(url, "a.bin", md5(BODY), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("status", "message"), [(404, "not found"), (500, "HTTP 500"), (403, "HTTP 403")])
def test_http_errors_are_named(server, tmp_path, status, message):
    url = server.serve("/a", b"sorry", status=status)
    with pytest.raises(DataError, match=f"^{re.escape(url)}: .*{message}"):
        fetch(url, "a.bin", md5(BODY), tmp_path)
    assert not (tmp_path / "a.bin").exists()
    with pytest.raises(DataError, match=message):
        fetch_json(url)


def test_no_network(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/a"
        with pytest.raises(DataError, match=r"cannot connect: check the network"):
            fetch(url, "a.bin", md5(BODY), tmp_path)


def test_malformed_address(tmp_path):
    with pytest.raises(DataError, match=r"cannot download"):
        fetch_json("http://")
    with pytest.raises(DataError, match=r"cannot download"):
        fetch("http://", "a.bin", md5(BODY), tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device /dev/full")
def test_a_full_disk(server, tmp_path):
    (tmp_path / "a.bin.part").symlink_to("/dev/full")
    with pytest.raises(DataError, match=r"the disk is full; free space or pass another cache_dir"):
        fetch(server.serve("/a", BODY), "a.bin", md5(BODY), tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind the superuser")
def test_an_unwritable_cache(server, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(DataError, match=r"cannot write"):
        fetch(server.serve("/a", BODY), "a.bin", md5(BODY), tmp_path)


def test_a_file_in_place_of_the_cache_directory(server, tmp_path):
    (tmp_path / "cache").write_text("")
    with pytest.raises(DataError, match=r"cannot write"):
        fetch(server.serve("/a", BODY), "a.bin", md5(BODY), tmp_path / "cache")


def test_two_processes_do_not_share_a_partial_file(server, tmp_path):
    import fcntl

    with (tmp_path / "a.bin.part").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(DataError, match=r"another process is downloading"):
            fetch(server.serve("/a", BODY), "a.bin", md5(BODY), tmp_path)


def test_json_that_is_none(server):
    with pytest.raises(DataError, match=r"not JSON"):
        fetch_json(server.serve("/a", b"<html>maintenance</html>"))


def test_the_cache_has_a_place_of_its_own_by_default():
    assert cache_path(None).name == "evonas"
    assert cache_path("~/here") == Path("~/here").expanduser()
