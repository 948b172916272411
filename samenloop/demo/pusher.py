"""The water board's dispatch system as it speaks to the hub: CloudEvents by POST, again until it is answered."""

from __future__ import annotations

import threading
import time
from datetime import datetime

import httpx
import orjson

from samenloop import clock
from samenloop.demo.dispatch import REQUESTS, Report, Request, events
from samenloop.errors import Retry

SINGLE, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"
_AGAIN = (401, 429, 503)
"""Answers after which the same is sent again; the key was made a moment ago, so the hub may not know it yet."""
_PATIENCE_SECONDS, _PAUSE_SECONDS = 60.0, 0.2


class Pusher:
    """Sends what was reported in a week to *address* with an API key; called from one thread."""

    def __init__(self, address: str, key: str, stopping: threading.Event) -> None:
        self.accepted = 0
        """Events that were answered with accepted, repeated ones too."""
        self.reports: dict[str, Report] = {}
        """What was sent, by event id."""
        self.repeated = 0
        self.batched = 0
        self._client = httpx.Client(
            base_url=address, headers={"authorization": f"Bearer {key}"}, timeout=30, trust_env=False
        )
        self._stopping = stopping
        self._bodies: dict[tuple[str, ...], bytes] = {}

    def push(self, week: int) -> str | None:
        """Send the request of *week* and say what became of it; None when there is none.

        Raises Retry when it is not taken: refused, or not answered for too long.
        """
        request = REQUESTS.get(week)
        if request is None:
            return None
        answer = self._sent(self._body(request, clock.now()), len(request.reports))
        self.accepted += answer
        if request.again:
            self.repeated += len(request.reports)
        elif len(request.reports) > 1:
            self.batched += len(request.reports)
        self.reports |= {report.id: report for report in request.reports}
        several = f"{len(request.reports)} reports in a batch" if len(request.reports) > 1 else "a report"
        return f"{several}, the same once more" if request.again else several

    def close(self) -> None:
        """Give the connection back."""
        self._client.close()

    def _body(self, request: Request, now: datetime) -> bytes:
        """Return what is sent; a repeat is the very same bytes."""
        ids = tuple(report.id for report in request.reports)
        if ids not in self._bodies:
            told = events(request, now)
            self._bodies[ids] = orjson.dumps(told if len(told) > 1 else told[0])
        return self._bodies[ids]

    def _sent(self, body: bytes, count: int) -> int:
        until = time.monotonic() + _PATIENCE_SECONDS
        kind = BATCH if count > 1 else SINGLE
        while True:
            try:
                reply = self._client.post("/v1/events", content=body, headers={"content-type": kind})
                if reply.status_code == 202:
                    return int(reply.json()["accepted"])
                why = f"answered {reply.status_code}: {reply.text[:500]}"
                if reply.status_code not in _AGAIN:
                    raise Retry("http-error", f"the hub {why}")
            except httpx.TransportError as error:
                why = f"cannot be reached ({type(error).__name__})"
            if time.monotonic() > until or self._stopping.wait(_PAUSE_SECONDS):
                raise Retry("http-error", f"the hub {why}")
