"""What operators see of deliveries: metrics and logs, by partner, without an address or a secret."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from connectors.sinks.webhook.answers import Answer
from connectors.sinks.webhook.lanes import Lane
from connectors.sinks.webhook.reach import Reach
from samenloop import metrics
from samenloop.logs import get_logger
from samenloop.model import Alert, DeliveryReceipt, Outcome

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


def attempted(partner: str, answer: Answer) -> None:
    """Count one attempt."""
    status = answer.status
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


def pending(lanes: Mapping[UUID, Lane], reach: Reach) -> None:
    """Show what waits, by partner; asked at each scrape, from another thread than the one that works.

    The circuit of a partner is the worst of its subscriptions'.
    """
    partners = reach.partners()
    counts, oldest, states = dict.fromkeys(partners, 0), dict.fromkeys(partners, 0.0), dict.fromkeys(partners, "closed")
    for subscription_id, lane in list(lanes.items()):
        subscription = reach.subscription(subscription_id)
        if subscription is None:
            continue
        partner = subscription.subscriber_oin
        counts[partner] = counts.get(partner, 0) + lane.waiting
        since = lane.waiting_since
        if since is not None:
            oldest[partner] = min(oldest.get(partner) or since.timestamp(), since.timestamp())
        states[partner] = max(states.get(partner, "closed"), _state(lane), key=_STATES.index)
    for partner, count in counts.items():
        metrics.SINK_PENDING_DELIVERIES.labels(partner=partner).set(count)
        metrics.SINK_OLDEST_PENDING_TIMESTAMP_SECONDS.labels(partner=partner).set(oldest.get(partner, 0.0))
        for state in _STATES:
            current = states.get(partner, "closed")
            metrics.SINK_CIRCUIT_STATE.labels(partner=partner, state=state).set(state == current)
