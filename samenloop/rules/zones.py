"""Zones: restrictions as the rules see them, and what a plan and a zone are to each other. rule: rules.md 2 and 5.

A zone is only ever judged with a plan, never with another zone, and takes part in no rule about two plans.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Final, NamedTuple

from shapely.geometry.base import BaseGeometry

from samenloop import geometry
from samenloop.model import (
    Certainty,
    ContactKind,
    EndKind,
    Evidence,
    FindingStatus,
    Force,
    Period,
    Remedy,
    RemedyKind,
    Restriction,
    RestrictionKind,
    RestrictionStatus,
    Severity,
)
from samenloop.rules.configuration import BEFORE_RESTRICTION, RESTRICTION, Rules
from samenloop.rules.evidence import evidence_of, zone_of
from samenloop.rules.judge import FROZEN, LINKED, NO_OVERLAP, NOT_NEAR, SAME_OWNER, Judged, Ruling, same_owner, score_of
from samenloop.rules.measures import Place, clearing_moves, measure_place, measure_time
from samenloop.rules.pair import Pair
from samenloop.rules.remedies import can_shift, shift
from samenloop.rules.subject import (
    AREAL,
    GEOMETRY_LOST,
    NOT_MATCHED,
    OVER,
    PERIOD_LOST,
    Gone,
    Subject,
    day_number,
    times_of,
)
from samenloop.rules.work_kinds import work_kind_code

RESTRICTION_CANCELLED: Final = Gone(FindingStatus.WITHDRAWN, "RESTRICTION_CANCELLED")
RESTRICTION_ENDED: Final = Gone(FindingStatus.EXPIRED, "RESTRICTION_ENDED")
RESTRICTION_DELETED: Final = Gone(FindingStatus.WITHDRAWN, "RESTRICTION_DELETED")
_UNMATCHED: Final = {
    RestrictionStatus.UNKNOWN: NOT_MATCHED,
    RestrictionStatus.ENDED: RESTRICTION_ENDED,
    RestrictionStatus.CANCELLED: RESTRICTION_CANCELLED,
}
_POINTS: Final = frozenset({"Point", "MultiPoint"})


class Zone(NamedTuple):
    """One matchable restriction. *subject* is its place and time; a plan it ties to is not restricted by it."""

    subject: Subject
    kind: RestrictionKind
    in_force: bool
    advisory: bool
    years_assumed: bool
    """Its end is its start and the years that a moratorium lasts."""
    work_kinds: frozenset[str]
    """Codes of what it is about; empty: all kinds of work."""
    exempt_work_kinds: frozenset[str]


def zone_subject(restriction: Restriction, revision: int, rules: Rules, metric_crs: str) -> Zone | Gone:
    """Distil *restriction*, or say why it is not matched: only PROPOSED and IN_FORCE are.

    Raises Reject for a geometry that cannot be read or has no place in *metric_crs*.
    """
    shape, repaired = geometry.repair(geometry.to_metric(restriction.geometry, metric_crs))
    return zone_with(restriction, revision, rules, shape, repaired)


def zone_with(
    restriction: Restriction, revision: int, rules: Rules, shape: BaseGeometry | None, repaired: bool
) -> Zone | Gone:
    """As `zone_subject`, with the geometry already in metres and repaired."""
    if (gone := _UNMATCHED.get(restriction.status)) is not None:
        return gone
    judged_by = frozenset(
        rule_id
        for rule_id, rule in (
            (RESTRICTION, rules.rules.restriction),
            (BEFORE_RESTRICTION, rules.rules.before_restriction),
        )
        if rule.enabled and restriction.kind in rule.restriction_kinds
    )
    if not judged_by:
        return NOT_MATCHED
    if shape is None:
        return GEOMETRY_LOST
    period, years_assumed = _with_end(restriction, rules.rules.restriction.default_years)
    times = times_of(period, (), rules.open_end_days)
    if times is None:
        return PERIOD_LOST
    in_force = restriction.status is RestrictionStatus.IN_FORCE
    subject = Subject(
        plan_id=restriction.id,
        revision=revision,
        owner_oin=restriction.owner.oin,
        shape=shape,
        extent_known=shape.geom_type in AREAL,
        repaired=repaired,
        accuracy_m=restriction.geometry.accuracy_m or 0.0,
        times=times,
        precision=period.precision,
        in_execution=False,
        certainty=Certainty.FIXED if in_force else Certainty.INTENDED,
        earliest_start=None,
        latest_end=None,
        judged_by=judged_by,
        work_kinds=frozenset(),
        groundworks=False,
        ground_assumed=False,
        hinders_traffic=False,
        ties=(restriction.for_plan_id,) if restriction.for_plan_id else (),
        visibility=restriction.visibility,
        audience=restriction.audience,
    )
    return Zone(
        subject,
        restriction.kind,
        in_force,
        restriction.force is Force.ADVISORY,
        years_assumed,
        frozenset(map(work_kind_code, restriction.work_kinds)),
        frozenset(map(work_kind_code, restriction.exempt_work_kinds)),
    )


def judge_zone(
    plan: Subject, zone: Zone, rules: Rules, today: date, *, metric_crs: str, place: Place | None = None
) -> Judged:
    """Judge a plan and a zone on *today*. *place* and *metric_crs* as in `judge`."""
    pair = _pair_up(plan, zone, rules, today, place)
    gone = _apart(pair, plan, zone)
    if gone is not None:
        return Judged(gone={RESTRICTION: gone, BEFORE_RESTRICTION: gone})
    later, earlier = clearing_moves(zone.subject.spans_on(pair.today), plan.spans_on(pair.today))
    guess = _rests_on_guess(pair, plan)
    moves = () if guess else _moves(pair, plan, zone, later=later, earlier=earlier)
    rulings: list[Ruling] = []
    why: dict[str, Gone] = {}
    where = zone_of(pair, metric_crs)
    if RESTRICTION in zone.subject.judged_by:
        remedies = (*sorted(moves, key=_days), *_questions(pair, plan, zone))
        evidence = _evidence(pair, plan, zone, metric_crs, RESTRICTION, remedies=remedies)
        rulings.append(
            Ruling(RESTRICTION, _severity(plan, zone, rules, guess=guess), 0.0, replace(evidence, zone=where))
        )
    else:
        why[RESTRICTION] = NOT_MATCHED
    chance = _chance(pair, zone, rules, moves)
    if isinstance(chance, Gone):
        why[BEFORE_RESTRICTION] = chance
    else:
        score, parts = score_of(pair)
        evidence = _evidence(pair, plan, zone, metric_crs, BEFORE_RESTRICTION, remedies=(chance,))
        rulings.append(
            Ruling(BEFORE_RESTRICTION, Severity.UNKNOWN, score, replace(evidence, zone=where, score_parts=parts))
        )
    return Judged(tuple(rulings), why)


def absence_in_zone(
    plan: Subject, zone: Zone, rules: Rules, today: date, rule_id: str, *, metric_crs: str, place: Place
) -> Evidence:
    """Return the measures of a pair for which *rule_id* no longer holds: where they meet and remedies left out."""
    return _evidence(_pair_up(plan, zone, rules, today, place), plan, zone, metric_crs, rule_id, remedies=())


def _with_end(restriction: Restriction, years: int) -> tuple[Period, bool]:
    """The period; a moratorium without an end lasts the years of its authority."""
    period = restriction.period
    is_open = period.end is None or period.end_kind not in (EndKind.GIVEN, EndKind.UNKNOWN)
    if restriction.kind is not RestrictionKind.MORATORIUM or period.start is None or not is_open:
        return period, False
    if period.duration_days:
        return period, False
    return replace(period, end=_years_after(period.start, years) - timedelta(days=1), end_kind=EndKind.GIVEN), True


def _years_after(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:  # 29 February, or beyond the calendar
        return date(min(day.year + years, date.max.year), day.month, min(day.day, 28))


def _pair_up(plan: Subject, zone: Zone, rules: Rules, today: date, place: Place | None) -> Pair:
    other = zone.subject
    a, b = (plan, other) if plan.plan_id < other.plan_id else (other, plan)
    place = place or measure_place(a.shape, b.shape)
    number = day_number(today)
    contact = _contact(place, plan, rules)
    return Pair(a, b, rules, number, place, measure_time(a, b, number), contact, plan.certainty)


def _contact(place: Place, plan: Subject, rules: Rules) -> ContactKind:
    """An area or line that shares less with the zone than the rule asks only touches it."""
    rule = rules.rules.restriction
    line = place.shared_length_m is not None and plan.shape.geom_type not in _POINTS
    if place.distance_m == 0 and line:
        inside = (place.shared_length_m or 0.0) >= rule.min_overlap_m
        return ContactKind.OVERLAP if inside else ContactKind.TOUCH
    return place.contact(rule.min_overlap_m2)


def _apart(pair: Pair, plan: Subject, zone: Zone) -> Gone | None:
    """Say why neither rule holds for a plan and a zone, None when both may."""
    rule, time = pair.rules.rules.restriction, pair.time
    if plan.plan_id in zone.subject.ties:
        return LINKED
    if same_owner(plan.owner_oin, zone.subject.owner_oin) and not rule.include_same_owner:
        return SAME_OWNER
    if RESTRICTION not in plan.judged_by or not plan.groundworks or not _is_about(zone, plan.work_kinds):
        return NOT_MATCHED
    if pair.contact is not ContactKind.OVERLAP:
        return NOT_NEAR
    if time.last_common is not None and time.last_common < pair.today:
        return OVER
    return NO_OVERLAP if time.overlap_days < rule.min_overlap_days else None


def _is_about(zone: Zone, work_kinds: frozenset[str]) -> bool:
    """A plan of unknown kinds is restricted; one of which a single kind is exempt is not."""
    if work_kinds & zone.exempt_work_kinds:
        return False
    return not zone.work_kinds or not work_kinds or bool(work_kinds & zone.work_kinds)


def _rests_on_guess(pair: Pair, plan: Subject) -> bool:
    """Whether the overlap exists only through an assumed end, or coarse dates may lie outside the zone's period."""
    if pair.time.known_overlap_days < pair.rules.rules.restriction.min_overlap_days:
        return True
    return pair.is_coarse and pair.time.overlap_days < plan.days


def _severity(plan: Subject, zone: Zone, rules: Rules, *, guess: bool) -> Severity:
    if guess:
        return Severity.INFO
    blocking = zone.in_force and not zone.advisory and plan.certainty in rules.committed
    return Severity.BLOCKING if blocking else Severity.WARNING


def _moves(pair: Pair, plan: Subject, zone: Zone, *, later: int, earlier: int) -> tuple[Remedy, ...]:
    """The plan past the zone's end, or before its start; only the plan can move."""
    days = []
    if not zone.subject.assumed_on(pair.today):
        days.append(later)
    if not plan.assumed_on(pair.today):
        days.append(-earlier)
    return tuple(shift(plan, by) for by in days if can_shift(plan, by, pair.today))


def _days(remedy: Remedy) -> int:
    return abs(remedy.days or 0)


def _questions(pair: Pair, plan: Subject, zone: Zone) -> list[Remedy]:
    coarse = pair.rules.coarse_precisions
    unsure = [side for side in (plan, zone.subject) if side.assumed_on(pair.today) or side.precision in coarse]
    return [Remedy(RemedyKind.CONFIRM, side.plan_id) for side in unsure]


def _chance(pair: Pair, zone: Zone, rules: Rules, moves: tuple[Remedy, ...]) -> Remedy | Gone:
    """The move that lets the works be done before a proposed zone begins, or why there is none."""
    if zone.in_force or BEFORE_RESTRICTION not in zone.subject.judged_by:
        return NOT_MATCHED
    if pair.time.lead_days < rules.rules.before_restriction.freeze_days:
        return FROZEN
    return next((move for move in moves if (move.days or 0) < 0), FROZEN)


def _evidence(
    pair: Pair, plan: Subject, zone: Zone, metric_crs: str, rule_id: str, *, remedies: tuple[Remedy, ...]
) -> Evidence:
    notice = zone.subject.start - pair.today
    found = {
        "ground_assumed": plan.ground_assumed,
        "default_years": zone.years_assumed,
        "short_notice": not zone.in_force and 0 <= notice < pair.rules.rules.restriction.notice_days,
    }
    flags = tuple(name for name, holds in found.items() if holds)
    return evidence_of(pair, metric_crs, rule_id, limit_m=0.0, flags=flags, remedies=remedies)
