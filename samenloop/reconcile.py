"""Computes the accounts of `samenloop.conservation` from the topics, for a stretch of time.

A record belongs to the hour in which Kafka took it: that is when the hub ingested it, to within a transaction, and it
puts a record that is offered again into the hour of that, where it must be accounted for. Only what an hour needs is
read: of changes and states the hour itself by id; the history of one key only where one of its changes led to nothing
and it must be judged again whether it was a repeat or too late.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from samenloop.changes_log import LETTERS_KEPT, WAYS, Way, header, read_change, read_state
from samenloop.conservation import (
    FINAL,
    Account,
    AlertSeen,
    Change,
    Log,
    Poll,
    Seen,
    Told,
    consolidate_account,
    deliver_account,
    publish_account,
    read_account,
)
from samenloop.contract import Codec, read_envelope
from samenloop.contract.cloudevents import read_timestamp
from samenloop.contract.dead_letters import attempt_of, letter_id
from samenloop.errors import Reject
from samenloop.identity import uuid_of
from samenloop.kafka.window import Offsets, Window
from samenloop.model import Alert, DeliveryReceipt, Outcome, Protocol, SourcePoll, Subscription
from samenloop.settings import Hub
from samenloop.source import taken_at
from samenloop.stage import Record

HALF_WAY = timedelta(hours=24)
"""How long before its poll a change may have been written: its source died half-way and came back."""
SINK = "webhook"


class Reconciler:
    """Judges stretches of the log of one hub. Raises Retry when Kafka does not answer."""

    def __init__(self, hub: Hub, codec: Codec, window: Window) -> None:
        self._hub, self._codec, self._window = hub, codec, window

    def accounts(self, start: datetime, end: datetime, *, now: datetime) -> list[Account]:
        """Return the accounts of what Kafka took in [*start*, *end*)."""
        # before anything it wrote is read
        committed = {way.changes: self._window.committed("consolidate", way.changes) for way in WAYS}
        passed = self._window.committed(SINK, "alerts")
        letters = frozenset(self._letters(start))
        polls = list(self._polls(start))
        judged = self._stretch("polls", start, end)
        inside = [poll for poll, record in polls if _inside(record, judged)]
        return [
            read_account(inside),
            self._publish(polls, judged, start, end),
            *(self._consolidate(way, (start, end), committed[way.changes], letters, now) for way in WAYS),
            self._deliver(start, end, passed, letters),
        ]

    def _stretch(self, topic: str, start: datetime, end: datetime) -> Mapping[int, tuple[int, int]]:
        first, last = self._window.at(topic, start), self._window.at(topic, end)
        return {number: (offset, last[number]) for number, offset in first.items()}

    def _letters(self, start: datetime) -> Iterator[str]:
        """Yield the ids of the dead letters set aside since *start*."""
        for record in self._window.read("dead-letters", starts=self._window.at("dead-letters", start)):
            yield header(record, "ce_id")

    def _polls(self, start: datetime) -> Iterator[tuple[Poll, Record]]:
        """Yield the polls since *start*; a snapshot that was begun before and ended later has its poll here."""
        for record in self._window.read("polls", starts=self._window.at("polls", start - HALF_WAY)):
            try:
                poll: SourcePoll = self._codec.decode("polls", record.value or b"", record.headers)
                at = taken_at(poll.snapshot_id) if poll.snapshot_id else None
            except (Reject, ValueError):
                continue
            place = f"polls {record.partition}@{record.offset}"
            yield Poll(poll, header(record, "ce_subject"), place, at), record

    def _publish(
        self,
        polls: list[tuple[Poll, Record]],
        judged: Mapping[int, tuple[int, int]],
        start: datetime,
        end: datetime,
    ) -> Account:
        """A snapshot of which too few changes are in the window may have been begun long before it: look back."""
        every = [poll for poll, _ in polls]
        ids = frozenset(str(poll.poll.id) for poll, record in polls if _inside(record, judged))
        hours = {way.changes: self._stretch(way.changes, start, end) for way in WAYS}
        account = Account("publish")
        for back in (timedelta(hours=1), HALF_WAY):
            counts, fresh = self._snapshots(start - back, hours)
            account = publish_account(every, counts, ids, fresh=fresh)
            if not account.missing:
                break
        return account

    def _snapshots(
        self, start: datetime, hours: Mapping[str, Mapping[int, tuple[int, int]]]
    ) -> tuple[Counter[Told], dict[Told, str]]:
        """Count the changes since *start* by snapshot, and name one place of those within the hour of each topic."""
        counts: Counter[Told] = Counter()
        fresh: dict[Told, str] = {}
        for record in (r for topic in hours for r in self._window.read(topic, starts=self._window.at(topic, start))):
            if header(record, "ce_hubmode") == "replay":
                continue
            try:
                told = header(record, "ce_source"), read_timestamp(header(record, "ce_time"))
            except Reject:
                continue
            counts[told] += 1
            if _inside(record, hours[record.topic]):
                fresh.setdefault(told, f"{record.topic} {record.partition}@{record.offset}")
        return counts, fresh

    def _consolidate(
        self,
        way: Way,
        stretch: tuple[datetime, datetime],
        committed: Offsets,
        letters: frozenset[str],
        now: datetime,
    ) -> Account:
        start, end = stretch
        account = Account(way.pipeline)
        hour = self._stretch(way.changes, start, end)
        states = self._window.at(way.states, start)
        old_states = self._window.at(way.changes, now - way.compaction_lag)
        old_letters = self._window.at(way.changes, now - LETTERS_KEPT)
        for number, (first, last) in hour.items():
            forgotten = max(old_states[number], old_letters[number])
            log = Log(
                letters=letters,
                committed=committed[number],
                forgotten=forgotten.__gt__,
                allow_test_oin=self._hub.hub.allow_test_oin,
            )
            odd = self._led_to_nothing(way, account, log, number, (first, last, states[number]))
            if odd:
                keys, offsets = {change.key for change in odd}, {change.offset for change in odd}
                log = replace(log, states=self._histories(way, number, keys))
                again = self._changes_of(way, number, first, keys)
                consolidate_account(account, again, log, judged=offsets.__contains__)
        return account

    def _led_to_nothing(
        self, way: Way, account: Account, log: Log, number: int, stretch: tuple[int, int, int]
    ) -> list[Change]:
        """Count what is accounted for by its id alone; return the changes without state and dead letter.

        *stretch*: first and last offset of the changes, and the first of the states.
        """
        first, last, states_from = stretch
        if first >= last:
            return []
        states = {
            UUID(text).bytes
            for record in self._window.read(way.states, [number], starts={number: states_from})
            if len(text := header(record, "ce_id")) == 36
        }
        left = []
        for record in self._window.read(way.changes, [number], starts={number: first}, ends={number: last}):
            change = Change(number, record.offset, record.key, header(record, "ce_id"), topic=way.changes)
            if UUID(change.state_id).bytes in states:
                account.became["revisions"] += 1
            elif change.letter_id in log.letters:
                account.became["dead letters"] += 1
            elif record.offset >= log.committed:
                account.became["still to be read"] += 1
            else:
                left.append(change)
                continue
            account.went_in += 1
        return left

    def _histories(self, way: Way, number: int, keys: set[str]) -> dict[str, list[Seen]]:
        """Return all that the states still hold of some plans or restrictions."""
        found: dict[str, list[Seen]] = {}
        for record in self._window.read(way.states, [number]):
            if record.key in keys:
                try:
                    found.setdefault(record.key, []).append(read_state(self._codec, record)[0])
                except Reject:
                    continue
        return found

    def _changes_of(self, way: Way, number: int, first: int, keys: set[str]) -> Iterator[Change]:
        """Yield the changes of some keys from *first* to the end: states that came later must be known as such."""
        for record in self._window.read(way.changes, [number], starts={number: first}):
            if record.key in keys:
                yield read_change(self._codec, record)[0]

    def _deliver(self, start: datetime, end: datetime, passed: Offsets, letters: frozenset[str]) -> Account:
        """An alert that is offered again is judged with all its sendings, whenever they were."""
        hour = self._stretch("alerts", start, end)
        firsts, lasts = ({number: pair[i] for number, pair in hour.items()} for i in (0, 1))
        wanted: set[UUID] = set()
        again = False
        for record in self._window.read("alerts", starts=firsts, ends=lasts):
            wanted.add(_alert_id(self._codec, record))
            again |= header(record, "ce_hubmode") == "replay"
        if not wanted:
            return Account("deliver")
        others = self._other_channels()
        alerts = []
        for record in self._window.read("alerts", starts=None if again else firsts):
            alert_id = _alert_id(self._codec, record)
            if alert_id in wanted and record.value is not None:
                letter = str(letter_id("alerts", record.partition, record.offset, SINK))
                behind = record.offset < passed[record.partition]
                place = f"alerts {record.partition}@{record.offset}"
                seen = AlertSeen(alert_id, place, letter, behind, record.key in others, attempt_of(record.headers))
                alerts.append(seen)
        finals = self._finals(None if again else self._window.at("receipts", start), wanted)
        return deliver_account(alerts, finals, letters)

    def _finals(self, starts: Offsets | None, wanted: set[UUID]) -> dict[UUID, list[Outcome]]:
        found: dict[UUID, list[Outcome]] = {}
        for record in self._window.read("receipts", starts=starts):
            try:
                receipt: DeliveryReceipt = self._codec.decode("receipts", record.value or b"", record.headers)
            except Reject:
                continue
            if receipt.alert_id in wanted and receipt.outcome in FINAL:
                found.setdefault(receipt.alert_id, []).append(receipt.outcome)
        return found

    def _other_channels(self) -> set[str]:
        """Return the subscriptions that another sink serves."""
        found: dict[str, bool] = {}
        for record in self._window.read("subscriptions"):
            if record.value is None:
                continue
            try:
                said: Subscription = self._codec.decode("subscriptions", record.value, record.headers)
            except Reject:
                continue
            found[record.key] = said.protocol is not Protocol.HTTP
        return {key for key, other in found.items() if other}


def _inside(record: Record, stretch: Mapping[int, tuple[int, int]]) -> bool:
    first, last = stretch[record.partition]
    return first <= record.offset < last


def _alert_id(codec: Codec, record: Record) -> UUID:
    """Return the id of an alert; of one that the sink cannot read either, one that its place gives."""
    try:
        read_envelope(record.headers)
        alert: Alert = codec.decode("alerts", record.value or b"", record.headers)
    except Reject:
        return uuid_of("unreadable", str(record.partition), str(record.offset))
    return alert.id
