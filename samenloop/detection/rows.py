"""What comes in: versions of plans and restrictions, removals and days, in log order."""

from __future__ import annotations

from datetime import date, datetime

from samenloop.model import Restriction
from samenloop.rules.subject import Matchable
from samenloop.value import value


@value
class Row:
    """One accepted version of a plan or restriction, its removal (*plan* None), or a tick (*day* set).

    *cause_id* is the event that led to it, *correlation_id* the first of its chain, *at* when the hub accepted it.
    """

    plan_id: str
    revision: int
    at: datetime
    cause_id: str
    correlation_id: str
    plan: Matchable | Restriction | None = None
    first_load: bool = False
    day: date | None = None


def tick(day: date, *, at: datetime, cause_id: str) -> Row:
    """Return the row that begins a day."""
    return Row(f"day:{day.isoformat()}", 0, at, cause_id, cause_id, day=day)
