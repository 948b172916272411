"""The book of what each subscription was told: baseline per subject, one contiguous sequence, and what goes out.

What is written here leaves as `Alert` and `AlertState` records in one transaction; read back, the states rebuild it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson

from samenloop import identity, visibility
from samenloop.model import Alert, AlertReason, AlertState, Digest, Severity, Subject, SubscriberRole
from samenloop.notify.baseline import Told, from_text, to_text
from samenloop.notify.interest import Interest
from samenloop.value import value

LOCAL = ZoneInfo("Europe/Amsterdam")
DIGEST_AT = time(7, 0)
"""Local time at which a daily or (on Monday) weekly digest is due."""


@value
class Event:
    """What caused an alert: an event id, and when the hub took the change behind it."""

    id: str
    at: datetime

    def about(self, what: str) -> Event:
        """Return the event of something that follows from this one and has no record of its own."""
        return replace(self, id=f"{self.id}#{what}")


@value
class Saying:
    """One thing to say to one subscription."""

    subject_id: str
    event: Event
    event_type: str
    reason: AlertReason
    role: SubscriberRole = SubscriberRole.OBSERVER
    data: str | None = None
    revision: int = 0
    severity: Severity = Severity.UNKNOWN


@value
class Labelled:
    """An alert with the classification of what is in it."""

    alert: Alert
    label: str


@value
class Forgotten:
    """A baseline that is no longer needed."""

    subscription_id: UUID
    subject_id: str


Outgoing = Labelled | AlertState | Forgotten
_Key = tuple[UUID, str]


@dataclass(slots=True)
class _Entry:
    """A baseline in memory: parsed when first compared."""

    open: bool
    text: str | None = None
    told: Told | None = None

    def read(self) -> Told:
        if self.told is None:
            self.told = from_text(self.text)
        return self.told


class Ledger:
    """Baselines, sequences and summaries owed, of all subscriptions."""

    def __init__(self) -> None:
        self.summaries: dict[UUID, Event] = {}
        """Subscriptions that are owed a summary, with the last event that belongs to it."""
        self._entries: dict[UUID, dict[str, _Entry]] = {}
        self._sequences: dict[UUID, int] = {}
        self._alerts: list[Labelled] = []
        self._states: dict[_Key, AlertState | Forgotten] = {}

    def load(self, state: AlertState) -> None:
        """Take over a state that was written before."""
        if state.subject_id:
            self._entries.setdefault(state.subscription_id, {})[state.subject_id] = _Entry(state.open, state.told)
            return
        self._sequences[state.subscription_id] = state.sequence
        owed = orjson.loads(state.told) if state.told else None
        if owed is None:
            self.summaries.pop(state.subscription_id, None)
        else:
            self.summaries[state.subscription_id] = Event(owed["event"], datetime.fromisoformat(owed["at"]))

    def unload(self, subscription_id: UUID, subject_id: str) -> None:
        """Take over that a state was forgotten."""
        self._entries.get(subscription_id, {}).pop(subject_id, None)

    def open_told(self, interest: Interest, subject_id: str) -> Told | None:
        """Return what the subscription was last told of a subject that is still open to it."""
        entry = self._entries.get(interest.subscription.id, {}).get(subject_id)
        return entry.read() if entry is not None and entry.open else None

    def revision(self, interest: Interest, subject_id: str) -> int:
        """Return the revision that was last told, open or closed; 0 when nothing was."""
        entry = self._entries.get(interest.subscription.id, {}).get(subject_id)
        return entry.read().revision if entry is not None else 0

    def open_subjects(self, interest: Interest) -> Iterator[str]:
        """Return the subjects that are open to a subscription."""
        entries = self._entries.get(interest.subscription.id, {})
        return (subject for subject, entry in entries.items() if entry.open)

    def say(
        self,
        interest: Interest,
        saying: Saying,
        plans: Iterable[Subject],
        now: datetime,
        *,
        told: Told | None = None,
        open_: bool = True,
    ) -> None:
        """Send an alert and keep what it told; *told* None forgets the subject. *plans* are those shown in it."""
        subscription = interest.subscription
        sequence = self._sequences.get(subscription.id, 0) + 1
        self._sequences[subscription.id] = sequence
        shown = list(plans)
        alert = Alert(
            id=identity.alert_id(subscription.id, saying.event.id, saying.reason),
            subscription_id=subscription.id,
            sequence=sequence,
            event_id=saying.event.id,
            event_type=saying.event_type,
            subject_id=saying.subject_id,
            subject_revision=saying.revision,
            accepted_at=saying.event.at,
            created_at=now,
            due_at=due(subscription.digest, now),
            reason=saying.reason,
            role=saying.role,
            severity=saying.severity,
            data=saying.data,
        )
        label = visibility.classification(visibility.strictest(shown)) if shown else "public"  # an id alone
        self._alerts.append(Labelled(alert, label))
        self._keep(subscription.id, saying.subject_id, told, now, open_=open_)
        self._count(subscription.id, now)

    def owe(self, interest: Interest, saying: Saying, told: Told, now: datetime) -> None:
        """Keep a subject as told without an alert: a summary will follow."""
        subscription_id = interest.subscription.id
        self.summaries[subscription_id] = saying.event
        self._keep(subscription_id, saying.subject_id, told, now, open_=True)
        self._count(subscription_id, now)

    def summarise(self, interest: Interest, saying: Saying, plans: Iterable[Subject], now: datetime) -> None:
        """Send the summary that is owed."""
        self.summaries.pop(interest.subscription.id, None)
        self.say(interest, saying, plans, now)

    def forget_subject(self, subject_id: str) -> None:
        """Forget what anyone was told of a subject that no longer exists."""
        for subscription_id, entries in self._entries.items():
            if entries.pop(subject_id, None) is not None:
                self._states[subscription_id, subject_id] = Forgotten(subscription_id, subject_id)

    def forget_subscription(self, subscription_id: UUID) -> None:
        """Forget all that a subscription was told, its sequence aside."""
        self.summaries.pop(subscription_id, None)
        for subject_id in self._entries.pop(subscription_id, {}):
            self._states[subscription_id, subject_id] = Forgotten(subscription_id, subject_id)

    def take(self) -> list[Outgoing]:
        """Return what is new since the last call: alerts in order, then each changed state once."""
        out: list[Outgoing] = [*self._alerts, *self._states.values()]
        self._alerts, self._states = [], {}
        return out

    def _keep(self, subscription_id: UUID, subject_id: str, told: Told | None, now: datetime, *, open_: bool) -> None:
        key = (subscription_id, subject_id)
        entries = self._entries.setdefault(subscription_id, {})
        if told is None:
            if entries.pop(subject_id, None) is not None:
                self._states[key] = Forgotten(*key)
            return
        entries[subject_id] = _Entry(open_, told=told)
        self._states[key] = AlertState(
            subscription_id=subscription_id,
            subject_id=subject_id,
            sequence=self._sequences.get(subscription_id, 0),
            told_at=now,
            told=to_text(told),
            open=open_,
        )

    def _count(self, subscription_id: UUID, now: datetime) -> None:
        """Keep the subscription's own state: its sequence, and the summary it is owed."""
        owed = self.summaries.get(subscription_id)
        self._states[subscription_id, ""] = AlertState(
            subscription_id=subscription_id,
            subject_id="",
            sequence=self._sequences.get(subscription_id, 0),
            told_at=now,
            told=None if owed is None else orjson.dumps({"event": owed.id, "at": owed.at}).decode(),
        )


def due(digest: Digest, now: datetime) -> datetime:
    """Return when an alert may be sent: at once, or at the next hour, morning or Monday morning (local time)."""
    if digest is Digest.IMMEDIATE:
        return now
    if digest is Digest.HOURLY:
        return now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    local = now.astimezone(LOCAL)
    day = local.date()
    while datetime.combine(day, DIGEST_AT, LOCAL) <= local or (digest is Digest.WEEKLY and day.weekday() != 0):
        day += timedelta(days=1)
    return datetime.combine(day, DIGEST_AT, LOCAL).astimezone(UTC)
