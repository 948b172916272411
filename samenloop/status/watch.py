"""Follows a hub's topics and asks for positions: what a picture is made of. Reads only; holds what is bounded.

Of topics that grow with traffic only the newest part is read: polls, receipts, dead letters; alerts from the position
of the sink on, for behind it everything has its final receipt. Findings are read whole, but no more than what is open
is kept of them.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from samenloop import clock, plugins
from samenloop.contract import Codec
from samenloop.errors import Reject
from samenloop.kafka.follow import Extent, Follow
from samenloop.kafka.lookout import Lookout, Member
from samenloop.kafka.lookout import Waiting as Behind
from samenloop.kafka.topics import inputs_of_groups
from samenloop.letters_watch import Letters as Waiting
from samenloop.model import PollOutcome, SourcePoll, SourceStatus, SystemState
from samenloop.settings import Hub
from samenloop.stage import Partition, Record
from samenloop.status.partners import Partners
from samenloop.status.picture import Letters, Picture, Place, SourceLine, StageLine, Worker

WHOLE = ("sources", "partners", "subscriptions", "conflicts", "opportunities", "dead-letter-states")
NEWEST = {"polls": 1_000, "receipts": 2_000, "dead-letters": 2_000, "alerts": 20_000}
"""Offsets that are read at most of each partition, from its end back."""
SINK = "webhook"
GOOD = (PollOutcome.OK, PollOutcome.UNCHANGED)
_AT_ONCE = 5_000
_TURN_SECONDS = 0.25
_RATE_SECONDS = 1.0
_CLOSED = b"-closed.v1"


class Watch:
    """One look after the other at one hub; called from one thread. Every call raises Retry when Kafka is away."""

    def __init__(self, hub: Hub, codec: Codec) -> None:
        self._hub, self._codec = hub, codec
        self._inputs = inputs_of_groups()
        self._lookout = Lookout(hub.kafka, self._inputs)
        self._follow = Follow(hub.kafka, (*WHOLE, *NEWEST))
        self._extents = self._follow.extents()
        lags = self._lookout.lags()
        sent = {(lag.topic, lag.partition): lag.committed or 0 for lag in lags.get(SINK, ())}
        starts = {place: self._start(place, extent, sent) for place, extent in self._extents.items()}
        self._at_least = {topic for (topic, number), (_, cut) in starts.items() if cut}
        self._follow.begin({place: start for place, (start, _) in starts.items()})
        self._statuses: dict[str, SourceStatus] = {}
        self._polls: dict[str, SourcePoll] = {}
        self._good: dict[str, datetime] = {}
        self._open: dict[str, tuple[str, str]] = {}
        self._letters = Waiting(codec, since=clock.now())
        self._partners = Partners()
        self._looked: tuple[float, dict[str, int]] | None = None
        self._rates: dict[str, float] = {}

    def close(self) -> None:
        """Give the connections back."""
        self._follow.close()
        self._lookout.close()

    def read(self, seconds: float = _TURN_SECONDS) -> bool:
        """Take in what arrived, for about so long; say whether everything that was there at the start is read."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            records = self._follow.poll(_AT_ONCE, min(left, 0.05))
            for record in records:
                self._take(record)
            if not records and not self.reading():
                break
        return not self.reading()

    def reading(self) -> tuple[str, ...]:
        """Return the topics that are not read to where they ended when the watch began."""
        return tuple(sorted({place[0] for place in self._extents if self._behind(place)}))

    def look(self) -> Picture:
        """Return how the hub is doing now."""
        waiting, members = self._lookout.waiting(), self._lookout.members()
        self._measure({group: sum(one.lag.committed or 0 for one in found) for group, found in waiting.items()})
        severities = Counter(severity for topic, severity in self._open.values() if topic == "conflicts")
        return Picture(
            at=clock.now(),
            kafka=self._hub.kafka.bootstrap_servers,
            prefix=self._hub.kafka.prefix,
            sources=self._sources(),
            stages=tuple(self._stage(group, waiting[group], members[group]) for group in self._inputs),
            partners=self._partners.lines(clock.now()),
            conflicts=dict(severities),
            opportunities=sum(topic == "opportunities" for topic, _ in self._open.values()),
            letters=self._waiting_letters(),
            reading=self.reading(),
            at_least=tuple(sorted(self._at_least - {"polls", "receipts"})),
        )

    @staticmethod
    def _start(place: Partition, extent: Extent, sent: Mapping[Partition, int]) -> tuple[int, bool]:
        """Return where to begin in a partition, and whether that leaves something out."""
        first = max(extent.start, sent.get(place, 0))
        most = NEWEST.get(place[0])
        start = first if most is None else max(first, extent.end - most)
        return min(start, extent.end), start > first

    def _behind(self, place: Partition) -> bool:
        return self._follow.positions[place] < self._extents[place].end

    def _take(self, record: Record) -> None:
        topic = record.topic
        if topic in ("conflicts", "opportunities"):
            self._finding(record)
        elif topic in ("dead-letters", "dead-letter-states"):
            self._letters.take([record])
        elif topic == "sources" and record.value is None:
            self._statuses.pop(record.key, None)
        elif record.value is not None and (value := self._decoded(record)) is not None:
            if topic == "sources":
                self._statuses[record.key] = value
            elif topic == "polls":
                self._polls[value.source] = value
                if value.outcome in GOOD:
                    self._good[value.source] = value.started_at + timedelta(milliseconds=value.duration_ms)
            else:
                self._partners.take(record, value)

    def _finding(self, record: Record) -> None:
        """The event type says whether it is open: what is closed need not be decoded."""
        kind = next((value for name, value in record.headers if name == "ce_type"), b"")
        finding = None if record.value is None or kind.endswith(_CLOSED) else self._decoded(record)
        if finding is None:
            self._open.pop(record.key, None)
        else:
            self._open[record.key] = (record.topic, finding.severity.value.lower())

    def _decoded(self, record: Record) -> Any:
        try:
            return self._codec.decode(record.topic, record.value or b"", record.headers)
        except Reject:
            return None  # a newer hub wrote it; the rest is shown

    def _measure(self, committed: Mapping[str, int]) -> None:
        now = time.monotonic()
        before = self._looked
        if before is not None and now - before[0] < _RATE_SECONDS:
            return
        if before is not None:
            took = now - before[0]
            self._rates = {group: max(0.0, (at - before[1][group]) / took) for group, at in committed.items()}
        self._looked = (now, dict(committed))

    def _sources(self) -> tuple[SourceLine, ...]:
        """Return the sources of the settings, then what else is in use, such as what partners push."""
        by_source = {name: status for status in self._statuses.values() for name in status.sources}
        lines = []
        for name in dict.fromkeys((*self._hub.sources, *by_source, *self._polls)):
            status, mine = by_source.get(name), self._hub.sources.get(name)
            if mine is None and status is not None and status.state is SystemState.RETIRED:
                continue
            objective = mine.freshness_seconds if mine else status.freshness_objective_s if status else 0
            seen = [status.last_success_at if status else None, self._good.get(name)]
            good_at = max((at for at in seen if at is not None), default=None)
            lines.append(SourceLine(name, objective or 1.0, status, self._polls.get(name), good_at))
        return tuple(lines)

    def _stage(self, group: str, waiting: list[Behind], members: list[Member]) -> StageLine:
        lead = self._inputs[group][0]
        return StageLine(
            group,
            tuple(_place(one) for one in waiting),
            tuple(Worker(m.client, m.host, tuple(m.partitions.get(lead, ()))) for m in members),
            partitions=sum(one.lag.topic == lead for one in waiting),
            rate=self._rates.get(group),
            vital=group not in plugins.names("views"),
        )

    def _waiting_letters(self) -> Letters:
        waiting, oldest = self._letters.waiting()
        return Letters(waiting, None if oldest is None else _instant(oldest))


def _place(one: Behind) -> Place:
    lag = one.lag
    oldest = None if one.since_ms is None else _instant(one.since_ms / 1000)
    return Place(lag.topic, lag.partition, lag.committed, lag.end, one.records, oldest)


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(0, clock.now().tzinfo) + timedelta(seconds=seconds)
