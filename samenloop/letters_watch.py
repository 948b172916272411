"""The dead letters that wait for a decision: how many there are, how old, and what became of the others.

What is held is bounded: one small row for each dead letter of the last 30 days.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from samenloop import clock, dead_letters, metrics
from samenloop.contract import Codec
from samenloop.errors import Reject
from samenloop.logs import get_logger
from samenloop.model import DeadLetterState, DeadLetterStatus
from samenloop.stage import Record

_log = get_logger("lag-exporter")
_OUTCOMES = {
    DeadLetterStatus.TAKEN: "ok",
    DeadLetterStatus.FAILED_AGAIN: "failed_again",
    DeadLetterStatus.DISCARDED: "discarded",
}


@dataclass(frozen=True, slots=True)
class _Waiting:
    origin: str
    since: float


class Letters:
    """The dead letters that wait for a decision, by the topic or source they came from.

    *known* origins are shown before any letter came from them; what was done before *since* is not counted again.
    """

    def __init__(self, codec: Codec, *, since: datetime, known: Iterable[str] = ()) -> None:
        self._codec, self._since = codec, since
        self._lock = threading.Lock()
        self._waiting: dict[UUID, _Waiting] = {}
        self._origins: dict[UUID, _Waiting] = {}
        self._closed: set[UUID] = set()
        self._shown = set(known)

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

    def _done(self, state: DeadLetterState) -> None:
        row = self._origins.get(state.letter_id)
        self._close(state.letter_id)
        outcome = _OUTCOMES.get(state.status)
        if outcome and row and state.at >= self._since:
            metrics.DLQ_REPLAYED_TOTAL.labels(topic=row.origin, outcome=outcome).inc()
            _log.info("dlq.replayed", "A dead letter was dealt with.", letter=str(state.letter_id), outcome=outcome,
                      origin=row.origin)  # fmt: skip

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
