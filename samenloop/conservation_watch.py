"""A process of its own that watches conservation and dead letters, so that it speaks when the workers are dead.

It only reads: no group, no commit. What it holds is bounded: the ids of one hour of one partition, and one small row
for each dead letter of the last 30 days. A day's hours are judged at its start, then each hour half an hour after its
end; what does not add up is judged again every time until it does, or is a day old.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from samenloop import clock, dead_letters, metrics
from samenloop.conservation import PIPELINES, Account
from samenloop.contract import Codec
from samenloop.errors import Reject, Retry
from samenloop.kafka.tail import Tail
from samenloop.kafka.window import Window
from samenloop.logs import get_logger
from samenloop.model import DeadLetterState, DeadLetterStatus
from samenloop.reconcile import Reconciler
from samenloop.settings import Hub
from samenloop.stage import Record

HOUR = timedelta(hours=1)
JUDGED_AFTER = timedelta(minutes=30)
"""How long after its end an hour is judged: what takes longer is for the lag alerts to tell."""
LOOK_BACK = timedelta(hours=24)
LOOK_EVERY_SECONDS = 10.0
_OUTCOMES = {
    DeadLetterStatus.TAKEN: "ok",
    DeadLetterStatus.FAILED_AGAIN: "failed_again",
    DeadLetterStatus.DISCARDED: "discarded",
}
_log = get_logger("conservation")


def run_watch(hub: Hub, codec: Codec, stop: threading.Event, *, on_ready: Callable[[], object]) -> None:
    """Watch until *stop* is set. Raises Retry when Kafka is away at the start; later it waits for it."""
    tail = Tail(hub.kafka, ("dead-letters", dead_letters.TOPIC))
    letters = Letters(codec, since=clock.now())
    letters.take(tail.catch_up())
    hours = Hours(lambda start, end, now: _judge(hub, codec, start, end, now))
    metrics.at_scrape(letters.show)
    on_ready()
    try:
        while not stop.is_set():
            letters.take(tail.poll())
            try:
                hours.turn(clock.now())
            except Retry as error:
                _log.warning("conservation.waiting", "Kafka does not answer; the hour waits.", code=error.code)
            stop.wait(LOOK_EVERY_SECONDS)
    finally:
        tail.close()


def _judge(hub: Hub, codec: Codec, start: datetime, end: datetime, now: datetime) -> list[Account]:
    with Window(hub.kafka) as window:
        return Reconciler(hub, codec, window).accounts(start, end, now=now)


class Hours:
    """Which stretch is judged when. *judge* returns the accounts of what Kafka took from *start* to *end*."""

    def __init__(self, judge: Callable[[datetime, datetime, datetime], list[Account]]) -> None:
        self._judge = judge
        self._judged: datetime | None = None
        self._open: list[tuple[datetime, datetime]] = []

    def turn(self, now: datetime) -> None:
        """Judge the hour that is due, and again what did not add up before."""
        end = (now - JUDGED_AFTER).replace(minute=0, second=0, microsecond=0)
        if self._judged is not None and end <= self._judged:
            return
        start = self._judged or end - LOOK_BACK
        stretches = [*self._open, (start, end)]
        found = [(stretch, self._judge(*stretch, now)) for stretch in stretches]
        self._judged = end
        self._open = [
            stretch
            for stretch, accounts in found
            if any(account.missing for account in accounts) and stretch[1] > end - LOOK_BACK
        ]
        self._show(found, end)

    def _show(self, found: Iterable[tuple[tuple[datetime, datetime], list[Account]]], end: datetime) -> None:
        missing: Counter[str] = Counter()
        for (start, until), accounts in found:
            for account in accounts:
                missing[account.pipeline] += account.missing
                if account.missing:
                    _log.error(
                        "conservation.broken",
                        "Records are not accounted for; `samenloop verify` tells more.",
                        pipeline=account.pipeline,
                        since=start.isoformat(),
                        until=until.isoformat(),
                        records=account.missing,
                        ids=[difference.id for difference in account.differences[:10]],
                    )
        for pipeline in PIPELINES:
            metrics.RECONCILIATION_DIFFERENCE_RECORDS.labels(pipeline=pipeline).set(missing[pipeline])
        metrics.RECONCILIATION_JUDGED_TIMESTAMP_SECONDS.set(end.timestamp())


@dataclass(frozen=True, slots=True)
class _Waiting:
    origin: str
    since: float


class Letters:
    """The dead letters that wait for a decision, by the topic or source they came from."""

    def __init__(self, codec: Codec, *, since: datetime) -> None:
        self._codec, self._since = codec, since
        self._lock = threading.Lock()
        self._waiting: dict[UUID, _Waiting] = {}
        self._origins: dict[UUID, _Waiting] = {}
        self._closed: set[UUID] = set()
        self._shown: set[str] = set()

    def take(self, records: Iterable[Record]) -> None:
        """Take what was set aside, and what was done about it, in any order."""
        for record in records:
            if record.value is None:
                continue
            try:
                value = self._codec.decode(record.topic, record.value, record.headers)
            except Reject:
                continue
            with self._lock:
                if isinstance(value, DeadLetterState):
                    self._done(value)
                else:
                    row = _Waiting(dead_letters.origin(value), value.failed_at.timestamp())
                    self._origins.setdefault(value.id, row)
                    if (before := dead_letters.predecessor(value)) is not None:
                        self._close(before)
                    if value.id not in self._closed:
                        self._waiting.setdefault(value.id, row)
        self._forget()

    def show(self) -> None:
        """Set the gauges; called at each scrape, from another thread."""
        with self._lock:
            rows = list(self._waiting.values())
            self._shown |= {row.origin for row in self._origins.values()}
        depth = Counter(row.origin for row in rows)
        for origin in sorted(self._shown):
            oldest = min((row.since for row in rows if row.origin == origin), default=0.0)
            metrics.DLQ_DEPTH_RECORDS.labels(topic=origin).set(depth[origin])
            metrics.DLQ_OLDEST_RECORD_TIMESTAMP_SECONDS.labels(topic=origin).set(oldest)

    def waiting(self) -> tuple[dict[str, int], float | None]:
        """Return how many wait, by origin, and since when the oldest of them does (seconds since 1970)."""
        with self._lock:
            rows = list(self._waiting.values())
        return dict(Counter(row.origin for row in rows)), min((row.since for row in rows), default=None)

    def _done(self, state: DeadLetterState) -> None:
        row = self._origins.get(state.letter_id)
        self._close(state.letter_id)
        outcome = _OUTCOMES.get(state.status)
        if outcome and row and state.at >= self._since:
            metrics.DLQ_REPLAYED_TOTAL.labels(topic=row.origin, outcome=outcome).inc()

    def _close(self, letter_id: UUID) -> None:
        self._closed.add(letter_id)
        self._waiting.pop(letter_id, None)

    def _forget(self) -> None:
        """Kafka forgets a letter after 30 days, and so do we."""
        old = clock.now().timestamp() - timedelta(days=30).total_seconds()
        with self._lock:
            for letter_id in [key for key, row in self._origins.items() if row.since < old]:
                del self._origins[letter_id]
                self._waiting.pop(letter_id, None)
                self._closed.discard(letter_id)
