"""The translating half: what a partner receives, and what the hub writes about it. Functions of their arguments."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from connectors.sinks.webhook.answers import Answer
from connectors.sinks.webhook.lanes import Delivery
from samenloop import identity, tracing
from samenloop.contract import Codec, Envelope
from samenloop.model import Alert, DeliveryReceipt, Outcome
from samenloop.stage import Output

_HIDDEN = ('"masked":', '"withheld"')


def receipt_of(
    delivery: Delivery,
    subscriber_oin: str,
    outcome: Outcome,
    *,
    at: datetime,
    problem: str | None,
    answer: Answer | None,
) -> DeliveryReceipt:
    """Return the receipt of the next attempt of a delivery; without *answer*, of a decision not to try."""
    alert, attempt = delivery.alert, delivery.attempts + 1
    return DeliveryReceipt(
        id=identity.receipt_id(alert.id, attempt),
        alert_id=alert.id,
        subscription_id=alert.subscription_id,
        subscriber_oin=subscriber_oin,
        subject_id=alert.subject_id,
        attempt=attempt,
        attempted_at=at,
        outcome=outcome,
        http_status=answer.status if answer else None,
        problem=problem,
        partner_version=answer.etag[:200] if answer and answer.etag else None,
        sent_hash=answer.sent_hash if answer else None,
        duration_ms=answer.duration_ms if answer else 0,
        next_attempt_at=delivery.due if outcome is Outcome.RETRY else None,
    )


def trace_headers(span: tracing.Span, alert: Alert) -> Mapping[str, str]:
    """Return the `traceparent` that goes out with an alert. `tracestate` is the hub's own and stays inside.

    Without one: what tells of a plan that the partner may not see. Two alerts of one trace would say that the same
    hidden source is behind them.
    """
    if alert.data is None or any(word in alert.data for word in _HIDDEN):
        return {}
    return {name: value.decode("latin-1") for name, value in span.headers() if name == tracing.PARENT}


def receipt_output(codec: Codec, source: str, receipt: DeliveryReceipt, alert: Alert) -> Output:
    """Return the record of a receipt: keyed by subscription, as the alert it is about."""
    key = str(receipt.subscription_id)
    envelope = Envelope(
        id=str(receipt.id),
        source=source,
        type="nl.samenloop.delivery.v1",
        time=receipt.attempted_at,
        subject=receipt.subject_id,
        partitionkey=key,
        correlationid=alert.event_id,
        causationid=str(receipt.alert_id),
        classification="internal",
    )
    return Output("receipts", key, codec.encode("receipts", receipt), codec.headers("receipts", envelope))
