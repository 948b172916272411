"""The kernel: takes batches of plans that came, moved or went, and says which pairs started, hold on and ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray

from samenloop.kernel.adjacency import Adjacency, as_pairs, pair_codes
from samenloop.kernel.arrays import NO_INTS, Bools, Floats, Ints, Shapes, distinct, expand, is_in, with_room
from samenloop.kernel.cover import LARGE, Lattice, bucket_of, cell_count, low_corner, shorten
from samenloop.kernel.grid import Grid, split

ROUNDING_M: Final = 0.0005
"""Distances count to the millimetre: half of one beside the limit still rounds to the limit."""
AT_ONCE: Final = 1 << 17
"""Candidates that are looked at together: what fits a processor's cache."""

# Columns of a row. Minus the upper ends, so that all six comparisons of two boxes are "at most".
_LOWS, _MINUS_HIGHS, _GROUP = slice(0, 3), slice(3, 6), 6
_ALL: Final = np.uint64(0x0101010101010101)


@dataclass(frozen=True, slots=True)
class Pairs:
    """What a batch did: each int64 (k, 2), the smaller slot first, sorted, every pair in one of the three."""

    started: Ints
    kept: Ints
    """Pairs of slots of the batch that held before and still do."""
    ended: Ints


class Kernel:
    """Plans in a grid of cells and buckets of days, and the pairs that hold among them.

    Slots are numbers from 0, best without gaps: memory goes with the largest. Distances are in metres of the
    coordinates given. Nothing depends on the order of arrival or on how changes are cut into batches.
    """

    def __init__(self, distance_m: float, gap_days: int, cell_m: float = 250.0, bucket_days: int = 256) -> None:
        self.candidates = 0
        """Index entries looked at so far."""
        self.exact = 0
        """Exact tests of distance so far."""
        self._limit = distance_m + ROUNDING_M
        self._gap = gap_days + 1
        self._lattice = Lattice(cell_m, bucket_days)
        self._grid = Grid()
        self._adjacency = Adjacency()
        self._rows: Floats = np.full((0, 8), np.nan)
        self._shapes: Shapes = np.full(0, None, dtype=object)
        self._moving: Bools = np.zeros(0, dtype=np.bool_)
        self._large: Ints = NO_INTS

    @property
    def entries(self) -> int:
        """Entries in the index, those left behind included."""
        return len(self._grid)

    @property
    def nbytes(self) -> int:
        """Bytes of rows, index and pairs; the geometries themselves are not counted."""
        own = self._rows.nbytes + self._shapes.nbytes + self._moving.nbytes
        return own + self._grid.nbytes + self._adjacency.nbytes

    def partners(self, slot: int) -> Ints:
        """Return the slots that pair with *slot*, sorted."""
        return self._adjacency.partners(slot)

    def pairs(self) -> Ints:
        """Return all pairs that hold, int64 (k, 2), the smaller slot first, sorted."""
        return as_pairs(self._adjacency.all())

    def apply(
        self,
        slots: Ints,
        geometry: Shapes,
        start: NDArray[np.int32],
        end: NDArray[np.int32],
        group: Ints,
    ) -> Pairs:
        """Put plans in place of what their slots held, and return what that does to their pairs.

        slots: int64 (n), each at most once. geometry: shapely or None, (n), valid, in metres; None, an empty geometry
        and coordinates that are not finite take the plan out. start, end: int32 (n), days since 1970, the end
        included; a period that ends before it starts has no days and pairs with nothing. group: int64 (n); plans of
        one group do not pair, -1 is no group.
        """
        if not len(slots):
            return Pairs(*(as_pairs(NO_INTS) for _ in range(3)))
        slots = np.asarray(slots, dtype=np.int64)
        self._reserve(int(slots.max()) + 1)
        before = self._rows[slots]
        after = _rows(geometry, start, end, group)
        same_shape = self._same_shape(slots, geometry, before, after)
        moved = ~(same_shape & (before == after).all(axis=1)) & ~(np.isnan(before[:, 0]) & np.isnan(after[:, 0]))
        self._store(slots, geometry, before, after)
        held = self._adjacency.of(slots)
        now = self._pairs_now(slots[moved], after[moved], slots[moved & ~same_shape], held)
        started, ended = now[~is_in(now, held)], held[~is_in(held, now)]
        self._adjacency.change(started, ended)
        return Pairs(as_pairs(started), as_pairs(held[is_in(held, now)]), as_pairs(ended))

    def _reserve(self, slots: int) -> None:
        self._rows = with_room(self._rows, slots, np.nan)
        self._shapes = with_room(self._shapes, slots, None)
        self._moving = with_room(self._moving, slots, False)
        self._adjacency.reserve(slots)

    def _same_shape(self, slots: Ints, geometry: Shapes, before: Floats, after: Floats) -> Bools:
        same: Bools = (before[:, [0, 1, 3, 4]] == after[:, [0, 1, 3, 4]]).all(axis=1)
        places = np.flatnonzero(same)
        same[places] = shapely.equals_identical(self._shapes[slots[places]], geometry[places])
        return same

    def _store(self, slots: Ints, geometry: Shapes, before: Floats, after: Floats) -> None:
        present = ~np.isnan(after[:, 0])
        self._rows[slots] = after
        self._shapes[slots] = None
        self._shapes[slots[present]] = geometry[present]
        covers = self._covers(before), self._covers(after)
        self._note_large(slots, *covers)
        self._grid.move(slots, *(_small(cover) for cover in covers))
        self._grid.settle(lambda some: _small(self._covers(self._rows[some])))

    def _note_large(self, slots: Ints, before: Ints, after: Ints) -> None:
        was, now = cell_count(before) > LARGE, cell_count(after) > LARGE
        if was.any():
            self._large = np.setdiff1d(self._large, slots[was])
        if now.any():
            self._large = np.union1d(self._large, slots[now])

    def _covers(self, rows: Floats) -> Ints:
        cover = self._lattice.cover(_box(rows), np.column_stack([rows[:, 2], -rows[:, 5]]))
        shorten(cover)
        return cover

    def _pairs_now(self, moved: Ints, rows: Floats, reshaped: Ints, held: Ints) -> Ints:
        """Return the codes, sorted, of the pairs of the batch: those of moved plans anew, the others as held."""
        present = ~np.isnan(rows[:, 0])
        self._moving[moved] = True
        near = self._near(moved[present], rows[present])
        untouched = held[~(self._moving[held >> 32] | self._moving[held & 0xFFFFFFFF])]
        self._moving[moved] = False
        self._moving[reshaped] = True
        settled = is_in(near, held) & ~(self._moving[near >> 32] | self._moving[near & 0xFFFFFFFF])
        self._moving[reshaped] = False
        asked = near[~settled]
        hold = shapely.dwithin(self._shapes[asked >> 32], self._shapes[asked & 0xFFFFFFFF], self._limit)
        self.exact += len(asked)
        return np.sort(np.concatenate([near[settled], asked[hold], untouched]))

    def _near(self, slots: Ints, rows: Floats) -> Ints:
        """Return the codes, sorted, of pairs of present *slots* with others whose boxes and periods are in reach."""
        reach = self._reach(rows)
        cover = self._lattice.cover(_box_of_reach(reach), np.column_stack([-reach[:, 5], reach[:, 2]]))
        large = cell_count(cover) > LARGE
        found = [self._scan(int(i), slots, rows, reach) for i in np.flatnonzero(large)]
        found += [self._among_large(slots, rows, reach, ~large)]
        places = np.flatnonzero(~large)
        for run, owner, starts, counts in self._grid.look_up(cover[places]):
            self.candidates += int(counts.sum())
            for part in split(starts, counts, AT_ONCE):
                which, entries = expand(starts[part], counts[part])
                asking = places[owner[part][which]]
                theirs = run.slots[entries]
                hit = np.flatnonzero(_within(self._rows, theirs, reach, asking))
                asking, theirs, keys = asking[hit], theirs[hit].astype(np.int64), run.keys[entries[hit]]
                right = keys == low_corner(cover[asking], self._covers(self._rows[theirs]), bucket_of(keys))
                found.append(self._to_pairs(slots[asking[right]], theirs[right]))
        return distinct(np.concatenate(found))

    def _scan(self, index: int, slots: Ints, rows: Floats, reach: Floats) -> Ints:
        """Pairs of one plan that covers a large area: a look at every row."""
        self.candidates += len(self._rows)
        hit = np.flatnonzero((self._rows <= reach[index]).all(axis=1))
        return self._to_pairs(np.full(len(hit), slots[index]), hit)

    def _among_large(self, slots: Ints, rows: Floats, reach: Floats, asking: Bools) -> Ints:
        """Pairs with the few plans that cover a large area: they are not in the grid."""
        which = np.flatnonzero(asking)
        ask, large = np.repeat(which, len(self._large)), np.tile(self._large, len(which))
        self.candidates += len(ask)
        hit = np.flatnonzero(_within(self._rows, large, reach, ask))
        return self._to_pairs(slots[ask[hit]], large[hit])

    def _to_pairs(self, slots: Ints, others: Ints) -> Ints:
        """Codes of pairs without oneself, one's own group, and the second mention of two that both moved."""
        groups = self._rows[slots, _GROUP]
        apart = (groups < 0) | (groups != self._rows[others, _GROUP])
        wanted = apart & (slots != others) & ~(self._moving[others] & (others > slots))
        return pair_codes(slots[wanted], others[wanted])

    def _reach(self, rows: Floats) -> Floats:
        """Rows with which a plan within reach compares as "at most" in every column."""
        reach = np.full_like(rows, np.inf)
        slack = self._limit + 1e-6 + np.abs(rows[:, :6]).max(axis=1) * 1e-15
        reach[:, 0], reach[:, 1] = slack - rows[:, 3], slack - rows[:, 4]
        reach[:, 3], reach[:, 4] = slack - rows[:, 0], slack - rows[:, 1]
        reach[:, 2], reach[:, 5] = self._gap - rows[:, 5], self._gap - rows[:, 2]
        return reach


def _within(rows: Floats, others: NDArray[np.integer], reach: Floats, asking: Ints) -> Bools:
    """Tell for each candidate whether its row lies within the reach of the plan that asks."""
    fits: Bools = np.less_equal(rows.take(others, axis=0), reach.take(asking, axis=0)).view(np.uint64)[:, 0] == _ALL
    return fits


def _rows(geometry: Shapes, start: NDArray[np.int32], end: NDArray[np.int32], group: Ints) -> Floats:
    """One row of 64 bytes per plan: a cache line. Not a number where the plan is absent."""
    rows = np.zeros((len(geometry), 8))
    bounds = shapely.bounds(geometry)
    rows[:, 0:2], rows[:, 3:5] = bounds[:, 0:2], -bounds[:, 2:4]
    rows[:, 2], rows[:, 5], rows[:, _GROUP] = start, -end.astype(np.float64), group
    rows[~np.isfinite(bounds).all(axis=1) | (end < start)] = np.nan
    return rows


def _box(rows: Floats) -> Floats:
    return np.column_stack([rows[:, 0], rows[:, 1], -rows[:, 3], -rows[:, 4]])


def _box_of_reach(reach: Floats) -> Floats:
    return np.column_stack([-reach[:, 3], -reach[:, 4], reach[:, 0], reach[:, 1]])


def _small(cover: Ints) -> Ints:
    """Covers as the grid holds them: a large one covers nothing there."""
    cover = cover.copy()
    cover[cell_count(cover) > LARGE] = (0, -1, 0, 0, 0, 0)
    return cover
