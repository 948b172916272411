"""What a process shows on its own port: `/metrics`, `/health/live`, `/health/ready`; loopback unless told otherwise.

`/health/live` asks whether the loop has turned within 30 s, not whether Kafka is up: a restart would cure nothing
there. A source's loop turns once per poll, which may take longer, so it is given more time.
`/health/ready` asks whether the process has all it needs, such as partitions and their state. It never depends on one
partner or one source. Both answer in JSON with every check by name, so that one sees which failed; 200 or 503.
`/live` and `/ready` are the same in short.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import orjson
from prometheus_client.exposition import choose_encoder

from samenloop import metrics
from samenloop.errors import BadSettings

OK, NOT_YET = "ok", "not yet"
LIVE_SECONDS = 30.0
POLL_SECONDS = 900.0
"""How long one poll of a source may take: a slow server, a large export."""
ROUND_SECONDS = 120.0
"""How long one round of the lag exporter's questions may take while Kafka hesitates."""

_REGISTRY = {"registry": "the registry was reached at the start, and knows every schema"}
NEEDS: Mapping[str, Mapping[str, str]] = {
    "source": _REGISTRY | {"kafka": "Kafka gave the source its slot: it may write"},
    "stage": _REGISTRY | {"assignment": "Kafka gave it partitions and their state is rebuilt, or it stands by"},
    "view": _REGISTRY | {"view": "it has recounted and speaks, or it stands by"},
    "edge": _REGISTRY | {"topics": "Kafka answers, keys and subscriptions are read, the read model has caught up"},
    "conservation": _REGISTRY | {"kafka": "the last day was read and judged"},
    "lag-exporter": {"kafka": "Kafka answered every question once"},
    "probe": _REGISTRY | {"kafka": "Kafka took a probe"},
}
"""What each kind of process must have to be ready: the checks of `/health/ready`, and what is good about them."""


class Health:
    """Whether this process lives and is ready; told by its loop, asked by the server's threads.

    *needs* are what it cannot do its work without, each by a word; it is ready when all are met. One that is met may be
    lacking again, such as when partitions are given anew and their state is rebuilt.
    """

    def __init__(
        self,
        live_seconds: float = LIVE_SECONDS,
        *,
        needs: Iterable[str] = ("work",),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.live_seconds = live_seconds
        self._clock = clock
        self._turned = clock()
        self._needs: dict[str, str] = dict.fromkeys(needs, NOT_YET)
        self._told = False
        self._when_ready: Callable[[], object] = bool

    def turn(self) -> None:
        """Say that the loop has turned."""
        self._turned = self._clock()

    def when_ready(self, callback: Callable[[], object]) -> None:
        """Call *callback* when this process becomes ready for the first time."""
        self._when_ready = callback

    def met(self, *names: str) -> None:
        """Say that these needs are met."""
        for name in names:
            self._needs[name] = OK
        if self.ready and not self._told:
            self._told = True
            self._when_ready()

    def lacks(self, name: str, why: str) -> None:
        """Say what a need waits for, in words that follow "not ready:"."""
        self._needs[name] = why

    def become_ready(self) -> None:
        """Say that the process does its work: all it needs is there."""
        self.met(*self._needs)

    @property
    def ready(self) -> bool:
        """Whether all needs are met."""
        return all(why is OK for why in self._needs.values())

    @property
    def live(self) -> bool:
        """Whether the loop has turned lately."""
        return self._clock() - self._turned < self.live_seconds

    def liveness(self) -> dict[str, str]:
        """Return each check of `/health/live` with ``ok`` or what is wrong."""
        return {"loop": OK if self.live else f"it has not turned for {self.live_seconds:.0f} seconds"}

    def readiness(self) -> dict[str, str]:
        """Return each check of `/health/ready` with ``ok`` or what is awaited."""
        return dict(self._needs)


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
        elif path in ("/health/live", "/live"):
            self._judge("live", self.health.liveness())
        elif path in ("/health/ready", "/ready"):
            self._judge("ready", self.health.readiness())
        else:
            self._answer(404, b"there is /metrics, /health/live and /health/ready\n", "text/plain; charset=utf-8")

    def _judge(self, word: str, checks: dict[str, str]) -> None:
        good = all(why is OK for why in checks.values())
        body = {"status": word if good else f"not {word}", "checks": checks}
        self._answer(200 if good else 503, orjson.dumps(body) + b"\n", "application/json")

    def _answer(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: a scrape is no event."""
