"""What the gauges of partners say: who is waited for, what should be under way, who is paused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from connectors.sinks.webhook.lanes import Delivery, Lane
from connectors.sinks.webhook.reach import Reach
from connectors.sinks.webhook.reporting import Shown
from samenloop import metrics
from samenloop.contract import Codec
from samenloop.model import (
    Clearance,
    Partner,
    PartnerStatus,
    Subscription,
    SubscriptionStatus,
)
from samenloop.stage import Record
from tests.connectors.sinks.alerts import alert

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
OIN = "00000099000000001055"
CODEC = Codec.offline()
ACTIVE, PAUSED, ENDED = SubscriptionStatus.ACTIVE, SubscriptionStatus.PAUSED, SubscriptionStatus.ENDED


class Told:
    """What the sink follows: one partner and its subscriptions as they are put."""

    def __init__(self) -> None:
        self._new: list[Record] = []
        self.put("partners", OIN, Partner(oin=OIN, name="Invented", created_at=NOW, updated_at=NOW))

    def put(self, topic: str, key: str, value: object) -> None:
        """Write one value."""
        self._new.append(Record(topic, 0, len(self._new), key, CODEC.encode(topic, value), (), 0))

    def subscription(self, status: SubscriptionStatus, reason: str | None = None, *, revision: int = 1) -> None:
        """Write the subscription as it stands."""
        found = Subscription(
            id=UUID(int=1), revision=revision, subscriber_oin=OIN, sink="https://partner.example/in", created_at=NOW,
            updated_at=NOW, clearance=Clearance.PARTNERS, status=status, status_reason=reason,
        )  # fmt: skip
        self.put("subscriptions", str(found.id), found)

    def catch_up(self) -> list[Record]:
        """All there is."""
        return self.poll()

    def poll(self) -> list[Record]:
        """What is new."""
        new, self._new = self._new, []
        return new


def delivery(due: datetime) -> Delivery:
    """An alert whose next attempt is at *due*; it was to be told an hour ago."""
    told = alert(1, accepted_at=NOW, created_at=NOW, due_at=NOW - timedelta(hours=1))
    return Delivery(told, "public", Record("alerts", 0, 0, None, b"", (), 0), due)


def value(metric: metrics.Labelled[metrics.Gauge], **labels: str) -> float:
    """Return what a gauge of the partner shows."""
    return float(metric.labels(partner=OIN, **labels)._value.get())


def shown(told: Told, lane: Lane | None = None, *, into: Shown | None = None, reach: Reach | None = None) -> Reach:
    """Show what is *told* and waits, and return what follows it."""
    following = reach or Reach(CODEC, lambda: told)
    following.catch_up() if reach is None else following.poll()
    (into or Shown()).update({UUID(int=1): lane} if lane else {}, following, NOW)
    return following


@pytest.mark.parametrize(
    ("due", "patience", "tempo", "since"),
    [
        (-600, None, None, -600),  # could have been tried ten minutes ago: the sink does not move
        (600, None, None, None),  # its partner did not take it: another try comes in ten minutes
        (-600, 600, None, None),  # the partner asked for patience
        (-600, -60, None, -60),
        (-600, None, 30, None),  # its tempo allows one only then
        (-600, None, -30, -30),
    ],
)
def test_a_partner_that_is_waited_for_has_nothing_due(
    due: int, patience: int | None, tempo: int | None, since: int | None
) -> None:
    """Due is what could be tried now: no retry, patience or tempo of its partner stands before it."""
    told = Told()
    told.subscription(ACTIVE)
    lane = Lane(0)
    lane.push(delivery(NOW + timedelta(seconds=due)), NOW)
    if patience is not None:
        lane.patience_until = NOW + timedelta(seconds=patience)
    if tempo is not None:
        lane.next_start = NOW + timedelta(seconds=tempo)

    shown(told, lane)

    assert value(metrics.SINK_DUE_SINCE_TIMESTAMP_SECONDS) == (0 if since is None else NOW.timestamp() + since)
    assert value(metrics.SINK_OLDEST_PENDING_TIMESTAMP_SECONDS) == NOW.timestamp() - 3600
    assert value(metrics.SINK_PENDING_DELIVERIES) == 1


def test_an_attempt_that_never_ends_stays_due() -> None:
    """An attempt under way keeps the instant from which it was due, whatever tempo the next one has to keep."""
    told = Told()
    told.subscription(ACTIVE)
    lane, due = Lane(0), NOW - timedelta(minutes=20)
    lane.push(one := delivery(due), NOW)
    lane.start(one, NOW - timedelta(seconds=5), 1)

    shown(told, lane)

    assert value(metrics.SINK_DUE_SINCE_TIMESTAMP_SECONDS) == due.timestamp()


def test_a_pause_says_by_whom_and_what_waits_for_its_end_is_not_due() -> None:
    """The hub's own pause and one that was asked for are told apart; when the subscription goes on, none is left."""
    told, seen = Told(), Shown()
    told.subscription(PAUSED, "failing")
    lane = Lane(0)
    lane.push(delivery(NOW - timedelta(hours=1)), NOW)
    said = []
    reach = shown(told, lane, into=seen)
    for status, reason in ((PAUSED, "failing"), (PAUSED, None), (ACTIVE, None), (PAUSED, "failing"), (ENDED, None)):
        told.subscription(status, reason, revision=len(said) + 2)
        shown(told, lane, into=seen, reach=reach)
        by = [bool(value(metrics.SINK_PAUSED_SINCE_TIMESTAMP_SECONDS, reason=one)) for one in ("failing", "asked")]
        said.append((*by, bool(value(metrics.SINK_OLDEST_PENDING_TIMESTAMP_SECONDS))))

    assert said == [
        (True, False, False), (False, True, False), (False, False, True), (True, False, False), (False, False, False)
    ]  # fmt: skip


def test_who_stands_by_tells_of_nobody() -> None:
    """A sink without partitions hears of no subscription any more: what it showed last must not stay."""
    told, seen = Told(), Shown()
    told.subscription(PAUSED, "failing")
    shown(told, into=seen)
    seen.clear()

    assert value(metrics.SINK_PAUSED_SINCE_TIMESTAMP_SECONDS, reason="failing") == 0


def test_a_partner_that_was_revoked_is_not_waited_for() -> None:
    """Nobody has to resume a subscription of an organisation that may not be told anything."""
    told, seen = Told(), Shown()
    told.subscription(PAUSED, "failing")
    reach = shown(told, into=seen)
    gone = Partner(oin=OIN, name="Invented", created_at=NOW, updated_at=NOW, status=PartnerStatus.REVOKED)
    told.put("partners", OIN, gone)
    shown(told, into=seen, reach=reach)

    assert value(metrics.SINK_PAUSED_SINCE_TIMESTAMP_SECONDS, reason="failing") == 0
