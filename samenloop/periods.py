"""When, for sources of any protocol: several periods as one, and the days that mean "no end"."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from samenloop.model import Period, Precision

SENTINEL_FROM = date(2090, 1, 1)
"""Ends from this day on mean "no end", unless a profile says otherwise."""
COARSER = [Precision.UNKNOWN, Precision.DAY, Precision.WEEK, Precision.MONTH, Precision.QUARTER, Precision.YEAR]


def envelope(periods: Iterable[Period]) -> tuple[Period, tuple[Period, ...]]:
    """Return the period around several and the list of them; the list is empty when they are one.

    rule: sources.md 0.11. An open start or end leaves the envelope open.
    """
    found = sorted(set(periods), key=lambda p: (p.start or date.min, p.end or date.max, repr(p)))
    dated = [p for p in found if p.start or p.end]
    if len(dated) < 2:
        return (dated or found)[0], ()
    starts, ends = [p.start for p in dated], [p.end for p in dated]
    last = next((p for p in dated if p.end is None), max(dated, key=lambda p: p.end or date.min))
    first = None if None in starts else min(s for s in starts if s)
    end = None if None in ends else max(e for e in ends if e)
    coarsest = max((p.precision for p in dated), key=COARSER.index)
    return Period(first, end, coarsest, last.end_kind), tuple(dated)
