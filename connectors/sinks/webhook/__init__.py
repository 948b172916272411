"""Signed webhooks: each alert as one CloudEvent in a POST, at least once, with a receipt for every attempt.

A stage like the others: its positions and receipts go to Kafka in one transaction. The position stays below the first
alert without a final receipt, so what was under way when a process died is read again, and `receipts` say how far it
was. A process that slept past its session is fenced by Kafka, so every alert has exactly one final receipt.

* `answers`: what an answer means (the contract's table); `lanes`: who is next; `reach`: whom we may send to;
  `messages`: what goes out; `sender`: the talking half. Partners never wait for each other.
* An ended subscription gets nothing any more (EXPIRED), a paused one waits, a partner that may no longer see something
  does not get it (WITHHELD); every process follows subscriptions and partners, so this is obeyed at once.
* 410 ends the subscription (reason `gone`); an alert given up pauses it (reason `failing`), nothing behind it is lost.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Self
from uuid import UUID

from connectors.sinks.webhook import reporting
from connectors.sinks.webhook.answers import Answer, Verdict, judge, meaning, refused
from connectors.sinks.webhook.answers import Meaning as Says
from connectors.sinks.webhook.history import History, histories
from connectors.sinks.webhook.lanes import Delivery, Lane
from connectors.sinks.webhook.messages import receipt_of, receipt_output, trace_headers
from connectors.sinks.webhook.reach import Following, Leave, Reach
from connectors.sinks.webhook.sender import Attempt, Sender
from samenloop import clock, contract, identity, metrics, subscriptions, tracing, webhooks
from samenloop.contract import Codec, read_envelope
from samenloop.contract.alert_events import alert_event
from samenloop.errors import Reject
from samenloop.kafka.tail import Tail
from samenloop.letters import letter_output
from samenloop.logs import get_logger
from samenloop.model import DeadLetter, DeadReason, DeliveryReceipt, Mode, Outcome, Subscription, SubscriptionStatus
from samenloop.settings import Delivery as Settings
from samenloop.settings import Hub
from samenloop.stage import Assignment, Output, Partition, Record

log = get_logger("webhook")
OLDEST = timedelta(days=29)
"""An alert is not kept waiting longer than this: the topic forgets it a day later."""
JITTER = 0.2


class Webhook:
    """The stage: takes alerts, starts attempts, hands out receipts."""

    name = "webhook"
    lead = "alerts"
    follows: Sequence[str] = ()
    writes: Sequence[str] = ("receipts", "subscriptions", "dead-letters")

    def __init__(
        self,
        settings: Settings,
        codec: Codec,
        source: str,
        *,
        follow: Callable[[], Following],
        dice: random.Random | None = None,
    ) -> None:
        self._settings, self._codec, self._source = settings, codec, source
        self._key = webhooks.read_master_key(settings)
        self._sender = Sender(settings, webhooks.Destinations(settings))
        self._reach = Reach(codec, follow)
        self._dice = dice or random.Random()
        self._history: dict[int, dict[UUID, History]] = {}
        self._pending: dict[int, dict[int, Delivery]] = {}
        self._lanes: dict[UUID, Lane] = {}
        self._flying: dict[Attempt, Delivery] = {}
        self._out: list[Output] = []
        self._turns = 0
        self._uncounted = metrics.AfterCommit()
        metrics.DELIVERY_LATENCY_SECONDS.start(pipeline="alerts", channel=reporting.CHANNEL)
        self._shown = reporting.Shown()
        metrics.at_scrape(self._show)

    @classmethod
    def from_hub(cls, hub: Hub, codec: Codec) -> Self:
        """Return the sink for *hub*. Raises BadSettings when there is no master key."""
        delivery = hub.delivery
        if delivery.allow_http or delivery.allow_destinations:
            networks = ", ".join(delivery.allow_destinations)
            log.warning("delivery.relaxed", "Unsafe destinations are allowed.", http=delivery.allow_http, also=networks)
        source = identity.system_urn(hub.hub.oin, "samenloop")
        return cls(delivery, codec, source, follow=lambda: Tail(hub.kafka, ("subscriptions", "partners")))

    def assign(self, assignment: Assignment) -> Sequence[Output]:
        """Read how far the alerts of these partitions were."""
        if not assignment.partitions:
            return ()
        self._reach.catch_up()
        self._sender.start()
        for partition in assignment.partitions:
            records = assignment.read("receipts", [partition], until="end")
            decoded = (self._codec.decode("receipts", r.value, r.headers) for r in records if r.value is not None)
            self._history[partition] = histories(decoded)
            self._pending[partition] = {}
        return ()

    def revoke(self, partitions: Collection[int]) -> None:
        """Forget these partitions; attempts under way end without a receipt, their next holder makes them again."""
        for partition in partitions:
            self._history.pop(partition, None)
            self._pending.pop(partition, None)
        self._lanes = {key: lane for key, lane in self._lanes.items() if lane.partition not in partitions}
        self._flying = {a: d for a, d in self._flying.items() if d.record.partition not in partitions}

    def process(self, batch: Sequence[Record], now: datetime) -> Sequence[Output]:
        """Take new alerts; one that cannot be read becomes a dead letter."""
        self._uncounted.now()
        for record in batch:
            try:
                outcome = "emitted" if self._take(record, now) else "duplicate"
            except Reject as error:
                outcome = "dead_lettered"
                self._set_aside(contract.rejected(record, error, stage=self.name, now=now))
            self._uncounted.add(metrics.PROCESSOR_EVENTS_TOTAL.labels(processor=self.name, outcome=outcome).inc)
        return self._said()

    def idle(self, now: datetime) -> Sequence[Output]:
        """Take the answers that came, start what is due."""
        self._uncounted.now()
        self._reach.poll()
        for ended in self._reach.disputed():
            self._write(ended, SubscriptionStatus.ENDED, ended.status_reason, now)
        for attempt, answer in self._sender.answers():
            delivery = self._flying.pop(attempt, None)
            if delivery is not None:
                self._answered(delivery, answer, attempt.at, now)
        self._turns += 1
        lanes = list(self._lanes)
        first = self._turns % max(len(lanes), 1)  # so that those at the front do not take all the room every time
        for subscription_id in lanes[first:] + lanes[:first]:
            self._start(subscription_id, now)
        return self._said()

    def held(self) -> Mapping[Partition, int]:
        """Return the first alert of each partition that has no final receipt."""
        return {(self.lead, partition): next(iter(held)) for partition, held in self._pending.items() if held}

    def close(self) -> None:
        """End the sender's thread."""
        self._sender.stop()

    def _show(self) -> None:
        """At each scrape. Who stands by no longer hears of subscriptions, so it tells of none."""
        if self._history:
            self._shown.update(self._lanes, self._reach, clock.now())
        else:
            self._shown.clear()

    def _said(self) -> list[Output]:
        said, self._out = self._out, []
        return said

    def _take(self, record: Record, now: datetime) -> bool:
        """Take an alert; False when it was ended before, or there is none."""
        if record.value is None:
            return False
        label = read_envelope(record.headers).classification
        alert = self._codec.decode(record.topic, record.value, record.headers)
        history = self._history[record.partition].get(alert.id, History())
        offered = contract.attempt_of(record.headers)
        if history.finals >= offered:
            return False
        if offered > 1:
            alert = replace(alert, mode=Mode.REPLAY)  # an operator offers it again: no news, and no measure of our pace
        due = history.next_at or alert.due_at + timedelta(seconds=self._settings.retry_seconds[0])
        delivery = Delivery(
            alert=alert,
            label=label,
            record=record,
            due=due,
            attempts=history.attempts,
            tries=history.tries,
            refusals=history.refusals,
        )
        self._pending[record.partition][record.offset] = delivery
        lane = self._lanes.setdefault(alert.subscription_id, Lane(record.partition))
        replaced = lane.push(delivery, now)
        if replaced is not None:
            self._final(replaced, Verdict(Outcome.EXPIRED, "replaced"), now, now)
        return True

    def _start(self, subscription_id: UUID, now: datetime) -> None:
        """Start what is due of one subscription, as far as there is room."""
        lane, subscription = self._lanes[subscription_id], self._reach.subscription(subscription_id)
        if subscription is None:
            return
        if subscription.status is SubscriptionStatus.ENDED:
            for over in [waiting for waiting in lane if not waiting.in_flight]:
                self._end(lane, over, Verdict(Outcome.EXPIRED, "subscription-ended"), now)
        while (delivery := lane.due(now)) is not None and len(self._flying) < self._settings.concurrency:
            leave = self._reach.leave(delivery.alert, delivery.label)
            if now - delivery.alert.created_at > OLDEST or now > (delivery.alert.expires_at or now):
                self._end(lane, delivery, Verdict(Outcome.EXPIRED, "too-old"), now)
            elif leave is Leave.WITHHELD:
                self._end(lane, delivery, Verdict(Outcome.WITHHELD, "visibility"), now)
            elif leave is Leave.OTHER_CHANNEL:
                self._drop(lane, delivery)
            elif leave is Leave.SEND and lane.free(now) and self._room(lane):
                self._send(lane, delivery, subscription, now)
            else:
                break

    def _room(self, lane: Lane) -> bool:
        """Partners that seem to be down never take more than half of the room."""
        if not lane.failing:
            return True
        probing = sum(self._lanes[d.alert.subscription_id].failing for d in self._flying.values())
        return probing < max(self._settings.concurrency // 2, 1)

    def _send(self, lane: Lane, delivery: Delivery, subscription: Subscription, now: datetime) -> None:
        lane.start(delivery, now, subscription.rate_per_minute)
        try:
            secrets = webhooks.secrets_of(self._key, subscription.id, subscription.secret_ref)
        except Reject:
            self._answered(delivery, Answer(problem="secret"), now, now)
            return
        body = alert_event(delivery.alert, self._source)
        delivery.span = reporting.attempting(delivery, subscription.subscriber_oin)
        headers = trace_headers(delivery.span, delivery.alert)
        attempt = Attempt(str(delivery.alert.id), subscription.sink, body, secrets, now, headers)
        self._flying[attempt] = delivery
        self._sender.send(attempt)

    def _answered(self, delivery: Delivery, answer: Answer, at: datetime, now: datetime) -> None:
        """One attempt is over: what now?"""
        lane = self._lanes[delivery.alert.subscription_id]
        well = answer.status is not None and answer.status < 300
        lane.landed(delivery, well=well)
        reporting.attempted(self._partner(delivery), answer, delivery.span)
        verdict = judge(
            answer,
            attempts=delivery.attempts,
            tries=delivery.tries,
            refusals=delivery.refusals,
            waits=self._settings.retry_seconds,
            now=now,
        )
        was_failing = lane.failing
        if well:
            lane.recovered(now)
        elif verdict.patience:
            lane.patience_until = now + timedelta(seconds=verdict.wait_seconds or 0)
        elif meaning(answer) is Says.LATER:
            lane.failures += 1
        reporting.turned(self._partner(delivery), delivery.alert, was=was_failing, now=lane.failing)
        if not verdict.final and lane.replaced(delivery):
            verdict = Verdict(Outcome.EXPIRED, "replaced")
        if verdict.final:
            lane.remove(delivery)
            self._final(delivery, verdict, at, now, answer=answer)
        else:
            self._again(lane, delivery, verdict, at, now, answer=answer)

    def _again(
        self, lane: Lane, delivery: Delivery, verdict: Verdict, at: datetime, now: datetime, *, answer: Answer
    ) -> None:
        delivery.tries += verdict.counts
        delivery.refusals += refused(answer.status, answer.problem)
        delivery.transient = verdict.transient
        spread = self._dice.uniform(0 if verdict.patience else -JITTER, JITTER)
        if delivery.tries == 1 and verdict.counts:
            reporting.retried(self._partner(delivery), delivery.alert, verdict.problem)
        lane.again(delivery, now + timedelta(seconds=(verdict.wait_seconds or 0) * (1 + spread)))
        self._receipt(delivery, verdict, at, answer=answer)

    def _end(self, lane: Lane, delivery: Delivery, verdict: Verdict, now: datetime) -> None:
        """End an alert without another attempt."""
        lane.remove(delivery)
        self._final(delivery, verdict, now, now)

    def _drop(self, lane: Lane, delivery: Delivery) -> None:
        """Leave an alert to the sink of its channel."""
        lane.remove(delivery)
        del self._pending[delivery.record.partition][delivery.record.offset]

    def _final(
        self, delivery: Delivery, verdict: Verdict, at: datetime, now: datetime, *, answer: Answer | None = None
    ) -> None:
        """Write the one final receipt of an alert, and what follows from it."""
        receipt = self._receipt(delivery, verdict, at, answer=answer)
        del self._pending[delivery.record.partition][delivery.record.offset]
        self._uncounted.add(lambda: reporting.finished(receipt, delivery.alert, now))
        if verdict.outcome in (Outcome.REFUSED, Outcome.GIVEN_UP):
            letter = contract.dead_letter(
                delivery.record,
                reason=DeadReason.DELIVERY,
                code=f"delivery.{verdict.problem}",
                detail=f"the partner did not take the alert; attempt {receipt.attempt} ended in {verdict.problem}",
                stage=self.name,
                now=now,
                retryable=True,
            )
            self._set_aside(letter)
        if answer is not None and meaning(answer) is Says.GONE:
            self._stop(delivery, SubscriptionStatus.ENDED, "gone", now)
        elif verdict.outcome is Outcome.GIVEN_UP:
            self._stop(delivery, SubscriptionStatus.PAUSED, "failing", now)

    def _set_aside(self, letter: DeadLetter) -> None:
        self._out.append(letter_output(self._codec, self._source, letter))
        count = metrics.DLQ_RECORDS_TOTAL.labels(topic=self.lead, reason=letter.reason.value)
        self._uncounted.add(count.inc)

    def _receipt(
        self, delivery: Delivery, verdict: Verdict, at: datetime, *, answer: Answer | None = None
    ) -> DeliveryReceipt:
        receipt = receipt_of(
            delivery, self._partner(delivery), verdict.outcome, at=at, problem=verdict.problem, answer=answer
        )
        delivery.attempts += 1
        self._history[delivery.record.partition].setdefault(receipt.alert_id, History()).add(receipt)
        said = [receipt_output(self._codec, self._source, receipt, delivery.alert)]
        self._out += said if delivery.span is tracing.NO_SPAN else tracing.stamped(said, delivery.span)
        delivery.span = tracing.NO_SPAN
        return receipt

    def _stop(self, delivery: Delivery, status: SubscriptionStatus, reason: str, now: datetime) -> None:
        """End or pause the subscription of an alert."""
        before = self._reach.subscription(delivery.alert.subscription_id)
        if before is None or before.status is not SubscriptionStatus.ACTIVE:
            return
        self._write(before, status, reason, now)
        log.warning(
            f"subscription.{status.value.lower()}",
            "A subscription was ended or paused by what its partner answers.",
            subscription=str(before.id),
            partner=before.subscriber_oin,
            reason=reason,
        )

    def _write(self, before: Subscription, status: SubscriptionStatus, reason: str | None, now: datetime) -> None:
        """Write the next revision of a subscription, together with the receipts.

        Its subscriber may change it in the same moment: then the last word counts, but an end is for good and is said
        again by whoever sees that it was written over.
        """
        changed = subscriptions.with_status(before, status, reason, now)
        self._reach.put(changed)
        self._out.append(subscriptions.subscription_output(self._codec, self._source, changed))

    def _partner(self, delivery: Delivery) -> str:
        subscription = self._reach.subscription(delivery.alert.subscription_id)
        return subscription.subscriber_oin if subscription else "unknown"
