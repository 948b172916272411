"""Dead letters for those whose records they are: read with what was done about them, offered again, discarded.

A partner sees its own records only, and of alerts to it that were given up that they were.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID

from edge.keyring import Caller
from edge.problems import Problem
from edge.shelf import ALERTS, subscription_of
from samenloop.dead_letter_desk import Result
from samenloop.dead_letters import Entry, Way, way
from samenloop.errors import Retry
from samenloop.model import DeadLetterStatus

_FRESH_SECONDS, _WAIT_SECONDS, _THREADS = 5.0, 10.0, 4
_ALERTS = "alerts"
T = TypeVar("T")
_AT_SOURCE = "It was refused before it was on Kafka. Correct the event and send it again; then discard this one."
_NOT_KEPT = "It was too large to keep. Correct the event and send it again; then discard this one."
_NO_WAY = {Way.AT_SOURCE: _AT_SOURCE, Way.NOT_KEPT: _NOT_KEPT}


class Shelf(Protocol):
    """Where the letters are; called from several threads. Raises Retry when Kafka does not answer."""

    def of(self, oin: str, subscriptions: Collection[UUID]) -> list[Entry]:
        """Return the letters of a partner without their bytes, oldest first."""
        ...

    def whole(self, entry: Entry) -> Entry:
        """Return a letter with its bytes."""
        ...

    def replay(self, entry: Entry, *, by: str, now: datetime) -> Result:
        """Offer one again and wait a while for what comes of it."""
        ...

    def discard(self, entry: Entry, *, by: str, reason: str, now: datetime) -> Result:
        """Note that one needs nothing more."""
        ...


@dataclass
class Desk:
    """What partners may do to their dead letters; *subscriptions* says which are a partner's."""

    shelf: Shelf
    subscriptions: Callable[[str], Collection[UUID]]
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_THREADS, "dead-letters"))
    _busy: set[str] = field(default_factory=set)

    async def of(self, caller: Caller) -> Sequence[Entry]:
        """Return the caller's letters without their bytes, oldest first. Raises Problem("unavailable")."""
        own = self.subscriptions(caller.oin)
        return await self._run(lambda: self.shelf.of(caller.oin, own))

    async def whole(self, caller: Caller, text: str) -> Entry:
        """Return the caller's letter of that id with its bytes. Raises Problem as `find`."""
        entry = await self.find(caller, text)
        return await self._run(lambda: self.shelf.whole(entry))

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
        if result.status is None:
            raise Problem("not-now", f"It was not done: {result.detail}.")
        return result

    async def discard(self, caller: Caller, text: str, reason: str, now: datetime) -> Result:
        """Note that a letter needs nothing more, and why."""
        entry = await self._open(caller, text)
        return await self._run(lambda: self.shelf.discard(entry, by=_by(caller), reason=reason, now=now))

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


def _by(caller: Caller) -> str:
    return f"partner {caller.oin}"


def view(entry: Entry, *, whole: bool = False) -> dict[str, Any]:
    """Return the JSON form of a letter; *whole* with the bytes of the record.

    The bytes of an alert are never shown: what it told may since have become invisible. Replayed, it is judged again.
    """
    letter = entry.letter
    alert = letter.topic == ALERTS
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
        "subscription": str(subscription_of(letter)) if alert else None,
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
