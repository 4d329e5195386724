"""A local HTTP server for the download tests, and small files in the formats of the public jet sets."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Reply:
    """What the server answers: `cut_at` promises the whole body but closes the connection after so many bytes."""

    body: bytes
    status: int = 200
    ranges: bool = True
    cut_at: int | None = None


@dataclass
class FileServer:
    """Files by path, and the `Range` header (or None) of every request that came."""

    url: str
    replies: dict[str, Reply] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)

    def serve(self, path: str, body: bytes, **options: object) -> str:
        self.replies[path] = Reply(body, **options)  # type: ignore[arg-type]
        return self.url + path

    def ranges_of(self, path: str) -> list[str | None]:
        return [header for wanted, header in self.requests if wanted == path]


@pytest.fixture
def server() -> Iterator[FileServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            files.requests.append((self.path, wanted))
            reply = files.replies.get(self.path, Reply(b"nothing here", status=404))
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and reply.ranges else 0
            if start and start >= len(reply.body):
                self.send_response(416)
                self.end_headers()
                return
            body = reply.body[start:]
            self.send_response(206 if start else reply.status)
            self.send_header("Content-Length", str(len(body)))
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(reply.body) - 1}/{len(reply.body)}")
            self.end_headers()
            self.wfile.write(body if reply.cut_at is None else body[: reply.cut_at])

        def log_message(self, *_: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    files = FileServer(f"http://127.0.0.1:{httpd.server_port}")
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield files
    httpd.shutdown()
    httpd.server_close()
    thread.join()
