"""The network operator's system: has no address to be called at, and asks for the changes since its cursor instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from samenloop.demo.client import HubClient

_CHANGES, _PER_PAGE = "/v1/changes", 10
"""Small pages, so that it takes several to catch up."""
_CHANGED = "nl.samenloop.plan-state-changed.v1"


class Puller:
    """Keeps the plans it is told of, and the cursor behind them; called from one thread."""

    def __init__(self, client: HubClient) -> None:
        self.plans: dict[str, Mapping[str, Any]] = {}
        """Properties by plan id."""
        self.told: set[str] = set()
        """Every plan it ever heard of."""
        self.caught_up = 0
        """Changes that were read after the time offline."""
        self._client = client
        self._next: str | None = None

    def pull(self) -> int:
        """Read on from the cursor to the end; return how many changes there were. Raises Retry."""
        count = 0
        while True:
            after = {} if self._next is None else {"after": self._next}
            page = self._client.get(_CHANGES, {**after, "limit": _PER_PAGE})
            for event in page["events"]:
                self._take(event)
            self._next = page["next"]
            count += len(page["events"])
            if page["at_end"]:
                return count

    def close(self) -> None:
        """Give the connection back."""
        self._client.close()

    def _take(self, event: Mapping[str, Any]) -> None:
        plan_id = event["subject"]
        self.told.add(plan_id)
        if event["type"] == _CHANGED:
            self.plans[plan_id] = event["data"]["properties"]
        else:  # removed, or withdrawn from us: either way it is no longer ours to keep
            self.plans.pop(plan_id, None)
