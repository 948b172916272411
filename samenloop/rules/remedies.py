"""What would dissolve a conflict, or bring two works together: smallest first, and nothing that cannot be done."""

from __future__ import annotations

from samenloop.model import ContactKind, Remedy, RemedyKind
from samenloop.rules.measures import adjacent_move
from samenloop.rules.pair import Pair
from samenloop.rules.subject import Subject


def remedies_of_clash(pair: Pair, *, combine: bool) -> tuple[Remedy, ...]:
    """Return what would dissolve a conflict; *combine*: an opportunity exists as well. rule: rules.md 4.

    Where the overlap itself rests on a guess (coarse dates, an assumed end) no shift is proposed: asking comes first.
    """
    found: list[Remedy] = []
    first, second = pair.first, pair.second
    if not pair.rests_on_guess:
        shifts = []
        if not first.assumed_on(pair.today):
            shifts.append(pair.time.later_days)
        if not second.assumed_on(pair.today):
            shifts.append(-pair.time.earlier_days)
        found += [shift(second, days) for days in sorted(shifts, key=abs) if can_shift(second, days, pair.today)]
    if pair.contact is not ContactKind.OVERLAP:
        mover = first if second.in_execution and not first.in_execution else second
        found.append(
            Remedy(RemedyKind.NARROW, mover.plan_id, metres=round(pair.clash_limit_m - pair.place.distance_m, 3))
        )
    found += confirmations(pair)
    if combine:
        found.append(Remedy(RemedyKind.COMBINE, second.plan_id))
    return tuple(found)


def remedies_of_chance(pair: Pair) -> tuple[Remedy, ...]:
    """Return what would bring two works together: the shift that makes them adjacent, what to ask, and combining."""
    found: list[Remedy] = []
    gap = pair.time.gap_days
    if gap and not (_uncertain(pair.a, pair) or _uncertain(pair.b, pair)):
        move = adjacent_move(pair.first.spans_on(pair.today), pair.second.spans_on(pair.today))
        moves = [(pair.second, move), (pair.first, -move)]
        found += [shift(plan, days) for plan, days in moves if can_shift(plan, days, pair.today)][:1]
    found += confirmations(pair)
    found.append(Remedy(RemedyKind.COMBINE, pair.second.plan_id))
    return tuple(found)


def confirmations(pair: Pair) -> list[Remedy]:
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


def _uncertain(plan: Subject, pair: Pair) -> bool:
    return plan.assumed_on(pair.today) or plan.precision in pair.rules.coarse_precisions
