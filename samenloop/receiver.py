"""A partner's webhook receiver on loopback: for the demonstration, for tests, and to try a subscription by hand.

It verifies every signature with the `standardwebhooks` library, as a partner would, keeps what it received, and can
be told to be down or to answer from a script. The demonstration and all tests share this one.

    with Receiver() as receiver:
        receiver.secret = "whsec_..."      # what `subscriptions add` printed
        ...                                # subscribe receiver.url
        receiver.down = True               # every connection is closed without an answer
        receiver.answers.extend([Answer(500), Answer(429, retry_after="2")])   # then 204 again
        receiver.messages, receiver.ids
"""

from __future__ import annotations

import ssl
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import sleep
from types import MappingProxyType, TracebackType
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

from samenloop import clock

_LIMIT = 1_000_000


@dataclass(frozen=True, slots=True)
class Answer:
    """One scripted answer: *status*, after *delay_seconds*, with *headers*."""

    status: int = 204
    delay_seconds: float = 0.0
    retry_after: str | None = None
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Message:
    """One request whose signature was good: its `webhook-id`, the CloudEvent, and what was answered."""

    id: str
    event: Mapping[str, Any]
    at: datetime
    status: int

    @property
    def subject(self) -> str:
        """Finding or plan the message is about."""
        return str(self.event.get("subject", ""))

    @property
    def accepted(self) -> bool:
        """Whether the answer said so (2xx)."""
        return 200 <= self.status < 300


class Receiver:
    """A small HTTP server on loopback; *port* 0 picks a free one, *certificate* (PEM with key) makes it https."""

    def __init__(self, *, port: int = 0, secret: str = "", certificate: str | None = None) -> None:
        self.secret = secret
        self.down = False
        self.consent: str | None = ""
        """What a handshake is answered with: an origin, `*`, "" for the one that asks, None for no consent."""
        self.allowed_rate = "*"
        self.answers: deque[Answer] = deque()
        self.messages: list[Message] = []
        self.refused = 0
        """Requests whose signature was not good; they got 401."""
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), self)
        self._scheme = "https" if certificate else "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="receiver", daemon=True)

    @property
    def url(self) -> str:
        """Address to subscribe."""
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}/samenloop"

    @property
    def ids(self) -> set[str]:
        """Ids of all messages that were accepted, without repeats: what a partner has after deduplication."""
        with self._lock:
            return {message.id for message in self.messages if message.accepted}

    def start(self) -> Receiver:
        """Begin to listen; returns itself."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop listening and give the port back."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def __enter__(self) -> Receiver:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def answer(self, body: bytes, headers: Mapping[str, str]) -> Answer | None:
        """Verify one request and decide the answer; None closes the connection without one."""
        if self.down:
            return None
        try:
            event = Webhook(self.secret).verify(body, dict(headers)) if self.secret else None
        except (WebhookVerificationError, ValueError):
            event = None
        with self._lock:
            if not isinstance(event, dict):
                self.refused += 1
                return Answer(401)
            answer = self.answers.popleft() if self.answers else Answer()
            self.messages.append(Message(headers["webhook-id"], event, clock.now(), answer.status))
        return answer


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], receiver: Receiver) -> None:
        super().__init__(address, _Handler)
        self.receiver = receiver

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that went away or refused our certificate is part of the play."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_OPTIONS(self) -> None:
        """Consent to whoever asks, unless told otherwise."""
        receiver = self.server.receiver
        if receiver.down:
            self.close_connection = True
            return
        self.send_response(200)
        if receiver.consent is not None:
            asked = self.headers.get("WebHook-Request-Origin", "")
            self.send_header("WebHook-Allowed-Origin", receiver.consent or asked)
            self.send_header("WebHook-Allowed-Rate", receiver.allowed_rate)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        """Take one message."""
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(min(length, _LIMIT))
        answer = self.server.receiver.answer(body, {name.lower(): value for name, value in self.headers.items()})
        if answer is None:
            self.close_connection = True
            return
        sleep(answer.delay_seconds)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.retry_after is not None:
            self.send_header("Retry-After", answer.retry_after)
        if answer.status != 204:
            self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing per request."""
