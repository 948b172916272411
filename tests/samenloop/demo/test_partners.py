"""The invented partners' systems against a scripted hub, and the road register as a client meets it."""

import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime

import httpx
import orjson
import pytest

from samenloop.demo.client import HubClient
from samenloop.demo.dispatch import REQUESTS
from samenloop.demo.feed import RoadFeed
from samenloop.demo.puller import Puller
from samenloop.demo.pusher import BATCH, SINGLE, Pusher
from samenloop.errors import Retry

Answer = Callable[[httpx.Request], httpx.Response]


def _client(answer: Answer, stopping: threading.Event | None = None) -> HubClient:
    return HubClient("http://hub.example", "key", stopping or threading.Event(), httpx.MockTransport(answer))


def _accepting(request: httpx.Request) -> httpx.Response:
    told = orjson.loads(request.content)
    return httpx.Response(202, json={"accepted": len(told) if isinstance(told, list) else 1})


def test_what_is_not_answered_is_sent_again_unchanged() -> None:
    """After 503, 429 and a lost connection the very same bytes follow, until they are taken; then once is counted."""
    bodies: list[bytes] = []
    script: Iterator[int] = iter([503, 429, 0, 202])

    def answer(request: httpx.Request) -> httpx.Response:
        bodies.append(request.content)
        status = next(script)
        if status == 0:
            raise httpx.ConnectError("gone")
        return _accepting(request) if status == 202 else httpx.Response(status)

    pusher = Pusher(_client(answer))
    pusher.push(min(REQUESTS))

    assert len(bodies) == 4
    assert len(set(bodies)) == 1
    assert pusher.accepted == 1


def test_what_is_refused_is_not_sent_again() -> None:
    """A 400 ends it at once, with what the hub said."""
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(400, text="events-refused")

    with pytest.raises(Retry, match="events-refused"):
        Pusher(_client(answer)).push(min(REQUESTS))
    assert len(asked) == 1


def test_nobody_waits_for_an_answer_when_it_ends() -> None:
    """A hub that never answers holds nobody once the play is to stop."""
    stopping = threading.Event()
    stopping.set()

    with pytest.raises(Retry, match="503"):
        Pusher(_client(lambda _: httpx.Response(503), stopping)).push(min(REQUESTS))


def test_all_weeks_are_sent_and_a_repeat_is_the_same() -> None:
    """Every request goes out in its week, lists as a batch; a repeated one has the bytes of the first time."""
    sent: list[tuple[str, bytes]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append((request.headers["content-type"], request.content))
        return _accepting(request)

    pusher = Pusher(_client(answer))
    words = [pusher.push(week) for week in range(1, 13)]
    several = [len(request.reports) > 1 for request in REQUESTS.values()]
    again = [request.again for request in REQUESTS.values()]

    assert [kind for kind, _ in sent] == [BATCH if many else SINGLE for many in several]
    assert len({body for _, body in sent}) == len(sent) - sum(again)
    assert sum(word is not None for word in words) == len(REQUESTS)
    assert pusher.accepted - pusher.repeated == len(pusher.reports)


def test_changes_are_read_page_by_page_from_the_cursor() -> None:
    """Pages follow by `next` until `at_end`; what is removed or withdrawn is dropped; the next pull goes on."""
    asked: list[str | None] = []
    state, removed, withdrawn = (f"nl.samenloop.plan-{kind}.v1" for kind in ("state-changed", "removed", "withdrawn"))

    def event(kind: str, plan: str) -> dict[str, object]:
        data = {"data": {"properties": {"title": plan}}} if kind == state else {}
        return {"type": kind, "subject": plan, **data}

    pages = {
        None: ([event(state, "a"), event(state, "b"), event(state, "c")], "1", False),
        "1": ([], "2", False),
        "2": ([event(removed, "a"), event(withdrawn, "b")], "3", True),
        "3": ([event(state, "d")], "4", True),
    }

    def answer(request: httpx.Request) -> httpx.Response:
        after = request.url.params.get("after")
        asked.append(after)
        events, following, at_end = pages[after]
        return httpx.Response(200, json={"events": events, "next": following, "at_end": at_end})

    puller = Puller(_client(answer))

    assert (puller.pull(), puller.plans) == (5, {"c": {"title": "c"}})
    assert (puller.pull(), set(puller.plans)) == (1, {"c", "d"})
    assert asked == [None, "1", "2", "3"]
    assert puller.told == {"a", "b", "c", "d"}


def test_the_road_register_answers_304_to_whoever_has_it() -> None:
    """503 before anything is published, the document with its tag, 304 with that tag, and a new document a new tag."""
    with RoadFeed() as feed, httpx.Client(trust_env=False) as client:
        assert client.get(feed.url).status_code == 503
        feed.publish(b"<one/>", 1)
        first = client.get(feed.url)
        tag = {"if-none-match": first.headers["etag"]}
        unchanged = client.get(feed.url, headers=tag)
        feed.publish(b"<two/>", 4)
        second = client.get(feed.url, headers=tag)
        elsewhere = client.get(feed.url + "x")

    assert (first.content, unchanged.status_code, unchanged.content, second.content) == (b"<one/>", 304, b"", b"<two/>")
    assert parsedate_to_datetime(second.headers["last-modified"]) == datetime.fromisoformat("2027-01-25T04:30:00Z")
    assert (feed.given, feed.unchanged, elsewhere.status_code) == (2, 1, 404)
