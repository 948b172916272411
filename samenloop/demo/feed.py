"""Serves the newest publication of the road register on loopback, with ETag: 304 to whoever has it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, time
from email.utils import format_datetime
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import NamedTuple

from samenloop.demo.region import monday

PATH = "/planning.xml"


class Served(NamedTuple):
    """A publication, its tag, and when it was made as HTTP writes it."""

    body: bytes
    tag: str
    modified: str


class RoadFeed:
    """A small HTTP server on a free port; 503 until something is published."""

    def __init__(self) -> None:
        self.served: Served | None = None
        self.given = 0
        """Answers with a publication."""
        self.unchanged = 0
        """Answers 304."""
        self._server = _Server(("127.0.0.1", 0), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="feed", daemon=True)

    @property
    def url(self) -> str:
        """Address of the publication."""
        return f"http://127.0.0.1:{self._server.server_port}{PATH}"

    def publish(self, body: bytes, week: int) -> None:
        """Serve *body* from now on, as made on the Monday of *week*."""
        made = datetime.combine(monday(week), time(4, 30), UTC)
        self.served = Served(body, f'"{sha256(body).hexdigest()[:16]}"', format_datetime(made, usegmt=True))

    def __enter__(self) -> RoadFeed:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], feed: RoadFeed) -> None:
        super().__init__(address, _Handler)
        self.feed = feed

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: whoever asks may end at any moment."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        """Answer with the publication, 304 to whoever has it."""
        feed = self.server.feed
        served = feed.served
        if self.path != PATH or served is None:
            self._answer(404 if served else 503, {} if served else {"Retry-After": "1"})
        elif self.headers.get("If-None-Match") == served.tag:
            feed.unchanged += 1
            self._answer(304, {"ETag": served.tag})
        else:
            feed.given += 1
            head = {"ETag": served.tag, "Last-Modified": served.modified, "Content-Type": "application/xml"}
            self._answer(200, head, served.body)

    def _answer(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing per request."""
