"""Restrictions through the stages, driven by hand: one state each, a row for detection, and who is told."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import pytest
import shapely

from samenloop import identity, model
from samenloop.content_hash import restriction_hash
from samenloop.contract import Codec, Envelope, read_envelope
from samenloop.geometry import to_model
from samenloop.model import ChangeKind, Clearance, Partner, RestrictionStatus, SubscriberRole, Visibility
from samenloop.restriction_states import report_output
from samenloop.rules import RESTRICTION
from samenloop.settings import Hub
from samenloop.stage import Output, Partition, Record, Stage
from streams.consolidate import Consolidate
from streams.detect import Detect
from streams.notify import Notify

NOW = datetime(2027, 1, 4, 9, 0, tzinfo=UTC)
OIN, OTHER = "00000099000000001001", "00000099000000001002"
SYSTEM = identity.system_urn(OIN, "zone-register")
HUB = identity.system_urn("00000099000000000001", "samenloop")
CODEC = Codec.offline()


def zone(**changes: Any) -> model.Restriction:
    """A moratorium in force over the works of `works`."""
    found = model.Restriction(
        id=identity.restriction_id(SYSTEM, "Z"),
        system=SYSTEM,
        local_id="Z",
        owner=model.Organisation(OIN, "Gemeente Havervoort"),
        title="Graafrust Dorpsstraat",
        geometry=to_model(shapely.box(121000, 486990, 121200, 487005), "EPSG:28992"),
        kind=model.RestrictionKind.MORATORIUM,
        status=RestrictionStatus.IN_FORCE,
        force=model.Force.BINDING,
        visibility=Visibility.PARTNERS,
        period=model.Period(date(2026, 7, 1), date(2031, 6, 30), model.Precision.DAY),
    )
    return replace(found, **changes)


ZONE_ID = zone().id


def works() -> model.Plan:
    """Works of another owner inside the zone."""
    system = identity.system_urn(OTHER, "works-register")
    return model.Plan(
        id=identity.plan_id(system, "A"),
        system=system,
        local_id="A",
        owner=model.Organisation(OTHER, "Waterschap De Wetering"),
        title="Riool Dorpsstraat",
        kind=model.PlanKind.WORKS,
        certainty=model.Certainty.FIXED,
        visibility=Visibility.PARTNERS,
        period=model.Period(date(2027, 3, 1), date(2027, 3, 10), model.Precision.DAY),
        geometry=to_model(shapely.box(121000, 487000, 121020, 487010), "EPSG:28992"),
    )


def report(of: model.Restriction | None, hour: int = 0, **changes: Any) -> model.RestrictionReport:
    """A report made at some hour; without a restriction it is a deletion."""
    kind = ChangeKind.UPDATED if of else ChangeKind.DELETED
    hashed = restriction_hash(of) if of else None
    at = NOW + timedelta(hours=hour)
    found = model.RestrictionReport(
        restriction_id=ZONE_ID,
        change=kind,
        recorded_at=at,
        ingested_at=at,
        origin=model.Origin(OIN, SYSTEM, identity.report_event_id(ZONE_ID, f"s:{hour}", kind, hashed)),
        restriction=of,
    )
    return replace(found, **changes)


@dataclass
class Log:
    """Topics of one partition in memory: it plays Kafka and the loop."""

    records: dict[str, list[Record]] = field(default_factory=lambda: defaultdict(list))
    committed: Mapping[Partition, int] = field(default_factory=lambda: defaultdict(int))
    partitions: Collection[int] = (0,)

    def read(
        self, topic: str, partitions: Collection[int] | None = None, *, until: Literal["committed", "end"]
    ) -> Iterator[Record]:
        """Yield everything: each stage here has taken all there is."""
        return iter(list(self.records[topic]))

    def append(self, output: Output) -> Record:
        """Write one record."""
        offset = len(self.records[output.topic])
        record = Record(output.topic, 0, offset, output.key, output.value, output.headers, 1_800_000_000_000)
        self.records[output.topic].append(record)
        self.committed = defaultdict(int, {(topic, 0): len(found) for topic, found in self.records.items()})
        return record

    def take(self, stage: Stage, *outputs: Output) -> list[Output]:
        """Write records and hand them to the stage; write and return what it says."""
        said = list(stage.process([self.append(output) for output in outputs], NOW))
        while more := stage.idle(NOW):
            said += more
        for output in said:
            self.append(output)
        return said


@pytest.fixture
def log() -> Log:
    """Topics with nothing in them."""
    return Log()


def consolidate(log: Log, **more: Any) -> Consolidate:
    """A stage that starts over what is there."""
    stage = Consolidate(CODEC, source=HUB, clock="2027-01-04", **more)
    stage.assign(log)
    return stage


def say(log: Log, stage: Consolidate, *said: model.RestrictionReport) -> list[Output]:
    """Hand reports to consolidate; return what it wrote but for the day."""
    outputs = log.take(stage, *(report_output(CODEC, one) for one in said))
    return [output for output in outputs if not output.key.startswith("day:")]


def states(outputs: Sequence[Output]) -> list[model.Restriction | None]:
    """Return the states written."""
    return [
        CODEC.decode("restrictions", o.value, o.headers) if o.value else None
        for o in outputs
        if o.topic == "restrictions"
    ]


def letters(outputs: Sequence[Output]) -> list[str]:
    """Return the codes of the dead letters written."""
    return [
        CODEC.decode("dead-letters", o.value, o.headers).code for o in outputs if o.topic == "dead-letters" and o.value
    ]


def test_a_report_becomes_one_state_and_one_row(log: Log) -> None:
    """The hub gives revision, hash and time; the row for detection is the very record of `restrictions`."""
    said = report(zone(revision=77, content_hash=bytes(32)))

    state, row = say(log, consolidate(log), said)

    assert states([state]) == [zone(revision=1, content_hash=restriction_hash(zone()), recorded_at=NOW)]
    assert (state.topic, row.topic, row.value) == ("restrictions", "plan-regions", state.value)
    assert (state.key, row.key, row.partition) == (ZONE_ID, ZONE_ID, 0)
    envelope = read_envelope(state.headers)
    assert (envelope.type, envelope.source) == ("nl.samenloop.restriction-changed.v1", HUB)
    assert (envelope.causationid, envelope.classification) == (said.origin.event_id, "internal")


def test_a_replay_changes_nothing(log: Log) -> None:
    """The same event, the same content under another event, and what was recorded before: no word of them."""
    stage = consolidate(log)
    say(log, stage, report(zone(), 5))

    assert say(log, stage, report(zone(), 5), report(zone(), 6), report(zone(title="Other"), 4)) == []
    assert say(log, consolidate(log), report(zone(), 5), report(zone(), 6)) == []


def test_revisions_only_rise(log: Log) -> None:
    """Over changes, removal and return, and over restarts in between."""
    first = say(log, consolidate(log), report(zone()))
    second = say(log, consolidate(log), report(zone(title="New name"), 1))
    gone = say(log, consolidate(log), report(None, 2))
    again = say(log, consolidate(log), report(zone(), 3))

    revisions = [state.revision if state else None for state in states([*first, *second, *gone, *again])]
    assert revisions == [1, 2, None, 4]
    assert [output.value for output in gone] == [None, None]
    assert {read_envelope(output.headers).type for output in gone} == {"nl.samenloop.restriction-removed.v1"}


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (report(zone(), origin=model.Origin(OTHER, SYSTEM, "e")), "mandate.origin"),
        (report(zone(system=identity.system_urn(OTHER, "zone-register"))), "mandate.system"),
        (report(zone(id=identity.restriction_id(SYSTEM, "Y"))), "identity.restriction-id"),
        (report(zone(), restriction_id=identity.plan_id(SYSTEM, "Z")), "identity.restriction-id"),
        (report(zone(), change=ChangeKind.DELETED), "record.restriction"),
        (report(zone(), change=ChangeKind.UNKNOWN), "record.change"),
        (report(zone(owner=model.Organisation(OTHER)), 9), "mandate.owner"),
    ],
)
def test_only_the_owners_source_changes_it(log: Log, said: model.RestrictionReport, code: str) -> None:
    """Another's system, another's number, or another owner that the report does not speak of: set aside, unchanged."""
    stage = consolidate(log)
    say(log, stage, report(zone()))

    outputs = say(log, stage, said)

    assert letters(outputs) == [code]
    assert states(outputs) == []


def test_an_owner_may_hand_over(log: Log) -> None:
    """A report that says that the owner changed is taken."""
    stage = consolidate(log)
    say(log, stage, report(zone()))

    (state, _) = say(log, stage, report(zone(owner=model.Organisation(OTHER)), 1, changed_fields=("/owner",)))

    assert letters([state]) == []


def test_what_cannot_be_read_is_set_aside_and_the_rest_goes_on(log: Log) -> None:
    """A null value and broken bytes become dead letters with their original; the next report is taken."""
    whole = report_output(CODEC, report(zone()))
    outputs = log.take(
        consolidate(log), replace(whole, value=None), replace(whole, value=(whole.value or b"")[:-3]), whole
    )

    assert letters(outputs) == ["record.null", "schema.unreadable"]
    assert len(states(outputs)) == 1


def test_only_partition_0_takes_reports(log: Log) -> None:
    """One writer gives the revisions: who has other partitions knows nothing of restrictions, and says no day."""
    assert Consolidate.follows == ("restriction-reports",)
    say(log, consolidate(log), report(zone()))
    stage = Consolidate(CODEC, source=HUB, clock="2027-01-04")
    stage.assign(Log(log.records, partitions=(3,)))

    assert stage._restrictions._known == {}


class Hall:
    """All three stages over one log."""

    def __init__(self, log: Log) -> None:
        self.log = log
        hub = Hub()
        self.consolidate = consolidate(log)
        self.detect: Stage = Detect.from_hub(hub, CODEC)
        self.detect.assign(log)
        self.notify: Stage = Notify.from_hub(hub, CODEC)
        self.notify.assign(log)

    def plan(self, plan: model.Plan, number: int = 1) -> None:
        """Let everybody hear of a plan as consolidate would say it."""
        row = model.PlanRegion(
            plan_id=plan.id, version=number, revision=number, accepted_at=NOW, cause_id=f"change-{number}", plan=plan
        )
        self.spread([Output("plan-regions", plan.id, CODEC.encode("plan-regions", row))])

    def report(self, said: model.RestrictionReport) -> list[model.Alert]:
        """Let a report run through; return the alerts."""
        self.before = len(self.log.records["alerts"])
        outputs = list(self.consolidate.process([Record("restriction-reports", 0, 0, ZONE_ID, *_wire(said), 0)], NOW))
        self.spread(outputs)
        return [CODEC.decode("alerts", r.value or b"") for r in self.log.records["alerts"][self.before :]]

    def spread(self, outputs: Sequence[Output]) -> None:
        """Write outputs; hand rows to detect and notify, findings to notify."""
        rows = [output for output in outputs if output.topic == "plan-regions"]
        for output in outputs:
            if output.topic != "plan-regions":
                self.log.append(output)
        records = [self.log.append(row) for row in rows]
        found = list(self.detect.process(records, NOW))
        while more := self.detect.idle(NOW):
            found += more
        heard = [*records, *(self.log.append(output) for output in found)]
        for output in (*self.notify.process(heard, NOW), *self.notify.idle(NOW)):
            self.log.append(output)

    def conflict(self) -> model.Conflict:
        """The last version of the only conflict."""
        (key,) = {record.key for record in self.log.records["conflicts"]}
        found: model.Conflict = CODEC.decode("conflicts", self.log.records["conflicts"][-1].value or b"")
        assert str(found.id) == key
        return found


def _wire(said: model.RestrictionReport) -> tuple[bytes | None, Any]:
    output = report_output(CODEC, said)
    return output.value, output.headers


def _subscribe(log: Log, number: int, oin: str, **changes: Any) -> None:
    """Admit a partner and subscribe it to all it may see."""
    partner = Partner(oin=oin, name=oin, created_at=NOW, updated_at=NOW)
    subscription = model.Subscription(
        id=UUID(int=number), revision=1, subscriber_oin=oin, sink="https://partner.example/in", created_at=NOW,
        updated_at=NOW, clearance=Clearance.RESTRICTED, status=model.SubscriptionStatus.ACTIVE, **changes,
    )  # fmt: skip
    for topic, key, value in (("partners", oin, partner), ("subscriptions", str(subscription.id), subscription)):
        envelope = Envelope(
            id=key, source=HUB, type="nl.samenloop.test.v1", time=NOW, subject=key, partitionkey=key, correlationid=key
        )
        log.append(Output(topic, key, CODEC.encode(topic, value), CODEC.headers(topic, envelope)))


@pytest.fixture
def hall(log: Log) -> Hall:
    """Works in the hub, their owner and the authority subscribed."""
    _subscribe(log, 1, OIN, roles=(SubscriberRole.AUTHORITY,))
    _subscribe(log, 2, OTHER)
    hall = Hall(log)
    hall.spread(hall.consolidate.idle(NOW))
    hall.plan(works())
    return hall


def test_plan_owner_and_authority_are_told(hall: Hall) -> None:
    """Both hear of the conflict in words, the authority in its own role, and of its end when the zone is called off."""
    opened = hall.report(report(zone()))
    ended = hall.report(report(zone(status=RestrictionStatus.CANCELLED), 1))

    assert [(alert.subscription_id.int, alert.event_type.split(".")[2]) for alert in opened] == [
        (1, "conflict-opened"),
        (2, "conflict-opened"),
    ]
    assert [alert.role for alert in opened] == [SubscriberRole.AUTHORITY, SubscriberRole.OWNER]
    data = json.loads(opened[1].data or "")
    assert data["finding"]["evidence"]["rule_id"] == RESTRICTION
    assert data["sentences"]["nl"].startswith("Ernstig: “Riool Dorpsstraat” van Waterschap De Wetering ligt met 100 m²")
    assert [participant["own"] for participant in data["participants"]].count(True) == 1
    assert {participant["title"] for participant in data["participants"]} == {
        "Riool Dorpsstraat",
        "Graafrust Dorpsstraat",
    }
    assert [alert.event_type.split(".")[2] for alert in ended] == ["conflict-closed"] * 2
    assert "de zone is ingetrokken" in json.loads(ended[0].data or "")["sentences"]["nl"]
    assert hall.conflict().status_reason == "RESTRICTION_CANCELLED"


def test_a_zone_is_no_plan_to_anyone(hall: Hall, log: Log) -> None:
    """Not even who asked for plans of others is told of a zone as one."""
    _subscribe(log, 3, OTHER, types=("nl.samenloop.plan-state-changed.v1",))
    hall.notify.assign(log)

    assert {alert.event_type for alert in hall.report(report(zone()))} == {"nl.samenloop.conflict-opened.v1"}


def test_an_area_is_asked_of_the_works(hall: Hall, log: Log) -> None:
    """A subscriber to the far end of a large zone does not hear of works at its other end."""
    far, near = (to_model(shapely.box(x, 487000, x + 10, 487005), "EPSG:28992") for x in (121150, 121005))
    _subscribe(log, 3, OTHER, area=far)
    _subscribe(log, 4, OTHER, area=near)
    hall.notify.assign(log)

    assert {alert.subscription_id.int for alert in hall.report(report(zone()))} == {1, 2, 4}


def test_a_hidden_zone_stays_hidden(hall: Hall, log: Log) -> None:
    """Of a RESTRICTED zone its authority hears all, the owner of the works in it a mask, and others nothing.

    When it is hidden later, all but its authority must delete what they have.
    """
    _subscribe(log, 3, "00000099000000001003")
    hall.notify.assign(log)

    at_first = hall.report(report(zone(visibility=Visibility.RESTRICTED)))
    shown = hall.report(report(zone(), 1))
    hidden = hall.report(report(zone(visibility=Visibility.RESTRICTED), 2))

    assert _told(at_first) == [(1, []), (2, "masked")]
    assert {(2, ("unmasked",)), (3, ())} <= {(who, tuple(changes)) for who, changes in _told(shown)}
    assert [told for told in _told(hidden) if told[0] != 1] == [(2, ["withheld"]), (2, "masked"), (3, ["withheld"])]
    secret = [alert.data for alert in (*at_first, *hidden) if alert.subscription_id.int != 1]
    assert "Graafrust" not in str(secret)
    assert ZONE_ID not in str(secret)


def _told(alerts: Iterable[model.Alert]) -> list[tuple[int, Any]]:
    """Return who was told, and what changed by it; a mask as such."""
    said = [(alert.subscription_id.int, json.loads(alert.data or "{}")) for alert in alerts]
    return sorted(
        ((who, "masked" if data.get("masked") else data["changes"]) for who, data in said), key=lambda told: told[0]
    )


def test_a_first_load_is_one_summary(hall: Hall) -> None:
    """A source's first complete page of zones is no stream of news."""
    alerts = hall.report(report(zone(), change=ChangeKind.SNAPSHOT))

    assert alerts == []
    assert hall.conflict().status_reason == "FIRST_LOAD"


def test_detect_started_again_knows_its_zones(hall: Hall, log: Log) -> None:
    """From rows and findings alone nothing is said anew, and the end of the zone still closes its conflict."""
    hall.report(report(zone()))
    stage = Detect.from_hub(Hub(), CODEC)

    assert list(stage.assign(log)) == []

    hall.detect = stage
    hall.report(report(None, 1))
    assert hall.conflict().status_reason == "RESTRICTION_DELETED"


def test_a_row_without_its_headers_is_set_aside(hall: Hall, log: Log) -> None:
    """The row of a restriction says when it was taken in its headers: without them it is a dead letter."""
    value = CODEC.encode("restrictions", zone(revision=1))
    record = log.append(Output("plan-regions", ZONE_ID, value))

    assert letters(list(hall.detect.process([record], NOW))) == ["envelope.missing"]
