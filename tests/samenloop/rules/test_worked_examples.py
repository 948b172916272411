"""The worked examples of the rule guide (rules.md 11), as a table."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pytest

from samenloop import model
from samenloop.model import Certainty, ContactKind, Precision, RemedyKind, Severity, TrafficImpact
from samenloop.rules import CLASH_WORKS, NEAR, SAME_TRENCH, Gone, Rules, judge, subject_of

A = {"where": "R(121000 487000,121020 487010)", "start": "2027-03-01", "end": "2027-04-30"}
B = {"where": "R(121015 487004,121035 487014)", "start": "2027-04-12", "end": "2027-05-28"}
BOW_TIE = "POLYGON((121000 487000,121030 487015,121030 487000,121000 487010,121000 487000))"
INTENDED, INDICATIVE = {"certainty": Certainty.INTENDED}, {"certainty": Certainty.INDICATIVE}
BLOCKING, WARNING, INFO = Severity.BLOCKING, Severity.WARNING, Severity.INFO
OVERLAP, TOUCH, APART = ContactKind.OVERLAP, ContactKind.TOUCH, ContactKind.NEAR
EXAMPLE_20 = {
    "sewer": {"where": "R(121000 487000,121100 487004)", "start": "2027-04-01", "end": "2027-06-30"},
    "water": {"where": "R(121020 487005,121120 487007)", "start": "2027-08-02", "end": "2027-09-24"} | INTENDED,
    "cable": {"where": "R(121050 487010,121150 487011)", "start": "2027-11-01", "end": "2027-11-26"},
}


@dataclass(frozen=True)
class Case:
    """One row: what changes to the base, and what is expected. None means: no such finding."""

    name: str
    a: dict[str, Any] = field(default_factory=dict)
    b: dict[str, Any] = field(default_factory=dict)
    today: str = "2027-01-04"
    clash: Severity | None = None
    chance: tuple[str, float] | None = None
    contact: ContactKind | None = None
    overlap_m2: float | None = None
    distance_m: float | None = None
    overlap_days: int | None = None
    gap_days: int | None = None
    lead_days: int | None = None
    shifts: list[int] | None = None
    narrow: float | None = None
    flags: frozenset[str] = frozenset()
    missed: bool = False


D10 = {"traffic_impact": TrafficImpact.CLOSED}
CASES = [
    Case("1 overlap", clash=BLOCKING, chance=(SAME_TRENCH, 0.873), contact=OVERLAP, overlap_m2=30.0, overlap_days=19,
         lead_days=56, shifts=[19, -89]),
    Case("1 overlap, lead 42", today="2027-01-18", clash=BLOCKING, overlap_days=19, lead_days=42),
    Case("2 touching", b={"where": "R(121020 487000,121040 487010)"}, clash=WARNING, chance=(SAME_TRENCH, 0.873),
         contact=TOUCH, overlap_m2=0.0, distance_m=0.0, narrow=5.0),
    Case("3 exactly at 5 m", b={"where": "R(121025 487000,121045 487010)"}, clash=WARNING,
         chance=(SAME_TRENCH, 0.803), contact=APART, distance_m=5.0),
    Case("3 just beyond", b={"where": "R(121025.01 487000,121045 487010)"}, chance=(NEAR, 0.803), distance_m=5.01),
    Case("4 exactly at 10 m, diagonal", b={"where": "R(121026 487018,121046 487028)"} | D10, clash=WARNING,
         chance=(NEAR, 0.733), distance_m=10.0),
    Case("5 sliver", b={"where": "R(121019.95 487000,121040 487010)"}, clash=WARNING, chance=(SAME_TRENCH, 0.873),
         contact=TOUCH, overlap_m2=0.5),
    Case("6 one day", a={"end": "2027-03-10"}, b={"start": "2027-03-10", "end": "2027-03-31"}, clash=BLOCKING,
         chance=(SAME_TRENCH, 0.873), overlap_days=1, shifts=[1, -31]),
    Case("7 adjacent days", a={"end": "2027-03-10"}, b={"start": "2027-03-11", "end": "2027-03-31"},
         chance=(SAME_TRENCH, 0.873), gap_days=0),
    Case("8 gap 180", a={"end": "2027-03-10"}, b={"start": "2027-09-07", "end": "2027-09-30"},
         chance=(SAME_TRENCH, 0.700), gap_days=180),
    Case("8 gap 181", a={"end": "2027-03-10"}, b={"start": "2027-09-08", "end": "2027-09-30"},
         chance=(NEAR, 0.699), gap_days=181),
    Case("8 lead 55", a={"end": "2027-03-10"}, b={"start": "2027-09-08", "end": "2027-09-30"}, today="2027-01-05",
         missed=True),
    Case("9 same owner", b={"owner": "00000099000000000005"}, a={"owner": "00000099000000000005"}),
    Case("10 unknown end", a={"start": "2027-11-01", "end": "2027-12-03"}, b={"end": None}, clash=INFO,
         chance=(SAME_TRENCH, 0.890), overlap_days=33, lead_days=98, shifts=[], flags=frozenset({"assumed_end"})),
    Case("10 beyond the assumed end", a={"start": "2028-05-01", "end": "2028-06-02"}, b={"end": None},
         chance=(SAME_TRENCH, 0.871), gap_days=20, flags=frozenset({"assumed_end"})),
    Case("11 point in polygon", b={"where": "POINT(121010 487005)"}, clash=WARNING, chance=(SAME_TRENCH, 0.873),
         contact=OVERLAP, overlap_m2=0.0),
    Case("12 point near", b={"where": "POINT(121025 487005)"}, clash=WARNING, chance=(SAME_TRENCH, 0.803),
         distance_m=5.0),
    Case("12 point far", b={"where": "POINT(121050 487005)"}),
    Case("13 invalid polygon", a={"where": BOW_TIE}, b={"where": "R(121000 487004,121004 487008)"}, clash=BLOCKING,
         chance=(SAME_TRENCH, 0.873), overlap_m2=16.0, flags=frozenset({"geometry_repaired"})),
    Case("15 intended", b=INTENDED, clash=WARNING, chance=(SAME_TRENCH, 0.828)),
    Case("15 indicative", b=INDICATIVE, clash=INFO, chance=(SAME_TRENCH, 0.783)),
    Case("16 year precision", b={"start": "2027-01-01", "end": "2027-12-31", "precision": Precision.YEAR} | INTENDED,
         today="2026-09-01", clash=INFO, chance=(SAME_TRENCH, 0.855), overlap_days=61, lead_days=122, shifts=[],
         flags=frozenset({"coarse_period"})),
    Case("20 sewer and water", a=EXAMPLE_20["sewer"], b=EXAMPLE_20["water"], chance=(SAME_TRENCH, 0.796),
         distance_m=1.0, gap_days=32),
    Case("20 water and cable", a=EXAMPLE_20["water"], b=EXAMPLE_20["cable"], chance=(SAME_TRENCH, 0.814),
         distance_m=3.0, gap_days=37),
    Case("20 sewer and cable", a=EXAMPLE_20["sewer"], b=EXAMPLE_20["cable"], chance=(NEAR, 0.684), distance_m=6.0,
         gap_days=123),
    Case("21 before the move", a={"start": "2027-04-01", "end": "2027-06-30"},
         b={"start": "2027-06-14", "end": "2027-07-16"}, clash=BLOCKING, chance=(SAME_TRENCH, 0.886), overlap_days=17,
         shifts=[17, -107]),
    Case("21 after the move", a={"start": "2027-04-01", "end": "2027-06-30"},
         b={"start": "2027-07-01", "end": "2027-08-02"}, chance=(SAME_TRENCH, 0.886), gap_days=0),
    Case("22 three days later", a={"start": "2027-04-01", "end": "2027-06-30"},
         b={"start": "2027-06-17", "end": "2027-07-19"}, clash=BLOCKING, chance=(SAME_TRENCH, 0.886), overlap_days=14),
    Case("22 six days later", a={"start": "2027-04-01", "end": "2027-06-30"},
         b={"start": "2027-06-20", "end": "2027-07-22"}, clash=BLOCKING, chance=(SAME_TRENCH, 0.886), overlap_days=11,
         shifts=[11, -113]),
    Case("23 parallel lines", a={"where": "LINESTRING(121000 487000,121150 487000)"},
         b={"where": "LINESTRING(121050 487003,121130 487003)"}, clash=WARNING, chance=(SAME_TRENCH, 0.831),
         distance_m=3.0, narrow=2.0),
    Case("23 crossing lines", a={"where": "LINESTRING(121000 487000,121150 487000)"},
         b={"where": "LINESTRING(121060 486990,121060 487040)"}, clash=WARNING, chance=(SAME_TRENCH, 0.873),
         contact=OVERLAP),
    Case("25 at 25 m", b={"where": "R(121045 487000,121065 487010)", "start": "2027-06-01", "end": "2027-06-30"},
         chance=(NEAR, 0.493), distance_m=25.0, gap_days=31),
    Case("25 beyond", b={"where": "R(121045.1 487000,121065 487010)", "start": "2027-06-01", "end": "2027-06-30"}),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_worked_example(case: Case, make_plan: Callable[..., model.Plan], rules: Rules) -> None:
    """Each worked example gives the severity, score, measures and remedies that the guide states."""
    a = subject_of(make_plan("A", **(A | case.a)), 1, rules, "EPSG:28992")
    b = subject_of(make_plan("B", **(B | case.b)), 1, rules, "EPSG:28992")
    assert not isinstance(a, Gone)
    assert not isinstance(b, Gone)

    judged = judge(a, b, rules, date.fromisoformat(case.today), metric_crs="EPSG:28992")

    found = {ruling.rule_id: ruling for ruling in judged.rulings}
    clash = found.pop(CLASH_WORKS, None)
    assert (clash.severity if clash else None) == case.clash
    assert {(rule_id, ruling.score) for rule_id, ruling in found.items()} == ({case.chance} if case.chance else set())
    assert judged.missed == case.missed
    for ruling in judged.rulings:
        evidence = ruling.evidence
        for name in ("overlap_m2", "distance_m", "overlap_days", "gap_days", "lead_days"):
            expected = getattr(case, name)
            assert expected is None or getattr(evidence, name) == expected, name
        assert case.contact in (None, evidence.contact_kind)
        assert case.flags <= set(evidence.flags)
    if clash is not None:
        days = [remedy.days for remedy in clash.evidence.remedies if remedy.kind is RemedyKind.SHIFT]
        metres = [remedy.metres for remedy in clash.evidence.remedies if remedy.kind is RemedyKind.NARROW]
        assert case.shifts in (None, days)
        assert metres == ([] if case.narrow is None and case.contact is OVERLAP else metres)
        assert case.narrow is None or metres == [case.narrow]


def test_example_9_same_owner_included(
    make_plan: Callable[..., model.Plan], changed_rules: Callable[..., Rules]
) -> None:
    """With include_same_owner two plans of one owner are judged as any other pair."""
    owner = "00000099000000000005"
    including = changed_rules(2, {CLASH_WORKS: {"include_same_owner": True}})
    a = subject_of(make_plan("A", **(A | {"owner": owner})), 1, including, "EPSG:28992")
    b = subject_of(make_plan("B", **(B | {"owner": owner})), 1, including, "EPSG:28992")
    assert not isinstance(a, Gone)
    assert not isinstance(b, Gone)

    judged = judge(a, b, including, date(2027, 1, 4), metric_crs="EPSG:28992")

    assert [ruling.rule_id for ruling in judged.rulings] == [CLASH_WORKS, SAME_TRENCH]


def test_example_4_buffers_would_miss_it(make_plan: Callable[..., model.Plan], rules: Rules) -> None:
    """At exactly the limit on the diagonal two half-limit buffers do not meet: distance decides, never buffers."""
    a = subject_of(make_plan("A", **A), 1, rules, "EPSG:28992")
    b = subject_of(make_plan("B", **(B | {"where": "R(121026 487018,121046 487028)"})), 1, rules, "EPSG:28992")
    assert not isinstance(a, Gone)
    assert not isinstance(b, Gone)

    meet = [a.shape.buffer(5, quad_segs=n).intersects(b.shape.buffer(5, quad_segs=n)) for n in (8, 16, 64)]

    assert meet == [False, False, False]
    assert a.shape.distance(b.shape) == 10
