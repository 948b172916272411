"""Yields alerts: what plans and findings mean for each subscription.

Lead: plan-regions (one partition: one at work, others stand by). Follows conflicts, opportunities, subscriptions and
partners. Writes alerts and alert-states (the baseline) in one transaction with the positions read, so after any crash
nothing is told twice and nothing is forgotten. There is no order between topics: a finding that cites a revision of a
plan that has not arrived is parked, and its offset held, until the plan is there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from uuid import UUID

from samenloop import contract, identity, metrics
from samenloop.contract import Codec, Envelope, read_envelope
from samenloop.contract.regions import Region, read_zone
from samenloop.errors import Reject
from samenloop.identity import is_restriction
from samenloop.letters import letter_output
from samenloop.logs import get_logger
from samenloop.model import AlertState, Finding, Subscription, SubscriptionStatus
from samenloop.notify import Event, Forgotten, Labelled, Notifier, Outgoing, state_key
from samenloop.rules import load_rules
from samenloop.settings import Hub
from samenloop.stage import Assignment, Output, Partition, Record
from samenloop.value import value

log = get_logger("notify")
_FINDINGS = ("conflicts", "opportunities")
_WHO = ("partners", "subscriptions")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@value
class _Parked:
    """A finding that waits for a plan, and where to read it again."""

    place: Partition
    offset: int
    finding: Finding
    event: Event


class Notify:
    """The stage: topics around `samenloop.notify.Notifier`."""

    name = "notify"
    lead = "plan-regions"
    follows: Sequence[str] = ("conflicts", "opportunities", "subscriptions", "partners")
    writes: Sequence[str] = ("alerts", "alert-states", "dead-letters")

    def __init__(self, codec: Codec, source: str, notifier: Callable[[], Notifier]) -> None:
        self._codec, self._source, self._make = codec, source, notifier
        self._notifier = notifier()
        self._parked: dict[UUID, _Parked] = {}
        self._first: list[Record] = []
        self._outcomes: Counter[str] = Counter()
        self._letters: Counter[tuple[str, str]] = Counter()
        self._suppressed: Counter[str] = Counter()
        metrics.at_scrape(lambda: metrics.TABLE_KEYS.labels(table="notify-parked").set(len(self._parked)))

    @classmethod
    def from_hub(cls, hub: Hub, codec: Codec) -> Self:
        """Return the stage for *hub*. Raises BadSettings for a rule configuration that is not right."""
        rules = load_rules(hub.hub.rules)
        source = identity.system_urn(hub.hub.oin, "samenloop")

        def notifier() -> Notifier:
            return Notifier(
                rules,
                source=source,
                metric_crs=hub.hub.metric_crs,
                quiet_seconds=hub.delivery.first_load_quiet_seconds,
                to_json=contract.to_json,
            )

        return cls(codec, source, notifier)

    def assign(self, assignment: Assignment) -> Sequence[Output]:
        """Rebuild: inputs up to the position committed, what was told up to the very end.

        Who is to be told is read to the end: a partner that subscribed before is known before the first finding.
        """
        self._forget()
        if 0 not in assignment.partitions:
            return ()
        for topic in (*_WHO, "plan-regions", *_FINDINGS):
            for record in assignment.read(topic, until="end" if topic in _WHO else "committed"):
                try:
                    if record.offset < assignment.committed[topic, record.partition]:
                        self._load(record)
                    else:
                        self._first.append(record)
                except Reject:
                    log.debug("record.skipped", "An unreadable record was set aside before.", topic=topic)
        for record in assignment.read("alert-states", until="end"):
            self._load_state(record)
        self._notifier.ready()
        return ()

    def revoke(self, partitions: Collection[int]) -> None:
        """Forget everything."""
        if 0 in partitions:
            self._forget()

    def process(self, batch: Sequence[Record], now: datetime) -> Sequence[Output]:
        """Tell what a batch means; what cannot be read becomes a dead letter."""
        self._succeeded()
        self._hear_first(now)
        letters: list[Output] = []
        for record in batch:
            try:
                self._hear(record, now)
            except Reject as error:
                letter = contract.rejected(record, error, stage=self.name, now=now)
                letters.append(letter_output(self._codec, self._source, letter))
                self._letters[record.topic, letter.reason.value] += 1
        self._outcomes.update(emitted=len(batch) - len(letters), dead_lettered=len(letters))
        for finding_id, parked in list(self._parked.items()):
            if not self._notifier.unseen(parked.finding):
                del self._parked[finding_id]
                self._notifier.hear_finding(finding_id, parked.finding, parked.event, now)
        return [*letters, *self._outputs()]

    def idle(self, now: datetime) -> Sequence[Output]:
        """Say what time alone brings: the summary after a first load."""
        self._succeeded()
        self._hear_first(now)
        self._notifier.idle(now)
        return self._outputs()

    def held(self) -> Mapping[Partition, int]:
        """Findings that wait for a plan are read again after a restart."""
        held: dict[Partition, int] = {}
        for parked in self._parked.values():
            held[parked.place] = min(parked.offset, held.get(parked.place, parked.offset))
        return held

    def _forget(self) -> None:
        self._notifier, self._parked, self._first = self._make(), {}, []

    def _hear_first(self, now: datetime) -> None:
        """Hear of subscriptions and partners ahead of their turn; those that cannot be read are set aside at it."""
        first, self._first = self._first, []
        for record in first:
            with suppress(Reject):
                self._hear(record, now)

    def _hear(self, record: Record, now: datetime) -> None:
        notifier = self._notifier
        if record.topic in _FINDINGS:
            self._hear_finding(record, now)
        elif record.topic == "plan-regions" and is_restriction(record.key):
            notifier.load_zone(record.key, self._zone(record))
        elif record.topic == "plan-regions":
            row = self._decoded(record)
            if row is None or row.day is None:
                event = _place_of(record) if row is None else Event(row.cause_id, row.accepted_at)
                notifier.hear_plan(record.key, row, event, now)
        elif (value := self._decoded(record)) is not None:
            if record.topic == "subscriptions":
                _tell(notifier.subscriptions.get(value.id), value)
                notifier.hear_subscription(value, now)
            else:
                notifier.hear_partner(value, now)

    def _hear_finding(self, record: Record, now: datetime) -> None:
        finding_id, finding = _uuid(record.key), self._decoded(record)
        event = _place_of(record) if finding is None else _event_of(record)
        self._parked.pop(finding_id, None)  # what is newer takes its place
        if finding is not None and self._notifier.unseen(finding):
            self._parked[finding_id] = _Parked((record.topic, record.partition), record.offset, finding, event)
        else:
            self._notifier.hear_finding(finding_id, finding, event, now)

    def _load(self, record: Record) -> None:
        if record.topic == "plan-regions" and is_restriction(record.key):
            self._notifier.load_zone(record.key, self._zone(record))
            return
        value, notifier = self._decoded(record), self._notifier
        if record.topic in _FINDINGS:
            notifier.load_finding(_uuid(record.key), value, _event_of(record))
        elif record.topic == "plan-regions":
            if value is None or value.day is None:
                notifier.load_plan(record.key, value)
        elif value is not None and record.topic == "subscriptions":
            notifier.subscriptions[value.id] = value
        elif value is not None:
            notifier.partners[value.oin] = value

    def _load_state(self, record: Record) -> None:
        if record.value is None:
            subscription_id, _, subject_id = record.key.partition("\n")
            self._notifier.ledger.unload(_uuid(subscription_id), subject_id)
        else:
            self._notifier.ledger.load(self._decoded(record))

    def _zone(self, record: Record) -> Region | None:
        return None if record.value is None else read_zone(self._codec, record.value, record.headers)

    def _decoded(self, record: Record) -> Any:
        return None if record.value is None else self._codec.decode(record.topic, record.value, record.headers)

    def _outputs(self) -> list[Output]:
        self._suppressed += self._notifier.suppressed()
        return [self._output(said) for said in self._notifier.take()]

    def _succeeded(self) -> None:
        """Count what the last batch brought: being called again says that it was committed."""
        for outcome, count in self._outcomes.items():
            metrics.PROCESSOR_EVENTS_TOTAL.labels(processor=self.name, outcome=outcome).inc(count)
        for (topic, reason), count in self._letters.items():
            metrics.DLQ_RECORDS_TOTAL.labels(topic=topic, reason=reason).inc(count)
        for reason, count in self._suppressed.items():
            metrics.NOTIFICATIONS_SUPPRESSED_TOTAL.labels(reason=reason).inc(count)
        for counted in (self._outcomes, self._letters, self._suppressed):
            counted.clear()

    def _output(self, said: Outgoing) -> Output:
        match said:
            case Labelled(alert, label):
                key = str(alert.subscription_id)
                envelope = Envelope(
                    id=str(alert.id),
                    source=self._source,
                    type="nl.samenloop.alert.v1",
                    time=alert.accepted_at,
                    subject=alert.subject_id,
                    partitionkey=key,
                    correlationid=alert.event_id,
                    causationid=alert.event_id,
                    classification=label,
                )
                value = self._codec.encode("alerts", alert)
                return Output("alerts", key, value, self._codec.headers("alerts", envelope))
            case AlertState():
                return self._state(state_key(said), said)
            case Forgotten(subscription_id, subject_id):
                return self._state(f"{subscription_id}\n{subject_id}", None)

    def _state(self, key: str, state: AlertState | None) -> Output:
        if state is None:
            return Output("alert-states", key, None)
        return Output("alert-states", key, self._codec.encode("alert-states", state))


def _tell(before: Subscription | None, now: Subscription) -> None:
    """Say what became of a subscription, whoever did it: the partner, an operator, or the sink that could not reach it.

    A repeat says nothing.
    """
    if before is not None and before.status is now.status:
        return
    fields = {"subscription": str(now.id), "partner": now.subscriber_oin, "reason": now.status_reason}
    if before is None:
        log.info("subscription.created", "A partner has a new subscription.", **fields)
    match now.status:
        case SubscriptionStatus.ACTIVE:
            log.info("subscription.confirmed", "The sink of a subscription agreed; alerts go out.", **fields)
        case SubscriptionStatus.PAUSED:
            log.info("subscription.paused", "A subscription is held back; its alerts wait.", **fields)
        case SubscriptionStatus.ENDED:
            log.info("subscription.ended", "A subscription has ended.", **fields)


def _event_of(record: Record) -> Event:
    """The event that a record's headers name. Raises Reject("envelope.…")."""
    envelope = read_envelope(record.headers)
    return Event(envelope.id, envelope.time)


def _place_of(record: Record) -> Event:
    """The event of a null value: what its headers name, else its place in the log."""
    try:
        return _event_of(record)
    except Reject:
        at = _EPOCH + timedelta(milliseconds=record.timestamp_ms)
        return Event(f"{record.topic}:{record.partition}:{record.offset}", at)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise Reject("record.key", "the key is not the id of a finding or subscription", field="key") from error
