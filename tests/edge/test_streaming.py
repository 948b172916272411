"""Streams that last: resumed where they were, bounded in number, and over when the key is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import Response

from edge.problems import Problem
from edge.read_model import Events, News
from edge.streaming import EventStream, Feed, Streams
from tests.edge.read_model.conftest import NETWORK, make_plan, partner
from tests.edge.regions import Region, admit, close, key_of, make_region

STREAM = "/v1/changes/stream"


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Region]:
    """A region with one plan, and room for two streams of a partner, three in all."""
    made = make_region(tmp_path / "read-model.sqlite", public=True, streams=3, streams_per_partner=2)
    made.log.plan(make_plan("first"))
    made.log.subscription(1, NETWORK)
    made.log.write()
    yield made
    close(made)


class Reading:
    """A client of a stream, as browsers do it."""

    def __init__(self, url: str, path: str = STREAM, who: str | None = "network", **headers: str) -> None:
        self.client = httpx.Client(timeout=20)
        request = self.client.build_request("GET", f"{url}{path}", headers={**key_of(who), **headers})
        self.answer = self.client.send(request, stream=True)
        self.lines = self.answer.iter_lines()
        self.last_id = ""

    def told(self) -> Iterator[dict[str, object]]:
        """Yield what arrives, until the stream ends."""
        for line in self.lines:
            name, _, text = line.partition(": ")
            if name == "id":
                self.last_id = text
            if name == "data":
                yield json.loads(text)

    def begun(self) -> Reading:
        """Wait for the first cursor."""
        assert self.answer.status_code == 200
        assert self.answer.headers["content-type"].startswith("text/event-stream")
        while not self.last_id:
            name, _, text = next(self.lines).partition(": ")
            self.last_id = text if name == "id" else ""
        return self

    def close(self) -> None:
        self.answer.close()
        self.client.close()


def test_what_happens_is_told_and_resumed(region: Region) -> None:
    """From now on; who comes back with the last id is told what it missed, and nothing again."""
    with region.serving() as url:
        reading = Reading(url).begun()
        told = reading.told()
        region.log.plan(make_plan("second"))
        region.write()
        second = next(told)
        reading.close()
        region.log.plan(make_plan("third"))
        region.write()
        again = Reading(url, **{"last-event-id": reading.last_id})
        third = next(again.told())
        again.close()

    assert [str(event["subject"]).rpartition(":")[2] for event in (second, third)] == ["second", "third"]


def test_alerts_as_they_come(region: Region) -> None:
    """The stream of alerts works as that of changes, for one's own subscriptions."""
    with region.serving() as url:
        reading = Reading(url, "/v1/alerts/stream?subscription=00000000-0000-0000-0000-000000000001").begun()
        region.log.alert(1, 1, make_plan("first").id, {"title": "x"})
        region.write()
        alert = next(reading.told())
        reading.close()

    assert alert["alertsequence"] == 1


def test_the_end_of_a_key(region: Region) -> None:
    """A stream ends when its key may no longer read, and when what its partner may see changes."""
    with region.serving() as url:
        readings = [Reading(url, who=who).begun() for who in ("network", "builder")]
        region.scene.services.keyring.put(NETWORK, None)
        admit(region.scene, "builder", scopes=("plans:write",))
        rest = [list(reading.told()) for reading in readings]
        for reading in readings:
            reading.close()

    assert rest == [[], []]


def test_the_head_of_a_stream_is_told_and_that_is_all(region: Region) -> None:
    """HEAD is answered as GET would be, ends by itself and keeps no place."""
    with region.serving() as url, httpx.Client(timeout=20, headers=key_of("network")) as client:
        heads = [client.head(f"{url}{STREAM}") for _ in range(5)]

        assert {(head.status_code, head.headers["content-type"], head.content) for head in heads} == {
            (200, "text/event-stream; charset=utf-8", b"")
        }


def test_so_many_and_no_more(region: Region) -> None:
    """429 above what a partner may have, and above what there may be in all; an ended one gives its place back."""
    with region.serving() as url:
        two = [Reading(url).begun() for _ in range(2)]
        third = httpx.get(f"{url}{STREAM}", headers=key_of("network"))
        other = Reading(url, who=None).begun()
        full = httpx.get(f"{url}{STREAM}", headers=key_of("builder"))
        for reading in (*two, other):
            reading.close()
        while region.scene.services.streams.count:
            pass
        again = Reading(url).begun()
        again.close()

    for refused in (third, full):
        assert refused.status_code == 429
        assert refused.json()["type"].endswith("/problems/too-many-streams")
        assert "retry-after" in refused.headers


def test_time_is_up(tmp_path: Path) -> None:
    """A stream ends by itself after its time; what was there from the cursor on was told, the id on the last event."""
    region = make_region(tmp_path / "read-model.sqlite", stream_minutes=0.001)
    region.log.write()
    start = region.scene.services.reads.model.cursor(partner(NETWORK))
    region.log.plan(make_plan("A"))
    region.log.plan(make_plan("B"))
    region.log.write()
    text = region.get(STREAM, after=start).text
    close(region)

    blocks = [block.splitlines() for block in text.strip().split("\n\n")]
    assert blocks[0][0] == "retry: 3000"
    assert [line.partition(":")[0] for line in blocks[-1]][-2:] == ["id", "data"]
    assert text.count("\ndata: ") == 2
    assert text.count("id: ") == 1


def test_a_wrong_last_id(region: Region) -> None:
    """400 names the header."""
    answer = region.get(STREAM, headers={"last-event-id": "nonsense"})

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["header"] == "Last-Event-ID"


async def _collected(answer: Response) -> list[str]:
    assert isinstance(answer, EventStream)
    return [bytes(chunk).decode() async for chunk in answer.body_iterator]  # type: ignore[arg-type]


def test_trouble_on_the_way() -> None:
    """A page that cannot be had now is asked for again; an expired cursor is the end, as an event `problem` says."""
    asked: list[str] = []
    streams = Streams(News(), most=1, per_partner=1, seconds=60, heartbeat_seconds=0)

    async def newest() -> str:
        return "c0"

    async def page(after: str) -> Events:
        asked.append(after)
        if len(asked) == 3:
            raise Problem("unavailable", "too many questions")
        if len(asked) == 5:
            raise Problem("cursor-expired", "it is older than what is kept")
        return Events([b"{}"] if len(asked) == 4 else [], f"c{len(asked)}", at_end=len(asked) == 2)

    async def play() -> list[str]:
        return await _collected(await streams.answer("x", None, Feed(newest, page), lambda: True))

    told = asyncio.run(play())

    assert asked == ["c0", "c1", "c2", "c2", "c4"]
    assert told[0] == "retry: 3000\nid: c1\n\n"
    assert told[-2] == "id: c4\ndata: {}\n\n"
    assert told[-1].startswith('event: problem\ndata: {"code":"cursor-expired"')


def test_a_sign_of_life(region: Region) -> None:
    """A comment now and then keeps the connection open."""
    streams = Streams(News(), most=1, per_partner=1, seconds=1.5, heartbeat_seconds=0)
    region.scene.services.streams = streams

    assert "\n: still here\n\n" in region.get(STREAM).text
