"""What a process shows on its own port: `/metrics`, `/live`, `/ready`. Loopback unless the settings say otherwise.

`/live` asks whether the loop has turned within 30 s, not whether Kafka is up: a restart would cure nothing there. A
source's loop turns once per poll, which may take longer, so it is given more time.
`/ready` asks whether the process does its work: partitions assigned and state rebuilt, or a source that may poll.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

from prometheus_client.exposition import choose_encoder

from samenloop import metrics
from samenloop.errors import BadSettings

LIVE_SECONDS = 30.0
POLL_SECONDS = 900.0
"""How long one poll of a source may take: a slow server, a large export."""


class Health:
    """Whether this process lives and is ready; told by its loop, asked by the server's threads."""

    def __init__(self, live_seconds: float = LIVE_SECONDS, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.live_seconds = live_seconds
        self._clock = clock
        self._turned = clock()
        self.ready = False
        self._when_ready: Callable[[], object] = bool

    def turn(self) -> None:
        """Say that the loop has turned."""
        self._turned = self._clock()

    def when_ready(self, callback: Callable[[], object]) -> None:
        """Call *callback* when this process becomes ready."""
        self._when_ready = callback

    def become_ready(self) -> None:
        """Say that the process does its work."""
        became, self.ready = not self.ready, True
        if became:
            self._when_ready()

    @property
    def live(self) -> bool:
        """Whether the loop has turned lately."""
        return self._clock() - self._turned < self.live_seconds


class Server:
    """The HTTP server of one process, in its own threads; ends with `close`."""

    def __init__(self, host: str, port: int, health: Health) -> None:
        handler = type("_Bound", (_Handler,), {"health": health})
        try:
            self._server = ThreadingHTTPServer((host, port), handler)
        except OSError as error:
            raise BadSettings([f"metrics.port: {host}:{port} cannot be listened on ({error.strerror})"]) from error
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="serving", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """The address it listens on, such as ``http://127.0.0.1:41234``."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    health: ClassVar[Health]
    timeout = 10  # a client that says nothing does not keep a thread

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            encoder, content_type = choose_encoder(self.headers.get("Accept", ""))
            self._answer(200, encoder(metrics.REGISTRY), content_type)
        elif path == "/live":
            late = f"the loop has not turned for {self.health.live_seconds:.0f} seconds"
            self._judge(self.health.live, "the loop turns", late)
        elif path == "/ready":
            self._judge(self.health.ready, "ready", "not ready yet")
        else:
            self._answer(404, b"there is /metrics, /live and /ready\n", "text/plain; charset=utf-8")

    def _judge(self, good: bool, yes: str, no: str) -> None:
        self._answer(200 if good else 503, f"{yes if good else no}\n".encode(), "text/plain; charset=utf-8")

    def _answer(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: a scrape is no event."""
