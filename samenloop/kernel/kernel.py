"""The kernel: takes batches of plans that came, moved or went, and says which pairs started, hold on and ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray

from samenloop.kernel.adjacency import Adjacency, as_pairs, pair_codes
from samenloop.kernel.arrays import NO_INTS, Bools, Floats, Ints, Shapes, distinct, expand, is_in, with_room
from samenloop.kernel.cover import LARGE, Lattice, bucket_of, cell_count, cell_keys, low_corner, shorten, with_buckets
from samenloop.kernel.grid import Grid, Run, split
from samenloop.kernel.rows import (
    GROUP,
    are_present,
    are_within,
    box_and_days,
    box_and_days_of_reach,
    have_same_box,
    make_rows,
    reach_of,
)
from samenloop.kernel.trace import trace

ROUNDING_M: Final = 0.0005
"""Distances count to the millimetre: half of one beside the limit still rounds to the limit."""
SLACK_M: Final = 1e-3
"""By how much cells along a shape are widened, for the rounding of points between its corners."""
AT_ONCE: Final = 1 << 17
"""Candidates that are looked at together: what fits a processor's cache."""


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
        self._traced: Bools = np.zeros(0, dtype=np.bool_)
        self._vast: Ints = NO_INTS

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
        one group do not pair, -1 is no group. Raises ValueError when a slot is given twice.
        """
        if not len(slots):
            return Pairs(*(as_pairs(NO_INTS) for _ in range(3)))
        slots = np.asarray(slots, dtype=np.int64)
        if len(np.unique(slots)) < len(slots):
            raise ValueError("a slot is given twice in one batch: which of the two is the last?")
        self._reserve(int(slots.max()) + 1)
        before = self._rows[slots]
        after = make_rows(geometry, start, end, group)
        same_shape = self._same_shape(slots, geometry, before, after)
        moved = ~(same_shape & (before == after).all(axis=1)) & (are_present(before) | are_present(after))
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
        self._traced = with_room(self._traced, slots, False)
        self._adjacency.reserve(slots)

    def _same_shape(self, slots: Ints, geometry: Shapes, before: Floats, after: Floats) -> Bools:
        same = have_same_box(before, after)
        places = np.flatnonzero(same)
        same[places] = shapely.equals_identical(self._shapes[slots[places]], geometry[places])
        return same

    def _store(self, slots: Ints, geometry: Shapes, before: Floats, after: Floats) -> None:
        present = are_present(after)
        self._rows[slots] = after
        self._shapes[slots] = None
        self._shapes[slots[present]] = geometry[present]
        was, now = self._covers(before), self._covers(after)
        large = (cell_count(was) > LARGE) | (cell_count(now) > LARGE)
        for slot, cover in zip(slots[large].tolist(), now[large], strict=True):
            self._lay(slot, cover)
        self._grid.move(slots, _small(was), _small(now))
        self._grid.settle(lambda some: _small(self._covers(self._rows[some])))

    def _lay(self, slot: int, cover: Ints) -> None:
        """Enter a plan of large extent along its shape, or note it as one to be compared with all."""
        cells: Ints | None = NO_INTS
        if cell_count(cover[None])[0] > LARGE:
            cells = trace(self._shapes[slot], self._lattice, SLACK_M)
        self._vast = np.setdiff1d(self._vast, [slot]) if cells is not None else np.union1d(self._vast, [slot])
        keys = NO_INTS if cells is None else with_buckets(cells, cover)
        self._traced[slot] = len(keys) > 0
        self._grid.lay(slot, keys)

    def _covers(self, rows: Floats) -> Ints:
        cover = self._lattice.cover(*box_and_days(rows))
        shorten(cover)
        return cover

    def _pairs_now(self, moved: Ints, rows: Floats, reshaped: Ints, held: Ints) -> Ints:
        """Return the codes, sorted, of the pairs of the batch: those of moved plans anew, the others as held."""
        present = are_present(rows)
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
        reach = reach_of(rows, self._limit, self._gap)
        cover = self._lattice.cover(*box_and_days_of_reach(reach))
        owner, cells = cell_keys(_small(cover))
        along, vast = self._trace_all(slots, np.flatnonzero(cell_count(cover) > LARGE))
        found = [self._scan(slots[i], reach[i]) for i in vast]
        found += [self._among_vast(slots, reach, np.setdiff1d(np.arange(len(slots)), vast))]
        traced = np.zeros(len(slots), dtype=np.bool_)
        traced[list(along)] = True
        owner = np.concatenate([owner, *(np.full(len(keys), i) for i, keys in along.items())])
        cells = np.concatenate([cells, *along.values()])
        for run, asks, starts, counts in self._grid.look_up(owner, cells, cover):
            self.candidates += int(counts.sum())
            for part in split(counts, AT_ONCE):
                which, entries = expand(starts[part], counts[part])
                found.append(self._hits(run, entries, asks[part][which], (slots, reach, cover, traced)))
        return distinct(np.concatenate(found))

    def _hits(self, run: Run, entries: Ints, asking: Ints, asked: tuple[Ints, Floats, Ints, Bools]) -> Ints:
        """Codes of the pairs among candidates that are in reach, each under one key only where both cover boxes."""
        slots, reach, cover, traced = asked
        hit = np.flatnonzero(are_within(self._rows, run.slots[entries], reach, asking))
        asking, keys, theirs = asking[hit], run.keys[entries[hit]], run.slots[entries[hit]].astype(np.int64)
        once = keys == low_corner(cover[asking], self._covers(self._rows[theirs]), bucket_of(keys))
        once |= traced[asking] | self._traced[theirs]
        return self._to_pairs(slots[asking[once]], theirs[once])

    def _trace_all(self, slots: Ints, which: Ints) -> tuple[dict[int, Ints], list[int]]:
        """Return the cells in reach of plans of large extent, and those that are to be compared with all."""
        cells = {i: trace(self._shapes[slots[i]], self._lattice, self._limit + SLACK_M) for i in which.tolist()}
        return {i: keys for i, keys in cells.items() if keys is not None}, [i for i in cells if cells[i] is None]

    def _scan(self, slot: int, reach: Floats) -> Ints:
        """Pairs of one plan of vast extent: a look at every row."""
        self.candidates += len(self._rows)
        hit = np.flatnonzero((self._rows <= reach).all(axis=1))
        return self._to_pairs(np.full(len(hit), slot), hit)

    def _among_vast(self, slots: Ints, reach: Floats, which: Ints) -> Ints:
        """Pairs with the few plans of vast extent: they are not in the grid."""
        ask, vast = np.repeat(which, len(self._vast)), np.tile(self._vast, len(which))
        self.candidates += len(ask)
        hit = np.flatnonzero(are_within(self._rows, vast, reach, ask))
        return self._to_pairs(slots[ask[hit]], vast[hit])

    def _to_pairs(self, slots: Ints, others: Ints) -> Ints:
        """Codes of pairs without oneself, one's own group, and the second mention of two that both moved."""
        groups = self._rows[slots, GROUP]
        apart = (groups < 0) | (groups != self._rows[others, GROUP])
        wanted = apart & (slots != others) & ~(self._moving[others] & (others > slots))
        return pair_codes(slots[wanted], others[wanted])


def _small(cover: Ints) -> Ints:
    """Covers as the grid takes them: a large one covers nothing there."""
    cover = cover.copy()
    cover[cell_count(cover) > LARGE] = (0, -1, 0, 0, 0, 0)
    return cover
