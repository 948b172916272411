"""A plan and a zone: the worked examples 17 and 18 of the guide, and what each part of the rule decides."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from samenloop import model
from samenloop.check import check, to_text
from samenloop.model import (
    Certainty,
    Force,
    Phase,
    PlanKind,
    Precision,
    RemedyKind,
    RestrictionKind,
    RestrictionStatus,
    Severity,
)
from samenloop.rules import BEFORE_RESTRICTION, RESTRICTION, Gone, Judged, Rules, judge_zone, subject_of, zone_subject

TODAY = date(2027, 1, 4)
CRS = "EPSG:28992"
AREA = "R(121000 486990,121200 487005)"
WORKS = {"where": "R(121000 487000,121020 487010)", "start": "2027-03-01", "end": "2027-03-10"}
IN_FORCE = {"where": AREA, "start": "2026-07-01", "end": "2031-06-30"}
PROPOSED = {"where": AREA, "start": "2027-06-01", "end": "2031-06-30", "status": RestrictionStatus.PROPOSED}
INSIDE_LATER = {"start": "2027-06-14", "end": "2027-07-09"}
EXEMPT = ("urn:samenloop:work-kind:house-connection",)
SEWER = ("urn:samenloop:work-kind:sewer",)
Judge = Callable[..., Judged]


@pytest.fixture
def judged(make_plan: Callable[..., model.Plan], make_zone: Callable[..., model.Restriction], rules: Rules) -> Judge:
    """Return a judge of works *a* and zone *zone*, given by what differs from example 17."""

    def one(
        a: dict[str, Any] | None = None,
        zone: dict[str, Any] | None = None,
        today: date = TODAY,
        by: Rules = rules,
    ) -> Judged:
        plan = subject_of(make_plan("A", **(WORKS | (a or {}))), 1, by, CRS)
        area = zone_subject(make_zone("Z", **(IN_FORCE | (zone or {}))), 1, by, CRS)
        assert not isinstance(plan, Gone)
        assert not isinstance(area, Gone)
        return judge_zone(plan, area, by, today, metric_crs=CRS)

    return one


def severity(judged: Judged) -> Severity | None:
    """Return the severity of CLASH.RESTRICTION, None when it does not hold."""
    return next((ruling.severity for ruling in judged.rulings if ruling.rule_id == RESTRICTION), None)


def shifts(judged: Judged, rule_id: str = RESTRICTION) -> list[int | None]:
    """Return the days of the shifts that a rule proposes."""
    (ruling,) = (ruling for ruling in judged.rulings if ruling.rule_id == rule_id)
    return [remedy.days for remedy in ruling.evidence.remedies if remedy.kind is RemedyKind.SHIFT]


def test_example_17_moratorium_in_force(judged: Judge) -> None:
    """100 m2 inside for ten days: BLOCKING; 1,583 days later is the only way, earlier would start in the past."""
    found = judged()

    (ruling,) = found.rulings
    evidence = ruling.evidence
    assert (ruling.rule_id, ruling.severity) == (RESTRICTION, Severity.BLOCKING)
    assert (evidence.overlap_m2, evidence.overlap_days, evidence.contact_kind.value) == (100.0, 10, "OVERLAP")
    assert evidence.period == model.Period(date(2027, 3, 1), date(2027, 3, 10), Precision.DAY)
    assert evidence.flags == ("extent_known",)
    assert evidence.rule_version == "urn:nld:oin:00000099000000000001@1"
    assert shifts(found) == [1583]
    assert [remedy.kind for remedy in evidence.remedies] == [RemedyKind.SHIFT]


def test_example_17_touching_is_nothing(judged: Judge) -> None:
    """Works that only border on the zone are free."""
    found = judged({"where": "R(121010 487005,121020 487015)"})

    assert found.rulings == ()
    assert found.gone[RESTRICTION].reason == "NOT_NEAR"


@pytest.mark.parametrize(
    ("a", "zone"), [({"work_kinds": EXEMPT}, {}), ({"work_kinds": SEWER}, {"exempt_work_kinds": SEWER})]
)
def test_example_17_exempt_work_type(judged: Judge, a: dict[str, Any], zone: dict[str, Any]) -> None:
    """A kind of work that is exempt by the rule, or by the zone itself, is free."""
    assert judged(a, zone).rulings == ()


def test_example_18_moratorium_proposed(judged: Judge) -> None:
    """WARNING, and the opportunity to be done before: 39 days earlier, 2027-05-06..2027-05-31."""
    found = judged(INSIDE_LATER, PROPOSED)

    assert [(ruling.rule_id, ruling.severity) for ruling in found.rulings] == [
        (RESTRICTION, Severity.WARNING),
        (BEFORE_RESTRICTION, Severity.UNKNOWN),
    ]
    assert shifts(found, BEFORE_RESTRICTION) == [-39]
    assert shifts(found)[0] == -39
    assert date(2027, 6, 14).toordinal() - 39 == date(2027, 5, 6).toordinal()
    assert date(2027, 7, 9).toordinal() - 39 == date(2027, 5, 31).toordinal()


@pytest.mark.parametrize(
    ("a", "zone", "expected"),
    [
        ({"certainty": Certainty.INTENDED}, {}, Severity.WARNING),
        ({"certainty": Certainty.PERMITTED}, {}, Severity.BLOCKING),
        ({}, {"status": RestrictionStatus.PROPOSED}, Severity.WARNING),
        ({}, {"force": Force.ADVISORY}, Severity.WARNING),
        ({}, {"force": Force.UNKNOWN}, Severity.BLOCKING),
        ({"ground_disturbing": False}, {}, None),
        ({"ground_disturbing": None}, {}, Severity.BLOCKING),
        ({"ground_disturbing": None, "kind": PlanKind.OCCUPATION}, {}, None),
        ({"where": "LINESTRING(121010 487000,121010 487004.1)"}, {}, Severity.BLOCKING),
        ({"where": "LINESTRING(121010 487004.1,121010 487009)"}, {}, None),
        ({"where": "POINT(121010 487000)"}, {}, Severity.BLOCKING),
        ({"where": "POINT(121010 487005)"}, {}, None),
        ({"where": "R(121010 487004.95,121020 487015)"}, {}, None),
        ({"start": "2031-06-30", "end": "2031-07-05"}, {}, Severity.BLOCKING),
        ({"start": "2031-07-01", "end": "2031-07-05"}, {}, None),
        ({}, {"work_kinds": SEWER}, Severity.BLOCKING),
        ({"work_kinds": ("urn:samenloop:work-kind:gas",)}, {"work_kinds": SEWER}, None),
        ({"work_kinds": SEWER}, {"work_kinds": SEWER}, Severity.BLOCKING),
        ({"owner": "00000099000000000077"}, {}, Severity.BLOCKING),
    ],
)
def test_severity(judged: Judge, a: dict[str, Any], zone: dict[str, Any], expected: Severity | None) -> None:
    """In force and committed blocks, else it warns; only ground-disturbing works of its kinds, inside, on its days."""
    assert severity(judged(a, zone)) is expected


def test_own_works_may_be_left_out(judged: Judge, changed_rules: Callable[..., Rules]) -> None:
    """By default the authority's own works are judged; a configuration may say otherwise."""
    without = changed_rules(2, {RESTRICTION: {"include_same_owner": False}})

    assert judged({"owner": "00000099000000000077"}, by=without).gone[RESTRICTION].reason == "SAME_OWNER"


def test_the_plan_behind_a_zone_is_free(judged: Judge, make_plan: Callable[..., model.Plan]) -> None:
    """A surface renewal is not restricted by the moratorium that it causes."""
    found = judged(zone={"for_plan_id": make_plan("A", **WORKS).id})

    assert found.gone[RESTRICTION].reason == "LINKED_SAME_WORKS"


def test_a_moratorium_without_an_end_lasts_its_years(judged: Judge, changed_rules: Callable[..., Rules]) -> None:
    """From 2026-07-01 five years is until 2031-06-30; the years are data, and the flag tells."""
    five = judged(zone={"end": None})
    three = judged(zone={"end": None}, by=changed_rules(2, {RESTRICTION: {"default_years": 3}}))

    assert shifts(five) == [1583]
    assert shifts(three) == [1583 - 730]
    assert "default_years" in five.rulings[0].evidence.flags


def test_works_with_an_assumed_end(judged: Judge) -> None:
    """Works that begin before the zone and reach it by an assumed end alone: INFO, and the end is asked for."""
    found = judged({"start": "2027-03-01", "end": None}, PROPOSED)

    assert severity(found) is Severity.INFO
    assert [remedy.kind for remedy in found.rulings[0].evidence.remedies] == [RemedyKind.CONFIRM]
    assert "assumed_end" in found.rulings[0].evidence.flags
    assert severity(judged({"end": None})) is Severity.BLOCKING


def test_coarse_dates(judged: Judge) -> None:
    """A year that lies wholly in the zone's period is sure to meet it; one that only reaches into it is a guess."""
    year = {"start": "2027-01-01", "end": "2027-12-31", "precision": Precision.YEAR}

    assert severity(judged(year)) is Severity.BLOCKING
    assert severity(judged(year, PROPOSED)) is Severity.INFO


def test_short_notice(judged: Judge) -> None:
    """A zone that is still only proposed 89 days before it begins is flagged; 90 days are enough."""
    late, in_time = judged(INSIDE_LATER, PROPOSED, date(2027, 3, 4)), judged(INSIDE_LATER, PROPOSED, date(2027, 3, 3))

    assert "short_notice" in late.rulings[0].evidence.flags
    assert "short_notice" not in in_time.rulings[0].evidence.flags


@pytest.mark.parametrize(
    ("a", "today"),
    [
        ({"phase": Phase.EXECUTION}, TODAY),
        ({"earliest_start": date(2027, 6, 1)}, TODAY),
        ({}, date(2027, 4, 7)),
        ({}, date(2027, 5, 7)),
    ],
)
def test_no_opportunity_when_it_cannot_be_earlier(judged: Judge, a: dict[str, Any], today: date) -> None:
    """Works in execution, outside their window, in the past or later than the freeze are not moved before a zone."""
    found = judged(INSIDE_LATER | a, PROPOSED, today)

    assert severity(found) is Severity.WARNING
    assert BEFORE_RESTRICTION not in {ruling.rule_id for ruling in found.rulings}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"status": RestrictionStatus.ENDED}, "RESTRICTION_ENDED"),
        ({"status": RestrictionStatus.CANCELLED}, "RESTRICTION_CANCELLED"),
        ({"status": RestrictionStatus.UNKNOWN}, "NOT_MATCHED"),
        ({"kind": RestrictionKind.DETOUR}, "NOT_MATCHED"),
        ({"kind": RestrictionKind.UNKNOWN}, "NOT_MATCHED"),
        ({"start": None}, "PERIOD_LOST"),
    ],
)
def test_zones_that_do_not_match(
    make_zone: Callable[..., model.Restriction], rules: Rules, fields: dict[str, Any], reason: str
) -> None:
    """Only proposed zones and zones in force of the rule's kinds, with a first day, are matched at all."""
    gone = zone_subject(make_zone("Z", **(IN_FORCE | fields)), 1, rules, CRS)

    assert isinstance(gone, Gone)
    assert gone.reason == reason


def test_in_words(
    make_plan: Callable[..., model.Plan], make_zone: Callable[..., model.Restriction], rules: Rules
) -> None:
    """Who, where, what for a zone, for how long, and what would solve it: in Dutch and in English."""
    plan, zone = make_plan("A", **WORKS), make_zone("Z", **IN_FORCE)
    by_id: dict[str, model.Subject] = {plan.id: plan, zone.id: zone}

    found = check([plan], rules, TODAY, restrictions=[zone])

    assert to_text(found, by_id, rules, "nl").splitlines() == [
        "Ernstig: “Works A” van Owner A ligt met 100 m² in de zone “Zone Z” van Authority Z waar openbreken verboden "
        "is, 10 dagen lang: van 1 maart tot en met 10 maart 2027.",
        "  - Opgelost als Owner A “Works A” 1.583 dagen later laat beginnen, na afloop: 1 juli 2031 in plaats van "
        "1 maart 2027.",
        "",
        "1 plannen: 1 conflicten (1 ernstig, 0 let op, 0 ter informatie) en 0 kansen.",
    ]
    assert to_text(found, by_id, rules, "en").splitlines()[0] == (
        "Serious: “Works A” of Owner A lies with 100 m² in the zone “Zone Z” of Authority Z where breaking ground is "
        "forbidden, for 10 days: from 1 March to 10 March 2027 inclusive."
    )


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    box=st.tuples(st.integers(-30, 30), st.integers(-20, 20), st.integers(1, 30), st.integers(1, 30)),
    first=st.integers(-400, 400),
    length=st.integers(0, 90),
    in_force=st.booleans(),
    certainty=st.sampled_from(Certainty),
    kinds=st.sampled_from([(), SEWER, EXEMPT]),
    exempt=st.sampled_from([(), SEWER]),
    breaks=st.booleans(),
)
def test_equals_brute_force(
    make_plan: Callable[..., model.Plan],
    make_zone: Callable[..., model.Restriction],
    rules: Rules,
    **drawn: Any,
) -> None:
    """Days as sets, squares metre by metre: the rule says of a plan and a zone what counting says."""
    x, y, width, height = drawn["box"]
    start = TODAY + timedelta(days=drawn["first"])
    end = start + timedelta(days=drawn["length"])
    where = f"R({x} {y},{x + width} {y + height})"
    status = RestrictionStatus.IN_FORCE if drawn["in_force"] else RestrictionStatus.PROPOSED
    plan = make_plan(
        "A", where, str(start), str(end), certainty=drawn["certainty"], ground_disturbing=drawn["breaks"],
        work_kinds=drawn["kinds"],
    )  # fmt: skip
    area = make_zone("Z", "R(0 0,20 12)", "2027-02-01", "2027-06-30", status=status, exempt_work_kinds=drawn["exempt"])

    found = {ruling.rule_id: ruling for ruling in check_pair(plan, area, rules).rulings}

    squares = {(i, j) for i in range(x, x + width) for j in range(y, y + height)} & {
        (i, j) for i in range(20) for j in range(12)
    }
    days = {start + timedelta(days=n) for n in range(drawn["length"] + 1)} & {
        date(2027, 2, 1) + timedelta(days=n) for n in range(150)
    }
    free = drawn["kinds"] == EXEMPT or (drawn["kinds"] and drawn["kinds"] == drawn["exempt"]) or not drawn["breaks"]
    holds = bool(squares) and bool(days) and max(days) >= TODAY and not free
    assert (RESTRICTION in found) == holds
    if holds:
        evidence = found[RESTRICTION].evidence
        committed = drawn["certainty"] in (Certainty.FIXED, Certainty.PERMITTED)
        assert (evidence.overlap_m2, evidence.overlap_days) == (len(squares), len(days))
        assert (found[RESTRICTION].severity is Severity.BLOCKING) == (committed and drawn["in_force"])


def check_pair(plan: model.Plan, area: model.Restriction, rules: Rules) -> Judged:
    """Judge a plan and a zone today."""
    one, other = subject_of(plan, 1, rules, CRS), zone_subject(area, 1, rules, CRS)
    assert not isinstance(one, Gone)
    assert not isinstance(other, Gone)
    return judge_zone(one, other, rules, TODAY, metric_crs=CRS)
