"""Partners' subscriptions: all of them followed live, and what a partner does to its own.

A partner sees its own only; of another's it is not even told that it exists. A change is made from the revision that
this process knows, and written if that still stands: of two that are made at once, in whatever processes, one is
refused.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID, uuid4

from edge.keyring import Caller
from edge.problems import Fault, Problem
from edge.subscription_forms import SubscriptionForm, Wrong, read
from samenloop import handshake, identity
from samenloop.contract import Codec
from samenloop.errors import Reject, Retry
from samenloop.handshake import Consent
from samenloop.logs import get_logger
from samenloop.model import Subscription, SubscriptionStatus
from samenloop.settings import Hub
from samenloop.stage import Output, Record
from samenloop.subscription_life import ALLOWED, Step, agreed, taken
from samenloop.subscriptions import subscription_output
from samenloop.webhooks import Destinations, derive_secret, next_secret_ref

_ENDED_COUNTS = timedelta(days=1)
_HANDSHAKES_OF_ONE, _HANDSHAKES = 4, 16
"""Sinks that are asked at once, for one partner and for all: a silent sink holds up nobody else for long."""
_log = get_logger("edge")

Send = Callable[[Sequence[Output]], Awaitable[None]]
Follow = Callable[[Subscription, Subscription], bool]
"""Writes the second if the first still stands, and says whether it did; called in a thread. Raises Retry."""


class Ask(Protocol):
    """Asks a sink for its consent. Raises Reject for an address that is not called."""

    async def __call__(
        self, url: str, *, origin: str, rate_per_minute: int | None, destinations: Destinations
    ) -> Consent:
        """Return what it answered."""
        ...


class Book:
    """All subscriptions as they stand. Written by the thread that follows and by requests, read by many."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._all: dict[UUID, Subscription] = {}
        self._of: dict[str, dict[UUID, None]] = {}
        self._lock = threading.Lock()

    def hear(self, records: Iterable[Record]) -> None:
        """Take news of subscriptions, in their order."""
        for record in records:
            try:
                if record.value is not None:
                    self.put(self._codec.decode("subscriptions", record.value, record.headers))
            except Reject as error:
                _log.error(
                    "subscription.unreadable", "A subscription cannot be read and is not shown.", code=error.code
                )

    def put(self, subscription: Subscription) -> None:
        """Take over a subscription, unless a later revision is known."""
        with self._lock:
            known = self._all.get(subscription.id)
            if known is None or known.revision <= subscription.revision:
                self._all[subscription.id] = subscription
                self._of.setdefault(subscription.subscriber_oin, {})[subscription.id] = None

    def of(self, oin: str) -> list[Subscription]:
        """Return the subscriptions of a partner, oldest first."""
        with self._lock:
            found = [self._all[key] for key in self._of.get(oin, ())]
        return sorted(found, key=lambda one: (one.created_at, one.id))

    def find(self, oin: str, subscription_id: UUID) -> Subscription | None:
        """Return a subscription of this partner; None when there is none, or it is another's."""
        found = self._all.get(subscription_id)
        return found if found is not None and found.subscriber_oin == oin else None

    def ids_of(self, oin: str) -> frozenset[UUID]:
        """Return the ids of all that a partner ever had."""
        with self._lock:
            return frozenset(self._of.get(oin, ()))


@dataclass
class Subscribing:
    """What partners may do to their subscriptions. Raises Problem for all that cannot be done.

    *key* is the hub's master key: what each secret is derived from.
    """

    hub: Hub
    key: bytes = field(repr=False)
    codec: Codec
    book: Book
    send: Send
    follow: Follow
    worker: Executor
    destinations: Destinations
    ask: Ask = handshake.ask
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _asking: Counter[str] = field(default_factory=Counter)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_HANDSHAKES))

    def find(self, caller: Caller, text: str) -> Subscription:
        """Return the caller's subscription of that id. Raises Problem("not-found"), whoever's it may be."""
        try:
            found = self.book.find(caller.oin, UUID(text))
        except ValueError:
            found = None
        if found is None:
            raise Problem("not-found", "You have no subscription of that id.")
        return found

    async def begin(self, caller: Caller, form: SubscriptionForm, now: datetime) -> tuple[Subscription, str]:
        """Begin a subscription: the sink is asked, and what it says decides. Returns it and its secret."""
        self._room(caller, now)
        wanted = await self._read(caller, form, uuid4(), now)
        consent = await self._asked(caller, wanted)
        made = agreed(replace(wanted, status=SubscriptionStatus.REQUESTED), consent)
        async with self._turn:
            self._room(caller, now)
            await self._publish(made)
        return made, derive_secret(self.key, made.id)

    async def change(
        self, caller: Caller, before: Subscription, form: SubscriptionForm, now: datetime
    ) -> tuple[Subscription, str | None]:
        """Replace what is asked. A new sink or rate is asked for consent again; a new sink gets a new secret.

        Returns the subscription after it, and the secret where it is new.
        """
        if before.status is SubscriptionStatus.ENDED:
            raise Problem("not-now", "The subscription has ended for good; make a new one.")
        wanted = await self._read(caller, form, before.id, now)
        kept = ("created_at", "status", "status_reason", "secret_ref", "tests_asked")
        after = replace(wanted, revision=before.revision + 1, **{name: getattr(before, name) for name in kept})
        moved = after.sink != before.sink
        if moved:
            after = replace(after, secret_ref=next_secret_ref(before.secret_ref))
        if moved or after.rate_per_minute != before.rate_per_minute:
            answered = agreed(after, await self._asked(caller, after))
            waits = before.status is SubscriptionStatus.PAUSED and answered.status is SubscriptionStatus.ACTIVE
            after = replace(answered, status=before.status, status_reason=before.status_reason) if waits else answered
        await self._follow(before, after, "stale")
        return after, derive_secret(self.key, after.id, _rotation(after)) if moved else None

    async def step(self, caller: Caller, before: Subscription, step: Step, now: datetime) -> Subscription:
        """Take a step; `resume` asks the sink again. Raises Problem("not-now") where the table forbids it."""
        if before.status not in ALLOWED[step]:
            allowed = ", ".join(sorted(status.lower() for status in ALLOWED[step]))
            raise Problem("not-now", f"The subscription is {before.status.lower()}; expected {allowed} for this.")
        consent = await self._asked(caller, before) if step == "resume" else handshake.AGREED
        after = taken(before, step, now=now, consent=consent)
        await self._follow(before, after, "not-now")
        return after

    def secret(self, subscription: Subscription) -> str:
        """Return the secret that signs first."""
        return derive_secret(self.key, subscription.id, _rotation(subscription))

    def _room(self, caller: Caller, now: datetime) -> None:
        most = self.hub.edge.max_subscriptions
        counted = [
            one
            for one in self.book.of(caller.oin)
            if one.status is not SubscriptionStatus.ENDED or now - one.updated_at < _ENDED_COUNTS
        ]
        if len(counted) >= most:
            raise Problem("too-many-subscriptions", f"At most {most}, those that ended within a day included.")

    async def _read(self, caller: Caller, form: SubscriptionForm, subscription_id: UUID, now: datetime) -> Subscription:
        def work() -> Subscription:
            return read(
                form, self.hub, oin=caller.oin, clearance=caller.clearance, subscription_id=subscription_id, now=now,
                destinations=self.destinations,
            )  # fmt: skip

        try:
            return await asyncio.to_thread(work)
        except Wrong as error:
            faults = [Fault(*one) for one in error.found]
            raise Problem("malformed", "The subscription is not as it should be.", faults) from error

    async def _asked(self, caller: Caller, subscription: Subscription) -> Consent:
        """Ask the sink, in bounded time; of one partner only so many at once."""
        if self._asking[caller.oin] >= _HANDSHAKES_OF_ONE:
            detail = "Other sinks of yours are being asked; wait for those answers."
            raise Problem("too-many-requests", detail, headers={"Retry-After": "10"})
        self._asking[caller.oin] += 1
        try:
            async with self._slots:
                return await self.ask(
                    subscription.sink,
                    origin=self.hub.hub.schema_host,
                    rate_per_minute=subscription.rate_per_minute,
                    destinations=self.destinations,
                )
        except Reject as error:
            raise Problem("malformed", "The sink is not called.", [Fault("/sink", error.code, error.detail)]) from error
        finally:
            self._asking[caller.oin] -= 1
            self._asking += Counter()  # drops the zeros

    async def _follow(self, before: Subscription, after: Subscription, code: str) -> None:
        """Write what follows *before*. Raises Problem(*code*) when something else did meanwhile."""
        async with self._turn:
            still = self.book.find(before.subscriber_oin, before.id) == before
            try:
                still = still and await asyncio.to_thread(self.follow, before, after)
            except Retry as error:
                raise _in_doubt() from error
            if not still:
                raise Problem(code, "The subscription changed meanwhile; read it and try again.")
            self.book.put(after)

    async def _publish(self, subscription: Subscription) -> None:
        source = identity.system_urn(self.hub.hub.oin, "samenloop")
        loop = asyncio.get_running_loop()
        output = await loop.run_in_executor(self.worker, subscription_output, self.codec, source, subscription)
        try:
            await self.send([output])
        except Retry as error:
            raise _in_doubt() from error
        self.book.put(subscription)


def _in_doubt() -> Problem:
    detail = "Kafka did not acknowledge it in time. Look whether it is there before you try again."
    return Problem("unavailable", detail, headers={"Retry-After": "5"})


def _rotation(subscription: Subscription) -> int:
    return int((subscription.secret_ref or "derived:0").partition(":")[2])
