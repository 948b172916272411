"""Who pushes CloudEvents: the water board's dispatch, single or in a batch, and the municipality's permit desk."""

from __future__ import annotations

import orjson

from samenloop import clock
from samenloop.demo import permits
from samenloop.demo.client import HubClient
from samenloop.demo.dispatch import REQUESTS, Report, Request, events

SINGLE, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"


class PermitDesk:
    """Sends the zones that are decided; called from one thread."""

    def __init__(self, client: HubClient) -> None:
        self.accepted = 0
        self._client = client

    def push(self, week: int) -> str | None:
        """Send what was decided in *week* and say what it was; None when nothing was. Raises Retry when refused."""
        told = permits.event(week, clock.now())
        if told is None:
            return None
        answer = self._client.post("/v1/events", orjson.dumps(told), SINGLE)
        self.accepted += int(answer["accepted"])
        zone = permits.DECIDED[week]
        return f"the zone “{zone.title}”, {zone.status.value.lower().replace('_', ' ')}"

    def close(self) -> None:
        """Give the connection back."""
        self._client.close()


class Pusher:
    """Sends what was reported in a week; called from one thread."""

    def __init__(self, client: HubClient) -> None:
        self.accepted = 0
        """Events that were answered with accepted, repeated ones too."""
        self.reports: dict[str, Report] = {}
        """What was sent, by event id."""
        self.batched = 0
        self.repeated = 0
        self._client = client
        self._bodies: dict[tuple[Report, ...], bytes] = {}

    def push(self, week: int) -> str | None:
        """Send the request of *week* and say what it was; None when there is none. Raises Retry when it is refused."""
        request = REQUESTS.get(week)
        if request is None:
            return None
        count = len(request.reports)
        answer = self._client.post("/v1/events", self._body(request), BATCH if count > 1 else SINGLE)
        self.accepted += int(answer["accepted"])
        self.reports |= {report.id: report for report in request.reports}
        if request.again:
            self.repeated += count
        elif count > 1:
            self.batched += count
        several = f"{count} reports in a batch" if count > 1 else "a report"
        return f"{several}, the same once more" if request.again else several

    def close(self) -> None:
        """Give the connection back."""
        self._client.close()

    def _body(self, request: Request) -> bytes:
        """Return what is sent; a repeat is the very same bytes."""
        if request.reports not in self._bodies:
            told = events(request, clock.now())
            self._bodies[request.reports] = orjson.dumps(told if len(told) > 1 else told[0])
        return self._bodies[request.reports]
