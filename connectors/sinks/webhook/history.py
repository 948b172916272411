"""How far each alert was when a process died: what its receipts say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from connectors.sinks.webhook.answers import counted, refused
from samenloop.model import DeliveryReceipt, Outcome


@dataclass(slots=True)
class History:
    """The attempts on one alert so far. *finals* are the ends it came to: one for each time it was offered."""

    attempts: int = 0
    tries: int = 0
    refusals: int = 0
    next_at: datetime | None = None
    finals: int = 0

    def add(self, receipt: DeliveryReceipt) -> None:
        """Count one receipt."""
        self.attempts = max(self.attempts, receipt.attempt)
        if receipt.outcome is not Outcome.RETRY:
            self.finals += 1
            self.tries, self.refusals, self.next_at = 0, 0, None
            return
        self.tries += counted(receipt.outcome, receipt.problem)
        self.refusals += refused(receipt.http_status, receipt.problem)
        self.next_at = receipt.next_attempt_at


def histories(receipts: Iterable[DeliveryReceipt]) -> dict[UUID, History]:
    """Return the history of every alert with a receipt."""
    found: dict[UUID, History] = {}
    for receipt in receipts:
        found.setdefault(receipt.alert_id, History()).add(receipt)
    return found
