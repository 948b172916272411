"""HEAD is answered like GET, without the body. rule: RFC 9110, 9.3.2

Plain ASGI in place of methods of routes: every address has it, whatever is added, and the description of the interface
does not say everything twice.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class _Enough(Exception):
    """The head of an answer that goes on is sent."""


class Heads:
    """Asks the application for GET where HEAD was asked, and passes on the head of its answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. A stream is ended after its head, and gives its place back."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        asked = {**scope, "method": "GET"}

        async def head(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
            elif message["type"] == "http.response.body":
                await send({"type": "http.response.body", "body": b""})
                if message.get("more_body"):
                    raise _Enough

        try:
            await self._app(asked, receive, head)
        except _Enough:
            pass
        finally:
            scope["route"] = asked.get("route")  # what answered is counted by whoever stands around
