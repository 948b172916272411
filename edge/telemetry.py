"""Around every request: its trace, its count, its line in the log, its problems. Never what it carried.

Plain ASGI, so that it also sees what the framework answers by itself, and streams pass through untouched.
"""

from __future__ import annotations

import re
import secrets
import time
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge.pages import HEADERS, problem_page
from edge.problems import KINDS, Fault, Problem, answer
from samenloop import metrics, tracing
from samenloop.logs import get_logger

_TRACE = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_OF_STATUS = {kind.status: code for code, kind in reversed(KINDS.items())}
_log = get_logger("edge")


class Telemetry:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, *, base_url: str) -> None:
        self._app, self._base_url = app, base_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = [(name.decode("latin-1"), value) for name, value in scope["headers"] if name == b"traceparent"]
        with tracing.span(scope["method"], "server", parent=tuple(given)) as span:
            await self._serve(scope, receive, send, span)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, span: tracing.Span) -> None:
        began = time.monotonic()
        trace_id = span.trace_id or _trace_id(scope)
        scope.setdefault("state", {})["trace_id"] = trace_id
        status = 500
        begun = False

        async def answering(message: Message) -> None:
            nonlocal status, begun
            if message["type"] == "http.response.start":
                status, begun = message["status"], True
                message["headers"] = [*message["headers"], *_headers(trace_id, message, span)]
            await send(message)

        try:
            await self._app(scope, receive, answering)
        except Exception as error:  # noqa: BLE001 - a bug of ours: one request fails, the trace goes to the log only
            if isinstance(error, ClientDisconnect):
                status = 499
                return
            _log.error("edge.failed", "A request failed by a mistake of our own.", trace_id=trace_id, exc_info=True)
            if not begun:
                problem = Problem("internal", "The hub made a mistake; its operator finds it by the instance.")
                await answer(problem, base_url=self._base_url, instance=trace_id)(scope, receive, answering)
        finally:
            self._tell(scope, status, trace_id, time.monotonic() - began)
            route = getattr(scope.get("route"), "path", None)
            span.rename(f"{scope['method']} {route}" if route else scope["method"])
            span.set(http_request_method=scope["method"], http_route=route or "", http_response_status__code=status)
            if status >= 500:
                span.fail(str(status))

    def _tell(self, scope: Scope, status: int, trace_id: str, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", metrics.OTHER)
        metrics.HTTP_REQUESTS_TOTAL.labels(route=route, status_class=f"{status // 100}xx").inc()
        caller = scope["state"].get("caller")
        _log.debug("edge.answered", "A request was answered.", method=scope["method"], route=route, status=status,
                   partner=caller.oin if caller else None, milliseconds=int(seconds * 1000),
                   trace_id=trace_id)  # fmt: skip


def _trace_id(scope: Scope) -> str:
    given = next((value for name, value in scope["headers"] if name == b"traceparent"), b"").decode("latin-1")
    found = _TRACE.fullmatch(given)
    return found[1] if found and found[1] != "0" * 32 else secrets.token_hex(16)


def _headers(trace_id: str, message: Message, span: tracing.Span) -> list[tuple[bytes, bytes]]:
    mine = dict(span.headers()).get(tracing.PARENT)
    there = {name for name, _ in message["headers"]}
    added = {
        b"traceparent": mine or f"00-{trace_id}-{secrets.token_hex(8)}-00".encode(),
        b"x-content-type-options": b"nosniff",
        b"cache-control": b"no-store",
    }
    return [(name, value) for name, value in added.items() if name not in there]


async def on_problem(request: Request, error: Exception) -> Any:
    """Answer a problem that a route raised."""
    assert isinstance(error, Problem)
    base_url = request.app.state.services.base_url
    if request.url.path == "/systems" and "text/html" in request.headers.get("accept", ""):
        return HTMLResponse(problem_page(error.code, ""), error.kind.status, {**error.headers, **HEADERS})
    return answer(error, base_url=base_url, instance=request.state.trace_id)


async def on_mistake(request: Request, _: Exception) -> Any:
    """Answer what nobody foresaw; the framework then raises it again, and it is logged above."""
    return await on_problem(request, Problem("internal", KINDS["internal"].meaning))


async def on_http_error(request: Request, error: Exception) -> Any:
    """Answer what the framework refuses: an unknown address, a method that is not possible."""
    assert isinstance(error, HTTPException)
    code = _OF_STATUS.get(error.status_code, "malformed" if error.status_code < 500 else "internal")
    problem = Problem(code, KINDS[code].meaning, headers=dict(error.headers or {}))
    return await on_problem(request, problem)


async def on_invalid(request: Request, error: Any) -> Any:
    """Answer parameters that are not as declared: 400 with all of them, not what was found in them."""
    faults = []
    for found in error.errors():
        where, *names = [str(part) for part in found["loc"]]
        place = {"header": ".".join(names)} if where == "header" else {}
        faults.append(Fault(f"/{'/'.join((where, *names))}", "request.parameter", found["msg"], **place))
    return await on_problem(request, Problem("malformed", "Parameters are not as they should be.", faults))
