"""What would dissolve a conflict, or bring two works together: smallest first, and nothing that cannot be done."""

from __future__ import annotations

from typing import NamedTuple

from samenloop.model import ContactKind, Remedy, RemedyKind
from samenloop.rules.configuration import Rules
from samenloop.rules.measures import Timing
from samenloop.rules.subject import Subject


class Situation(NamedTuple):
    """A measured pair on one day; *a* has the smaller id."""

    a: Subject
    b: Subject
    time: Timing
    contact: ContactKind
    distance_m: float
    today: int
    rules: Rules

    @property
    def second(self) -> Subject:
        """The plan that starts second."""
        return self.b if self.time.second_is_b else self.a

    @property
    def first(self) -> Subject:
        """The plan that starts first."""
        return self.a if self.time.second_is_b else self.b


def remedies_of_clash(pair: Situation, limit_m: float, *, guess: bool, combine: bool) -> tuple[Remedy, ...]:
    """Return what would dissolve a conflict. rule: rules.md 4.

    *limit_m* is the distance within which the two are in each other's way. Where the overlap itself is a *guess*
    (coarse dates, an assumed end), no shift is proposed: asking comes first. *combine*: an opportunity exists.
    """
    found: list[Remedy] = []
    first, second = pair.first, pair.second
    if not guess:
        shifts = []
        if not first.assumed_on(pair.today):
            shifts.append(pair.time.later_days)
        if not second.assumed_on(pair.today):
            shifts.append(-pair.time.earlier_days)
        found += [shift(second, days) for days in sorted(shifts, key=abs) if can_shift(second, days, pair.today)]
    if pair.contact is not ContactKind.OVERLAP:
        mover = first if second.in_execution and not first.in_execution else second
        found.append(Remedy(RemedyKind.NARROW, mover.plan_id, metres=round(limit_m - pair.distance_m, 3)))
    found += confirmations(pair)
    if combine:
        found.append(Remedy(RemedyKind.COMBINE, second.plan_id))
    return tuple(found)


def remedies_of_chance(pair: Situation) -> tuple[Remedy, ...]:
    """Return what would bring two works together: the shift that makes them adjacent, what to ask, and combining."""
    found: list[Remedy] = []
    gap = pair.time.gap_days
    if gap and not (_uncertain(pair.a, pair) or _uncertain(pair.b, pair)):
        moves = [(pair.second, -gap), (pair.first, gap)]
        found += [shift(plan, days) for plan, days in moves if can_shift(plan, days, pair.today)][:1]
    found += confirmations(pair)
    found.append(Remedy(RemedyKind.COMBINE, pair.second.plan_id))
    return tuple(found)


def confirmations(pair: Situation) -> list[Remedy]:
    """Return a request for each plan whose end is assumed or whose dates are coarse."""
    return [Remedy(RemedyKind.CONFIRM, plan.plan_id) for plan in (pair.a, pair.b) if _uncertain(plan, pair)]


def shift(plan: Subject, days: int) -> Remedy:
    """Return the move of a plan by *days*, later is positive."""
    return Remedy(RemedyKind.SHIFT, plan.plan_id, days=days)


def can_shift(plan: Subject, days: int, today: int) -> bool:
    """Tell whether a plan may move: not in execution, not into the past, not outside its own window."""
    start, end = plan.start + days, plan.times.spans[-1][1] + days
    if plan.in_execution or start < today:
        return False
    if plan.earliest_start is not None and start < plan.earliest_start:
        return False
    return plan.latest_end is None or end <= plan.latest_end


def _uncertain(plan: Subject, pair: Situation) -> bool:
    return plan.assumed_on(pair.today) or plan.precision in pair.rules.coarse_precisions
