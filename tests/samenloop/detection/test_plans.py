"""The table of plans gives back what was put in, and what a finding says of two plans."""

from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pytest

from samenloop import model
from samenloop.detection.findings import Side, shared_visibility
from samenloop.detection.plans import PlanTable
from samenloop.model import Period, Phase, Visibility
from samenloop.rules import Gone, Rules, subject_of
from samenloop.rules.subject import DELETED

PlanMaker = Callable[..., model.Plan]
BASE = {"where": "R(121000 487000,121020 487010)", "start": "2027-03-01", "end": "2027-04-30"}
PUBLIC, PARTNERS, GROUP, RESTRICTED = Visibility.PUBLIC, Visibility.PARTNERS, Visibility.GROUP, Visibility.RESTRICTED
VARIANTS: list[dict[str, Any]] = [
    {},
    {"end": None},
    {"end": None, "duration_days": 12},
    {"end": None, "phase": Phase.EXECUTION},
    {"work_periods": (Period(date(2027, 3, 1), date(2027, 3, 2)), Period(date(2027, 4, 1)))},
    {"earliest_start": date(2027, 1, 1), "latest_end": date(2027, 12, 31)},
    {"relations": (model.Relation("urn:x", model.RelationKind.PART_OF),), "audience": ("x", "y")},
    {"ground_disturbing": None, "traffic_impact": model.TrafficImpact.CLOSED, "visibility": GROUP},
    {"where": "POINT(1 2)", "certainty": model.Certainty.INDICATIVE, "precision": model.Precision.YEAR},
]


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_plan_survives_the_table(variant: dict[str, Any], make_plan: PlanMaker, rules: Rules) -> None:
    """What is packed into figures and unpacked is the same plan to the rules, on any day."""
    subject = subject_of(make_plan("A", **(BASE | variant)), 7, rules, "EPSG:28992")
    assert not isinstance(subject, Gone)
    table = PlanTable()
    slot = table.slot(subject.plan_id)

    table.put(slot, subject)
    back = table.get(slot)

    assert back == subject
    assert not isinstance(back, Gone)
    for day in (0, subject.start, subject.start + 1000):
        assert back.assumed_on(day) == subject.assumed_on(day)
        spans = subject.spans_on(day)
        start, end = table.envelope(np.array([slot]), day)
        assert (start[0], end[0]) == (spans[0][0], spans[-1][1])


def test_the_table_grows_and_keeps_slots(make_plan: PlanMaker, rules: Rules) -> None:
    """A plan keeps its slot for good, through removal and return and the growth of the table."""
    subject = subject_of(make_plan("A", **BASE), 3, rules, "EPSG:28992")
    assert not isinstance(subject, Gone)
    table = PlanTable()
    slot = table.slot(subject.plan_id)
    table.put(slot, subject)

    table.remove(slot)
    others = [table.slot(f"plan {number}") for number in range(5000)]

    assert table.slot(subject.plan_id) == slot
    assert len(set(others)) == 5000
    assert table.get(slot) == DELETED
    assert table.side(slot) == Side(subject.plan_id, 3, subject.owner_oin, PUBLIC, ())
    assert table.matched == 0


@pytest.mark.parametrize(
    ("a", "b", "shared"),
    [
        ((PUBLIC, ()), (PUBLIC, ()), (PUBLIC, ())),
        ((PUBLIC, ()), (PARTNERS, ()), (PARTNERS, ())),
        ((PARTNERS, ()), (GROUP, ("x", "y")), (GROUP, ("x", "y"))),
        ((GROUP, ("y", "x")), (GROUP, ("y", "z")), (GROUP, ("y",))),
        ((GROUP, ("x",)), (GROUP, ("z",)), (GROUP, ())),
        ((GROUP, ("x",)), (RESTRICTED, ("x",)), (RESTRICTED, ())),
    ],
)
def test_a_finding_is_as_visible_as_its_strictest_plan(
    a: tuple[Visibility, tuple[str, ...]],
    b: tuple[Visibility, tuple[str, ...]],
    shared: tuple[Visibility, tuple[str, ...]],
) -> None:
    """The strictest visibility, and only who is in the audience of both."""
    one, other = Side("a", 1, "o", *a), Side("b", 1, "p", *b)

    assert shared_visibility(one, other) == shared
    assert shared_visibility(other, one) == shared
