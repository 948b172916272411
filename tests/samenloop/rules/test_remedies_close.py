"""Each remedy does what it says: applied to the plans, the finding closes, or the works become adjacent."""

from dataclasses import replace
from datetime import date, timedelta

import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from samenloop import geometry, model
from samenloop.model import Certainty, Phase, PlanKind, Precision, Relation, RelationKind, Remedy, RemedyKind
from samenloop.rules import (
    CLASH_WORKS,
    RESTRICTION,
    Gone,
    Judged,
    Rules,
    Subject,
    day_number,
    judge,
    judge_zone,
    subject_of,
    zone_subject,
)

SYSTEM = "urn:nld:oin:00000099000000000009:systeem:register"
TODAY = date(2027, 1, 4)
CRS = "EPSG:28992"
MANY = settings(max_examples=250, deadline=None)

shapes = st.one_of(
    st.builds(
        lambda x, y, w, h: shapely.box(x / 2, y / 2, x / 2 + w, y / 2 + h),
        st.integers(0, 60), st.integers(0, 60), st.integers(3, 20), st.integers(3, 20),
    ),
    st.builds(lambda x, y: shapely.Point(x / 2, y / 2), st.integers(0, 80), st.integers(0, 80)),
    st.builds(
        lambda x, y, dx, dy: shapely.LineString([(x, y), (x + dx, y + dy)]),
        st.integers(0, 30), st.integers(0, 30), st.integers(-25, 25), st.integers(1, 25),
    ),
)  # fmt: skip
days = st.integers(-30, 200).map(lambda n: TODAY + timedelta(days=n))


@st.composite
def periods(draw: st.DrawFn) -> model.Period:
    """A stated period, sometimes open, sometimes with a window."""
    start, length = draw(days), draw(st.integers(0, 100))
    end = None if draw(st.integers(0, 5)) == 0 else start + timedelta(days=length)
    slack = draw(st.none() | st.integers(0, 60))
    if slack is None or end is None:
        return model.Period(start, end, Precision.DAY)
    early, late = start - timedelta(days=slack), end + timedelta(days=slack)
    return model.Period(start, end, Precision.DAY, earliest_start=early, latest_end=late)


@st.composite
def plans(draw: st.DrawFn, name: str) -> model.Plan:
    """A groundwork of its own owner."""
    return model.Plan(
        id=f"{SYSTEM}:plan:{name}",
        system=SYSTEM,
        local_id=name,
        owner=model.Organisation(f"0000009900000000000{ord(name) % 10}"),
        title=name,
        kind=PlanKind.WORKS,
        phase=draw(st.sampled_from([Phase.PREPARATION, Phase.PREPARATION, Phase.PREPARATION, Phase.EXECUTION])),
        certainty=draw(st.sampled_from([Certainty.FIXED, Certainty.INTENDED, Certainty.INDICATIVE])),
        ground_disturbing=True,
        period=draw(periods()),
        work_periods=tuple(draw(st.lists(periods(), min_size=2, max_size=3))) if draw(st.integers(0, 3)) == 0 else (),
        geometry=geometry.to_model(draw(shapes), CRS),
    )


def judged(a: model.Plan, b: model.Plan, rules: Rules) -> Judged:
    """Judge two plans today."""
    one, other = seen(a, rules), seen(b, rules)
    return judge(one, other, rules, TODAY, metric_crs=CRS)


def seen(plan: model.Plan, rules: Rules) -> Subject:
    """Return a plan as the rules see it."""
    subject = subject_of(plan, 1, rules, CRS)
    assert not isinstance(subject, Gone)
    return subject


def moved(plan: model.Plan, by: int) -> model.Plan:
    """Return a plan whose periods lie so many days later; its window stays."""

    def move(period: model.Period) -> model.Period:
        step = timedelta(days=by)
        return replace(period, start=period.start and period.start + step, end=period.end and period.end + step)

    return replace(plan, period=move(plan.period), work_periods=tuple(map(move, plan.work_periods)))


def narrowed(plan: model.Plan, other: model.Plan, metres: float, rules: Rules) -> model.Plan | None:
    """Return a plan without what lies within *metres* of the other, None when nothing is left."""
    near = seen(other, rules).shape.buffer(metres, quad_segs=64)
    rest = seen(plan, rules).shape.difference(near)
    return None if rest.is_empty else replace(plan, geometry=geometry.to_model(rest, CRS))


@MANY
@given(a=plans("A"), b=plans("B"))
def test_each_remedy_of_a_conflict_closes_it(a: model.Plan, b: model.Plan, rules: Rules) -> None:
    """SHIFT, NARROW and COMBINE dissolve the conflict. CONFIRM only asks: its answer may go either way."""
    for ruling in judged(a, b, rules).rulings:
        if ruling.rule_id != CLASH_WORKS:
            continue
        for remedy in ruling.evidence.remedies:
            assert not _still_clashes(a, b, remedy, ruling.evidence.distance_m or 0.0, rules), remedy


def _still_clashes(a: model.Plan, b: model.Plan, remedy: Remedy, distance_m: float, rules: Rules) -> bool:
    plan, other = (a, b) if remedy.participant_id == a.id else (b, a)
    if remedy.kind is RemedyKind.SHIFT:
        assert remedy.days is not None
        changed: model.Plan | None = moved(plan, remedy.days)
    elif remedy.kind is RemedyKind.NARROW:
        assert remedy.metres is not None
        changed = narrowed(plan, other, distance_m + remedy.metres + 0.01, rules)
    elif remedy.kind is RemedyKind.COMBINE:
        changed = replace(plan, relations=(Relation(other.id, RelationKind.SAME_WORKS),))
    else:
        assert remedy.kind is RemedyKind.CONFIRM
        return False
    return changed is not None and CLASH_WORKS in {found.rule_id for found in judged(changed, other, rules).rulings}


@st.composite
def zones(draw: st.DrawFn) -> model.Restriction:
    """A moratorium of days, in force or proposed, sometimes without an end."""
    return model.Restriction(
        id=f"{SYSTEM}:restriction:Z",
        system=SYSTEM,
        local_id="Z",
        owner=model.Organisation("00000099000000000077"),
        title="Z",
        geometry=geometry.to_model(draw(shapes), CRS),
        kind=model.RestrictionKind.MORATORIUM,
        status=draw(st.sampled_from([model.RestrictionStatus.PROPOSED, model.RestrictionStatus.IN_FORCE])),
        period=draw(periods()),
    )


def judged_in(plan: model.Plan, zone: model.Restriction, rules: Rules) -> Judged:
    """Judge a plan and a zone today."""
    found = zone_subject(zone, 1, rules, CRS)
    assert not isinstance(found, Gone)
    return judge_zone(seen(plan, rules), found, rules, TODAY, metric_crs=CRS)


@MANY
@given(plan=plans("A"), zone=zones())
def test_each_shift_leaves_the_zone(plan: model.Plan, zone: model.Restriction, rules: Rules) -> None:
    """A shift out of a zone dissolves the conflict and the opportunity, a day less does not, and it can be made."""
    for ruling in judged_in(plan, zone, rules).rulings:
        for remedy in ruling.evidence.remedies:
            if remedy.kind is not RemedyKind.SHIFT:
                continue
            assert remedy.participant_id == plan.id
            days = remedy.days or 0
            after = judged_in(moved(plan, days), zone, rules)
            almost = judged_in(moved(plan, days - (1 if days > 0 else -1)), zone, rules)
            assert after.rulings == ()
            assert RESTRICTION in {found.rule_id for found in almost.rulings} or plan.work_periods
            assert seen(moved(plan, days), rules).start >= day_number(TODAY)


@MANY
@given(a=plans("A"), b=plans("B"))
def test_a_shift_is_never_impossible(a: model.Plan, b: model.Plan, rules: Rules) -> None:
    """No shift starts before today, moves works in execution, or leaves the plan's own window."""
    for ruling in judged(a, b, rules).rulings:
        for remedy in ruling.evidence.remedies:
            if remedy.kind is RemedyKind.SHIFT:
                plan = a if remedy.participant_id == a.id else b
                after = seen(moved(plan, remedy.days or 0), rules)
                assert plan.phase is not Phase.EXECUTION
                assert after.start >= day_number(TODAY)
                assert after.earliest_start is None or after.start >= after.earliest_start


@MANY
@given(a=plans("A"), b=plans("B"))
def test_a_shift_of_an_opportunity_makes_the_works_adjacent(a: model.Plan, b: model.Plan, rules: Rules) -> None:
    """After the shift no free day is left between the two, and they do not overlap either."""
    for ruling in judged(a, b, rules).rulings:
        if ruling.rule_id == CLASH_WORKS:
            continue
        for remedy in ruling.evidence.remedies:
            if remedy.kind is RemedyKind.SHIFT:
                changed, other = (a, b) if remedy.participant_id == a.id else (b, a)
                after = judged(moved(changed, remedy.days or 0), other, rules)
                gaps = {found.evidence.gap_days for found in after.rulings if found.rule_id != CLASH_WORKS}
                assert gaps <= {0}


@MANY
@given(a=plans("A"), b=plans("B"))
def test_the_order_of_two_plans_does_not_matter(a: model.Plan, b: model.Plan, rules: Rules) -> None:
    """judge(a, b) = judge(b, a)."""
    assert judged(a, b, rules) == judged(b, a, rules)
