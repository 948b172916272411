"""A collector of traces on loopback, by OTLP over HTTP: what operators point the hub at, and it keeps all spans."""

from __future__ import annotations

from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.samenloop.listening import Listening


@dataclass(frozen=True, slots=True)
class Kept:
    """A span of a *process*; ids in hex, *parent* is empty for the first one of a trace."""

    process: str
    name: str
    trace: str
    id: str
    parent: str


class Collector(Listening):
    """A context manager; `OTEL_EXPORTER_OTLP_ENDPOINT` is its *url*."""

    def __init__(self) -> None:
        self.spans: list[Kept] = []
        self._server = _Server(("127.0.0.1", 0), _Handler)
        super().__init__(self._server)
        self._server.spans = self.spans

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def road(self, span: Kept) -> list[tuple[str, str]]:
        """Return process and name of *span* and of everything above it, the beginning of its trace last."""
        known = {(one.trace, one.id): one for one in self.spans}
        road, at = [], known.get((span.trace, span.id))
        while at is not None:
            road.append((at.process, at.name))
            at = known.get((at.trace, at.parent))
        return road


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    spans: list[Kept]


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        for of_process in ExportTraceServiceRequest.FromString(body).resource_spans:
            named = {one.key: one.value.string_value for one in of_process.resource.attributes}
            self.server.spans += [
                Kept(named["service.name"], one.name, one.trace_id.hex(), one.span_id.hex(), one.parent_span_id.hex())
                for scope in of_process.scope_spans
                for one in scope.spans
            ]
        answer = ExportTraceServiceResponse().SerializeToString()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass
