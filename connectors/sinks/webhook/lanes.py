"""Who is next: alerts in wait, by subscription and subject. Pure: `now` is an argument.

A subscription is a lane. Within it the alerts on one subject go one after the other; a newer one replaces an older one
that is waiting for another try. A lane has its own tempo and patience, so a partner that is down holds up nobody else.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from samenloop import tracing
from samenloop.model import Alert
from samenloop.stage import Record

PER_LANE, MOST_PER_LANE = 5, 25
"""Attempts at once to one partner: at first and after an answer that was not good, and at most. Each good answer allows
one more, so that one who comes back after days catches up at its own pace."""
FAILURES_BEFORE_ONE_AT_A_TIME = 3
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True, eq=False)
class Delivery:
    """One alert on its way. *attempts* are those with a receipt; of these *tries* counted and *refusals* said no;
    *span* is of the attempt under way."""

    alert: Alert
    label: str
    record: Record
    due: datetime
    attempts: int = 0
    tries: int = 0
    refusals: int = 0
    transient: bool = False
    in_flight: bool = False
    done: bool = False
    span: tracing.Span = tracing.NO_SPAN


@dataclass(slots=True)
class Lane:
    """The alerts of one subscription, in one partition."""

    partition: int
    subjects: dict[str, deque[Delivery]] = field(default_factory=dict)
    in_flight: int = 0
    allowed: int = PER_LANE
    failures: int = 0
    patience_until: datetime = _LONG_AGO
    next_start: datetime = _LONG_AGO
    _heap: list[tuple[datetime, int, int, Delivery]] = field(default_factory=list)
    _count: int = 0

    @property
    def failing(self) -> bool:
        """Whether the partner seems to be down: then one attempt at a time."""
        return self.failures >= FAILURES_BEFORE_ONE_AT_A_TIME

    @property
    def waiting(self) -> int:
        """How many alerts have no final receipt yet."""
        return len(list(self))

    @property
    def waiting_since(self) -> datetime | None:
        """When the oldest of them was to be sent; None when none waits."""
        return min((delivery.alert.due_at for delivery in self), default=None)

    def __iter__(self) -> Iterator[Delivery]:
        return (delivery for queue in list(self.subjects.values()) for delivery in list(queue))

    def push(self, delivery: Delivery, now: datetime) -> Delivery | None:
        """Add an alert; returns the older one on its subject that it replaces, if that was waiting for a try."""
        queue = self.subjects.setdefault(delivery.alert.subject_id, deque())
        replaced = None
        if queue and not queue[-1].in_flight and (queue[-1].attempts or queue[-1].due > now):
            replaced = queue.pop()
            replaced.done = True
        queue.append(delivery)
        if queue[0] is delivery:
            self._ready(delivery)
        return replaced

    def due(self, now: datetime) -> Delivery | None:
        """Return the next alert whose time has come."""
        while self._heap and self._heap[0][0] <= now:
            due, *_, delivery = self._heap[0]
            if not (delivery.done or delivery.in_flight) and delivery.due == due:
                return delivery
            heapq.heappop(self._heap)
        return None

    def free(self, now: datetime) -> bool:
        """Say whether an attempt may start now: room, patience and tempo."""
        limit = 1 if self.failing else self.allowed
        return self.in_flight < limit and now >= self.patience_until and now >= self.next_start

    def start(self, delivery: Delivery, now: datetime, rate_per_minute: int | None) -> None:
        """Mark an attempt as started; with a rate, the next one comes no sooner than its share of a minute."""
        delivery.in_flight = True
        self.in_flight += 1
        if rate_per_minute:
            self.next_start = max(now, self.next_start) + timedelta(seconds=60 / rate_per_minute)

    def landed(self, delivery: Delivery, *, well: bool) -> None:
        """The attempt is over; it went *well* or not."""
        delivery.in_flight = False
        self.in_flight -= 1
        self.allowed = min(self.allowed + 1, MOST_PER_LANE) if well else PER_LANE

    def remove(self, delivery: Delivery) -> None:
        """The alert has its final receipt; the next one on its subject may go."""
        delivery.done = True
        queue = self.subjects[delivery.alert.subject_id]
        first = queue[0] is delivery
        queue.remove(delivery)
        if not queue:
            del self.subjects[delivery.alert.subject_id]
        elif first:
            self._ready(queue[0])

    def replaced(self, delivery: Delivery) -> bool:
        """Say whether a newer alert on the same subject is waiting behind this one."""
        return len(self.subjects[delivery.alert.subject_id]) > 1

    def again(self, delivery: Delivery, due: datetime) -> None:
        """Try once more at *due*."""
        delivery.due = due
        self._ready(delivery)

    def recovered(self, now: datetime) -> None:
        """The partner takes alerts. If it seemed to be down, what waits only because of that goes now."""
        was_failing, self.failures = self.failing, 0
        if not was_failing:  # one alert that fails among others that do not keeps to its own waits
            return
        for queue in self.subjects.values():
            if queue[0].transient and not queue[0].in_flight and queue[0].due > now:
                self.again(queue[0], now)

    def _ready(self, delivery: Delivery) -> None:
        self._count += 1
        heapq.heappush(self._heap, (delivery.due, delivery.alert.sequence, self._count, delivery))
