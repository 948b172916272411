"""Rows: box and period of a plan in 64 bytes, one cache line, so that one comparison tells whether two are in reach.

A row is (x low, y low, first day, -x high, -y high, -last day, group, 0): two plans share a box and a period when every
column of one is "at most" that of the other's *reach*. A plan that is absent is not a number, and in nobody's reach.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray

from samenloop.kernel.arrays import Bools, Floats, Ints, Shapes

GROUP: Final = 6
_ALL: Final = np.uint64(0x0101010101010101)


def make_rows(geometry: Shapes, start: NDArray[np.integer], end: NDArray[np.integer], group: Ints) -> Floats:
    """Return (n, 8); arguments as of `Kernel.apply`."""
    rows = np.zeros((len(geometry), 8))
    bounds = shapely.bounds(geometry)
    rows[:, 0:2], rows[:, 3:5] = bounds[:, 0:2], -bounds[:, 2:4]
    rows[:, 2], rows[:, 5], rows[:, GROUP] = start, -end.astype(np.float64), group
    rows[~np.isfinite(bounds).all(axis=1) | (end < start)] = np.nan
    return rows


def are_present(rows: Floats) -> Bools:
    """Tell which rows hold a plan."""
    return ~np.isnan(rows[:, 0])


def have_same_box(rows: Floats, others: Floats) -> Bools:
    """Tell where both hold a plan and the two boxes are the same."""
    same: Bools = (rows[:, [0, 1, 3, 4]] == others[:, [0, 1, 3, 4]]).all(axis=1)
    return same


def box_and_days(rows: Floats) -> tuple[Floats, Floats]:
    """Return boxes, (n, 4) x, y, x, y, and periods, (n, 2)."""
    return (
        np.column_stack([rows[:, 0], rows[:, 1], -rows[:, 3], -rows[:, 4]]),
        np.column_stack([rows[:, 2], -rows[:, 5]]),
    )


def reach_of(rows: Floats, metres: float, days: int) -> Floats:
    """Return, per row, the row that everything within so many metres and days is at most.

    A little more than *metres*, as much as the numbers may be rounded: the exact test decides.
    """
    reach = np.full_like(rows, np.inf)
    slack = metres + 1e-6 + np.abs(rows[:, :6]).max(axis=1) * 1e-15
    reach[:, 0], reach[:, 1] = slack - rows[:, 3], slack - rows[:, 4]
    reach[:, 3], reach[:, 4] = slack - rows[:, 0], slack - rows[:, 1]
    reach[:, 2], reach[:, 5] = days - rows[:, 5], days - rows[:, 2]
    return reach


def box_and_days_of_reach(reach: Floats) -> tuple[Floats, Floats]:
    """Return the boxes and periods that a reach takes in, as `box_and_days`."""
    return (
        np.column_stack([-reach[:, 3], -reach[:, 4], reach[:, 0], reach[:, 1]]),
        np.column_stack([-reach[:, 5], reach[:, 2]]),
    )


def are_within(rows: Floats, others: NDArray[np.integer], reach: Floats, asking: Ints) -> Bools:
    """Tell for each pair (*asking*, an index of *reach*; *others*, of *rows*) whether it is within reach."""
    least = np.less_equal(rows.take(others, axis=0), reach.take(asking, axis=0))
    fits: Bools = least.view(np.uint64)[:, 0] == _ALL
    return fits
