"""Bare pair counts: how many plans are near each other, and how many of those also share a day. No rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

from samenloop.kernel import Kernel

ANY_GAP: Final = 10_000_000
"""Days: more than there are between any two dates, so that time leaves nothing out."""
NEVER: Final = 4_000_000
"""The day on which an open end ends: beyond the last date."""


@dataclass(frozen=True, slots=True)
class PairCounts:
    """Pairs of geometries within the distance, and those of them whose closed periods share a day."""

    pairs: int
    pairs_in_time: int


def count_pairs(
    geometries: Sequence[Any] | NDArray[Any],
    starts: Sequence[date | None],
    ends: Sequence[date | None],
    *,
    metres: float,
) -> PairCounts:
    """Count the pairs within *metres*, each once; 0 means that they intersect, touching included.

    *geometries* are shapely geometries in one projected CRS in metres, valid, or None (in no pair). Periods are closed
    days; without an end a period never ends, without a start it shares no day with any. Distances are exact: nothing
    is rounded or buffered.
    """
    shapes: NDArray[Any] = np.empty(len(geometries), dtype=object)
    shapes[:] = list(geometries)
    first = np.array([NEVER if day is None else _number(day) for day in starts], dtype=np.int64)
    last = np.array([NEVER if day is None else _number(day) for day in ends], dtype=np.int64)
    last[first == NEVER] = -NEVER
    kernel = Kernel(metres, ANY_GAP)
    timeless = np.zeros(len(shapes), np.int64)
    near = kernel.apply(np.arange(len(shapes)), shapes, timeless, timeless, timeless - 1).started
    a, b = near[:, 0], near[:, 1]
    holds = shapely.intersects(shapes[a], shapes[b]) if metres == 0 else shapely.dwithin(shapes[a], shapes[b], metres)
    a, b = a[holds], b[holds]
    shared = np.minimum(last[a], last[b]) >= np.maximum(first[a], first[b])
    return PairCounts(len(a), int(shared.sum()))


def _number(day: date) -> int:
    return day.toordinal() - date(1970, 1, 1).toordinal()
