"""A file that is fed records as Kafka would give them, and the model that answers from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
import shapely

from edge.read_model import Keep, ReadModel
from edge.read_model.follower import FOLLOWED
from edge.read_model.writing import Writer
from samenloop import identity, model
from samenloop.contract import TOPICS, Codec, Envelope
from samenloop.geometry import to_model
from samenloop.model import Plan, Restriction, Visibility
from samenloop.stage import Partition, Record
from samenloop.visibility import Viewer

HUB = "urn:nld:oin:00000099000000000001:systeem:samenloop"
MUNICIPALITY, WATER_BOARD, NETWORK, BUILDER = (f"0000009900000000100{n}" for n in (1, 2, 3, 4))
RD = "EPSG:28992"
START = datetime(2027, 1, 4, 9, tzinfo=UTC)
NOW_S = datetime.now(UTC).timestamp()


def make_plan(local_id: str, owner: str = MUNICIPALITY, **other: Any) -> Plan:
    """A plan with something in the fields that not everyone may see."""
    system = identity.system_urn(owner, "register")
    given: dict[str, Any] = {
        "id": identity.plan_id(system, local_id),
        "system": system,
        "local_id": local_id,
        "owner": model.Organisation(owner, f"Organisation {owner[-1]}"),
        "title": f"Works {local_id}",
        "kind": model.PlanKind.WORKS,
        "phase": model.Phase.DESIGN,
        "visibility": Visibility.PARTNERS,
        "period": model.Period(date(2027, 3, 1), date(2027, 5, 14), model.Precision.DAY, model.EndKind.GIVEN),
        "geometry": to_model(shapely.box(155000, 463000, 155020, 463010), RD, 0.5),
        "contact": model.Contact(f"Desk {local_id}", f"desk-{local_id}@org.example"),
        "source_fields": {"leader": f"secret-{local_id}"},
    }
    return Plan(**given | other)


def make_restriction(local_id: str, owner: str = MUNICIPALITY, **other: Any) -> Restriction:
    """A zone in which the ground may not be opened for some weeks."""
    system = identity.system_urn(owner, "register")
    given: dict[str, Any] = {
        "id": identity.restriction_id(system, local_id),
        "system": system,
        "local_id": local_id,
        "owner": model.Organisation(owner, f"Organisation {owner[-1]}"),
        "title": f"Zone {local_id}",
        "geometry": to_model(shapely.box(155000, 463000, 155200, 463015), RD, 0.5),
        "kind": model.RestrictionKind.MORATORIUM,
        "status": model.RestrictionStatus.IN_FORCE,
        "force": model.Force.BINDING,
        "period": model.Period(date(2027, 3, 1), date(2027, 5, 14), model.Precision.DAY, model.EndKind.GIVEN),
        "visibility": Visibility.PARTNERS,
    }
    return Restriction(**given | other)


class Log:
    """Records in the order in which Kafka would give them, written into the file batch by batch."""

    def __init__(self, path: Path, keep: Keep | None = None) -> None:
        self.path, self.keep = path, keep or Keep()
        self.codec = Codec.offline()
        self.offsets: dict[Partition, int] = {
            (topic, number): 0 for topic in FOLLOWED for number in range(TOPICS[topic].partitions)
        }
        self.revisions: dict[str, int] = {}
        self.now = NOW_S
        self.pending: list[Record] = []
        self.writer = self.open()

    def open(self) -> Writer:
        """Open the file as a follower does; an empty one is begun."""
        writer = Writer(self.path, self.codec, HUB, RD, self.keep)
        if not writer.positions():
            writer.begin(dict.fromkeys(self.offsets, "epoch"), dict.fromkeys(self.offsets, 0), self.now)
        return writer

    def plan(self, plan: Plan, **state: Any) -> Record:
        """The state of a plan, one revision on."""
        revision = self.revisions[plan.id] = self.revisions.get(plan.id, 0) + 1
        at = datetime.fromtimestamp(self.now, UTC)
        made = model.PlanState(
            plan_id=plan.id,
            revision=revision,
            validity=model.Validity(at),
            registered_at=at,
            sequence=revision,
            event_id=f"e{revision}",
            content_hash=bytes(32),
            provenance={"": model.FieldOrigin(system=plan.system, event_id="e", recorded_at=at)},
            plan=plan,
        )
        return self.record("plan-states", plan.id, self.codec.encode("plan-states", replace(made, **state)))

    def restriction(self, zone: Restriction) -> Record:
        """The state of a restriction, one revision on."""
        revision = self.revisions[zone.id] = self.revisions.get(zone.id, 0) + 1
        at = datetime.fromtimestamp(self.now, UTC)
        state = replace(zone, revision=revision, content_hash=bytes(32), recorded_at=at)
        return self.record("restrictions", zone.id, self.codec.encode("restrictions", state))

    def removed(self, key: str, topic: str = "plan-states") -> Record:
        """The end of a plan, restriction or finding."""
        return self.record(topic, key, None)

    def finding(
        self, plans: Sequence[Plan | Restriction], *, number: int = 1, chance: bool = False, **other: Any
    ) -> Record:
        """A conflict between *plans* (or zones) as they are now, or an opportunity."""
        strictness = list(Visibility)
        visibility = min((plan.visibility for plan in plans), key=strictness.index)
        at = datetime.fromtimestamp(self.now, UTC)
        finding_id = UUID(int=number)
        revision = self.revisions[str(finding_id)] = self.revisions.get(str(finding_id), 0) + 1
        given: dict[str, Any] = {
            "id": finding_id,
            "revision": revision,
            "kind": "urn:samenloop:finding-kind:clash-works",
            "status": model.FindingStatus.OPEN,
            "severity": model.Severity.BLOCKING,
            "participants": tuple(
                model.Participant(plan.id, self.revisions.get(plan.id, 1), plan.owner.oin) for plan in plans
            ),
            "evidence": model.Evidence(
                rule_id="CLASH.WORKS",
                rule_version="a@1",
                metric_crs=RD,
                distance_m=1.25,
                zone=plans[0].geometry,
                period=plans[0].period,
                remedies=(model.Remedy(model.RemedyKind.SHIFT, plans[0].id, 14),),
            ),
            "visibility": visibility,
            "audience": plans[0].audience if visibility is Visibility.GROUP else (),
            "detected_at": at,
            "updated_at": at,
            "cause_id": "cause",
        }
        kind: Any = model.Opportunity if chance else model.Conflict
        topic = "opportunities" if chance else "conflicts"
        return self.record(topic, str(finding_id), self.codec.encode(topic, kind(**given | other)))

    def subscription(self, number: int, oin: str, **other: Any) -> Record:
        """A subscription of *oin*."""
        given: dict[str, Any] = {
            "id": UUID(int=number),
            "revision": 1,
            "subscriber_oin": oin,
            "sink": "https://partner.example/hook",
            "created_at": START,
            "updated_at": START,
            "clearance": model.Clearance.PARTNERS,
            "status": model.SubscriptionStatus.ACTIVE,
        }
        made = model.Subscription(**given | other)
        return self.record("subscriptions", str(made.id), self.codec.encode("subscriptions", made))

    def alert(
        self, number: int, sequence: int, subject: str, data: Any, *, label: str = "internal", **other: Any
    ) -> Record:
        """An alert to the subscription of that number."""
        given: dict[str, Any] = {
            "id": uuid4(),
            "subscription_id": UUID(int=number),
            "sequence": sequence,
            "event_id": f"event-{sequence}",
            "event_type": "nl.samenloop.plan-state-changed.v1",
            "subject_id": subject,
            "subject_revision": 1,
            "accepted_at": START,
            "created_at": START,
            "due_at": START,
            "data": None if data is None else orjson.dumps(data).decode(),
        }
        made = model.Alert(**given | other)
        key = str(made.subscription_id)
        return self.record("alerts", key, self.codec.encode("alerts", made), label=label)

    def record(self, topic: str, key: str, value: bytes | None, *, label: str = "internal") -> Record:
        """A record at the end of its partition, to be read with the next batch."""
        number = sum(key.encode()) % TOPICS[topic].partitions
        offset = self.offsets[topic, number]
        self.offsets[topic, number] = offset + 2  # a control record follows
        envelope = Envelope(
            id=f"{topic}-{number}-{offset}",
            source=HUB,
            type="nl.samenloop.test.v1",
            time=START,
            subject=key,
            partitionkey=key,
            correlationid="c",
            classification=label,
        )
        headers = self.codec.headers(topic, envelope, tombstone=value is None)
        made = Record(topic, number, offset, key, value, headers, int(self.now * 1000))
        self.pending.append(made)
        return made

    def write(self) -> None:
        """Write what is pending."""
        records, self.pending = self.pending, []
        self.writer.apply(records, self.offsets, self.now)


@pytest.fixture
def make_log(tmp_path: Path) -> Iterator[Callable[..., Log]]:
    """Return a maker of logs, each with a file of its own."""
    logs: list[Log] = []

    def make(**options: Any) -> Log:
        logs.append(Log(tmp_path / f"read-model-{len(logs)}.sqlite", **options))
        return logs[-1]

    yield make
    for log in logs:
        log.writer.close()


@pytest.fixture
def log(make_log: Callable[..., Log]) -> Log:
    """One log."""
    return make_log()


@pytest.fixture
def model_of() -> Iterator[Callable[[Log], ReadModel]]:
    """Return a maker of the model over a log's file."""
    models: list[ReadModel] = []

    def make(log: Log) -> ReadModel:
        models.append(ReadModel(log.path, metric_crs=RD, keep=log.keep))
        return models[-1]

    yield make
    for one in models:
        one.close()


def partner(oin: str) -> Viewer:
    """A partner as it is admitted."""
    return Viewer(oin, model.Clearance.PARTNERS)
