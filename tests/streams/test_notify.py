"""The notify stage, driven by hand: what it holds, what it sets aside, what a restart brings back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any, Literal
from uuid import UUID

from samenloop import identity
from samenloop.contract import Codec, Envelope
from samenloop.model import (
    Alert,
    Clearance,
    Conflict,
    Evidence,
    FindingStatus,
    Organisation,
    Participant,
    Partner,
    Period,
    Plan,
    PlanRegion,
    Severity,
    Subscription,
    SubscriptionStatus,
    Visibility,
)
from samenloop.settings import Hub
from samenloop.stage import Output, Partition, Record
from streams.notify import Notify

NOW = datetime(2027, 1, 4, 9, 0, tzinfo=UTC)
W, E = "00000099000000001001", "00000099000000001002"
SYSTEM = "urn:nld:oin:00000099000000001001:systeem:register"
A, B = (identity.plan_id(SYSTEM, name) for name in "AB")
CODEC = Codec.offline()


@dataclass
class Log:
    """Topics in memory, with what a stage has committed: it plays both Kafka and the loop."""

    records: dict[str, list[Record]] = field(default_factory=lambda: defaultdict(list))
    committed: dict[Partition, int] = field(default_factory=lambda: defaultdict(int))
    partitions: Collection[int] = (0,)
    count: int = 0

    def read(
        self, topic: str, partitions: Collection[int] | None = None, *, until: Literal["committed", "end"]
    ) -> Iterator[Record]:
        """Yield records up to the position committed, or all."""
        end = self.committed.get((topic, 0), 0)
        return iter(r for r in self.records[topic] if until == "end" or r.offset < end)

    def append(self, topic: str, key: str, value: bytes | None, headers: Any = ()) -> Record:
        """Write one record."""
        record = Record(topic, 0, len(self.records[topic]), key, value, tuple(headers), 1_800_000_000_000)
        self.records[topic].append(record)
        return record

    def put(self, topic: str, key: str, value: Any) -> Record:
        """Write one value with an envelope."""
        self.count += 1
        envelope = Envelope(
            id=f"event-{self.count}",
            source=SYSTEM,
            type="nl.samenloop.test.v1",
            time=NOW,
            subject=key,
            partitionkey=key,
            correlationid=f"event-{self.count}",
        )
        tombstone = value is None
        framed = None if tombstone else CODEC.encode(topic, value)
        return self.append(topic, key, framed, CODEC.headers(topic, envelope, tombstone=tombstone))

    def commit(self, stage: Notify, batch: Sequence[Record], outputs: Sequence[Output]) -> list[Alert]:
        """Take outputs and positions as one transaction; return the alerts in it."""
        for output in outputs:
            self.append(output.topic, output.key, output.value, output.headers)
        for record in batch:
            self.committed[record.topic, 0] = record.offset + 1
        for place, offset in stage.held().items():
            self.committed[place] = min(offset, self.committed.get(place, offset))
        return [CODEC.decode("alerts", o.value, o.headers) for o in outputs if o.topic == "alerts" and o.value]

    def run(self, stage: Notify, *batch: Record) -> list[Alert]:
        """One turn of the loop."""
        return self.commit(stage, batch, stage.process(batch, NOW))


def row(plan_id: str, owner: str, revision: int) -> PlanRegion:
    """A public plan's row."""
    plan = Plan(
        id=plan_id,
        system=SYSTEM,
        local_id=plan_id[-1],
        owner=Organisation(owner),
        title=f"Works {plan_id[-1]}",
        visibility=Visibility.PUBLIC,
        period=Period(start=date(2027, 3, 1), end=date(2027, 4, 30)),
    )
    return PlanRegion(
        plan_id=plan_id, version=revision, revision=revision, accepted_at=NOW, cause_id=f"c{revision}", plan=plan
    )


def conflict(revision: int, cited: Mapping[str, int], **changes: Any) -> Conflict:
    """A blocking conflict between A and B at the revisions cited."""
    found = Conflict(
        id=identity.finding_id("CLASH.WORKS", [A, B]),
        revision=revision,
        kind="urn:samenloop:finding-kind:clash-works",
        status=FindingStatus.OPEN,
        participants=(Participant(A, cited[A], W), Participant(B, cited[B], E)),
        evidence=Evidence(rule_id="CLASH.WORKS", rule_version="x@1", metric_crs="EPSG:28992", overlap_days=19),
        detected_at=NOW,
        updated_at=NOW,
        cause_id="c1",
        severity=Severity.BLOCKING,
    )
    return replace(found, **changes)


def started(log: Log) -> Notify:
    """A stage that was given the log."""
    stage = Notify.from_hub(Hub(), CODEC)
    for output in stage.assign(log):
        log.append(output.topic, output.key, output.value, output.headers)
    return stage


def scene() -> tuple[Log, Notify]:
    """A log with one partner and its subscription, and a stage that has heard of them."""
    log = Log()
    stage = started(log)
    partner = log.put("partners", E, Partner(oin=E, name="E", created_at=NOW, updated_at=NOW))
    subscription = Subscription(
        id=UUID(int=1),
        revision=1,
        subscriber_oin=E,
        sink="https://partner.example/in",
        created_at=NOW,
        updated_at=NOW,
        clearance=Clearance.PARTNERS,
        status=SubscriptionStatus.ACTIVE,
    )
    log.run(stage, partner, log.put("subscriptions", str(subscription.id), subscription))
    return log, stage


def test_alert_goes_out_with_its_envelope() -> None:
    """An alert is keyed by subscription, labelled by what is in it, and caused by the finding's event."""
    log, stage = scene()
    log.run(stage, log.put("plan-regions", A, row(A, W, 1)), log.put("plan-regions", B, row(B, E, 1)))
    finding = log.put("conflicts", str(conflict(1, {A: 1, B: 1}).id), conflict(1, {A: 1, B: 1}))

    alerts = log.run(stage, finding)

    record = log.records["alerts"][0]
    headers = dict(record.headers)
    assert record.key == str(UUID(int=1))
    assert headers["ce_dataclassification"] == b"public"
    assert headers["ce_id"].decode() == str(alerts[0].id)
    assert headers["ce_causationid"].decode() == alerts[0].event_id == f"event-{log.count}"


def test_a_finding_waits_for_the_plan_it_cites() -> None:
    """There is no order between topics: the finding's offset is held until the cited revision is there."""
    log, stage = scene()
    log.run(stage, log.put("plan-regions", A, row(A, W, 1)))
    found = conflict(1, {A: 1, B: 2})

    early = log.run(stage, log.put("conflicts", str(found.id), found))
    log.run(stage, log.put("plan-regions", B, row(B, E, 1)))
    held = dict(stage.held())
    told = log.run(stage, log.put("plan-regions", B, row(B, E, 2)))

    assert early == []
    assert held == {("conflicts", 0): 0}
    assert len(told) == 1
    assert stage.held() == {}


def test_a_held_finding_survives_a_restart() -> None:
    """Committed stays below the parked finding; the next process reads it again and tells once."""
    log, stage = scene()
    log.run(stage, log.put("plan-regions", A, row(A, W, 1)))
    found = conflict(1, {A: 1, B: 1})
    log.run(stage, log.put("conflicts", str(found.id), found))

    again = started(log)
    reread = log.records["conflicts"][log.committed["conflicts", 0] :]
    first = log.run(again, *reread)
    second = log.run(again, log.put("plan-regions", B, row(B, E, 1)))

    assert (len(reread), first, len(second)) == (1, [], 1)


def test_closing_overtakes_what_waits() -> None:
    """A newer revision of a parked finding takes its place; closed before it was told, it is never told."""
    log, stage = scene()
    found = conflict(1, {A: 1, B: 1})
    log.run(stage, log.put("conflicts", str(found.id), found))
    closed = conflict(2, {A: 1, B: 1}, status=FindingStatus.WITHDRAWN, status_reason="PLAN_DELETED")

    alerts = log.run(stage, log.put("conflicts", str(found.id), closed))

    assert alerts == []
    assert stage.held() == {}


def test_restart_tells_nothing_twice() -> None:
    """A process that rebuilt its state and reads everything again from the start says nothing new."""
    log, stage = scene()
    log.run(stage, log.put("plan-regions", A, row(A, W, 1)), log.put("plan-regions", B, row(B, E, 1)))
    found = conflict(1, {A: 1, B: 1})
    told = log.run(stage, log.put("conflicts", str(found.id), found))

    again = started(log)
    log.committed.clear()
    everything = [r for topic in ("plan-regions", *again.follows) for r in log.records[topic]]
    repeated = log.run(again, *everything)

    assert len(told) == 1
    assert repeated == []


def test_poison_is_set_aside() -> None:
    """A record that cannot be read becomes a dead letter, byte for byte; the rest of the batch goes on."""
    log, stage = scene()
    poison = [
        log.append("plan-regions", A, b"\x00\x00\x00\xff\xffjunk"),
        log.append("conflicts", "not-an-id", b"no frame"),
        log.append("plan-regions", B, b""),
    ]

    log.run(stage, *poison, log.put("plan-regions", A, row(A, W, 1)), log.put("plan-regions", B, row(B, E, 1)))
    found = conflict(1, {A: 1, B: 1})
    told = log.run(stage, log.put("conflicts", str(found.id), found))

    letters = [CODEC.decode("dead-letters", r.value or b"", r.headers) for r in log.records["dead-letters"]]
    assert [letter.value for letter in letters] == [record.value for record in poison]
    assert {letter.stage for letter in letters} == {"notify"}
    assert len(told) == 1


def test_poison_does_not_stop_a_rebuild() -> None:
    """What was set aside before stands in the log for ever; a start passes over it."""
    log, stage = scene()
    log.run(stage, log.append("plan-regions", A, b"\x00\x00\x00\xff\xffjunk"))

    again = started(log)

    assert log.run(again, log.put("plan-regions", B, row(B, E, 1))) == []


def test_ticks_and_tombstones() -> None:
    """A tick of the day tells nobody; a finding that is forgotten takes its baseline with it."""
    log, stage = scene()
    tick = replace(row("day:2027-01-05", W, 1), day=date(2027, 1, 5), plan=None)
    log.run(stage, log.put("plan-regions", A, row(A, W, 1)), log.put("plan-regions", B, row(B, E, 1)))
    found = conflict(1, {A: 1, B: 1})
    log.run(stage, log.put("conflicts", str(found.id), found))

    quiet = log.run(stage, log.put("plan-regions", "day:2027-01-05", tick), log.put("conflicts", str(found.id), None))

    last = log.records["alert-states"][-1]
    assert quiet == []
    assert (last.key, last.value) == (f"{UUID(int=1)}\n{found.id}", None)


def test_who_subscribed_before_is_known_first() -> None:
    """On a first start the order between topics does not matter: subscriptions that are there hear of every finding."""
    log, _ = scene()
    log.committed.clear()

    fresh = started(log)
    log.run(fresh, log.put("plan-regions", A, row(A, W, 1)), log.put("plan-regions", B, row(B, E, 1)))
    found = conflict(1, {A: 1, B: 1})
    told = log.run(fresh, log.put("conflicts", str(found.id), found))
    repeated = log.run(fresh, *log.records["partners"], *log.records["subscriptions"])

    assert (len(told), repeated) == (1, [])


def test_standby_holds_nothing() -> None:
    """Without partition 0 the stage has no state; when it is revoked it forgets."""
    log, stage = scene()
    log.partitions = ()

    stage.revoke([0])

    assert stage.assign(log) == ()
    assert stage.held() == {}
