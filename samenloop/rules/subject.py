"""What the rules need to know of one plan: distilled once, then compared with many others."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final, NamedTuple, Protocol

import shapely
from shapely.geometry.base import BaseGeometry

from samenloop import geometry
from samenloop.model import (
    Certainty,
    EndKind,
    FindingStatus,
    Geometry,
    Period,
    Phase,
    PlanKind,
    Precision,
    Relation,
    RelationKind,
    TrafficImpact,
    Visibility,
)
from samenloop.rules.configuration import Rules

EPOCH: Final = date(1970, 1, 1).toordinal()
UNKNOWN_OWNERS: Final = frozenset({"", "urn:samenloop:org:unknown"})
"""Owners of whom nothing is known; two of them are never the same."""
UNKNOWN_OWNER_PREFIX: Final = "urn:samenloop:org:unknown-"
"""What a source that does not know an owner gives it: an identity per plan."""
TIES: Final = frozenset({RelationKind.PART_OF, RelationKind.SAME_WORKS})
_GIVEN: Final = frozenset({EndKind.GIVEN, EndKind.UNKNOWN})
AREAL: Final = frozenset({"Polygon", "MultiPolygon"})

Span = tuple[int, int]
"""First and last day, inclusive, as days since 1970-01-01."""


class Gone(NamedTuple):
    """Why a finding does not hold: the status it closes with and a reason code."""

    status: FindingStatus
    reason: str


NOT_MATCHED: Final = Gone(FindingStatus.WITHDRAWN, "NOT_MATCHED")
CANCELLED: Final = Gone(FindingStatus.WITHDRAWN, "PLAN_CANCELLED")
DELETED: Final = Gone(FindingStatus.WITHDRAWN, "PLAN_DELETED")
GEOMETRY_LOST: Final = Gone(FindingStatus.WITHDRAWN, "GEOMETRY_LOST")
PERIOD_LOST: Final = Gone(FindingStatus.WITHDRAWN, "PERIOD_LOST")
OVER: Final = Gone(FindingStatus.EXPIRED, "OVER")


class Times(NamedTuple):
    """When a plan is at work, as far as it is known without knowing today."""

    spans: tuple[Span, ...]
    """Merged and in order; an unknown end is the start + `open_end_days` - 1."""
    known: tuple[Span, ...]
    """The same without what is only assumed: an open span is its first day, or its stated duration."""
    is_open: bool
    """The last end was not given: works in execution go on at least until today."""


class Owned(Protocol):
    """An owner as far as the rules care."""

    @property
    def oin(self) -> str: ...


class Matchable(Protocol):
    """What the rules look at in a plan: `model.Plan`, or a part of it."""

    @property
    def id(self) -> str: ...
    @property
    def owner(self) -> Owned: ...
    @property
    def kind(self) -> PlanKind: ...
    @property
    def phase(self) -> Phase: ...
    @property
    def certainty(self) -> Certainty: ...
    @property
    def visibility(self) -> Visibility: ...
    @property
    def audience(self) -> tuple[str, ...]: ...
    @property
    def period(self) -> Period: ...
    @property
    def work_periods(self) -> tuple[Period, ...]: ...
    @property
    def geometry(self) -> Geometry | None: ...
    @property
    def work_kinds(self) -> tuple[str, ...]: ...
    @property
    def ground_disturbing(self) -> bool | None: ...
    @property
    def traffic_impact(self) -> TrafficImpact: ...
    @property
    def relations(self) -> tuple[Relation, ...]: ...


class Subject(NamedTuple):
    """One matchable plan as the rules see it, or a zone (`rules.zones`).

    Lengths and areas in metres of the metric CRS, geometry repaired.
    """

    plan_id: str
    revision: int
    owner_oin: str
    shape: BaseGeometry
    extent_known: bool
    repaired: bool
    accuracy_m: float
    times: Times
    precision: Precision
    in_execution: bool
    certainty: Certainty
    earliest_start: int | None
    latest_end: int | None
    judged_by: frozenset[str]
    work_kinds: frozenset[str]
    """Codes; only rules about zones look at them."""
    groundworks: bool
    ground_assumed: bool
    hinders_traffic: bool
    ties: tuple[str, ...]
    visibility: Visibility
    audience: tuple[str, ...]

    @property
    def start(self) -> int:
        """First day of the works."""
        return self.times.spans[0][0]

    @property
    def days(self) -> int:
        """Days of work, pauses between them left out."""
        return sum(end - start + 1 for start, end in self.times.spans)

    def spans_on(self, today: int) -> tuple[Span, ...]:
        """Return the spans as matched on *today*: open works in execution last at least until then."""
        return _until(self.times.spans, today) if self.times.is_open and self.in_execution else self.times.spans

    def known_on(self, today: int) -> tuple[Span, ...]:
        """Return the spans that rest on no assumption about an end."""
        return _until(self.times.known, today) if self.times.is_open and self.in_execution else self.times.known

    def assumed_on(self, today: int) -> bool:
        """Tell whether an end is assumed."""
        return self.times.is_open and (
            self.times.known is not self.times.spans or self.spans_on(today) != self.times.spans
        )


def day_number(day: date) -> int:
    """Return days since 1970-01-01."""
    return day.toordinal() - EPOCH


def day_of(number: int) -> date:
    """Return the date of `day_number`."""
    return date.fromordinal(number + EPOCH)


def subject_of(plan: Matchable, revision: int, rules: Rules, metric_crs: str) -> Subject | Gone:
    """Distil *plan*, or say why it is not matched. rule: rules.md 1, *matchable*, and 6.

    Raises Reject for a geometry that cannot be read or has no place in *metric_crs*.
    """
    shape, repaired = None, False
    if plan.geometry is not None:
        shape, repaired = geometry.repair(geometry.to_metric(plan.geometry, metric_crs))
    return subject_with(plan, revision, rules, shape, repaired)


def subject_with(
    plan: Matchable, revision: int, rules: Rules, shape: BaseGeometry | None, repaired: bool
) -> Subject | Gone:
    """As `subject_of`, with the geometry already in metres and repaired."""
    if plan.phase is Phase.CANCELLED:
        return CANCELLED
    if plan.phase is Phase.COMPLETED:
        return OVER
    (judged_by, work_kinds), breaks_ground = rules.judging(plan.kind, plan.work_kinds)
    if not judged_by:
        return NOT_MATCHED
    if shape is None:
        return GEOMETRY_LOST
    times = times_of(plan.period, plan.work_periods, rules.open_end_days)
    if times is None:
        return PERIOD_LOST
    groundworks = plan.ground_disturbing
    if groundworks is None:
        groundworks = breaks_ground
    window = plan.period
    return Subject(
        plan_id=plan.id,
        revision=revision,
        owner_oin=plan.owner.oin,
        shape=shape,
        extent_known=shape.geom_type in AREAL,
        repaired=repaired,
        accuracy_m=(plan.geometry.accuracy_m or 0.0) if plan.geometry else 0.0,
        times=times,
        precision=_coarsest(plan, rules),
        in_execution=plan.phase is Phase.EXECUTION,
        certainty=plan.certainty,
        earliest_start=day_number(window.earliest_start) if window.earliest_start else None,
        latest_end=day_number(window.latest_end) if window.latest_end else None,
        judged_by=judged_by,
        work_kinds=work_kinds,
        groundworks=groundworks,
        ground_assumed=plan.ground_disturbing is None,
        hinders_traffic=plan.traffic_impact in rules.hindering_traffic,
        ties=tuple(relation.plan_id for relation in plan.relations if relation.kind in TIES),
        visibility=plan.visibility,
        audience=plan.audience,
    )


def times_of(period: Period, work_periods: Sequence[Period], open_end_days: int) -> Times | None:
    """Return when a plan is at work, None without a start or with an end before its start. rule: rules.md 6.

    Work periods, where given, take the place of the whole period; those without a start or ending before it are left
    out.
    """
    if not work_periods and period.start is not None and period.end is not None and period.end_kind in _GIVEN:
        only = ((day_number(period.start), day_number(period.end)),)
        return Times(only, only, False) if only[0][0] <= only[0][1] else None
    stated = [_span(part) for part in work_periods] or [_span(period)]
    if not any(stated):
        stated = [_span(period)]
    parts = [part for part in stated if part is not None]
    if not parts:
        return None
    spans: list[Span] = []
    known: list[Span] = []
    is_open = assumed = False
    for start, last, given in parts:
        is_open = is_open or not given
        assumed = assumed or last is None
        known.append((start, start if last is None else last))
        spans.append((start, start + open_end_days - 1 if last is None else last))
    merged = _merge(spans)
    return Times(merged, _merge(known) if assumed else merged, is_open)


def _span(period: Period) -> tuple[int, int | None, bool] | None:
    """First day, last day when it is stated in any way, and whether it was stated as a date."""
    if period.start is None:
        return None
    start = day_number(period.start)
    if period.end is not None and period.end_kind in _GIVEN:
        end = day_number(period.end)
        return (start, end, True) if end >= start else None
    if period.duration_days:
        return start, start + period.duration_days - 1, False
    return start, None, False


def _merge(spans: list[Span]) -> tuple[Span, ...]:
    if len(spans) == 1:
        return (spans[0],)
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)


def _until(spans: tuple[Span, ...], today: int) -> tuple[Span, ...]:
    start, end = spans[-1]
    return (*spans[:-1], (start, today)) if start <= today and end < today else spans


def _coarsest(plan: Matchable, rules: Rules) -> Precision:
    coarse = rules.coarse_precisions
    if not plan.work_periods or plan.period.precision in coarse:
        return plan.period.precision
    return next((part.precision for part in plan.work_periods if part.precision in coarse), plan.period.precision)


def size_of(subject: Subject) -> tuple[float, float]:
    """Return area in m2 and length of the lines in m."""
    shape = subject.shape
    return (float(shape.area), 0.0) if shapely.get_dimensions(shape) == 2 else (0.0, float(shape.length))
