"""What detection holds equals the batch oracle, however the rows arrive."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from samenloop import geometry, model
from samenloop.detection import Detector, FindingEvent, Row, tick
from samenloop.model import Certainty, Finding, Phase, PlanKind, Precision, RelationKind, TrafficImpact, Visibility
from samenloop.oracle import Expected, batch_findings, differences
from samenloop.rules import Rules

SYSTEM = "urn:nld:oin:00000099000000000009:systeem:register"
OWNER = "0000009900000000000"
START = datetime(2026, 1, 1, tzinfo=UTC)
FIRST_DAY = date(2026, 1, 1)
CROWDED = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

shapes = st.one_of(
    st.builds(
        lambda x, y, w, h: shapely.box(x, y, x + w, y + h),
        st.integers(0, 40), st.integers(0, 40), st.integers(4, 25), st.integers(4, 25),
    ),
    st.builds(shapely.Point, st.integers(0, 60), st.integers(0, 60)),
    st.builds(
        lambda x, y, dx, dy: shapely.LineString([(x, y), (x + dx, y + dy)]),
        st.integers(0, 60), st.integers(0, 60), st.integers(-30, 30), st.integers(1, 30),
    ),
    st.just(shapely.from_wkt("POLYGON((0 0,30 15,30 0,0 10,0 0))")),
)  # fmt: skip
days = st.integers(40, 240).map(lambda n: FIRST_DAY + timedelta(days=n))
sound = st.builds(
    lambda start, length: model.Period(start, start + timedelta(days=length), Precision.DAY), days, st.integers(0, 150)
)
odd_periods = st.one_of(
    st.just(model.Period()),
    st.builds(lambda start: model.Period(start, None, Precision.DAY), days),
    st.builds(lambda start: model.Period(start, start - timedelta(days=1), Precision.DAY), days),
    st.builds(lambda start, n: model.Period(start, None, Precision.DAY, duration_days=n), days, st.integers(1, 90)),
    sound.map(lambda period: replace(period, precision=Precision.YEAR)),
)
oddities: dict[str, st.SearchStrategy[Any]] = {
    "kind": st.sampled_from([PlanKind.EVENT, PlanKind.OBSERVATION, PlanKind.UNKNOWN]),
    "phase": st.sampled_from([Phase.EXECUTION, Phase.COMPLETED, Phase.CANCELLED]),
    "certainty": st.sampled_from(Certainty),
    "visibility": st.sampled_from(Visibility),
    "ground_disturbing": st.sampled_from([None, False]),
    "traffic_impact": st.just(TrafficImpact.CLOSED),
    "work_kinds": st.sampled_from([("urn:samenloop:work-kind:sewer",), ("urn:samenloop:work-kind:emergency",)]),
    "work_periods": st.lists(sound | odd_periods, min_size=1, max_size=3).map(tuple),
    "relations": st.just((model.Relation(f"{SYSTEM}:plan:a", RelationKind.SAME_WORKS),)),
    "period": odd_periods,
    "geometry": st.none(),
}
"""What may be unusual about a plan, besides its place and time."""


@st.composite
def plans(draw: st.DrawFn) -> model.Plan:
    """A plan among a few, in a small area and a short time, so that most meet; at most two things are unusual."""
    name = draw(st.sampled_from("abcdefgh"))
    fields: dict[str, Any] = {
        "kind": PlanKind.WORKS,
        "phase": Phase.PREPARATION,
        "certainty": Certainty.FIXED,
        "visibility": Visibility.GROUP,
        "audience": draw(st.sampled_from([("x",), ("x", "y"), ("y",)])),
        "ground_disturbing": True,
        "period": draw(sound),
        "geometry": geometry.to_model(draw(shapes), "EPSG:28992", draw(st.sampled_from([None, 0.1, 3.0]))),
    }
    for field in draw(st.lists(st.sampled_from(sorted(oddities)), max_size=2)):
        fields[field] = draw(oddities[field])
    return model.Plan(
        id=f"{SYSTEM}:plan:{name}",
        system=SYSTEM,
        local_id=name,
        owner=model.Organisation(draw(st.sampled_from([OWNER + "1", OWNER + "2", OWNER + "3", ""]))),
        title=name,
        **fields,
    )


@st.composite
def zones(draw: st.DrawFn) -> model.Restriction:
    """A restriction among a few in the same small area, most of them judged."""
    name = draw(st.sampled_from("xyz"))
    status = draw(st.sampled_from([*model.RestrictionStatus, model.RestrictionStatus.IN_FORCE]))
    return model.Restriction(
        id=f"{SYSTEM}:restriction:{name}",
        system=SYSTEM,
        local_id=name,
        owner=model.Organisation(draw(st.sampled_from([OWNER + "1", OWNER + "9"]))),
        title=name,
        geometry=geometry.to_model(draw(shapes), "EPSG:28992"),
        kind=draw(st.sampled_from(model.RestrictionKind)),
        status=status,
        force=draw(st.sampled_from(model.Force)),
        period=draw(sound | odd_periods),
        exempt_work_kinds=draw(st.sampled_from([(), ("urn:samenloop:work-kind:sewer",)])),
        for_plan_id=draw(st.sampled_from([None, f"{SYSTEM}:plan:a"])),
        visibility=draw(st.sampled_from(Visibility)),
    )


Step = model.Plan | model.Restriction | str | int

steps = st.lists(
    st.one_of(
        plans(),
        plans(),
        plans(),
        plans(),
        zones(),
        st.sampled_from("abcdefgh").map(lambda name: f"{SYSTEM}:plan:{name}"),
        st.sampled_from("xyz").map(lambda name: f"{SYSTEM}:restriction:{name}"),
        st.integers(1, 60),
    ),
    min_size=6,
    max_size=40,
)


def rows_of(history: list[Step], first_tick_at: int) -> list[Row]:
    """Turn plans, removals and days passing into rows in log order; the first day comes at *first_tick_at*."""
    rows: list[Row] = []
    day = FIRST_DAY
    for number, step in enumerate(history):
        at = START + timedelta(seconds=number)
        if number == first_tick_at:
            rows.append(tick(day, at=at, cause_id=f"day-{day}"))
        if isinstance(step, int):
            day += timedelta(days=step)
            if number >= first_tick_at:
                rows.append(tick(day, at=at, cause_id=f"day-{day}"))
        elif isinstance(step, str):
            rows.append(Row(step, 0, at, f"e{number}", f"e{number}"))
        else:
            rows.append(Row(step.id, number + 1, at, f"e{number}", f"e{number}", plan=step))
    rows.append(tick(day + timedelta(days=1), at=START + timedelta(hours=1), cause_id="last"))
    return rows


class Reader:
    """Someone who reads findings and checks what each record promises."""

    def __init__(self) -> None:
        self.findings: dict[str, Finding] = {}

    def read(self, events: list[FindingEvent]) -> None:
        """Take events in order: revisions only rise, and a transition fits what was there."""
        for event in events:
            before = self.findings.get(event.finding_id)
            was_open = before is not None and before.status is model.FindingStatus.OPEN
            if event.finding is None:
                assert event.transition == "removed"
                assert not was_open
                del self.findings[event.finding_id]
                continue
            assert event.finding.revision == (before.revision if before else 0) + 1
            assert was_open == (event.transition in ("changed", "closed"))
            assert (event.transition == "closed") == (event.finding.closed_at is not None)
            assert event.causes
            self.findings[event.finding_id] = event.finding


def run(detector: Detector, reader: Reader, rows: list[Row], sizes: list[int]) -> None:
    """Feed rows in batches of the given sizes, catching up in small portions in between."""
    turn = 0
    while rows:
        size = sizes[turn % len(sizes)]
        turn += 1
        reader.read(detector.apply(rows[:size]))
        rows = rows[size:]
        reader.read(detector.catch_up(3))
    while detector.behind:
        reader.read(detector.catch_up(2))


def oracle(rows: list[Row], rules: Rules, today: date) -> dict[str, Expected]:
    """Return what the batch oracle finds among the last versions of plans and restrictions."""
    latest = {row.plan_id: row for row in rows if row.day is None}
    held = {key: row.plan for key, row in latest.items() if row.plan is not None}
    return batch_findings(
        {key: plan for key, plan in held.items() if isinstance(plan, model.Plan)},
        rules,
        today,
        revisions={key: row.revision for key, row in latest.items()},
        restrictions=[zone for zone in held.values() if isinstance(zone, model.Restriction)],
    )


@CROWDED
@given(history=steps, sizes=st.lists(st.integers(1, 12), min_size=1, max_size=4), first_tick_at=st.integers(0, 10))
def test_any_batches_equal_the_oracle(history: list[Step], sizes: list[int], first_tick_at: int, rules: Rules) -> None:
    """Updates, removals and days in batches of any size leave exactly the findings of the batch oracle."""
    rows = rows_of(history, first_tick_at)
    detector, reader = Detector(rules, "EPSG:28992"), Reader()

    run(detector, reader, rows, sizes)

    assert detector.today is not None
    expected = oracle(rows, rules, detector.today)
    assert differences(reader.findings.values(), expected) == []
    assert sum(detector.open.values()) == len(expected)


@CROWDED
@given(history=steps, cut=st.integers(0, 40), lost=st.integers(0, 5), changed=st.booleans())
def test_a_restart_ends_at_the_oracle(
    history: list[Step],
    cut: int,
    lost: int,
    changed: bool,
    *,
    rules: Rules,
    changed_rules: Callable[..., Rules],
) -> None:
    """A restart from rows and own findings, some rows compacted, some findings lost or judged by other rules, heals."""
    rows = rows_of(history, 0)
    reader = Reader()
    run(Detector(rules, "EPSG:28992"), reader, rows[:cut], [5])
    for key in sorted(reader.findings)[:lost]:
        del reader.findings[key]
    now_in_force = changed_rules(2, {"CLASH.WORKS": {"distance_m": 2.0}}) if changed else rules
    latest = {row.plan_id: row for row in rows[:cut]}

    second = Detector(now_in_force, "EPSG:28992")
    second.load([row for row in rows[:cut] if latest[row.plan_id] is row and (row.plan or row.day)])
    for finding in reader.findings.values():
        second.adopt(finding)
    reader.read(second.reconcile())
    run(second, reader, rows[cut:], [7])

    assert second.today is not None
    expected = oracle(rows, now_in_force, second.today)
    assert differences(reader.findings.values(), expected) == []


@CROWDED
@given(history=steps)
def test_a_second_restart_says_nothing(history: list[Step], rules: Rules) -> None:
    """Whoever starts again over the same rows and findings finds nothing to say."""
    rows = rows_of(history, 0)
    reader = Reader()
    run(Detector(rules, "EPSG:28992"), reader, rows, [6])

    again = Detector(rules, "EPSG:28992")
    again.load(rows)
    for finding in reader.findings.values():
        again.adopt(finding)
    events = again.reconcile()

    assert events == []
    assert not again.behind
