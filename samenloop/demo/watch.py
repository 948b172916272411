"""Watches the hub from outside, as any consumer could: reads its topics and keeps what they add up to."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from samenloop.contract import Codec
from samenloop.demo.region import FIRST_MONDAY, SOURCES
from samenloop.demo.roads import ROADS, latest
from samenloop.errors import Retry
from samenloop.kafka.groups import group_lag
from samenloop.kafka.tail import Tail
from samenloop.localday import local_day
from samenloop.model import Alert, DeliveryReceipt, Finding, FindingStatus, Outcome, Plan, PollOutcome, SourcePoll
from samenloop.probe import probe_id
from samenloop.settings import Hub
from samenloop.stage import Record

WATCHED = (
    "polls", "plan-changes", "plan-states", "plan-regions", "conflicts", "opportunities", "alerts", "receipts",
    "dead-letters",
)  # fmt: skip
READERS = {
    "consolidate": ("plan-changes",),
    "detect": ("plan-regions",),
    "notify": ("plan-regions", "conflicts", "opportunities"),
}
_QUIET_SECONDS = 0.4


@dataclass(frozen=True, slots=True)
class SourceView:
    """One source so far: the last week it delivered, its counts, and the alarm of a delivery that was refused."""

    week: int = 0
    read: int = 0
    created: int = 0
    updated: int = 0
    removed: int = 0
    unchanged: int = 0
    rejected: int = 0
    alarms: tuple[tuple[int, str], ...] = ()


@dataclass(slots=True)
class View:
    """What the topics add up to."""

    sources: dict[str, SourceView] = field(default_factory=lambda: {name: SourceView() for name in (*SOURCES, ROADS)})
    changes: int = 0
    states: int = 0
    plans: dict[str, Plan] = field(default_factory=dict)
    """The last known of every plan, removed ones too: findings speak of them."""
    revisions: dict[str, int] = field(default_factory=dict)
    findings: dict[UUID, Finding] = field(default_factory=dict)
    alerts: dict[UUID, Alert] = field(default_factory=dict)
    receipts: list[DeliveryReceipt] = field(default_factory=list)
    dead_letters: int = 0

    def open(self) -> list[Finding]:
        """Return the findings that are open now."""
        return [finding for finding in self.findings.values() if finding.status is FindingStatus.OPEN]

    def final(self) -> Counter[UUID]:
        """Return how many final receipts each alert has: one is right."""
        return Counter(receipt.alert_id for receipt in self.receipts if receipt.outcome is not Outcome.RETRY)

    def delivered(self) -> int:
        """Return how many alerts were taken by their receiver."""
        return len({receipt.alert_id for receipt in self.receipts if receipt.outcome is Outcome.DELIVERED})


class Watch:
    """Follows the topics of a hub; called from one thread."""

    def __init__(self, hub: Hub, codec: Codec) -> None:
        self.view = View()
        self._hub, self._codec = hub, codec
        self._probe = probe_id(hub.hub.oin)
        self._tail = Tail(hub.kafka, WATCHED)
        self._next: dict[tuple[str, int], int] = {}
        self._heard_at = time.monotonic()

    def look(self) -> bool:
        """Take in what is new; say whether there was anything."""
        records = self._tail.poll()
        for record in records:
            self._next[record.topic, record.partition] = record.offset + 1
            self._take(record)
        if any(record.topic != "polls" for record in records):  # a poll without news is no news
            self._heard_at = time.monotonic()
        return bool(records)

    def settled(self, week: int, *, pushed: int) -> bool:
        """Say whether every source delivered *week*, *pushed* changes came, and every stage has read all there is."""
        due = {**dict.fromkeys(SOURCES, week), ROADS: latest(week)}
        sources = self.view.sources
        if any(sources[name].week < expected for name, expected in due.items()):
            return False
        told = sum(source.created + source.updated + source.removed for source in sources.values())
        if self.view.changes < told + pushed:
            return False  # the account of a poll came before its changes
        if time.monotonic() - self._heard_at < _QUIET_SECONDS:
            return False
        return all(self._read(stage, topics) for stage, topics in READERS.items())

    def close(self) -> None:
        """Give the connection back."""
        self._tail.close()

    def _read(self, stage: str, topics: Iterable[str]) -> bool:
        try:
            lags = group_lag(self._hub.kafka, stage, list(topics))
        except Retry:
            return False  # the coordinator is moving; asked again at once
        return all((lag.committed or 0) >= self._next.get((lag.topic, lag.partition), 0) for lag in lags)

    def _take(self, record: Record) -> None:
        if record.key == self._probe:
            return  # the hub's own, which nobody is told of
        view = self.view
        value: Any = None if record.value is None else self._codec.decode(record.topic, record.value, record.headers)
        match record.topic:
            case "polls":
                self._polled(value)
            case "plan-changes":
                view.changes += 1
            case "plan-states":
                view.states += 1
            case "plan-regions" if value is not None and value.plan is not None:
                view.plans[record.key], view.revisions[record.key] = value.plan, value.revision
            case "conflicts" | "opportunities" if value is not None:
                view.findings[value.id] = value
            case "alerts":
                view.alerts[value.id] = value
            case "receipts":
                view.receipts.append(value)
            case "dead-letters":
                view.dead_letters += 1

    def _polled(self, poll: SourcePoll) -> None:
        before = self.view.sources.get(poll.source)
        if before is None:
            return
        week = before.week if poll.newest_record_at is None else self._week(poll)
        alarm = ((week, poll.detail or ""),) if poll.outcome in (PollOutcome.PARSE_ERROR, PollOutcome.HELD) else ()
        if poll.newest_record_at is None:
            alarm = ()  # a repeated word about an export that was told before
        self.view.sources[poll.source] = replace(
            before,
            week=week,
            read=before.read + poll.read,
            created=before.created + poll.created,
            updated=before.updated + poll.updated,
            removed=before.removed + poll.removed,
            unchanged=before.unchanged + poll.unchanged,
            rejected=before.rejected + poll.rejected,
            alarms=before.alarms + alarm,
        )

    def _week(self, poll: SourcePoll) -> int:
        assert poll.newest_record_at is not None
        return (local_day(poll.newest_record_at) - FIRST_MONDAY) // timedelta(weeks=1) + 1
