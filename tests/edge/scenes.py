"""An edge in process: real routes and rules, keys of two partners, and a Kafka that is a list."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import orjson
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import Response
from starlette.datastructures import State
from starlette.types import ASGIApp

from edge.app import build
from edge.desk import Desk
from edge.documented import EVENT, OIN
from edge.intake import Intake
from edge.keyring import Keyring
from edge.limits import WRONG_KEYS_AT_ONCE, Buckets
from edge.read_model import ReadModel
from edge.reads import Reads
from edge.server import streams_of
from edge.services import EdgeServices
from edge.shelf import Index
from edge.subscribing import Book, Subscribing
from edge.systems import Systems
from edge.telemetry import Telemetry
from samenloop.contract import Codec
from samenloop.dead_letter_desk import Result
from samenloop.dead_letters import Entry, state_of
from samenloop.errors import Retry
from samenloop.handshake import AGREED, Consent
from samenloop.model import (
    ApiKey,
    DeadLetter,
    DeadLetterState,
    DeadLetterStatus,
    Partner,
    PlanChanged,
    Subscription,
)
from samenloop.partners import SCOPES, key_hash
from samenloop.settings import Edge, Hub
from samenloop.stage import Output
from samenloop.subscriptions import subscription_output
from samenloop.webhooks import Destinations

NOW = datetime(2026, 11, 24, tzinfo=UTC)
OTHER = "00000099000000001003"
KEY, READER, OTHERS_KEY = "samenloop_one", "samenloop_reader", "samenloop_other"
HUB_URN = "urn:nld:oin:00000099000000000001:systeem:samenloop"
MASTER_KEY = bytes(range(32))
CODEC = Codec.offline()
STRUCTURED, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"


@dataclass
class Kafka:
    """Takes everything, or nothing while *away*."""

    outputs: list[Output] = field(default_factory=list)
    away: bool = False
    overtaken: bool = False
    """Whether somebody else changes a subscription at the very moment when it is changed here."""

    def follower(self, codec: Codec) -> Callable[[Subscription, Subscription], bool]:
        """Write what follows a subscription, as `samenloop.subscription_life.follow` does."""

        def follow(before: Subscription, after: Subscription) -> bool:
            if self.away:
                raise Retry("kafka.unavailable", "no broker")
            if not self.overtaken:
                self.outputs.append(subscription_output(codec, HUB_URN, after))
            return not self.overtaken

        return follow

    def send(self, outputs: Sequence[Output]) -> Future[None]:
        future: Future[None] = Future()
        if self.away:
            future.set_exception(Retry("kafka.unavailable", "no broker"))
        else:
            self.outputs += outputs
            future.set_result(None)
        return future


@dataclass
class Sinks:
    """All the sinks there are: what they answer when they are asked, and who asked what."""

    consent: Consent = AGREED
    asked: list[tuple[str, str, int | None]] = field(default_factory=list)

    async def __call__(
        self, url: str, *, origin: str, rate_per_minute: int | None, destinations: Destinations
    ) -> Consent:
        self.asked.append((url, origin, rate_per_minute))
        return self.consent


@dataclass
class Letters:
    """A shelf that is a list; what is offered again has the *outcome*."""

    letters: list[DeadLetter] = field(default_factory=list)
    states: list[DeadLetterState] = field(default_factory=list)
    outcome: Result | None = None
    away: bool = False

    def of(self, oin: str, subscriptions: Collection[UUID]) -> list[Entry]:
        if self.away:
            raise Retry("kafka.unavailable", "no broker")
        index = Index()
        for number, letter in enumerate(self.letters):
            index.take(letter, (0, number))
        for state in self.states:
            index.note(state)
        return index.of(oin, subscriptions)

    def whole(self, entry: Entry) -> Entry:
        return replace(entry, letter=next(one for one in self.letters if one.id == entry.letter.id))

    def replay(self, entry: Entry, *, by: str, now: datetime) -> Result:
        self.states.append(state_of(entry, DeadLetterStatus.TAKEN, by=by, now=now))
        return self.outcome or Result(entry, DeadLetterStatus.TAKEN, "taken")

    def discard(self, entry: Entry, *, by: str, reason: str, now: datetime) -> Result:
        self.states.append(state_of(entry, DeadLetterStatus.DISCARDED, by=by, reason=reason, now=now))
        return Result(entry, DeadLetterStatus.DISCARDED, "noted")


@dataclass
class Scene:
    """The edge, a client of it, and what reached Kafka."""

    services: EdgeServices
    client: TestClient
    kafka: Kafka
    codec: Codec
    sinks: Sinks
    shelf: Letters

    def post(self, body: Any, content_type: str = STRUCTURED, key: str = KEY, **headers: str) -> Response:
        """Send an event or a batch; bytes as they are."""
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        given = {"authorization": f"Bearer {key}", "content-type": content_type, **headers}
        return self.client.post("/v1/events", content=content, headers=given)

    def ask(self, method: str, path: str, body: Any = None, key: str = KEY, **headers: str) -> Response:
        """Make a request; the body as JSON, bytes as they are."""
        content = body if body is None or isinstance(body, bytes) else orjson.dumps(body)
        given = {"authorization": f"Bearer {key}", "content-type": "application/json", **headers}
        return self.client.request(method, path, content=content, headers=given)

    def subscriptions(self) -> list[Subscription]:
        """What reached `subscriptions`."""
        return self._values("subscriptions")

    def changes(self) -> list[PlanChanged]:
        """What reached `plan-changes`."""
        return self._values("plan-changes")

    def letters(self) -> list[DeadLetter]:
        """What reached `dead-letters`."""
        return self._values("dead-letters")

    def _values(self, topic: str) -> list[Any]:
        found = [output for output in self.kafka.outputs if output.topic == topic]
        return [self.codec.decode(topic, output.value or b"", output.headers) for output in found]


def partner(oin: str, *keys: tuple[str, tuple[str, ...]], mandate: tuple[str, ...] = ()) -> Partner:
    """Return a partner with these keys and their scopes."""
    held = tuple(ApiKey(key_hash(text), NOW, scopes) for text, scopes in keys)
    return Partner(oin=oin, name=f"Partner {oin[-1]}", created_at=NOW, updated_at=NOW, keys=held, mandate=mandate)


def make_scene(read_model: Path | None = None, **settings: Any) -> Scene:
    """Return an edge with these settings, over a read model's file; without one there is none yet."""
    codec = CODEC
    keyring = Keyring(codec)
    keyring.put(OIN, partner(OIN, (KEY, tuple(SCOPES)), (READER, ("read",))))
    keyring.put(OTHER, partner(OTHER, (OTHERS_KEY, tuple(SCOPES)), mandate=(OIN,)))
    edge = Edge(**{"requests_at_once": 100_000, **settings})
    kafka = Kafka()
    file = read_model or Path(tempfile.gettempdir()) / "samenloop-no-read-model" / "none.sqlite"
    model = ReadModel(file, metric_crs="EPSG:28992")
    services = EdgeServices(
        settings=edge,
        base_url="https://hub.example",
        keyring=keyring,
        sends=kafka,
        intake=Intake(codec, hub_urn=HUB_URN, metric_crs="EPSG:28992", allow_test_oin=True),
        buckets=Buckets(edge.requests_per_minute, edge.requests_at_once),
        wrong_keys=Buckets(edge.wrong_keys_per_minute, WRONG_KEYS_AT_ONCE),
        reads=Reads(model, metric_crs="EPSG:28992"),
        streams=streams_of(edge, model.news),
        systems=Systems(codec),
    )
    book, sinks, shelf = Book(codec), Sinks(), Letters()
    hub = Hub(edge=edge)
    destinations = Destinations(hub.delivery, resolve=lambda host, port: ["93.184.216.34"])
    services.subscribing = Subscribing(
        hub, MASTER_KEY, codec, book, services.sent, kafka.follower(codec), services.worker, destinations, sinks
    )
    services.desk = Desk(shelf, book.ids_of)
    client = TestClient(application(services), raise_server_exceptions=False)
    return Scene(services, client, kafka, codec, sinks, shelf)


def application(services: EdgeServices) -> ASGIApp:
    """Return what `create_app` returns; all scenes share its routes, which take longest to make."""
    app = copy.copy(_routed(services.base_url))
    app.state = State({"services": services})
    return Telemetry(app, base_url=services.base_url)


@cache
def _routed(base_url: str) -> FastAPI:
    return build(cast(EdgeServices, SimpleNamespace(base_url=base_url)))


def event(**attributes: Any) -> dict[str, Any]:
    """Return the documented event, with other attributes; None leaves one out."""
    made = {**copy.deepcopy(EVENT), **attributes}
    return {name: value for name, value in made.items() if value is not None}


def feature(**properties: Any) -> dict[str, Any]:
    """Return the data of the documented event, with other properties."""
    data = copy.deepcopy(EVENT["data"])
    assert isinstance(data, dict)
    data["properties"] = {**data["properties"], **properties}
    return data


def codes(answer: Response) -> dict[str, str]:
    """Return the findings of a problem: code by place."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return {fault.get("pointer") or fault.get("header", ""): fault["code"] for fault in answer.json().get("errors", ())}
