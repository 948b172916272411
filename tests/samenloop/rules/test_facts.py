"""What counts as known of a plan: periods, ends, owners, and whether it is matched at all."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from samenloop import model
from samenloop.model import EndKind, Period, Phase, PlanKind, Precision
from samenloop.rules import CLASH_WORKS, Gone, Judged, Rules, Subject, day_number, judge, subject_of
from samenloop.rules.subject import times_of

PlanMaker = Callable[..., model.Plan]
TODAY = date(2027, 1, 4)
WHERE = "R(121000 487000,121020 487010)"


def day(text: str) -> int:
    """Return a day as days since 1970."""
    return day_number(date.fromisoformat(text))


def matched(plan: model.Plan, rules: Rules) -> Subject:
    """Return a plan as the rules see it."""
    subject = subject_of(plan, 1, rules, "EPSG:28992")
    assert not isinstance(subject, Gone)
    return subject


def judged(a: model.Plan, b: model.Plan, rules: Rules, today: date = TODAY) -> Judged:
    """Judge two plans."""
    return judge(matched(a, rules), matched(b, rules), rules, today, metric_crs="EPSG:28992")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"phase": Phase.COMPLETED}, "OVER"),
        ({"phase": Phase.CANCELLED}, "PLAN_CANCELLED"),
        ({"kind": PlanKind.OBSERVATION}, "NOT_MATCHED"),
        ({"kind": PlanKind.PROGRAMME}, "NOT_MATCHED"),
        ({"work_kinds": ("urn:samenloop:work-kind:emergency",)}, "NOT_MATCHED"),
        ({"where": None}, "GEOMETRY_LOST"),
        ({"where": "POLYGON EMPTY"}, "GEOMETRY_LOST"),
        ({"start": None}, "PERIOD_LOST"),
        ({"end": "2027-02-28"}, "PERIOD_LOST"),
    ],
)
def test_what_is_not_matched(fields: dict[str, Any], reason: str, make_plan: PlanMaker, rules: Rules) -> None:
    """Over, cancelled, observed, exempt, without a place or a sound period: stored, but never compared."""
    plan = make_plan("A", **({"where": WHERE, "start": "2027-03-01", "end": "2027-04-30"} | fields))

    found = subject_of(plan, 1, rules, "EPSG:28992")

    assert isinstance(found, Gone)
    assert found.reason == reason


@pytest.mark.parametrize("end_kind", [EndKind.SENTINEL, EndKind.INDEFINITE])
def test_a_sentinel_is_no_end(end_kind: EndKind) -> None:
    """The year 3000 is never used: such works last open_end_days, of which only the first day is known."""
    period = Period(date(2027, 3, 1), date(3000, 1, 1), Precision.DAY, end_kind)

    times = times_of(period, (), 365)

    assert times is not None
    assert times.spans == ((day("2027-03-01"), day("2028-02-28")),)
    assert times.known == ((day("2027-03-01"), day("2027-03-01")),)


def test_a_duration_is_an_end() -> None:
    """A stated duration gives the end; nothing is assumed."""
    times = times_of(Period(date(2027, 3, 1), duration_days=10), (), 365)

    assert times is not None
    assert times.spans == times.known == ((day("2027-03-01"), day("2027-03-10")),)


def test_several_periods_take_the_place_of_the_whole() -> None:
    """Interrupted works are compared period by period; those that touch are one; unsound ones are left out."""
    whole = Period(date(2027, 1, 1), date(2027, 12, 31))
    parts = (
        Period(date(2027, 6, 1), date(2027, 6, 10)),
        Period(date(2027, 3, 1), date(2027, 3, 10)),
        Period(date(2027, 3, 11), date(2027, 3, 20)),
        Period(date(2027, 9, 2), date(2027, 9, 1)),
        Period(),
    )

    times = times_of(whole, parts, 365)

    assert times is not None
    assert times.spans == ((day("2027-03-01"), day("2027-03-20")), (day("2027-06-01"), day("2027-06-10")))


def test_overlap_days_add_up_over_periods(make_plan: PlanMaker, rules: Rules) -> None:
    """Each pair of periods counts; the shift that is proposed clears all of them."""
    parts = (Period(date(2027, 4, 1), date(2027, 4, 10)), Period(date(2027, 5, 1), date(2027, 5, 10)))
    a = make_plan("A", WHERE, "2027-03-01", "2027-06-30", work_periods=parts)
    b = make_plan("B", WHERE, "2027-04-06", "2027-05-03")

    evidence = judged(a, b, rules).rulings[0].evidence

    assert evidence.overlap_days == 5 + 3
    assert evidence.period == Period(date(2027, 4, 6), date(2027, 5, 3), Precision.DAY)
    assert [remedy.days for remedy in evidence.remedies if remedy.days] == [-33, 35]


def test_an_overlap_that_is_certain_is_not_capped(make_plan: PlanMaker, rules: Rules) -> None:
    """INFO is for an overlap that exists only through an assumed end; where the known day overlaps, it counts fully."""
    a = make_plan("A", WHERE, "2027-03-01", "2027-04-30")
    b = make_plan("B", WHERE, "2027-04-12", None)

    ruling = judged(a, b, rules).rulings[0]

    assert ruling.severity == "BLOCKING"
    assert "assumed_end" in ruling.evidence.flags
    assert [remedy.kind.value for remedy in ruling.evidence.remedies] == ["SHIFT", "CONFIRM", "COMBINE"]


def test_open_works_in_execution_last_until_today(make_plan: PlanMaker, rules: Rules) -> None:
    """A stated duration that has run out does not end works in execution."""
    a = make_plan("A", WHERE, "2026-01-01", None, duration_days=30, phase=Phase.EXECUTION)
    b = make_plan("B", WHERE, "2027-01-04", "2027-02-01")

    today = judged(a, b, rules, date(2027, 1, 4))
    before = judged(a, b, rules, date(2027, 1, 3))

    assert today.rulings[0].evidence.overlap_days == 1
    assert before.rulings == ()


def test_works_that_are_over_are_no_conflict(make_plan: PlanMaker, rules: Rules) -> None:
    """A conflict lasts until the last day in common, that day included."""
    a = make_plan("A", WHERE, "2027-03-01", "2027-04-30")
    b = make_plan("B", WHERE, "2027-04-12", "2027-05-28")

    last = judged(a, b, rules, date(2027, 4, 30))
    after = judged(a, b, rules, date(2027, 5, 1))

    assert [ruling.rule_id for ruling in last.rulings] == [CLASH_WORKS]
    assert after.gone[CLASH_WORKS].reason == "OVER"


@pytest.mark.parametrize("owner", ["", "urn:samenloop:org:unknown"])
def test_two_unknown_owners_are_never_the_same(owner: str, make_plan: PlanMaker, rules: Rules) -> None:
    """Nothing is skipped because of an owner that nobody knows."""
    a = make_plan("A", WHERE, "2027-03-01", "2027-04-30", owner=owner)
    b = make_plan("B", WHERE, "2027-03-01", "2027-04-30", owner=owner)

    assert judged(a, b, rules).rulings


@pytest.mark.parametrize("kind", ["PART_OF", "SAME_WORKS"])
def test_parent_and_child_are_not_compared(kind: str, make_plan: PlanMaker, rules: Rules) -> None:
    """A tie in either direction keeps a pair apart."""
    a = make_plan("A", WHERE, "2027-03-01", "2027-04-30")
    tie = model.Relation(a.id, model.RelationKind(kind))
    b = make_plan("B", WHERE, "2027-03-01", "2027-04-30", relations=(tie,))

    found = judged(a, b, rules)

    assert found.rulings == ()
    assert {gone.reason for gone in found.gone.values()} == {"LINKED_SAME_WORKS"}


def test_a_margin_within_accuracy_is_flagged(make_plan: PlanMaker, rules: Rules) -> None:
    """At 4.9 m of 5 m a geometry of half a metre accuracy could be on either side."""
    exact = make_plan("A", WHERE, "2027-03-01", "2027-04-30")
    near = make_plan("B", "R(121024.9 487000,121040 487010)", "2027-03-01", "2027-04-30")
    assert near.geometry is not None
    rough = model.Geometry(near.geometry.wkb, near.geometry.crs, 0.5)

    sure = judged(exact, near, rules).rulings[0].evidence.flags
    unsure = judged(exact, make_plan("B", None, "2027-03-01", "2027-04-30", geometry=rough), rules).rulings[0]

    assert "within_accuracy" not in sure
    assert "within_accuracy" in unsure.evidence.flags


def test_late_and_uncommitted_is_flagged(make_plan: PlanMaker, rules: Rules) -> None:
    """A conflict close by with a side that is not committed says so."""
    a = make_plan("A", WHERE, "2027-02-01", "2027-04-30", certainty=model.Certainty.INTENDED)
    b = make_plan("B", WHERE, "2027-02-01", "2027-04-30")

    assert "late_commit" in judged(a, b, rules).rulings[0].evidence.flags
