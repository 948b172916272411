"""Dead letters for those whose records they are: read with what was done about them, offered again, discarded.

The topics are read whole when somebody asks, at most every few seconds and once for all who ask meanwhile, in threads
of their own. A partner sees its own records only, and of alerts to it that were given up that they were.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID

from edge.keyring import Caller
from edge.problems import Problem
from samenloop.contract import Codec
from samenloop.dead_letter_desk import Desk as CoreDesk
from samenloop.dead_letter_desk import Result
from samenloop.dead_letters import Entry, Way, owner_of, way
from samenloop.errors import Retry
from samenloop.kafka.window import Window
from samenloop.model import DeadLetter, DeadLetterStatus
from samenloop.settings import Hub

_FRESH_SECONDS, _WAIT_SECONDS, _THREADS = 5.0, 10.0, 4
_ALERTS = "alerts"
T = TypeVar("T")
_AT_SOURCE = "It was refused before it was on Kafka. Correct the event and send it again; then discard this one."
_NOT_KEPT = "It was too large to keep. Correct the event and send it again; then discard this one."
_NO_WAY = {Way.AT_SOURCE: _AT_SOURCE, Way.NOT_KEPT: _NOT_KEPT}


class Shelf(Protocol):
    """Where the letters are; called from several threads. Raises Retry when Kafka does not answer."""

    def entries(self) -> list[Entry]:
        """Return every letter with what was done about it, oldest first."""
        ...

    def replay(self, entry: Entry, *, by: str, now: datetime) -> Result:
        """Offer one again and wait a while for what comes of it."""
        ...

    def discard(self, entry: Entry, *, by: str, reason: str, now: datetime) -> Result:
        """Note that one needs nothing more."""
        ...


class KafkaShelf:
    """The letters of a hub, with a connection for each call."""

    def __init__(self, hub: Hub, codec: Codec) -> None:
        self._hub, self._codec = hub, codec

    def entries(self) -> list[Entry]:
        """Return every letter with what was done about it, oldest first."""
        with Window(self._hub.kafka) as window:
            return CoreDesk(self._hub, self._codec, window).entries()

    def replay(self, entry: Entry, *, by: str, now: datetime) -> Result:
        """Offer one again and wait a while for what comes of it."""
        with Window(self._hub.kafka) as window:
            (result,) = CoreDesk(self._hub, self._codec, window).replay(
                [entry], by=by, now=now, wait_seconds=_WAIT_SECONDS
            )
            return result

    def discard(self, entry: Entry, *, by: str, reason: str, now: datetime) -> Result:
        """Note that one needs nothing more."""
        with Window(self._hub.kafka) as window:
            (result,) = CoreDesk(self._hub, self._codec, window).discard([entry], by=by, reason=reason, now=now)
            return result


@dataclass
class Desk:
    """What partners may do to their dead letters; *subscriber* says whose a subscription is."""

    shelf: Shelf
    subscriber: Callable[[UUID], str | None]
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_THREADS, "dead-letters"))
    _owned: dict[str, list[Entry]] = field(default_factory=dict)
    _read_at: float | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _busy: set[str] = field(default_factory=set)

    async def of(self, caller: Caller) -> Sequence[Entry]:
        """Return the caller's letters, oldest first. Raises Problem("unavailable")."""
        async with self._turn:
            if self._read_at is None or time.monotonic() - self._read_at > _FRESH_SECONDS:
                self._owned = await self._run(self._by_owner)
                self._read_at = time.monotonic()
        return self._owned.get(caller.oin, ())

    async def find(self, caller: Caller, text: str) -> Entry:
        """Return the caller's letter of that id. Raises Problem("not-found"), whoever's it may be."""
        found = next((one for one in await self.of(caller) if str(one.letter.id) == text.lower()), None)
        if found is None:
            raise Problem("not-found", "You have no dead letter of that id.")
        return found

    async def replay(self, caller: Caller, text: str, now: datetime) -> Result:
        """Offer a letter again. Raises Problem("not-now") with why it cannot be."""
        entry = await self._open(caller, text)
        if (why := _NO_WAY.get(way(entry.letter))) is not None:
            raise Problem("not-now", why)
        if caller.oin in self._busy:
            detail = "Another of your letters is being offered again; wait for its outcome."
            raise Problem("too-many-requests", detail, headers={"Retry-After": "5"})
        self._busy.add(caller.oin)
        try:
            result = await self._run(lambda: self.shelf.replay(entry, by=_by(caller), now=now))
        finally:
            self._busy.discard(caller.oin)
            self._read_at = None
        if result.status is None:
            raise Problem("not-now", f"It was not done: {result.detail}.")
        return result

    async def discard(self, caller: Caller, text: str, reason: str, now: datetime) -> Result:
        """Note that a letter needs nothing more, and why."""
        entry = await self._open(caller, text)
        try:
            return await self._run(lambda: self.shelf.discard(entry, by=_by(caller), reason=reason, now=now))
        finally:
            self._read_at = None

    async def _open(self, caller: Caller, text: str) -> Entry:
        entry = await self.find(caller, text)
        if entry.status is not None:
            raise Problem("not-now", f"It was dealt with already: {entry.status.lower().replace('_', ' ')}.")
        return entry

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self.pool, work)
        except Retry as error:
            raise Problem("unavailable", "Kafka does not answer.", headers={"Retry-After": "5"}) from error

    def _by_owner(self) -> dict[str, list[Entry]]:
        found: dict[str, list[Entry]] = {}
        for entry in self.shelf.entries():
            if (owner := self._owner(entry.letter)) is not None:
                found.setdefault(owner, []).append(entry)
        return found

    def _owner(self, letter: DeadLetter) -> str | None:
        """Return who may see a letter: of an alert its subscriber, else the one whose record it is."""
        if letter.topic != _ALERTS:
            return owner_of(letter)
        subscription = _subscription(letter)
        return self.subscriber(subscription) if subscription is not None else None


def _by(caller: Caller) -> str:
    return f"partner {caller.oin}"


def _subscription(letter: DeadLetter) -> UUID | None:
    try:
        return UUID((letter.key or b"").decode())
    except ValueError:
        return None


def view(entry: Entry, *, whole: bool = False) -> dict[str, Any]:
    """Return the JSON form of a letter; *whole* with the bytes of the record.

    The bytes of an alert are never shown: what it told may since have become invisible. Replayed, it is judged again.
    """
    letter = entry.letter
    alert = letter.topic == _ALERTS
    told: dict[str, Any] = {
        "id": str(letter.id),
        "status": entry.status.value if entry.status else "OPEN",
        "failed_at": _instant(letter.failed_at),
        "code": letter.code,
        "detail": letter.detail,
        "reason": letter.reason.value,
        "stage": letter.stage,
        "attempts": letter.attempts,
        "system": None if alert else letter.system,
        "topic": letter.topic,
        "subscription": str(_subscription(letter)) if alert else None,
        "replayable": entry.status is None and way(letter) is Way.AGAIN,
        "successor": str(entry.successor) if entry.successor else None,
        "done": [
            {
                "status": state.status.value,
                "at": _instant(state.at),
                "by": "you" if state.by.startswith("partner ") else "operator",
                "reason": state.reason if state.by.startswith("partner ") else None,
            }
            for state in entry.done
        ],
    }
    if whole and not alert:
        told["key"] = letter.key.decode("utf-8", "replace") if letter.key else None
        told["headers"] = {one.name: (one.value or b"").decode("utf-8", "replace") for one in letter.headers}
        told["value_base64"] = base64.b64encode(letter.value).decode() if letter.value is not None else None
        told["value_sha256"] = letter.value_sha256.hex() if letter.value_sha256 else None
    return {name: value for name, value in told.items() if value is not None}


def outcome(result: Result) -> dict[str, Any]:
    """Return the JSON form of what became of a letter."""
    assert result.status is not None
    told = {
        "id": str(result.entry.letter.id),
        "status": result.status.value,
        "detail": _WORDS[result.status],
        "successor": str(result.successor) if result.successor else None,
    }
    return {name: value for name, value in told.items() if value is not None}


_WORDS = {
    DeadLetterStatus.TAKEN: "the hub took it",
    DeadLetterStatus.FAILED_AGAIN: "it failed again: it is a new dead letter, which `successor` names",
    DeadLetterStatus.REPLAYED: "it is offered again, but what comes of it is not known yet; read the letter later",
    DeadLetterStatus.DISCARDED: "noted: it needs nothing more",
}


def _instant(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
