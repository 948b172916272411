"""The catalogue of topics: what is in them, by which key, and how Kafka keeps them.

On the wire a topic is called `<prefix><name>.v1`. Partitions are never added to a keyed topic: that takes a `.v2`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from samenloop import model
from samenloop.value import value

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS


@value
class Topic:
    """One topic. *key* says in words what the key is; *config* are Kafka's own settings by name.

    *public* False marks a topic of the hub's own that is not part of the contract.
    """

    name: str
    record: type[object]
    key: str
    cleanup: Literal["delete", "compact"]
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)
    public: bool = True

    def full_name(self, prefix: str) -> str:
        """Return the name on the wire."""
        return f"{prefix}{self.name}.v1"

    def subject(self, prefix: str) -> str:
        """Return the registry subject of its record."""
        return f"{self.full_name(prefix)}-samenloop.v1.{self.record.__name__}"


def _deleted(name: str, record: type[object], key: str, partitions: int, *, days: int) -> Topic:
    config = {"cleanup.policy": "delete", "retention.ms": str(days * _DAY_MS)}
    return Topic(name, record, key, "delete", partitions, config)


def _compacted(
    name: str, record: type[object], key: str, partitions: int, *, lag_hours: int = 6, public: bool = True
) -> Topic:
    """A reader that stayed away longer than a deletion is kept (30 days) must start from empty."""
    config = {
        "cleanup.policy": "compact",
        "delete.retention.ms": str(30 * _DAY_MS),
        "min.compaction.lag.ms": str(lag_hours * _HOUR_MS),
    }
    return Topic(name, record, key, "compact", partitions, config, public)


def _internal(name: str, key: str, *, days: int | None = None) -> Topic:
    """A topic of a view: a changelog, or with *days* a stream that is deleted after so long. Never in the contract."""
    if days is not None:
        config = {"cleanup.policy": "delete", "retention.ms": str(days * _DAY_MS)}
        return Topic(name, bytes, key, "delete", 1, config, public=False)
    config = {"cleanup.policy": "compact", "delete.retention.ms": str(_DAY_MS)}
    return Topic(name, bytes, key, "compact", 1, config, public=False)


_WEEK = 7 * 24
"""Hours. Longer than any outage of `detect`: compaction may not eat what justified a finding."""

TOPICS: dict[str, Topic] = {
    topic.name: topic
    for topic in (
        _deleted("plan-changes", model.PlanChanged, "plan id", 12, days=400),
        _compacted("plan-states", model.PlanState, "plan id", 12, lag_hours=_WEEK),
        _compacted("plan-regions", model.PlanRegion, "plan id, or day:<date>", 1, lag_hours=_WEEK, public=False),
        _deleted("restriction-reports", model.RestrictionReport, "restriction id", 3, days=400),
        _compacted("restrictions", model.Restriction, "restriction id", 3),
        _compacted("conflicts", model.Conflict, "finding id", 12),
        _compacted("opportunities", model.Opportunity, "finding id", 12),
        _compacted("subscriptions", model.Subscription, "subscription id", 3),
        _deleted("alerts", model.Alert, "subscription id", 12, days=30),
        _deleted("receipts", model.DeliveryReceipt, "subscription id", 12, days=90),
        _deleted("dead-letters", model.DeadLetter, "original key, else system id", 3, days=30),
        _deleted("polls", model.SourcePoll, "source", 3, days=14),
        _compacted("sources", model.SourceStatus, "system id", 1),
        _compacted("source-states", model.SourceState, "source, LF, record", 3),
        _compacted("alert-states", model.AlertState, "subscription id, LF, subject id", 12),
        _compacted("partners", model.Partner, "organisation number", 3),
        _deleted("dead-letter-states", model.DeadLetterState, "dead letter id", 1, days=60),
    )
}
"""Every topic of the hub by its name, without prefix and version."""

INTERNAL: dict[str, Topic] = {
    topic.name: topic
    for topic in (
        _internal("health-facts", "source, or system id", days=2),
        _internal("health-accounts-table", "source"),
        _internal("health-letters-table", "dead letter id"),
    )
}
"""What a view keeps for itself: records on their way to its one worker, and the changelogs of its tables.

Nobody else reads them and no schema is registered for them. The view can be without what is in them.
"""
