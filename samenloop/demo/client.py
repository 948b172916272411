"""How an invented partner's system speaks to the hub: HTTP with its API key, the same again until it is answered."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

import httpx

from samenloop.errors import Retry

_AGAIN = (401, 429, 503)
"""Answers after which the same is sent again; the key was made a moment ago, so the hub may not know it yet."""
_PATIENCE_SECONDS, _PAUSE_SECONDS = 60.0, 0.2


class HubClient:
    """Asks the hub at *address* with an API key until *stopping*; used from one thread."""

    def __init__(
        self, address: str, key: str, stopping: threading.Event, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._client = httpx.Client(
            base_url=address,
            headers={"authorization": f"Bearer {key}"},
            timeout=30,
            trust_env=False,
            transport=transport,
        )
        self._stopping = stopping

    def get(self, path: str, query: Mapping[str, str | int]) -> Any:
        """Return the JSON of a 200. Raises Retry for any other answer, or none for too long."""
        return self._answered(self._client.build_request("GET", path, params=query), 200)

    def post(self, path: str, body: bytes, kind: str) -> Any:
        """Return the JSON of a 202. Raises Retry for any other answer, or none for too long."""
        return self._answered(
            self._client.build_request("POST", path, content=body, headers={"content-type": kind}), 202
        )

    def close(self) -> None:
        """Give the connection back."""
        self._client.close()

    def _answered(self, request: httpx.Request, good: int) -> Any:
        until = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                reply = self._client.send(request)
                if reply.status_code == good:
                    return reply.json()
                why = f"answered {reply.status_code} to {request.method} {request.url.path}: {reply.text[:500]}"
                if reply.status_code not in _AGAIN:
                    raise Retry("http-error", f"the hub {why}")
            except httpx.TransportError as error:
                why = f"cannot be reached ({type(error).__name__})"
            if time.monotonic() > until or self._stopping.wait(_PAUSE_SECONDS):
                raise Retry("http-error", f"the hub {why}")
