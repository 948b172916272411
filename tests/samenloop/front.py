"""A reverse proxy as operators put it in front of their registry: TLS of its own, and nobody without a password."""

from __future__ import annotations

import ssl
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from samenloop.localstack.certificates import Authority
from tests.samenloop.listening import Listening

USER, PASSWORD = "samenloop", "registry-geheim"
_HANDED_ON = ("content-type", "accept", "x-registry-preserve-globalid", "x-registry-preserve-contentid")


class Front(Listening):
    """Demands *USER* and *PASSWORD* over TLS and hands the rest on to the registry it was last led to.

    *folder* gets its authority, which is not the one of the registry behind it.
    """

    def __init__(self, folder: Path) -> None:
        authority = Authority(folder, name="front")
        own, self.ca = authority.issue("registry"), authority.certificate
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(own / "user.crt", own / "user.key")
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        super().__init__(self._server)
        self.url = ""

    def lead_to(self, url: str, ca: Path) -> None:
        """Stand in front of the registry at *url*, whose certificate *ca* signed."""
        place = urlsplit(url)
        self.url = f"https://127.0.0.1:{self._server.server_port}{place.path}"
        context = ssl.create_default_context(cafile=ca)
        self._server.close_behind()
        self._server.behind = httpx.Client(
            base_url=f"{place.scheme}://{place.netloc}", verify=context, timeout=60, trust_env=False
        )


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    behind: httpx.Client | None = None

    def server_close(self) -> None:
        self.close_behind()
        super().server_close()

    def close_behind(self) -> None:
        if self.behind is not None:
            self.behind.close()

    def handle_error(self, *_: object) -> None:
        """Who does not trust the certificate hangs up; that is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = 30

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.headers["authorization"] != f"Basic {b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}":
            self._send(401, b'{"error_code":40101,"message":"Unauthorized"}', "application/json")
            return
        headers = {name: self.headers[name] for name in _HANDED_ON if name in self.headers}
        assert self.server.behind is not None, "the front leads nowhere yet"
        answer = self.server.behind.request(self.command, self.path, content=body, headers=headers)
        self._send(answer.status_code, answer.content, answer.headers.get("content-type", "application/json"))

    do_GET = do_POST = do_PUT = do_DELETE = _answer

    def _send(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="registry"')
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
