"""Rows, exact tests and the difference between what held before a batch and after."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from samenloop.kernel.grid import Boxes, Flags, Grid, Ints

Shapes = NDArray[Any]
MARGIN_M = 0.001
"""Added to boxes, so that rounding never loses a pair that the exact test would keep."""
ROUNDING_M = 0.0005
"""Distances are judged to the millimetre: half of it belongs to the limit."""
SPARE_ROWS = 65_536


class Pairs(NamedTuple):
    """What a batch did, as k x 2 slots, the smaller first.

    *kept* are the pairs of changed slots that held before and still hold.
    """

    started: Ints
    kept: Ints
    ended: Ints


class _Rows:
    """Append-only rows, one per version of a slot; an update is a new row and the death of the old one."""

    def __init__(self) -> None:
        self.count = 0
        self._reserve(1024)

    def _reserve(self, size: int) -> None:
        def grown(old: NDArray[Any] | None, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
            new = np.zeros(shape, dtype)
            if old is not None:
                new[: self.count] = old[: self.count]
            return new

        old = self.__dict__
        self.box = grown(old.get("box"), (size, 4), np.float64)
        self.start = grown(old.get("start"), (size,), np.int64)
        self.end = grown(old.get("end"), (size,), np.int64)
        self.group = grown(old.get("group"), (size,), np.int64)
        self.slot = grown(old.get("slot"), (size,), np.int64)
        self.alive = grown(old.get("alive"), (size,), np.bool_)
        self.shape = grown(old.get("shape"), (size,), object)

    def append(self, slots: Ints, boxes: Boxes, group: Ints, shapes: Shapes) -> Ints:
        begin, end = self.count, self.count + len(slots)
        if end > len(self.slot):
            self._reserve(max(end, 2 * len(self.slot)))
        self.box[begin:end], self.start[begin:end], self.end[begin:end] = boxes.box, boxes.start, boxes.end
        self.group[begin:end], self.slot[begin:end], self.shape[begin:end] = group, slots, shapes
        self.alive[begin:end] = True
        self.count = end
        return np.arange(begin, end)

    def kill(self, rows: Ints) -> None:
        self.alive[rows] = False
        self.shape[rows] = None

    def boxes(self, rows: Ints) -> Boxes:
        return Boxes(self.box[rows], self.start[rows], self.end[rows])


class Kernel:
    """All pairs of slots within *distance_m* metres and *gap_days* free days, of different groups.

    A pair holds when the distance of the geometries, rounded to millimetres, is at most *distance_m*, and the days
    between their periods (inclusive ends) at most *gap_days*. Geometries are in one projected CRS in metres.
    """

    def __init__(self, distance_m: float, gap_days: int, cell_m: float = 250.0, bucket_days: int = 256) -> None:
        self.distance_m = distance_m
        self.gap_days = gap_days
        self.candidates = 0
        """Pairs met in a shared cell and bucket, so far."""
        self.exact = 0
        """Exact distance tests, so far."""
        self._grid = Grid(cell_m, bucket_days)
        self._rows = _Rows()
        self._row_of: dict[int, int] = {}
        self._partners: dict[int, set[int]] = {}

    def __len__(self) -> int:
        return len(self._row_of)

    @property
    def entries(self) -> int:
        """How many keys the index holds."""
        return self._grid.entries

    def partners(self, slot: int) -> Ints:
        """The slots that make a pair with *slot*, in order."""
        return np.array(sorted(self._partners.get(slot, ())), dtype=np.int64)

    def pairs(self) -> Ints:
        """All pairs that hold, k x 2, in order."""
        every = [(slot, other) for slot, others in self._partners.items() for other in others if slot < other]
        return np.array(sorted(every), dtype=np.int64).reshape(-1, 2)

    def apply(self, slots: Ints, geometry: Shapes, start: Ints, end: Ints, group: Ints) -> Pairs:
        """Put *slots* where *geometry* is from *start* to *end* (days since 1970, inclusive), and say what changed.

        n values each; a geometry None (or empty) takes the slot away; pairs of equal *group* >= 0 are skipped. Raises
        ValueError when a slot is given twice.
        """
        changed = np.asarray(slots, np.int64)
        if len(np.unique(changed)) != len(changed):
            raise ValueError("a slot is given twice in one batch")
        shapes = np.asarray(geometry, object)
        here = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
        known = np.array([self._row_of.get(slot, -1) for slot in changed.tolist()], dtype=np.int64)
        same = self._unmoved(known, shapes)
        shapes[same] = self._rows.shape[known[same]]
        self._rows.kill(known[known >= 0])
        for slot in changed[~here].tolist():
            self._row_of.pop(slot, None)
        rows = self._rows.append(
            changed[here],
            Boxes(shapely.bounds(shapes[here]), np.asarray(start, np.int64)[here], np.asarray(end, np.int64)[here]),
            np.asarray(group, np.int64)[here],
            shapes[here],
        )
        self._row_of.update(zip(changed[here].tolist(), rows.tolist(), strict=True))
        self._grid.add(rows, self._rows.boxes(rows))
        found = self._holding(rows, same[here])
        result = self._difference(changed, found)
        self._shed()
        return result

    def _unmoved(self, known: Ints, shapes: Shapes) -> Flags:
        """Say which slots had a row with the very same geometry."""
        same = known >= 0
        same[same] = shapely.equals_identical(self._rows.shape[known[same]], shapes[same])
        return same

    def _holding(self, rows: Ints, unmoved: Flags) -> Ints:
        """Return the pairs of *rows* with any row, as sorted codes."""
        query, row = self._near(rows)
        asked = rows[query]
        known = self._are_known(asked, row, unmoved[query], rows, unmoved)
        test = ~known
        self.exact += int(test.sum())
        near = known.copy()
        near[test] = shapely.dwithin(
            self._rows.shape[asked[test]], self._rows.shape[row[test]], self.distance_m + ROUNDING_M
        )
        return np.unique(_codes(self._rows.slot[asked[near]], self._rows.slot[row[near]]))

    def _are_known(self, asked: Ints, row: Ints, unmoved: Flags, rows: Ints, same: Flags) -> Flags:
        """Say for which pairs neither side moved and the pair held before: their distance needs no test."""
        first = int(rows[0]) if len(rows) else self._rows.count
        still = row < first
        still[~still] = same[row[~still] - first]
        maybe = np.flatnonzero(unmoved & still)
        known = np.zeros(len(asked), np.bool_)
        slot = self._rows.slot
        partners = self._partners
        known[maybe] = [
            b in partners.get(a, ())
            for a, b in zip(slot[asked[maybe]].tolist(), slot[row[maybe]].tolist(), strict=True)
        ]
        return known

    def _near(self, rows: Ints) -> tuple[Ints, Ints]:
        """Return (index into *rows*, other row) for all that pass the tests of box, period and group."""
        boxes = self._rows.boxes(rows)
        asked = boxes.grown(self.distance_m + MARGIN_M, self.gap_days + 1)
        large = self._grid.is_large(asked)
        small = np.flatnonzero(~large)
        query, row, key, long = self._grid.candidates(asked.take(small))
        query = small[query]
        west = np.maximum(asked.box[query, 0], self._rows.box[row, 0])
        south = np.maximum(asked.box[query, 1], self._rows.box[row, 1])
        day = np.maximum(asked.start[query], self._rows.start[row])
        once = key == self._grid.low_corner(west, south, day, long)
        wide = [(query[once], row[once])]
        wide += [(np.full(len(self._grid.large), i), self._grid.large) for i in small.tolist() if len(self._grid.large)]
        everything = np.arange(self._rows.count)
        wide += [(np.full(len(everything), i), everything) for i in np.flatnonzero(large).tolist()]
        query, row = (np.concatenate(column) for column in zip(*wide, strict=True))
        self.candidates += len(query)
        return self._passing(asked, query, row, rows)

    def _passing(self, asked: Boxes, query: Ints, row: Ints, rows: Ints) -> tuple[Ints, Ints]:
        at = self._rows
        group = at.group[row]
        mine = at.group[rows[query]]
        first = rows[0] if len(rows) else 0
        passes = (
            at.alive[row]
            & ((group != mine) | (group < 0))
            & (at.start[row] <= asked.end[query])
            & (at.end[row] >= asked.start[query])
            & ((row < first) | (row > rows[query]))
            & (at.box[row, 0] <= asked.box[query, 2])
            & (at.box[row, 2] >= asked.box[query, 0])
            & (at.box[row, 1] <= asked.box[query, 3])
            & (at.box[row, 3] >= asked.box[query, 1])
        )
        return query[passes], row[passes]

    def _difference(self, changed: Ints, found: Ints) -> Pairs:
        partners = self._partners
        before = np.unique(
            np.array(
                [_code(slot, other) for slot in changed.tolist() for other in partners.get(slot, ())], dtype=np.int64
            )
        )
        started = np.setdiff1d(found, before, assume_unique=True)
        ended = np.setdiff1d(before, found, assume_unique=True)
        kept = np.intersect1d(found, before, assume_unique=True)
        result = Pairs(_slots(started), _slots(kept), _slots(ended))
        for a, b in result.ended.tolist():
            for one, other in ((a, b), (b, a)):
                partners[one].discard(other)
                if not partners[one]:
                    del partners[one]
        for a, b in result.started.tolist():
            partners.setdefault(a, set()).add(b)
            partners.setdefault(b, set()).add(a)
        return result

    def _shed(self) -> None:
        """Number the living rows anew when most are dead."""
        if self._rows.count < SPARE_ROWS + 2 * len(self._row_of):
            return
        old = self._rows
        living = np.flatnonzero(old.alive[: old.count])
        self._rows = _Rows()
        rows = self._rows.append(old.slot[living], old.boxes(living), old.group[living], old.shape[living])
        self._row_of = dict(zip(old.slot[living].tolist(), rows.tolist(), strict=True))
        self._grid.clear()
        self._grid.add(rows, self._rows.boxes(rows))


def _code(a: int, b: int) -> int:
    return (a << 32) | b if a < b else (b << 32) | a


def _codes(a: Ints, b: Ints) -> Ints:
    return np.asarray((np.minimum(a, b) << 32) | np.maximum(a, b))


def _slots(codes: Ints) -> Ints:
    return np.stack([codes >> 32, codes & 0xFFFFFFFF], axis=1)
