"""Who is told what, and what became of it: subscriptions, alerts, receipts, baselines."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from samenloop.model.codes import (
    AlertReason,
    Clearance,
    Digest,
    Mode,
    Outcome,
    Payload,
    Protocol,
    Severity,
    SubscriberRole,
    SubscriptionStatus,
)
from samenloop.model.plans import Geometry
from samenloop.value import value


@value
class Materiality:
    """Below these a subscriber is left alone (nl: drempels)."""

    min_severity: Severity = Severity.UNKNOWN
    min_score: float = 0.0
    min_shift_days: int = 0
    min_area_m2: float = 0.0


@value(kw_only=True)
class Subscription:
    """Who is told what, where to, and from which threshold (nl: abonnement)."""

    id: UUID
    revision: int
    subscriber_oin: str
    sink: str
    created_at: datetime
    updated_at: datetime
    types: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    filters: str | None = None
    area: Geometry | None = None
    kinds: tuple[str, ...] = ()
    roles: tuple[SubscriberRole, ...] = ()
    materiality: Materiality = Materiality()
    digest: Digest = Digest.IMMEDIATE
    payload: Payload = Payload.FULL
    clearance: Clearance = Clearance.PUBLIC
    protocol: Protocol = Protocol.HTTP
    secret_ref: str | None = None
    rate_per_minute: int | None = None
    language: str = "nl"
    status: SubscriptionStatus = SubscriptionStatus.REQUESTED
    status_reason: str | None = None
    tests_asked: int = 0


@value(kw_only=True)
class Alert:
    """One message to one subscriber; *data* is JSON text already filtered for that subscriber, None when thin."""

    id: UUID
    subscription_id: UUID
    sequence: int
    event_id: str
    event_type: str
    subject_id: str
    subject_revision: int
    accepted_at: datetime
    created_at: datetime
    due_at: datetime
    reason: AlertReason = AlertReason.UNKNOWN
    role: SubscriberRole = SubscriberRole.UNKNOWN
    severity: Severity = Severity.UNKNOWN
    mode: Mode = Mode.LIVE
    expires_at: datetime | None = None
    data: str | None = None


@value(kw_only=True)
class DeliveryReceipt:
    """What one attempt to deliver one alert led to (nl: afleverbewijs)."""

    id: UUID
    alert_id: UUID
    subscription_id: UUID
    subscriber_oin: str
    subject_id: str
    attempt: int
    attempted_at: datetime
    outcome: Outcome = Outcome.UNKNOWN
    http_status: int | None = None
    problem: str | None = None
    partner_version: str | None = None
    sent_hash: bytes | None = None
    duration_ms: int = 0
    next_attempt_at: datetime | None = None


@value(kw_only=True)
class AlertState:
    """What a subscription was last told of a subject: the baseline of materiality, and the alert sequence.

    *subject_id* is a finding or plan id, or ``""`` for the subscription's own counter (*sequence*).
    *told* is the JSON text of the compared figures (see `samenloop.notify`).
    """

    subscription_id: UUID
    subject_id: str
    sequence: int
    told_at: datetime
    told: str | None = None
    open: bool = False
