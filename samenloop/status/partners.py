"""What is on its way to partners: from subscriptions, alerts and receipts to one line for each. Does no I/O."""

from __future__ import annotations

from collections import Counter, OrderedDict
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from samenloop import contract
from samenloop.model import Alert, DeliveryReceipt, Outcome, Subscription, SubscriptionStatus
from samenloop.stage import Record
from samenloop.status.picture import PartnerLine
from samenloop.value import value

_MOST_ENDS = 50_000
"""Ends that are remembered of alerts that were not met yet: topics have no order between them."""


@value
class _Pending:
    alert: Alert
    offered: int
    written_at: datetime


class Partners:
    """Takes the records of `partners`, `subscriptions`, `alerts` and `receipts`, in any order between topics."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._subscriptions: dict[UUID, Subscription] = {}
        self._pending: dict[UUID, _Pending] = {}
        self._ends: OrderedDict[UUID, datetime] = OrderedDict()
        self._answers: dict[str, DeliveryReceipt] = {}

    def take(self, record: Record, value: Any) -> None:
        """Take one record that was decoded."""
        match record.topic:
            case "partners":
                self._names[value.oin] = value.name
            case "subscriptions":
                self._subscriptions[value.id] = value
            case "alerts":
                written = datetime.fromtimestamp(record.timestamp_ms / 1000, UTC)
                self._pending[value.id] = _Pending(value, contract.attempt_of(record.headers), written)
            case "receipts":
                self._answered(value)

    def lines(self, now: datetime) -> tuple[PartnerLine, ...]:
        """Return a line for each partner that has a subscription or waits for something, by name."""
        self._settle()
        waiting: dict[str, list[Alert]] = {}
        for pending in self._pending.values():
            subscription = self._subscriptions.get(pending.alert.subscription_id)
            if subscription is not None:
                waiting.setdefault(subscription.subscriber_oin, []).append(pending.alert)
        current = [one for one in self._subscriptions.values() if one.status is not SubscriptionStatus.ENDED]
        oins = {*waiting, *(one.subscriber_oin for one in current)}
        lines = [
            self._line(oin, [one for one in current if one.subscriber_oin == oin], waiting.get(oin, []), now)
            for oin in oins
        ]
        return tuple(sorted(lines, key=lambda line: (line.name.casefold(), line.oin)))

    def _line(self, oin: str, mine: list[Subscription], alerts: list[Alert], now: datetime) -> PartnerLine:
        paused = [one for one in mine if one.status is SubscriptionStatus.PAUSED]
        return PartnerLine(
            oin,
            self._names.get(oin, oin),
            Counter(one.status.value.lower() for one in mine),
            tuple(sorted({one.status_reason for one in paused if one.status_reason})),
            len(alerts),
            min((alert.due_at for alert in alerts if alert.due_at <= now), default=None),
            self._answers.get(oin),
        )

    def _answered(self, receipt: DeliveryReceipt) -> None:
        before = self._answers.get(receipt.subscriber_oin)
        if before is None or receipt.attempted_at >= before.attempted_at:
            self._answers[receipt.subscriber_oin] = receipt
        if receipt.outcome is not Outcome.RETRY:
            self._ends[receipt.alert_id] = receipt.attempted_at
            if len(self._ends) > _MOST_ENDS:
                self._ends.popitem(last=False)

    def _settle(self) -> None:
        """Forget the alerts that ended. One that is offered again waits for an end that came after that."""
        for alert_id in list(self._pending):
            pending, ended = self._pending[alert_id], self._ends.get(alert_id)
            if ended is not None and (pending.offered == 1 or ended >= pending.written_at):
                del self._pending[alert_id]
