"""When to tell again: the state now against the state last told, so that small steps add up.

rule: rules.md 7. The thresholds are data: those of the rule configuration, raised by the subscription's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from samenloop.model import Materiality as Own
from samenloop.notify.baseline import Bounds, PlanFigures, Told
from samenloop.rules.configuration import Materiality


def finding_changes(before: Told, now: Told, rule: Materiality, own: Own) -> tuple[str, ...]:
    """Return what changed enough to tell of a finding again, as names of its figures; empty: stay silent.

    A move of a plan that leaves an opportunity's score as it was is not news of that opportunity.
    """
    changes = list(_finding_changes(before, now, rule, own))
    moved = before.score is None or before.score != now.score
    for plan_id, figures in now.plans.items():
        earlier = before.plans.get(plan_id)
        if earlier is None:
            continue
        found = _plan_changes(earlier, figures, rule, own)
        changes += [change for change in found if moved or change not in ("start", "end")]
    return tuple(dict.fromkeys(changes))


def plan_changes(before: Told, now: Told, rule: Materiality, own: Own) -> tuple[str, ...]:
    """Return what changed enough to tell of a plan again; empty: stay silent."""
    found: list[str] = []
    for plan_id, figures in now.plans.items():
        earlier = before.plans.get(plan_id)
        if earlier is not None:
            found += _plan_changes(earlier, figures, rule, own)
    return tuple(dict.fromkeys(found))


def _finding_changes(before: Told, now: Told, rule: Materiality, own: Own) -> Iterator[str]:
    if before.severity != now.severity:
        yield "severity"
    if before.rule_id != now.rule_id:
        yield "rule"
    if _area_changed(before.overlap_m2 or 0.0, now.overlap_m2 or 0.0, rule, own):
        yield "overlap_m2"
    if _days_changed(before.overlap_days, now.overlap_days, rule):
        yield "overlap_days"
    if _days_changed(before.gap_days, now.gap_days, rule):
        yield "gap_days"


def _area_changed(before: float, now: float, rule: Materiality, own: Own) -> bool:
    step = abs(now - before)
    relative = step > rule.overlap_change_pct / 100 * before and step >= rule.overlap_change_m2
    return (relative or step >= rule.overlap_m2) and step >= own.min_area_m2


def _days_changed(before: int | None, now: int | None, rule: Materiality) -> bool:
    if before is None or now is None:
        return before != now
    step = abs(now - before)
    return step > rule.days_change_pct / 100 * before and step >= rule.days_change_days


def _plan_changes(before: PlanFigures, now: PlanFigures, rule: Materiality, own: Own) -> Iterator[str]:
    limit = max(rule.shift_days, own.min_shift_days)
    for name, old, new in (("start", before.start, now.start), ("end", before.end, now.end)):
        if _moved(old, new, limit):
            yield name
    if _new_ground(before, now) >= max(rule.area_growth_m2, own.min_area_m2) or _elsewhere(before.bounds, now.bounds):
        yield "area"
    if now.committed and not before.committed:
        yield "certainty"
    if now.parties != before.parties:
        yield "parties"
    if now.owner.oin != before.owner.oin:
        yield "owner"


def _moved(before: date | None, now: date | None, limit_days: int) -> bool:
    if before is None or now is None:
        return before != now
    return abs((now - before).days) > limit_days


def _new_ground(before: PlanFigures, now: PlanFigures) -> float:
    """How much the plan's area grew, in m²."""
    return (now.area_m2 or 0.0) - (before.area_m2 or 0.0)


def _elsewhere(before: Bounds | None, now: Bounds | None) -> bool:
    """Whether the plan appeared, vanished from the map, or lies in another place altogether."""
    if before is None or now is None:
        return before != now
    return before[0] > now[2] or now[0] > before[2] or before[1] > now[3] or now[1] > before[3]
