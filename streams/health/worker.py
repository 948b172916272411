"""Runs the view: starts Faust, says what is due, recounts, and ends in bounded time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from aiokafka.errors import KafkaError

from samenloop import clock, metrics
from samenloop.contract import Envelope, classification
from samenloop.errors import Retry
from samenloop.identity import system_urn
from samenloop.logs import get_logger
from samenloop.model import SourceStatus, Visibility
from samenloop.source_health import WINDOW_HOURS, from_plain
from streams.health.application import Application
from streams.health.topics import count_again
from streams.health.view import Counted, View

if TYPE_CHECKING:
    from streams.health import Health

log = get_logger("health")
TURN_SECONDS, SAY_SECONDS, STOP_SECONDS, AGAIN_SECONDS = 0.2, 1.0, 8.0, 5.0
WINDOW = timedelta(hours=WINDOW_HOURS + 1)
"""How far a recount reads back by the clock of whoever wrote; an hour more than is counted."""
SOURCE_STATUS = "nl.samenloop.source-status.v1"


def run(
    health: Health, stop: threading.Event, *, on_turn: Callable[[], object], on_ready: Callable[[], object]
) -> None:
    """Run one worker until *stop* is set. Raises BadSettings, and Retry when Kafka is away."""
    asyncio.run(Worker(health).run(stop, on_turn, on_ready))


class Worker:
    """One worker: Faust's application and what time alone brings."""

    def __init__(self, health: Health) -> None:
        self._health, hub = health, health.hub
        self._hub_urn = system_urn(hub.hub.oin, "samenloop")
        self._view = View(health.described)
        self._application: Application
        self._recount: asyncio.Task[None] | None = None
        self._counted: Counted | None = None
        self._spoke = False
        self._whole, self._next_recount, self._next_say = True, 0.0, 0.0

    async def run(self, stop: threading.Event, on_turn: Callable[[], object], on_ready: Callable[[], object]) -> None:
        """Start, turn until *stop*, end."""
        self._application = Application(
            self._health.hub, self._health.codec, self._hub_urn, self._view, self._take_recount
        )
        app = self._application.app
        metrics.at_scrape(self._show)
        starting = asyncio.ensure_future(app.start())
        try:
            while not stop.is_set():
                on_turn()
                if starting.done():
                    starting.result()
                if app.crash_reason is not None:
                    raise app.crash_reason
                if starting.done() and await self._turn():
                    on_ready()
                await asyncio.sleep(TURN_SECONDS)
        except KafkaError as error:
            raise Retry("kafka.unavailable", f"the view lost Kafka: {error}") from error
        finally:
            await self._end(starting)

    async def _turn(self) -> bool:
        """Do what is due; return whether the worker is ready: it speaks and has recounted, or it stands by."""
        application, now = self._application, time.monotonic()
        speaks = application.speaks
        if speaks and not self._spoke:
            self._take_over()
        self._spoke = speaks
        if not speaks:
            return application.settled
        if self._recount is None and now >= self._next_recount:
            self._next_recount = now + AGAIN_SECONDS  # unless it is taken over
            self._recount = asyncio.ensure_future(self._count_again())
        if self._recount is not None and self._recount.done():
            self._recount.result()
            self._recount = None
        if now >= self._next_say:
            self._next_say = now + SAY_SECONDS
            await self._say()
        return self._view.recounted

    def _take_over(self) -> None:
        """Begin with what the tables hold; a whole recount follows at once."""
        view = View(self._health.described)
        for plain in self._application.accounts.values():
            account = from_plain(plain)
            view.accounts[account.source] = account
        for letter_id, (system, hour) in self._application.letters.items():
            view.letters.add(system, letter_id, hour)
        self._view = self._application.view = view
        self._whole, self._next_recount = True, 0.0

    async def _say(self) -> None:
        """Write what is due, all at once; a status counts as said when Kafka has it."""
        if due := self._view.due(self._health.now()):
            await asyncio.gather(*(self._say_one(system, status) for system, status in due.items()))

    async def _say_one(self, system: str, status: SourceStatus | None) -> None:
        codec, envelope = self._health.codec, self._envelope(system, status)
        value = None if status is None else codec.encode("sources", status)
        headers = codec.headers("sources", envelope, tombstone=status is None)
        await self._application.say(system, value, headers)
        self._view.said(system, status)

    def _envelope(self, system: str, status: SourceStatus | None) -> Envelope:
        event = str(uuid4())
        return Envelope(
            id=event,
            source=self._hub_urn,
            type=SOURCE_STATUS,
            time=status.observed_at if status else self._health.now(),
            subject=system,
            partitionkey=system,
            correlationid=event,
            classification=classification(Visibility.PARTNERS),
        )

    async def _count_again(self) -> None:
        """Recount in a thread, and let the agent that owns the tables take the result over."""
        view = self._view
        view.begin_recount()
        try:
            self._counted = await _in_thread(lambda: self._read_topics(whole=self._whole))
            await self._application.send_recounted()
            until = time.monotonic() + AGAIN_SECONDS
            while self._counted is not None and time.monotonic() < until:
                await asyncio.sleep(TURN_SECONDS)
        except Retry as error:
            log.warning("view.recount_failed", "A recount failed and is made again.", detail=error.detail)
        finally:
            view.drop_recount()
            self._counted = None

    def _take_recount(self) -> None:
        """Take a finished recount over, called by the agent. One that another worker asked for is ignored."""
        counted, self._counted = self._counted, None
        if counted is None:
            return
        view, name = self._view, self._health.name
        known = dict(view.accounts)
        mended = view.end_recount(counted, self._health.now())
        if mended is None:
            return
        self._application.keep(known)
        for source in sorted(mended):
            log.warning("view.mended", "A recount found what the view had missed; it is mended.", source=source)
        metrics.VIEW_MENDED_TOTAL.labels(view=name).inc(len(mended))
        metrics.VIEW_RECOUNTED_TIMESTAMP_SECONDS.labels(view=name).set(self._health.now().timestamp())
        self._whole = False
        self._next_recount = time.monotonic() + self._health.hub.views.recount_every_seconds

    def _read_topics(self, *, whole: bool) -> Counted:
        since = None if whole else clock.now() - WINDOW
        return count_again(self._health.hub.kafka, self._health.codec, self._health.now(), since=since)

    def _show(self) -> None:
        metrics.TABLE_KEYS.labels(table="health-accounts").set(len(self._view.accounts))
        metrics.TABLE_KEYS.labels(table="health-letters").set(sum(1 for _ in list(self._view.letters.items())))
        if self._health.hub.views.store == "rocksdb":
            folder = Path(str(self._application.app.conf.datadir))
            metrics.TABLE_SIZE_BYTES.labels(table="health").set(sum(p.stat().st_size for p in folder.rglob("*.sst")))

    async def _end(self, starting: asyncio.Future[None]) -> None:
        """Stop Faust; what does not end in time is left to the end of the process."""
        if self._recount is not None:
            self._recount.cancel()
        if not starting.done():
            starting.cancel()
        try:
            await asyncio.wait_for(self._application.app.stop(), STOP_SECONDS)
        except TimeoutError:
            log.warning("view.slow_stop", "Faust did not stop in time; the process ends all the same.")


T = TypeVar("T")


async def _in_thread(work: Callable[[], T]) -> T:
    """Return what *work* returns, from a thread that does not keep the process from ending."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(settle: Callable[[Any], object], what: object) -> None:
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(lambda: done.done() or settle(what))

    def act() -> None:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - it is raised again where it is awaited
            tell(done.set_exception, error)
        else:
            tell(done.set_result, result)

    threading.Thread(target=act, name="recount", daemon=True).start()
    return await done
