"""The space-time grid: which rows may be near a box in a period, found by arithmetic on sorted keys.

A row stands under one key for each cell and time bucket its own box touches: cell y, cell x and bucket packed into an
int64, so that the buckets of a cell, and thereby a range of time, lie side by side. Keys live in two sorted runs, a
large one and a small one that takes what is new; the small is merged into the large when it has grown.

Rows with a cover of very many cells stand aside and are compared with everything by their boxes: a pipeline across the
country would else fill the index. Rows that last very long have one bucket of their own, which every query reads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

CELL_BITS, BUCKET_BITS = 21, 20
HALF = 1 << (CELL_BITS - 1)
LONG = (1 << BUCKET_BITS) - 1
"""Bucket of the rows that last very long."""
MOST_CELLS = 1024
MOST_BUCKETS = 32
DELTA_ENTRIES = 32_768


@dataclass(frozen=True, slots=True)
class Boxes:
    """Where and when n rows are: *box* n x 4 (west, south, east, north), *start* and *end* inclusive days."""

    box: Floats
    start: Ints
    end: Ints

    def take(self, which: Ints | Flags) -> Boxes:
        """The rows *which*."""
        return Boxes(self.box[which], self.start[which], self.end[which])

    def grown(self, metres: float, days: int) -> Boxes:
        """The rows made larger by *metres* on each side and *days* at each end."""
        box = self.box + np.array([-metres, -metres, metres, metres])
        return Boxes(box, self.start - days, self.end + days)

    def __len__(self) -> int:
        return len(self.start)


class Grid:
    """An index of rows by place and time; rows are numbered by the caller and never taken out, only dropped at once."""

    def __init__(self, cell_m: float, bucket_days: int) -> None:
        self.cell_m = cell_m
        self.bucket_days = bucket_days
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        none = np.empty(0, np.int64)
        self._runs: list[tuple[Ints, Ints]] = [(none, none), (none, none)]
        self.large: Ints = none
        self._any_long = False

    @property
    def entries(self) -> int:
        """How many keys there are."""
        return sum(len(keys) for keys, _ in self._runs)

    def is_large(self, boxes: Boxes) -> Flags:
        """Say which rows cover too many cells to stand in the grid."""
        low, high = self._cells(boxes)
        return np.asarray(np.prod(high - low + 1.0, axis=1) > MOST_CELLS)

    def add(self, rows: Ints, boxes: Boxes) -> None:
        """Index *rows*."""
        large = self.is_large(boxes)
        if large.any():
            self.large = np.concatenate([self.large, rows[large]])
            rows, boxes = rows[~large], boxes.take(~large)
        if not len(rows):
            return
        keys, of = self._keys(boxes)
        order = np.argsort(keys, kind="stable")
        base, delta = self._runs
        delta = _merged(delta, (keys[order], rows[of[order]]))
        if len(delta[0]) > DELTA_ENTRIES:
            base, delta = _merged(base, delta), (delta[0][:0], delta[1][:0])
        self._runs = [base, delta]

    def candidates(self, asked: Boxes) -> tuple[Ints, Ints, Ints, Flags]:
        """Return every (query, row) that share a cell and a bucket, as (query, row, cell key, long?) columns.

        *asked* are boxes already grown, none of them large. A pair comes once for each shared cell and bucket: see
        `low_corner` for the one to keep.
        """
        cells, of = self._covers(asked)
        first, last = self._buckets(asked)
        ranges = [(cells | first[of], cells | last[of], False)]
        if self._any_long:
            ranges.append((cells | LONG, cells | LONG, True))
        parts = [
            _within(run, low, high, of, is_long) for low, high, is_long in ranges for run in self._runs if len(run[0])
        ]
        if not parts:
            none = np.empty(0, np.int64)
            return none, none, none, np.empty(0, np.bool_)
        query, row, key, long = (np.concatenate(column) for column in zip(*parts, strict=True))
        return query, row, key, long

    def low_corner(self, west: Floats, south: Floats, day: Ints, long: Flags) -> Ints:
        """Return the key of a point and a day: of all keys that a pair shares, the one where it is counted."""
        cells = _packed(self._cell(south), self._cell(west))
        return np.asarray(cells | np.where(long, LONG, self._bucket(day)))

    def _cell(self, metres: Floats) -> Ints:
        return np.clip(np.floor(metres / self.cell_m), -HALF, HALF - 1).astype(np.int64)

    def _cells(self, boxes: Boxes) -> tuple[Ints, Ints]:
        return self._cell(boxes.box[:, :2]), self._cell(boxes.box[:, 2:])

    def _bucket(self, days: Ints) -> Ints:
        return np.clip(days // self.bucket_days + (LONG >> 1), 0, LONG - 1)

    def _buckets(self, boxes: Boxes) -> tuple[Ints, Ints]:
        return self._bucket(boxes.start), self._bucket(boxes.end)

    def _covers(self, boxes: Boxes) -> tuple[Ints, Ints]:
        """Return the cells of each box (packed, bucket 0) and which box each is of."""
        low, high = self._cells(boxes)
        size = high - low + 1
        of, nth = _counted(size[:, 0] * size[:, 1])
        across = size[of, 0]
        return _packed(low[of, 1] + nth // across, low[of, 0] + nth % across), of

    def _keys(self, boxes: Boxes) -> tuple[Ints, Ints]:
        first, last = self._buckets(boxes)
        long = last - first >= MOST_BUCKETS
        self._any_long |= bool(long.any())
        first, last = np.where(long, LONG, first), np.where(long, LONG, last)
        cells, of = self._covers(boxes)
        which, nth = _counted((last - first + 1)[of])
        return cells[which] | (first[of[which]] + nth), of[which]


def _packed(y: Ints, x: Ints) -> Ints:
    return ((y + HALF) << (CELL_BITS + BUCKET_BITS)) | ((x + HALF) << BUCKET_BITS)


def _counted(sizes: Ints) -> tuple[Ints, Ints]:
    """For groups of *sizes*: the group of each member, and its place in the group."""
    of = np.repeat(np.arange(len(sizes)), sizes)
    begin = np.cumsum(sizes) - sizes
    return of, np.arange(len(of)) - begin[of]


def _merged(a: tuple[Ints, Ints], b: tuple[Ints, Ints]) -> tuple[Ints, Ints]:
    at = np.searchsorted(a[0], b[0], side="right")
    return np.insert(a[0], at, b[0]), np.insert(a[1], at, b[1])


def _within(run: tuple[Ints, Ints], low: Ints, high: Ints, of: Ints, is_long: bool) -> tuple[Ints, Ints, Ints, Flags]:
    """Return all entries of *run* whose key lies in one of the ranges, with the query each range is of."""
    keys, rows = run
    begin = np.searchsorted(keys, low, side="left")
    count = np.searchsorted(keys, high, side="right") - begin
    which, nth = _counted(count)
    at = begin[which] + nth
    return of[which], rows[at], keys[at], np.full(len(at), is_long)
