"""What operators see of deliveries: metrics and logs, by partner, without an address or a secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from connectors.sinks.webhook.answers import Answer
from connectors.sinks.webhook.lanes import Delivery, Lane
from connectors.sinks.webhook.reach import Leave, Reach
from samenloop import metrics, tracing
from samenloop.logs import get_logger
from samenloop.model import Alert, DeliveryReceipt, Outcome, SubscriptionStatus

log = get_logger("webhook")
CHANNEL = "webhook"
_OUTCOMES = {
    Outcome.DELIVERED: "delivered",
    Outcome.ACCEPTED: "delivered",
    Outcome.REFUSED: "failed",
    Outcome.GIVEN_UP: "failed",
    Outcome.EXPIRED: "expired",
    Outcome.WITHHELD: "withheld",
}
_STATES = ("closed", "half_open", "open")
_PAUSES = ("failing", "asked")


def attempting(delivery: Delivery, partner: str) -> tracing.Span:
    """Begin the span of one attempt, below what told the alert."""
    return tracing.begin(
        "deliver webhook",
        "client",
        parent=delivery.record.headers,
        samenloop_partner=partner,
        samenloop_attempt=delivery.attempts + 1,
        http_request_method="POST",
    )


def attempted(partner: str, answer: Answer, span: tracing.Span) -> None:
    """Count one attempt and end its span; one that failed is always kept."""
    status = answer.status
    if status is None or status >= 400:
        span.fail(answer.problem or str(status))
    if status is not None:
        span.set(http_response_status__code=status)
    span.end()
    result = answer.problem if answer.problem in ("timeout", "tls") else "connect"
    if status is not None:
        result = "429" if status == 429 else f"{status // 100}xx"
    metrics.SINK_ATTEMPTS_TOTAL.labels(partner=partner, channel=CHANNEL, result=result).inc()
    metrics.SINK_REQUEST_DURATION_SECONDS.labels(partner=partner).observe(answer.duration_ms / 1000)


def finished(receipt: DeliveryReceipt, alert: Alert, now: datetime) -> None:
    """Count a final outcome; a partner that accepted moves the clocks."""
    partner, outcome = receipt.subscriber_oin, _OUTCOMES[receipt.outcome]
    metrics.SINK_DELIVERIES_TOTAL.labels(partner=partner, channel=CHANNEL, outcome=outcome).inc()
    if outcome == "delivered":
        metrics.SINK_LAST_SUCCESS_TIMESTAMP_SECONDS.labels(partner=partner).set(now.timestamp())
        seconds = max((now - alert.accepted_at).total_seconds(), 0.0)
        mode = "replay" if alert.mode == "REPLAY" else "live"
        metrics.DELIVERY_LATENCY_SECONDS.labels(pipeline="alerts", channel=CHANNEL, mode=mode).observe(seconds)
    if receipt.outcome is Outcome.GIVEN_UP:
        log.error(
            "delivery.given_up",
            "An alert was given up and set aside; its subscription is paused.",
            partner=partner,
            subscription=str(receipt.subscription_id),
            alert=str(receipt.alert_id),
            problem=receipt.problem,
        )
    elif receipt.outcome is Outcome.REFUSED:
        log.warning(
            "delivery.refused",
            "A partner refused an alert; it was set aside.",
            partner=partner,
            subscription=str(receipt.subscription_id),
            alert=str(receipt.alert_id),
            problem=receipt.problem,
        )


def retried(partner: str, alert: Alert, problem: str | None) -> None:
    """Say that an alert was not taken at first; what comes of the other attempts stands in the receipts."""
    log.warning("delivery.retry", "An alert was not taken and is tried again.", partner=partner,
                subscription=str(alert.subscription_id), alert=str(alert.id), problem=problem)  # fmt: skip


def turned(partner: str, alert: Alert, *, was: bool, now: bool) -> None:
    """Say that a partner seems to be down, or takes alerts again."""
    if now and not was:
        log.warning("circuit.opened", "A partner does not take alerts; it is tried with one at a time.",
                    partner=partner, subscription=str(alert.subscription_id))  # fmt: skip
    elif was and not now:
        log.warning("circuit.closed", "A partner takes alerts again; what waited goes out.",
                    partner=partner, subscription=str(alert.subscription_id))  # fmt: skip


def _state(lane: Lane) -> str:
    """A partner seems to be down: open, or half open while one attempt probes."""
    return "closed" if not lane.failing else "half_open" if lane.in_flight else "open"


@dataclass(slots=True)
class _Sight:
    """What is shown of one partner: of several subscriptions the worst. Instants in seconds, 0 for none."""

    waiting: int = 0
    oldest: float = 0.0
    due: float = 0.0
    circuit: str = "closed"
    paused: dict[str, float] = field(default_factory=lambda: dict.fromkeys(_PAUSES, 0.0))

    def take(self, lane: Lane, reach: Reach, now: datetime, *, active: bool) -> None:
        """Take in the alerts of one subscription; of one that is paused they wait, and none is due."""
        self.waiting += lane.waiting
        self.circuit = max(self.circuit, _state(lane), key=_STATES.index)
        if active:
            self.oldest = _earlier(self.oldest, lane.waiting_since)
            self.due = _earlier(self.due, _due_since(lane, reach, now))


class Shown:
    """What is on the gauges of partners. Written at each scrape, from another thread than the one that works."""

    def __init__(self) -> None:
        self._partners: set[str] = set()

    def update(self, lanes: Mapping[UUID, Lane], reach: Reach, now: datetime) -> None:
        """Show what waits for each partner, what of it should be under way, and who is paused."""
        sights: dict[str, _Sight] = {}
        for subscription in reach.subscriptions():
            sight = sights.setdefault(subscription.subscriber_oin, _Sight())
            if subscription.status is SubscriptionStatus.PAUSED:
                reason = "failing" if subscription.status_reason == "failing" else "asked"
                sight.paused[reason] = _earlier(sight.paused[reason], subscription.updated_at)
            if (lane := lanes.get(subscription.id)) is not None:
                sight.take(lane, reach, now, active=subscription.status is SubscriptionStatus.ACTIVE)
        self._set(sights)

    def clear(self) -> None:
        """Show nothing of any partner: another process tells of them now."""
        self._set({})

    def _set(self, sights: dict[str, _Sight]) -> None:
        gone = self._partners - sights.keys()
        self._partners |= sights.keys()
        for partner, sight in [*sights.items(), *((partner, _Sight()) for partner in gone)]:
            metrics.SINK_PENDING_DELIVERIES.labels(partner=partner).set(sight.waiting)
            metrics.SINK_OLDEST_PENDING_TIMESTAMP_SECONDS.labels(partner=partner).set(sight.oldest)
            metrics.SINK_DUE_SINCE_TIMESTAMP_SECONDS.labels(partner=partner).set(sight.due)
            for reason, since in sight.paused.items():
                metrics.SINK_PAUSED_SINCE_TIMESTAMP_SECONDS.labels(partner=partner, reason=reason).set(since)
            for state in _STATES:
                metrics.SINK_CIRCUIT_STATE.labels(partner=partner, state=state).set(state == sight.circuit)


def _due_since(lane: Lane, reach: Reach, now: datetime) -> datetime | None:
    """Since when the first attempt of a lane could have been made; None while its partner is to be waited for.

    One that is under way keeps the instant: it ends within the timeout, and then has another.
    """
    heads = [head for queue in list(lane.subjects.values()) for head in list(queue)[:1]]
    due = [max(h.due, lane.patience_until) for h in heads if reach.leave(h.alert, h.label) is Leave.SEND]
    first = min(due, default=None)
    if first is not None and not lane.in_flight:
        first = max(first, lane.next_start)
    return first if first is not None and first <= now else None


def _earlier(seconds: float, instant: datetime | None) -> float:
    """Return the earlier of two instants of which either may be missing."""
    return min((one for one in (seconds, instant.timestamp() if instant else 0.0) if one), default=0.0)
