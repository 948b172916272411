"""Server-sent events: a page at a time from a cursor, as long as the key is good; so many streams and no more.

The cursor behind a page is the `id` of its last event, so whoever comes back with `Last-Event-ID` misses nothing and
may be told the last page again. A page without events that moved on is an `id` alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from typing import NamedTuple

import orjson
from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from edge.problems import Fault, Problem
from edge.read_model import Events, News
from edge.read_model.cursors import read_cursor
from samenloop.errors import Reject

HEARTBEAT_SECONDS, _LOOK_SECONDS, _RETRY_MILLISECONDS = 15.0, 1.0, 3000
_AT_ONCE = 8
"""Streams that read at the same time: news wakes all of them, and others ask as well."""
PER_PAGE = 100
"""Events of a page: what is told again at most."""


class Feed(NamedTuple):
    """What a stream tells: the cursor behind all there is now, and the page behind a cursor."""

    newest: Callable[[], Awaitable[str]]
    page: Callable[[str], Awaitable[Events]]


class Streams:
    """The open streams of this process. Used from one event loop."""

    def __init__(self, news: News, *, most: int, per_partner: int, seconds: float) -> None:
        self._news, self._most, self._per_partner, self._seconds = news, most, per_partner, seconds
        self._open: Counter[str] = Counter()
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._ended = False
        self._wakers: set[asyncio.Event] = set()

    @property
    def count(self) -> int:
        """How many are open."""
        return self._open.total()

    def take(self, partner: str) -> Callable[[], None]:
        """Take a place for one stream of *partner*; returns what gives it back. Raises Problem("too-many-streams")."""
        if self._open[partner] >= self._per_partner or self.count >= self._most:
            detail = "Too many streams are open; close one, or ask with `after` every now and then."
            raise Problem("too-many-streams", detail, headers={"Retry-After": "30"})
        self._open[partner] += 1
        there = [partner]

        def give_back() -> None:
            if there:
                self._open -= Counter([there.pop()])

        return give_back

    def end(self) -> None:
        """End every stream: the process stops."""
        self._ended = True
        for waker in self._wakers:
            waker.set()

    async def answer(self, partner: str, after: str | None, feed: Feed, good: Callable[[], bool]) -> Response:
        """Return a stream to *partner* from *after* on, from now on without it, for as long as *good* says so.

        The first page is read before, so that what is wrong has a status of its own. Raises Problem.
        """
        give_back = self.take(partner)
        try:
            start = await feed.newest() if after is None else after
            first = await feed.page(start)
        except BaseException:
            give_back()
            raise
        return EventStream(self._told(first, feed.page, good), give_back)

    async def _told(
        self, first: Events, page: Callable[[str], Awaitable[Events]], good: Callable[[], bool]
    ) -> AsyncGenerator[bytes]:
        """Yield what *page* gives from *first* on, until *good* says no, time is up, or a page raises Problem."""
        until = time.monotonic() + self._seconds
        yield f"retry: {_RETRY_MILLISECONDS}\n".encode() + frames(first, moved=True)
        events, spoke = first, time.monotonic()
        with self._waking() as waker:
            while not self._ended and good() and (now := time.monotonic()) < until:
                if events.at_end:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(waker.wait(), min(_LOOK_SECONDS, until - now))
                    if not waker.is_set():
                        if now - spoke >= HEARTBEAT_SECONDS:
                            spoke = now
                            yield b": still here\n\n"
                        continue
                    waker.clear()
                before = events.next
                try:
                    async with self._turns:
                        events = await page(before)
                except Problem as problem:
                    if problem.code == "unavailable":
                        await asyncio.sleep(_LOOK_SECONDS)
                        waker.set()
                        continue
                    yield _frame("problem", orjson.dumps({"code": problem.code, "detail": problem.detail}))
                    return
                if not good():
                    return
                if text := frames(events, moved=events.next != before):
                    spoke = time.monotonic()
                    yield text

    @contextlib.contextmanager
    def _waking(self) -> Iterator[asyncio.Event]:
        waker, loop = asyncio.Event(), asyncio.get_running_loop()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(waker.set)

        unheard = self._news.listen(wake)
        self._wakers.add(waker)
        waker.set()  # what was written between the first page and now
        try:
            yield waker
        finally:
            unheard()
            self._wakers.discard(waker)


class EventStream(StreamingResponse):
    """The answer that lasts; its place is given back whatever ends it."""

    media_type = "text/event-stream"

    def __init__(self, content: AsyncGenerator[bytes], give_back: Callable[[], None]) -> None:
        super().__init__(content, headers={"X-Accel-Buffering": "no"})
        self._content, self._give_back = content, give_back

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until it ends."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._give_back()
            await self._content.aclose()


def resumed_from(request: Request, after: str | None) -> str | None:
    """Return the cursor that a stream goes on from: `Last-Event-ID`, which a client sends that comes back, or *after*.

    Raises Problem("malformed").
    """
    text = request.headers.get("last-event-id")
    if not text:
        return after
    try:
        read_cursor(text)
    except Reject as error:
        fault = Fault("", error.code, "expected the `id` of an event of this stream", header="Last-Event-ID")
        raise Problem("malformed", "A header is not as it should be.", [fault]) from error
    return text


def page_answer(events: Events) -> Response:
    """Return a page of events in its envelope; `next` is always there."""
    parts = (b'{"events":[', b",".join(events.events), b'],"next":"', events.next.encode(), b'","at_end":',
             b"true}" if events.at_end else b"false}")  # fmt: skip
    return Response(b"".join(parts), media_type="application/json")


def frames(events: Events, *, moved: bool) -> bytes:
    """Return a page as text/event-stream; the cursor stands with the last event."""
    cursor = f"id: {events.next}\n".encode()
    if not events.events:
        return cursor + b"\n" if moved else b""
    *others, last = events.events
    return b"".join([*(_frame("message", event) for event in others), cursor + _frame("message", last)])


def _frame(name: str, data: bytes) -> bytes:
    return (f"event: {name}\n" if name != "message" else "").encode() + b"data: " + data + b"\n\n"
