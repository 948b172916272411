"""Bare pair counts: how many plans lie within reach of each other, and how many of those share a day.

Nothing but place and time: no owners, phases or rules. What `samenloop check --pairs` prints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray

from samenloop.kernel import Kernel

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_FOREVER: Final = date.max


@dataclass(frozen=True, slots=True)
class PairCounts:
    """How many pairs there are, and how many of them also overlap in time."""

    pairs: int
    pairs_in_time: int


def count_pairs(
    geometries: Sequence[shapely.Geometry | None] | NDArray[np.object_],
    starts: Sequence[date | None],
    ends: Sequence[date | None],
    *,
    metres: float,
) -> PairCounts:
    """Count unordered pairs within *metres* of each other, and those of them that share a day.

    As `pairs_within` for place. Periods are closed local days. A missing end never ends; without a start, or with an
    end before its start, a plan shares no day with any.
    """
    pairs = pairs_within(geometries, metres=metres)
    return PairCounts(len(pairs), int(np.count_nonzero(share_a_day(pairs, starts, ends))))


def pairs_within(geometries: Sequence[shapely.Geometry | None] | NDArray[np.object_], *, metres: float) -> Ints:
    """Return int64 (k, 2): positions, the smaller first, of geometries within *metres* of each other.

    geometries: repaired, in metres; None and empty ones pair with nothing. metres: 0 means that the two intersect;
    else their distance rounded to the millimetre is at most so much (rule: rules.md 1).
    """
    shapes = np.empty(len(geometries), dtype=object)
    shapes[:] = geometries
    some = np.flatnonzero(shapely.is_geometry(shapes))
    no_days = np.zeros(len(some), dtype=np.int32)
    found = Kernel(metres, 0).apply(
        np.arange(len(some), dtype=np.int64), shapes[some], no_days, no_days, np.full(len(some), -1, dtype=np.int64)
    )
    pairs = some[found.started]
    if metres == 0:
        pairs = pairs[shapely.intersects(shapes[pairs[:, 0]], shapes[pairs[:, 1]])]
    return pairs


def share_a_day(pairs: Ints, starts: Sequence[date | None], ends: Sequence[date | None]) -> Bools:
    """Tell which *pairs* of positions, int64 (k, 2), overlap in time; missing dates as in `count_pairs`."""
    first = np.array([(start or _FOREVER).toordinal() for start in starts], dtype=np.int64)
    last = np.array([(end or _FOREVER).toordinal() for end in ends], dtype=np.int64)
    last[[start is None for start in starts]] = 0
    one, other = pairs[:, 0], pairs[:, 1]
    days = np.minimum(last[one], last[other]) - np.maximum(first[one], first[other])
    shared: Bools = (days >= 0) & (first <= last)[one] & (first <= last)[other]
    return shared
