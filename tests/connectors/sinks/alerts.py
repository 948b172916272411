"""Alerts as `notify` writes them, for whoever delivers or counts them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from samenloop import identity
from samenloop.model import Alert, AlertReason, Severity, SubscriberRole


def alert(number: int, subject: str | None = None, subscription: int = 1, **changes: Any) -> Alert:
    """An alert; each on its own subject unless one is given."""
    now = datetime.now(UTC)
    found = Alert(
        id=identity.alert_id(UUID(int=subscription), f"event-{number}", AlertReason.NEW),
        subscription_id=UUID(int=subscription),
        sequence=number,
        event_id=f"event-{number}",
        event_type="nl.samenloop.conflict-opened.v1",
        subject_id=subject or f"subject-{number}",
        subject_revision=1,
        accepted_at=now,
        created_at=now,
        due_at=now - timedelta(seconds=1),
        reason=AlertReason.NEW,
        role=SubscriberRole.OBSERVER,
        severity=Severity.BLOCKING,
        data='{"finding": {"id": "1"}}',
    )
    return replace(found, **changes)
