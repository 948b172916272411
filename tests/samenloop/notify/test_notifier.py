"""Who is told what: the whole of notify, without Kafka."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from shapely import Polygon, box

from samenloop import identity
from samenloop.contract import to_json
from samenloop.geometry import to_model
from samenloop.model import (
    Alert,
    AlertReason,
    AlertState,
    Certainty,
    Clearance,
    Conflict,
    Contact,
    ContactKind,
    Digest,
    Evidence,
    Finding,
    FindingStatus,
    Materiality,
    Opportunity,
    Organisation,
    Participant,
    Partner,
    PartnerStatus,
    Party,
    PartyRole,
    Payload,
    Period,
    Phase,
    Plan,
    PlanKind,
    PlanRegion,
    Severity,
    SubscriberRole,
    Subscription,
    SubscriptionStatus,
    Visibility,
)
from samenloop.notify import (
    FIRST_LOAD,
    PLAN_CHANGED,
    PLAN_REMOVED,
    PLAN_WITHDRAWN,
    Event,
    Forgotten,
    Labelled,
    Notifier,
    filters,
)
from samenloop.notify.ledger import due
from samenloop.rules import load_rules

NOW = datetime(2027, 1, 4, 9, 0, tzinfo=UTC)
HUB = "urn:nld:oin:00000099000000000001:systeem:samenloop"
W, E, X = "00000099000000001001", "00000099000000001002", "00000099000000001003"
SYSTEM = "urn:nld:oin:00000099000000001001:systeem:register"
RULES = load_rules()
A_BOX, B_BOX = box(121000, 487000, 121020, 487010), box(121015, 487004, 121035, 487014)


def plan(local_id: str, owner: str, start: date, end: date, shape: Polygon = A_BOX, **changes: Any) -> Plan:
    """A fixed, public plan of works in RD."""
    found = Plan(
        id=identity.plan_id(SYSTEM, local_id),
        system=SYSTEM,
        local_id=local_id,
        owner=Organisation(owner, f"Owner {owner[-1]}"),
        title=f"Works {local_id}",
        kind=PlanKind.WORKS,
        phase=Phase.PREPARATION,
        certainty=Certainty.FIXED,
        visibility=Visibility.PUBLIC,
        period=Period(start=start, end=end),
        geometry=to_model(shape, "EPSG:28992"),
    )
    return replace(found, **changes)


A = plan("A", W, date(2027, 4, 1), date(2027, 6, 30))
B = plan("B", E, date(2027, 6, 14), date(2027, 7, 16), B_BOX)


class Scene:
    """A notifier with rows and findings as the stages before it would send them."""

    def __init__(self, *subscriptions: Subscription, quiet_seconds: float = 5) -> None:
        self.notifier = Notifier(
            RULES, source=HUB, metric_crs="EPSG:28992", quiet_seconds=quiet_seconds, to_json=to_json
        )
        self.now = NOW
        self.revisions: dict[str, int] = {}
        self.count = 0
        self.states: dict[tuple[UUID, str], AlertState] = {}
        for oin in (W, E, X):
            self.notifier.hear_partner(Partner(oin=oin, name=oin, created_at=NOW, updated_at=NOW), NOW)
        for subscription in subscriptions:
            self.notifier.hear_subscription(subscription, NOW)

    def plan(self, found: Plan, *, first_load: bool = False) -> list[Alert]:
        """Send a plan as the next accepted change."""
        self.count += 1
        revision = self.revisions[found.id] = self.revisions.get(found.id, 0) + 1
        row = PlanRegion(
            plan_id=found.id,
            version=self.count,
            revision=revision,
            accepted_at=self.now,
            cause_id=f"change-{self.count}",
            first_load=first_load,
            plan=found,
        )
        self.notifier.hear_plan(found.id, row, Event(row.cause_id, self.now), self.now)
        return self.said()

    def remove(self, found: Plan) -> list[Alert]:
        """Remove a plan."""
        self.count += 1
        self.notifier.hear_plan(found.id, None, Event(f"change-{self.count}", self.now), self.now)
        return self.said()

    def finding(self, found: Finding) -> list[Alert]:
        """Send a finding."""
        self.count += 1
        self.notifier.hear_finding(found.id, found, Event(f"finding-{self.count}", self.now), self.now)
        return self.said()

    def said(self) -> list[Alert]:
        """What goes out now; states are kept as Kafka would."""
        outgoing = self.notifier.take()
        for item in outgoing:
            if isinstance(item, AlertState):
                self.states[item.subscription_id, item.subject_id] = item
            elif isinstance(item, Forgotten):
                self.states.pop((item.subscription_id, item.subject_id), None)
        return [item.alert for item in outgoing if isinstance(item, Labelled)]


def subscription(number: int = 1, oin: str = E, **changes: Any) -> Subscription:
    """An active subscription of *oin* to everything it may see."""
    found = Subscription(
        id=UUID(int=number),
        revision=1,
        subscriber_oin=oin,
        sink="https://partner.example/in",
        created_at=NOW,
        updated_at=NOW,
        clearance=Clearance.PARTNERS,
        status=SubscriptionStatus.ACTIVE,
    )
    return replace(found, **changes)


def conflict(revision: int, overlap_days: int | None, **changes: Any) -> Conflict:
    """The conflict between A and B at a revision."""
    evidence = Evidence(
        rule_id="CLASH.WORKS",
        rule_version="urn:test@1",
        metric_crs="EPSG:28992",
        contact_kind=ContactKind.OVERLAP,
        overlap_m2=changes.pop("overlap_m2", 30.0),
        overlap_days=overlap_days,
    )
    found = Conflict(
        id=identity.finding_id("CLASH.WORKS", [A.id, B.id]),
        revision=revision,
        kind="urn:samenloop:finding-kind:clash-works",
        status=FindingStatus.OPEN,
        participants=(Participant(A.id, 1, W), Participant(B.id, 1, E)),
        evidence=evidence,
        detected_at=NOW,
        updated_at=NOW,
        cause_id="change-1",
        severity=Severity.BLOCKING,
    )
    return replace(found, **changes)


def chance(revision: int, *, overlap_days: int | None = 17, gap_days: int | None = None, **changes: Any) -> Opportunity:
    """The opportunity between A and B at a revision."""
    evidence = Evidence(
        rule_id="OPP.SAME_TRENCH",
        rule_version="urn:test@1",
        metric_crs="EPSG:28992",
        contact_kind=ContactKind.OVERLAP,
        overlap_m2=30.0,
        overlap_days=overlap_days,
        gap_days=gap_days,
    )
    found = Opportunity(
        id=identity.finding_id("OPP.SAME_TRENCH", [A.id, B.id]),
        revision=revision,
        kind="urn:samenloop:finding-kind:opp-same-trench",
        status=FindingStatus.OPEN,
        participants=(Participant(A.id, 1, W), Participant(B.id, 1, E)),
        evidence=evidence,
        detected_at=NOW,
        updated_at=NOW,
        cause_id="change-1",
        score=0.886,
    )
    return replace(found, **changes)


FINDINGS_ONLY = tuple(
    f"nl.samenloop.{record}-{step}.v1"
    for record in ("conflict", "opportunity")
    for step in ("opened", "changed", "closed")
)


def moved(days: int) -> Plan:
    """B, moved."""
    step = timedelta(days=days)
    assert B.period.start is not None and B.period.end is not None
    return replace(B, period=Period(start=B.period.start + step, end=B.period.end + step))


def both(scene: Scene) -> None:
    """A and B are known."""
    scene.plan(A)
    scene.plan(B)


def test_example_21_update_that_dissolves() -> None:
    """The conflict is told and told closed; the opportunity stays as it was: no new message."""
    scene = Scene(subscription())
    both(scene)
    opened = scene.finding(conflict(1, 17)) + scene.finding(chance(1))

    scene.plan(moved(17))
    closed = scene.finding(conflict(2, None, status=FindingStatus.RESOLVED, status_reason="NO_OVERLAP", closed_at=NOW))
    silent = scene.finding(chance(2, overlap_days=None, gap_days=0))

    assert [(a.event_type, a.reason, a.role) for a in opened] == [
        ("nl.samenloop.conflict-opened.v1", AlertReason.NEW, SubscriberRole.OWNER),
        ("nl.samenloop.opportunity-opened.v1", AlertReason.NEW, SubscriberRole.OWNER),
    ]
    assert [(a.event_type, a.reason) for a in closed] == [("nl.samenloop.conflict-closed.v1", AlertReason.ENDED)]
    assert silent == []


def test_example_22_small_steps_add_up() -> None:
    """14 days after 17 is silent; 11 days is 35 % less than the 17 last told: told again. The opportunity is silent."""
    scene = Scene(subscription())
    both(scene)
    scene.finding(conflict(1, 17))
    scene.finding(chance(1))

    scene.plan(moved(3))
    first = scene.finding(conflict(2, 14)) + scene.finding(chance(2, overlap_days=14))
    scene.plan(moved(6))
    second = scene.finding(conflict(3, 11)) + scene.finding(chance(3, overlap_days=11))

    assert first == []
    assert [(a.event_type, a.reason, a.subject_revision) for a in second] == [
        ("nl.samenloop.conflict-changed.v1", AlertReason.CHANGED, 3)
    ]
    assert json.loads(second[0].data or "")["changes"] == ["overlap_days"]


def test_data_is_the_finding_in_json_and_in_words() -> None:
    """The data holds the record in contract JSON, sentences in both languages, and who is involved."""
    scene = Scene(subscription())
    both(scene)

    data = json.loads(scene.finding(conflict(1, 17))[0].data or "")

    assert data["finding"]["severity"] == "BLOCKING"
    assert data["finding"]["evidence"]["overlap_days"] == 17
    assert "Works A" in data["sentences"]["nl"] and "Works B" in data["sentences"]["en"]
    assert data["participants"] == [
        {
            "id": A.id,
            "title": "Works A",
            "owner": {"oin": W, "name": "Owner 1"},
            "period": to_json(A.period),
            "own": False,
        },
        {
            "id": B.id,
            "title": "Works B",
            "owner": {"oin": E, "name": "Owner 2"},
            "period": to_json(B.period),
            "own": True,
        },
    ]


def test_never_told_is_never_told_closed() -> None:
    """INFO is pulled, not pushed; when it closes nobody hears of it. Asked for explicitly, it is told."""
    scene = Scene(
        subscription(1), subscription(2, materiality=Materiality(min_severity=Severity.INFO)), quiet_seconds=1
    )
    both(scene)

    opened = scene.finding(conflict(1, 17, severity=Severity.INFO))
    closed = scene.finding(conflict(2, None, severity=Severity.INFO, status=FindingStatus.EXPIRED))

    assert [a.subscription_id for a in opened + closed] == [UUID(int=2), UUID(int=2)]


def test_falling_below_the_threshold_is_told_once() -> None:
    """BLOCKING that becomes WARNING is told to one who asked for BLOCKING; later changes below it are not."""
    scene = Scene(subscription(materiality=Materiality(min_severity=Severity.BLOCKING)))
    both(scene)
    scene.finding(conflict(1, 40))

    fell = scene.finding(conflict(2, 40, severity=Severity.WARNING))
    later = scene.finding(conflict(3, 10, severity=Severity.WARNING))

    assert [a.severity for a in fell] == [Severity.WARNING]
    assert later == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"overlap_m2": 41.0}, ["overlap_m2"]),
        ({"overlap_m2": 36.0}, []),
        ({"overlap_m2": 20.0}, ["overlap_m2"]),
        ({"severity": Severity.WARNING}, ["severity"]),
    ],
    ids=str,
)
def test_material_figures(change: dict[str, Any], expected: list[str]) -> None:
    """More than 20 % and at least 10 m², another severity: told again; less is silent."""
    scene = Scene(subscription())
    both(scene)
    scene.finding(conflict(1, 17))

    alerts = scene.finding(conflict(2, 17, **change))

    assert [json.loads(a.data or "")["changes"] for a in alerts] == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (moved(14), []),
        (moved(15), ["start", "end"]),
        (replace(B, geometry=to_model(box(121015, 487004, 121035, 487016.6), "EPSG:28992")), ["area"]),
        (replace(B, geometry=to_model(box(121015, 487004, 121035, 487016), "EPSG:28992")), []),
        (replace(B, geometry=to_model(box(121115, 487004, 121135, 487014), "EPSG:28992")), ["area"]),
        (replace(B, parties=(Party(PartyRole.CONTRACTOR, X, "Builder"),)), ["parties"]),
        (replace(B, title="Other words"), []),
    ],
)
def test_plans_of_others_in_the_area(changed: Plan, expected: list[str]) -> None:
    """A plan of another in one's area is told when new and when it changed materially; one's own never is."""
    area = to_model(box(120900, 486900, 121200, 487100), "EPSG:28992")
    scene = Scene(subscription(1, W, area=area), subscription(2, E, area=area))

    new = scene.plan(B)
    again = scene.plan(changed)

    assert [(a.subscription_id, a.event_type, a.reason) for a in new] == [(UUID(int=1), PLAN_CHANGED, AlertReason.NEW)]
    assert [json.loads(a.data or "")["changes"] for a in again] == ([expected] if expected else [])


def test_certainty_that_becomes_committed_is_material() -> None:
    """Crossing into committed is told; crossing back is not on the list."""
    area = to_model(box(120900, 486900, 121200, 487100), "EPSG:28992")
    scene = Scene(subscription(1, W, area=area))
    scene.plan(replace(B, certainty=Certainty.INTENDED))

    committed = scene.plan(B)
    back = scene.plan(replace(B, certainty=Certainty.INTENDED))

    assert len(committed) == 1
    assert back == []


def test_plans_end_in_four_ways() -> None:
    """Cancelled, out of the area, removed: ENDED with what it was; hidden: ENDED with the id alone."""
    area = to_model(box(120900, 486900, 121200, 487100), "EPSG:28992")
    ends = []
    for end in ("cancelled", "moved", "removed", "hidden"):
        scene = Scene(subscription(1, W, area=area))
        scene.plan(B)
        if end == "removed":
            ends += scene.remove(B)
        elif end == "cancelled":
            ends += scene.plan(replace(B, phase=Phase.CANCELLED))
        elif end == "moved":
            ends += scene.plan(replace(B, geometry=to_model(box(0, 0, 10, 10), "EPSG:28992")))
        else:
            ends += scene.plan(replace(B, visibility=Visibility.RESTRICTED))
        assert set(scene.states) == {(UUID(int=1), "")}, "an ended plan leaves no baseline"

    assert {a.reason for a in ends} == {AlertReason.ENDED}
    assert [a.event_type for a in ends] == [PLAN_CHANGED, PLAN_CHANGED, PLAN_REMOVED, PLAN_WITHDRAWN]
    assert json.loads(ends[2].data or "")["plan"]["title"] == "Works B"
    assert ends[3].data is None


def test_no_plan_news_without_an_area() -> None:
    """Without an area only a subscription that names the type hears of plans; types are a filter for all."""
    scene = Scene(
        subscription(1, W), subscription(2, W, types=(PLAN_CHANGED,)), subscription(3, W, types=FINDINGS_ONLY)
    )

    told = scene.plan(B)

    assert [a.subscription_id for a in told] == [UUID(int=2)]


@pytest.mark.parametrize("level", [Visibility.RESTRICTED, Visibility.GROUP])
def test_nothing_hidden_goes_out(level: Visibility) -> None:
    """A finding with a hidden plan: its owner sees all, the owner of the other plan a mask, and others nothing.

    rule: contract.md 10. A mask has id, kind, status, severity and the hidden owner's contact; nothing else.
    """
    area = to_model(box(120900, 486900, 121200, 487100), "EPSG:28992")
    scene = Scene(subscription(1, W, area=area), subscription(2, E, area=area), subscription(3, X, area=area))

    scene.plan(A)
    plans = scene.plan(replace(B, visibility=level, contact=Contact("Desk E", "desk@e.example")))
    alerts = scene.finding(conflict(1, 17))

    assert plans == []
    assert [a.subscription_id for a in alerts] == [UUID(int=1), UUID(int=2)]
    data = json.loads(alerts[0].data or "")
    assert data.pop("sentences").keys() == {"nl", "en"}
    found = conflict(1, 17)
    assert data == {
        "finding": {
            "id": str(found.id),
            "kind": found.kind,
            "status": "OPEN",
            "severity": found.severity.value,
            "contacts": [{"unit": "Desk E", "email": "desk@e.example"}],
        },
        "masked": True,
        "role": "OWNER",
        "changes": [],
    }


def test_who_is_in_the_audience_is_told() -> None:
    """A GROUP plan is news to a partner in its audience, and its findings are whole to it; others hear nothing."""
    area = to_model(box(120900, 486900, 121200, 487100), "EPSG:28992")
    scene = Scene(subscription(1, W, area=area), subscription(3, X, area=area))
    scene.plan(A)

    plans = scene.plan(replace(B, visibility=Visibility.GROUP, audience=(W,)))
    alerts = scene.finding(conflict(1, 17))

    assert [a.subscription_id for a in plans] == [UUID(int=1)]
    assert [a.subscription_id for a in alerts] == [UUID(int=1)]
    assert "participants" in json.loads(alerts[0].data or "")


def test_a_mask_cannot_be_felt_around() -> None:
    """Neither the area nor the thresholds of a subscription tell where a hidden plan is or how large the overlap."""
    far = to_model(box(121021, 487000, 121030, 487020), "EPSG:28992")  # touches B alone
    large = Materiality(min_area_m2=1e6)
    scene = Scene(subscription(1, W, area=far), subscription(2, W, materiality=large), subscription(3, W))
    scene.plan(A)
    scene.plan(replace(B, visibility=Visibility.RESTRICTED))

    alerts = scene.finding(conflict(1, 17))

    assert [a.subscription_id for a in alerts] == [UUID(int=2), UUID(int=3)]


def test_a_mask_is_told_again_by_severity_only_and_ends() -> None:
    """Changed evidence is silent; another severity, the end, and the plan behind it being removed are told masked."""
    scene = Scene(subscription(1, W))
    scene.plan(A)
    scene.plan(replace(B, visibility=Visibility.RESTRICTED))
    first = scene.finding(replace(conflict(1, 17), severity=Severity.WARNING))
    silent = scene.finding(replace(conflict(2, 5), severity=Severity.WARNING))
    worse = scene.finding(replace(conflict(3, 5), severity=Severity.BLOCKING))
    scene.remove(B)
    ended = scene.finding(replace(conflict(4, 5), severity=Severity.BLOCKING, status=FindingStatus.WITHDRAWN))

    assert silent == []
    assert [a.reason for a in first + worse + ended] == [AlertReason.NEW, AlertReason.CHANGED, AlertReason.ENDED]
    for alert in first + worse + ended:
        assert set(json.loads(alert.data or "")["finding"]) == {"id", "kind", "status", "severity", "contacts"}
        assert B.id not in (alert.data or "")


def test_a_mask_is_lifted_when_the_plan_is_widened() -> None:
    """Then the same finding is told whole, as a change."""
    scene = Scene(subscription(1, W))
    scene.plan(A)
    scene.plan(replace(B, visibility=Visibility.RESTRICTED))
    scene.finding(conflict(1, 17))
    scene.plan(B)

    (alert,) = scene.finding(conflict(2, 17))

    assert alert.reason is AlertReason.CHANGED
    assert json.loads(alert.data or "")["changes"] == ["unmasked"]
    assert "participants" in json.loads(alert.data or "")


def test_a_finding_that_becomes_hidden_is_withdrawn() -> None:
    """When a plan is hidden, who was told of its finding gets the id alone, once; an owner in it then gets a mask."""
    scene = Scene(subscription(1, W), subscription(2, E))
    both(scene)
    scene.finding(conflict(1, 17))

    scene.plan(replace(B, visibility=Visibility.RESTRICTED))
    withdrawn = scene.finding(conflict(2, 17))
    again = scene.finding(conflict(3, 17))

    assert [(a.subscription_id, a.reason) for a in withdrawn] == [
        (UUID(int=1), AlertReason.ENDED),
        (UUID(int=1), AlertReason.NEW),
    ]
    assert json.loads(withdrawn[1].data or "")["masked"] is True
    assert json.loads(withdrawn[0].data or "") == {
        "finding": {"id": str(conflict(1, 17).id), "status": "WITHDRAWN"},
        "changes": ["withheld"],
    }
    assert again == []


def test_clearance_counts() -> None:
    """PARTNERS needs a clearance for it, of the partner and of the subscription; the lower one counts."""
    scene = Scene(subscription(1, X), subscription(2, X, clearance=Clearance.PUBLIC))
    for found in (A, B):
        scene.plan(replace(found, visibility=Visibility.PARTNERS))

    alerts = scene.finding(conflict(1, 17))
    scene.notifier.hear_partner(
        Partner(oin=X, name="X", created_at=NOW, updated_at=NOW, clearance=Clearance.PUBLIC), NOW
    )
    lowered = scene.said()

    assert [a.subscription_id for a in alerts] == [UUID(int=1)]
    assert [(a.subscription_id, a.reason) for a in lowered] == [(UUID(int=1), AlertReason.ENDED)]


@pytest.mark.parametrize(
    ("status", "partner_status"),
    [
        (SubscriptionStatus.REQUESTED, PartnerStatus.ACTIVE),
        (SubscriptionStatus.ENDED, PartnerStatus.ACTIVE),
        (SubscriptionStatus.ACTIVE, PartnerStatus.REVOKED),
    ],
)
def test_who_does_not_take_part_hears_nothing(status: SubscriptionStatus, partner_status: PartnerStatus) -> None:
    """Only an active subscription of an active partner is told; a paused one's alerts wait at the sink."""
    scene = Scene(subscription(1, E, status=status), subscription(2, W, status=SubscriptionStatus.PAUSED))
    scene.notifier.hear_partner(Partner(oin=E, name="E", created_at=NOW, updated_at=NOW, status=partner_status), NOW)
    both(scene)

    alerts = scene.finding(conflict(1, 17))

    assert [a.subscription_id for a in alerts] == [UUID(int=2)]


@pytest.mark.parametrize(
    ("changes", "heard"),
    [
        ({"area": to_model(box(121000, 487000, 121001, 487001), "EPSG:28992")}, True),
        ({"area": to_model(box(100, 100, 200, 200), "EPSG:28992")}, False),
        ({"area": to_model(box(5.0, 52.3, 5.1, 52.4), "OGC:CRS84")}, False),
        ({"area": to_model(box(4.8, 52.3, 4.95, 52.4), "OGC:CRS84")}, True),
        ({"kinds": ("urn:samenloop:finding-kind:clash-works",)}, True),
        ({"kinds": ("urn:samenloop:finding-kind:opp-near",)}, False),
        ({"roles": (SubscriberRole.OWNER,)}, False),
        ({"roles": (SubscriberRole.OBSERVER,)}, False),
        ({"roles": (SubscriberRole.PARTICIPANT,)}, True),
        ({"sources": (SYSTEM,)}, True),
        ({"sources": ("urn:other",)}, False),
        ({"types": ("nl.samenloop.conflict-opened.v1",)}, True),
        ({"types": ("nl.samenloop.opportunity-opened.v1",)}, False),
        ({"materiality": Materiality(min_area_m2=31)}, False),
    ],
    ids=str,
)
def test_filters(changes: dict[str, Any], heard: bool) -> None:
    """Area (in any CRS), kinds, roles, sources, types and thresholds each say what is heard. X is a party of A."""
    scene = Scene(subscription(1, X, **changes))
    scene.plan(replace(A, parties=(Party(PartyRole.CONTRACTOR, X),)))
    scene.plan(B)

    alerts = scene.finding(conflict(1, 17))

    assert len(alerts) == heard


@pytest.mark.parametrize(("least", "heard"), [(0.886, 1), (0.9, 0)])
def test_opportunities_by_score(least: float, heard: int) -> None:
    """An opportunity is measured by its score, not by a severity."""
    scene = Scene(subscription(materiality=Materiality(min_score=least, min_severity=Severity.BLOCKING)))
    both(scene)

    assert len(scene.finding(chance(1))) == heard


def test_first_load_is_one_summary() -> None:
    """A first load is no news: baselines are kept, and one summary follows when it has been quiet."""
    area = to_model(box(120900, 486900, 121200, 487100), "EPSG:28992")
    scene = Scene(subscription(1, W, area=area), subscription(2, E))
    silent = scene.plan(A, first_load=True) + scene.plan(B, first_load=True)
    silent += scene.finding(conflict(1, 17, status_reason="FIRST_LOAD"))
    scene.notifier.idle(scene.now + timedelta(seconds=4))
    silent += scene.said()

    scene.notifier.idle(scene.now + timedelta(seconds=6))
    summaries = scene.said()
    changed = scene.finding(conflict(2, 5))

    assert silent == []
    assert [(a.event_type, a.sequence) for a in summaries] == [(FIRST_LOAD, 1), (FIRST_LOAD, 1)]
    data = json.loads(summaries[0].data or "")
    assert (data["conflicts"], data["plans"], len(data["findings"])) == (1, 1, 1)
    assert [a.reason for a in changed] == [AlertReason.CHANGED, AlertReason.CHANGED]


def test_a_summary_that_is_owed_survives_a_restart() -> None:
    """The states say that a summary is owed, so the next process sends it."""
    scene = Scene(subscription(1, E))
    scene.plan(A, first_load=True)
    scene.plan(B, first_load=True)
    scene.finding(conflict(1, 17, status_reason="FIRST_LOAD"))

    again = restarted(scene)
    again.notifier.idle(NOW)
    again.notifier.idle(NOW + timedelta(seconds=6))
    summaries = again.said()
    again.notifier.idle(NOW + timedelta(seconds=60))

    assert [a.event_type for a in summaries] == [FIRST_LOAD]
    assert again.said() == []


def restarted(scene: Scene) -> Scene:
    """Another process that rebuilt its state from what the first one wrote."""
    again = Scene()
    again.count, again.revisions = scene.count, dict(scene.revisions)
    for state in scene.states.values():
        again.notifier.ledger.load(state)
    again.notifier.subscriptions.update(scene.notifier.subscriptions)
    again.notifier.plans.update(scene.notifier.plans)
    again.notifier.findings.update(scene.notifier.findings)
    again.notifier.ready()
    return again


def test_nothing_twice_after_a_restart() -> None:
    """Reading the same records again, in order, says nothing; the next real change has the next number."""
    scene = Scene(subscription())
    both(scene)
    opened = scene.finding(conflict(1, 40))
    changed = scene.finding(conflict(2, 30))

    again = restarted(scene)
    repeated = again.finding(conflict(1, 40)) + again.finding(conflict(2, 30))
    later = again.finding(conflict(3, 20))

    assert [a.sequence for a in opened + changed + later] == [1, 2, 3]
    assert repeated == []


def test_closed_before_a_restart_stays_closed() -> None:
    """An old open revision that is read again does not open what was told closed; a real re-opening does."""
    scene = Scene(subscription())
    both(scene)
    scene.finding(conflict(1, 40))
    scene.finding(conflict(2, None, status=FindingStatus.RESOLVED, status_reason="NO_OVERLAP"))

    again = restarted(scene)
    repeated = again.finding(conflict(1, 40)) + again.finding(conflict(2, None, status=FindingStatus.RESOLVED))
    reopened = again.finding(conflict(3, 12))

    assert repeated == []
    assert [a.reason for a in reopened] == [AlertReason.NEW]


def test_closing_names_a_plan_that_is_gone() -> None:
    """A finding that closes because a plan was removed still says which plan that was, also after a restart."""
    scene = Scene(subscription())
    both(scene)
    scene.finding(conflict(1, 17))
    scene.remove(A)

    again = restarted(scene)
    closed = again.finding(conflict(2, None, status=FindingStatus.WITHDRAWN, status_reason="PLAN_DELETED"))

    data = json.loads(closed[0].data or "")
    assert "Works A" in data["sentences"]["en"]
    assert data["participants"][0]["title"] == "Works A"


def test_alert_ids_are_deterministic() -> None:
    """The id is made of subscription, event and reason, so receivers can deduplicate over any crash."""
    scene = Scene(subscription())
    both(scene)

    alert = scene.finding(conflict(1, 17))[0]

    assert alert.id == identity.alert_id(UUID(int=1), alert.event_id, AlertReason.NEW)
    assert alert.accepted_at == NOW


def test_ids_differ_between_subjects_of_one_event() -> None:
    """One event that leads to several alerts of one subscription gives each its own id."""
    scene = Scene(subscription(1, W))
    both(scene)
    scene.finding(conflict(1, 17))
    scene.finding(chance(1))
    scene.plan(replace(B, visibility=Visibility.RESTRICTED))

    alerts = scene.finding(conflict(2, 17)) + scene.finding(chance(2))

    assert len({a.id for a in alerts}) == len(alerts) == 4


def test_a_new_subscription_gets_the_state_as_a_summary() -> None:
    """What was there before a subscription is told in one summary; what changes afterwards singly."""
    scene = Scene()
    both(scene)
    scene.finding(conflict(1, 17))
    scene.notifier.hear_subscription(subscription(), NOW)
    assert scene.said() == []

    scene.notifier.idle(NOW + timedelta(seconds=6))
    summary = scene.said()
    changed = scene.finding(conflict(2, 4))

    assert [a.event_type for a in summary] == [FIRST_LOAD]
    assert [a.reason for a in changed] == [AlertReason.CHANGED]


def test_what_ended_while_nobody_listened() -> None:
    """A partner that was revoked and returns is told which of its findings are over."""
    scene = Scene(subscription())
    both(scene)
    scene.finding(conflict(1, 17))
    gone = Partner(oin=E, name="E", created_at=NOW, updated_at=NOW, status=PartnerStatus.REVOKED)
    scene.notifier.hear_partner(gone, NOW)
    scene.finding(conflict(2, None, status=FindingStatus.RESOLVED))

    scene.notifier.hear_partner(replace(gone, status=PartnerStatus.ACTIVE), NOW)
    told = scene.said()

    assert [(a.event_type, a.reason) for a in told] == [("nl.samenloop.conflict-closed.v1", AlertReason.ENDED)]


def test_an_ended_subscription_leaves_nothing_behind() -> None:
    """Its baselines are forgotten; only its number stays."""
    scene = Scene(subscription())
    both(scene)
    scene.finding(conflict(1, 17))

    scene.notifier.hear_subscription(subscription(revision=2, status=SubscriptionStatus.ENDED), NOW)
    scene.said()

    assert set(scene.states) == {(UUID(int=1), "")}


def test_thin() -> None:
    """A thin subscription, and one whose data would be too large, gets ids only."""
    scene = Scene(subscription(1, payload=Payload.THIN), subscription(2))
    scene.plan(replace(A, title="x" * 20_000))
    scene.plan(B)

    alerts = scene.finding(conflict(1, 17))

    assert [a.data for a in alerts] == [None, None]


@pytest.mark.parametrize(
    ("digest", "expected"),
    [
        (Digest.IMMEDIATE, datetime(2027, 3, 27, 9, 30, tzinfo=UTC)),
        (Digest.HOURLY, datetime(2027, 3, 27, 10, 0, tzinfo=UTC)),
        (Digest.DAILY, datetime(2027, 3, 28, 5, 0, tzinfo=UTC)),
        (Digest.WEEKLY, datetime(2027, 3, 29, 5, 0, tzinfo=UTC)),
    ],
)
def test_digests_are_due_at_the_next_boundary(digest: Digest, expected: datetime) -> None:
    """At once, the next hour, 07:00 local time the next day (over the change to summer time), or on Monday."""
    assert due(digest, datetime(2027, 3, 27, 9, 30, tzinfo=UTC)) == expected


def test_a_test_alert_is_sent_each_time_it_is_asked_for() -> None:
    """It takes the next number and says TEST; a revision that asks for none, or the same again, sends none."""
    scene = Scene(subscription())
    both(scene)
    scene.finding(conflict(1, 17))

    scene.notifier.hear_subscription(replace(subscription(revision=2), tests_asked=1), NOW)
    first = [alert for alert in scene.said() if alert.reason is AlertReason.TEST]
    scene.notifier.hear_subscription(replace(subscription(revision=2), tests_asked=1), NOW)
    scene.notifier.hear_subscription(replace(subscription(revision=3), tests_asked=1), NOW)
    none = [alert for alert in scene.said() if alert.reason is AlertReason.TEST]
    scene.notifier.hear_subscription(replace(subscription(revision=4), tests_asked=2), NOW)
    second = [alert for alert in scene.said() if alert.reason is AlertReason.TEST]

    assert [alert.event_type for alert in first] == ["nl.samenloop.subscription-test.v1"]
    assert none == []
    assert second[0].sequence > first[0].sequence
    assert second[0].id != first[0].id


def test_a_paused_subscription_is_not_tested() -> None:
    """Nothing is sent to who is not taking part; its sequence has no hole."""
    scene = Scene(subscription(status=SubscriptionStatus.REQUESTED))

    scene.notifier.hear_subscription(
        replace(subscription(revision=2, status=SubscriptionStatus.REQUESTED), tests_asked=1), NOW
    )

    assert scene.said() == []


def test_filters_decide_as_types_do() -> None:
    """What no filter takes is not told; what was told before is told closed, whatever the filters say by now."""
    opened = filters.to_text([{"exact": {"type": "nl.samenloop.conflict-opened.v1", "source": HUB}}])
    other = '[{"not":{"prefix":{"type":"nl.samenloop.conflict-"}}}]'
    scene = Scene(subscription(1, E, filters=opened), subscription(2, E, filters=other))
    scene.plan(A)
    scene.plan(B)

    told = [scene.finding(conflict(1, 17)), scene.finding(conflict(2, 3))]
    told.append(scene.finding(conflict(3, None, status=FindingStatus.RESOLVED)))

    assert [[(a.subscription_id, a.reason) for a in alerts] for alerts in told] == [
        [(UUID(int=1), AlertReason.NEW)],
        [],
        [(UUID(int=1), AlertReason.ENDED)],
    ]


def test_filters_that_nobody_understands_tell_nothing() -> None:
    """A later version may know more dialects: rather silent than too much."""
    scene = Scene(subscription(1, E, filters='[{"sql":"TRUE"}]'))
    scene.plan(A)
    scene.plan(B)

    assert scene.finding(conflict(1, 17)) == []
