"""Where dead letters are: an index of them, followed on Kafka, and the record itself fetched when somebody wants it.

The index holds a few words of each letter and never its bytes, of no more than so many: the oldest is forgotten first.
It grows as the topics do, a batch at a time; nothing is read twice.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from samenloop import dead_letters
from samenloop.contract import Codec
from samenloop.contract.dead_letters import REPLAY_OF
from samenloop.dead_letter_desk import Desk as CoreDesk
from samenloop.dead_letter_desk import Result
from samenloop.dead_letters import Entry, owner_of, predecessor, state_of
from samenloop.errors import Reject, Retry
from samenloop.kafka.tail import Tail
from samenloop.kafka.window import Window
from samenloop.model import DeadLetter, DeadLetterState, DeadLetterStatus
from samenloop.settings import Hub
from samenloop.stage import Record

ALERTS = "alerts"
MOST = 50_000
"""Letters of all partners together; about 1 kB of memory each."""
_WAIT_SECONDS = 10.0
_SAYS_WHOSE = ("ce_source", REPLAY_OF)
Place = tuple[int, int]
"""Partition and offset."""


@dataclass(slots=True)
class _Row:
    letter: DeadLetter
    place: Place
    owner: str | None
    subscription: UUID | None


class Index:
    """What is known of the letters, without their bytes. Used under one lock."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._rows: OrderedDict[UUID, _Row] = OrderedDict()
        self._done: OrderedDict[UUID, list[DeadLetterState]] = OrderedDict()
        self._own: dict[UUID, DeadLetterState] = {}
        self._successors: dict[UUID, UUID] = {}

    def take(self, letter: DeadLetter, place: Place) -> None:
        """Take a letter in; one that is known already is the same once more."""
        if (before := predecessor(letter)) is not None:
            self._successors[before] = letter.id
        if letter.id in self._rows:
            return
        alert = letter.topic == ALERTS
        slim = replace(
            letter,
            value=None if letter.value is None else b"",
            headers=tuple(header for header in letter.headers if header.name in _SAYS_WHOSE),
        )
        self._rows[letter.id] = _Row(slim, place, None if alert else owner_of(letter), subscription_of(letter))
        while len(self._rows) > self._most:
            old, _ = self._rows.popitem(last=False)
            for known in (self._done, self._own, self._successors):
                known.pop(old, None)

    def note(self, state: DeadLetterState) -> None:
        """Take in what was done about a letter, which may come from its own topic only later."""
        self._done.setdefault(state.letter_id, []).append(state)
        while len(self._done) > 2 * self._most:
            self._done.popitem(last=False)

    def did(self, state: DeadLetterState) -> None:
        """Remember what this process did until Kafka tells it."""
        self._own[state.letter_id] = state

    def of(self, oin: str, subscriptions: Collection[UUID]) -> list[Entry]:
        """Return the letters of a partner, oldest first: its own records, and alerts to its *subscriptions*."""
        found = [
            self._entry(key, row)
            for key, row in self._rows.items()
            if (row.owner == oin if row.letter.topic != ALERTS else row.subscription in subscriptions)
        ]
        return sorted(found, key=lambda entry: entry.letter.failed_at)

    def place(self, letter_id: UUID) -> Place | None:
        """Return where a letter lies."""
        row = self._rows.get(letter_id)
        return row.place if row is not None else None

    def _entry(self, key: UUID, row: _Row) -> Entry:
        done = self._done.get(key, [])
        own = self._own.get(key)
        return Entry(row.letter, (*done, *([own] if own is not None and own not in done else ())),
                     self._successors.get(key))  # fmt: skip


class KafkaShelf:
    """The letters of a hub. Safe to share between threads; calls raise Retry when Kafka does not answer."""

    def __init__(self, hub: Hub, codec: Codec, most: int = MOST) -> None:
        self._hub, self._codec = hub, codec
        self._most = most
        self._index = Index(most)
        self._tail: Tail | None = None
        self._lock = threading.Lock()

    def of(self, oin: str, subscriptions: Collection[UUID]) -> list[Entry]:
        """Return the letters of a partner without their bytes, oldest first."""
        with self._lock:
            self._follow()
            return self._index.of(oin, subscriptions)

    def whole(self, entry: Entry) -> Entry:
        """Return a letter with its bytes. Raises Retry when Kafka forgot it this very moment."""
        with self._lock:
            place = self._index.place(entry.letter.id)
        if place is not None:
            number, offset = place
            with Window(self._hub.kafka) as window:
                for record in window.read("dead-letters", [number], starts={number: offset}, ends={number: offset + 1}):
                    if record.value is not None:
                        letter = self._codec.decode("dead-letters", record.value, record.headers)
                        if letter.id == entry.letter.id:
                            return replace(entry, letter=letter)
        raise Retry("kafka.unavailable", "the letter is no longer there")

    def replay(self, entry: Entry, *, by: str, now: datetime) -> Result:
        """Offer one again and wait a while for what comes of it."""
        with Window(self._hub.kafka) as window:
            (result,) = CoreDesk(self._hub, self._codec, window).replay(
                [self.whole(entry)], by=by, now=now, wait_seconds=_WAIT_SECONDS
            )
        if result.status is not None:
            self._did(state_of(entry, result.status, by=by, now=now, successor=result.successor))
        return result

    def discard(self, entry: Entry, *, by: str, reason: str, now: datetime) -> Result:
        """Note that one needs nothing more."""
        with Window(self._hub.kafka) as window:
            (result,) = CoreDesk(self._hub, self._codec, window).discard([entry], by=by, reason=reason, now=now)
        self._did(state_of(entry, DeadLetterStatus.DISCARDED, by=by, reason=reason, now=now))
        return result

    def close(self) -> None:
        """Give the connection back."""
        with self._lock:
            if self._tail is not None:
                self._tail.close()
                self._tail = None

    def _did(self, state: DeadLetterState) -> None:
        with self._lock:
            self._index.did(state)

    def _follow(self) -> None:
        """Take in what is new; the first time all there is."""
        if self._tail is not None:
            while records := self._tail.poll():
                take_in(self._index, self._codec, records)
            return
        index, tail = Index(self._most), Tail(self._hub.kafka, ("dead-letters", dead_letters.TOPIC))
        try:
            for records in tail.batches():
                take_in(index, self._codec, records)
        except BaseException:
            tail.close()
            raise
        self._index, self._tail = index, tail


def take_in(index: Index, codec: Codec, records: Iterable[Record]) -> None:
    """Take letters and what was done about them into *index*; what cannot be read is left out."""
    for record in records:
        if record.value is None:
            continue
        try:
            value: DeadLetter | DeadLetterState = codec.decode(record.topic, record.value, record.headers)
        except Reject:
            continue
        if isinstance(value, DeadLetter):
            index.take(value, (record.partition, record.offset))
        else:
            index.note(value)


def subscription_of(letter: DeadLetter) -> UUID | None:
    """Return the subscription that the letter of an alert is about."""
    if letter.topic != ALERTS:
        return None
    try:
        return UUID((letter.key or b"").decode())
    except ValueError:
        return None
