"""The life of a finding between a plan and a zone, as detection tells it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from samenloop import model
from samenloop.detection import Detector, FindingEvent, Row, tick
from samenloop.model import FindingStatus, RestrictionStatus, Severity, Visibility
from samenloop.rules import BEFORE_RESTRICTION, CLASH_WORKS, RESTRICTION, Rules

AT = datetime(2027, 1, 4, 9, tzinfo=UTC)
TODAY = date(2027, 1, 4)
AREA = "R(121000 486990,121200 487005)"


class Play:
    """A detector, and a log that numbers what is said to it."""

    def __init__(self, rules: Rules) -> None:
        self.detector, self.rules, self.number = Detector(rules, "EPSG:28992"), rules, 0
        self.rows: list[Row] = []
        self.findings: dict[str, model.Finding] = {}
        self.day(TODAY)

    def say(self, what: model.Subject | str) -> list[FindingEvent]:
        """Say a new version of a plan or zone, or by its id that it is gone."""
        self.number += 1
        named = f"e{self.number}"
        if isinstance(what, str):
            return self.take(Row(what, 0, AT, named, named))
        return self.take(Row(what.id, self.number, AT, named, named, plan=what))

    def day(self, day: date) -> list[FindingEvent]:
        """Let a day begin."""
        return self.take(tick(day, at=AT, cause_id=f"day-{day}"))

    def take(self, row: Row) -> list[FindingEvent]:
        """Hand over one row and all that it leads to."""
        self.rows.append(row)
        events = self.detector.apply([row])
        while self.detector.behind:
            events += self.detector.catch_up()
        self.findings |= {event.finding_id: event.finding for event in events if event.finding is not None}
        return events

    def restart(self) -> list[FindingEvent]:
        """Start again from the rows and what was said."""
        self.detector = Detector(self.rules, "EPSG:28992")
        self.detector.load(self.rows)
        for finding in self.findings.values():
            self.detector.adopt(finding)
        return self.detector.reconcile()


@pytest.fixture
def play(rules: Rules) -> Play:
    """A detector on 2027-01-04."""
    return Play(rules)


@pytest.fixture
def works(make_plan: Callable[..., model.Plan]) -> model.Plan:
    """The works of example 17."""
    return make_plan("A", "R(121000 487000,121020 487010)", "2027-03-01", "2027-03-10")


@pytest.fixture
def zone(make_zone: Callable[..., model.Restriction]) -> model.Restriction:
    """The zone of example 17."""
    return make_zone("Z", AREA, "2026-07-01", "2031-06-30")


def told(events: list[FindingEvent]) -> list[tuple[str, str, str | None]]:
    """Return rule, transition and status reason of each event."""
    return [(e.finding.evidence.rule_id, e.transition, e.finding.status_reason) for e in events if e.finding]


def test_a_conflict_names_plan_and_zone(play: Play, works: model.Plan, zone: model.Restriction) -> None:
    """A conflict of its own kind between both, at the revisions judged, and nothing else."""
    play.say(works)
    (event,) = play.say(zone)

    found = event.finding
    assert isinstance(found, model.Conflict)
    assert (event.topic, event.transition, found.kind) == (
        "conflicts",
        "opened",
        "urn:samenloop:finding-kind:clash-restriction",
    )
    assert found.severity is Severity.BLOCKING
    assert [(p.id, p.revision, p.owner_oin) for p in found.participants] == [
        (works.id, 1, works.owner.oin),
        (zone.id, 2, zone.owner.oin),
    ]


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"status": RestrictionStatus.CANCELLED}, FindingStatus.WITHDRAWN, "RESTRICTION_CANCELLED"),
        ({"status": RestrictionStatus.ENDED}, FindingStatus.EXPIRED, "RESTRICTION_ENDED"),
        ({"exempt_work_kinds": ("urn:samenloop:work-kind:sewer",)}, FindingStatus.WITHDRAWN, "NOT_MATCHED"),
        (
            {"period": model.Period(date(2027, 3, 11), date(2031, 6, 30), model.Precision.DAY)},
            FindingStatus.RESOLVED,
            "NO_OVERLAP",
        ),
    ],
)
def test_it_closes_with_its_ground_and_opens_again(
    play: Play,
    works: model.Plan,
    zone: model.Restriction,
    *,
    changes: dict[str, object],
    status: FindingStatus,
    reason: str,
) -> None:
    """A zone that changes takes its conflicts back, saying why; as it was, the same conflict is open again."""
    play.say(replace(works, work_kinds=("urn:samenloop:work-kind:sewer",)))
    (opened,) = play.say(zone)

    (closed,) = play.say(replace(zone, **changes))
    (again,) = play.say(zone)

    assert closed.finding is not None
    assert (closed.finding.status, closed.finding.status_reason) == (status, reason)
    assert (again.transition, again.finding_id) == ("opened", opened.finding_id)


def test_deleted_zone_and_deleted_plan(play: Play, works: model.Plan, zone: model.Restriction) -> None:
    """Which of the two went stands in the reason, also after a restart that no longer has the row."""
    play.say(works)
    play.say(zone)
    deleted = told(play.say(zone.id))
    play.say(zone)
    play.rows = [row for row in play.rows if row.plan_id != zone.id]
    after_restart = told(play.restart())

    assert deleted == [(RESTRICTION, "closed", "RESTRICTION_DELETED")]
    assert after_restart == [(RESTRICTION, "closed", "RESTRICTION_DELETED")]
    assert told(play.say(zone)) == [(RESTRICTION, "opened", None)]
    assert told(play.say(works.id)) == [(RESTRICTION, "closed", "PLAN_DELETED")]


def test_a_zone_in_force_ends_by_itself(
    play: Play, make_plan: Callable[..., model.Plan], make_zone: Callable[..., model.Restriction]
) -> None:
    """After its last day no zone holds, whatever its record still says; the day alone closes the conflict."""
    play.say(make_plan("A", "R(121000 487000,121020 487010)", "2027-01-20", "2027-03-10"))
    play.say(make_zone("Z", AREA, "2026-07-01", "2027-01-31"))

    on_the_last_day = told(play.day(date(2027, 1, 31)))
    after_it = told(play.day(date(2027, 2, 1)))

    assert [transition for _, transition, _ in on_the_last_day] == ["changed"]
    assert after_it == [(RESTRICTION, "closed", "OVER")]


def test_a_proposal_comes_into_force(play: Play, works: model.Plan, zone: model.Restriction) -> None:
    """WARNING with an opportunity becomes BLOCKING without one."""
    works = replace(works, period=model.Period(date(2027, 6, 14), date(2027, 7, 9), model.Precision.DAY))
    zone = replace(zone, period=model.Period(date(2027, 6, 1), date(2031, 6, 30), model.Precision.DAY))
    play.say(works)

    proposed = told(play.say(replace(zone, status=RestrictionStatus.PROPOSED)))
    in_force = told(play.say(zone))

    assert proposed == [(RESTRICTION, "opened", None), (BEFORE_RESTRICTION, "opened", None)]
    assert in_force == [(RESTRICTION, "changed", None), (BEFORE_RESTRICTION, "closed", "NOT_MATCHED")]


def test_zones_meet_plans_only(
    play: Play, make_plan: Callable[..., model.Plan], make_zone: Callable[..., model.Restriction]
) -> None:
    """Two zones are never a pair, and no zone is ever in a conflict of works or in a shared trench."""
    for name in "XYZ":
        play.say(make_zone(name, AREA, "2026-07-01", "2031-06-30"))
    play.say(make_plan("A", "R(121000 487000,121020 487010)", "2027-03-01", "2027-04-30"))
    play.say(make_plan("B", "R(121015 487004,121035 487014)", "2027-04-12", "2027-05-28"))

    rules = sorted(finding.evidence.rule_id for finding in play.findings.values())
    assert rules == [RESTRICTION] * 6 + [CLASH_WORKS, "OPP.SAME_TRENCH"]
    assert all(
        sum(":restriction:" in p.id for p in finding.participants) == (finding.evidence.rule_id == RESTRICTION)
        for finding in play.findings.values()
    )


def test_own_works_in_an_own_zone(play: Play, works: model.Plan, zone: model.Restriction) -> None:
    """A moratorium binds its authority too: one owner on both sides does not keep them apart."""
    play.say(zone)

    assert told(play.say(replace(works, owner=zone.owner))) == [(RESTRICTION, "opened", None)]


def test_the_strictest_visibility_counts(play: Play, works: model.Plan, zone: model.Restriction) -> None:
    """A conflict is as secret as the more secret of plan and zone."""
    play.say(replace(works, visibility=Visibility.PARTNERS))
    (event,) = play.say(replace(zone, visibility=Visibility.GROUP, audience=("x",)))

    assert event.finding is not None
    assert (event.finding.visibility, event.finding.audience) == (Visibility.GROUP, ("x",))


def test_a_restart_says_nothing_new(play: Play, works: model.Plan, zone: model.Restriction) -> None:
    """From the same rows and its own findings a detector finds nothing to say."""
    play.say(works)
    play.say(zone)

    assert play.restart() == []
