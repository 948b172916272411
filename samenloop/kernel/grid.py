"""The index of cells and buckets: two sorted runs of keys, each key with the slot that covers it.

An entry is never sought out to be removed. A plan that moves leaves entries behind; they are seen through, because a
pair counts only under the one key that its two plans' *present* covers agree on, and they are dropped all at once
when enough of them have gathered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from samenloop.kernel.arrays import NO_INTS, Bools, Ints, insert_sorted, is_in
from samenloop.kernel.cover import B_HIGH, B_LOW, EVER, bucket_of, cell_count, entry_keys, holds_key

DELTA_LEAST: Final = 32_768
"""Entries that the small run holds at least before it is merged into the large one."""

Slots = NDArray[np.int32]


class Run:
    """Entries sorted by key."""

    def __init__(self) -> None:
        self.keys: Ints = np.empty(0, dtype=np.int64)
        self.slots: Slots = np.empty(0, dtype=np.int32)

    def __len__(self) -> int:
        return len(self.keys)

    def merge(self, keys: Ints, slots: Slots) -> None:
        """Take sorted entries in, in one linear pass."""
        places = insert_sorted(self.keys, keys)
        size = len(self.keys) + len(keys)
        old = np.ones(size, dtype=np.bool_)
        old[places] = False
        merged, of = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int32)
        merged[places], of[places] = keys, slots
        merged[old], of[old] = self.keys, self.slots
        self.keys, self.slots = merged, of

    def keep(self, wanted: Bools) -> None:
        """Drop all entries but the *wanted*."""
        self.keys, self.slots = self.keys[wanted], self.slots[wanted]

    def find(self, low: Ints, high: Ints) -> tuple[Ints, Ints]:
        """Return (start, count) of the entries with a key from *low* to *high*, both included."""
        start = np.searchsorted(self.keys, low)
        return start, np.searchsorted(self.keys, high, side="right") - start


class Grid:
    """Entries of all slots that are present, and of some that have moved since."""

    def __init__(self) -> None:
        self.base, self.delta = Run(), Run()
        self.current = 0
        """Entries that the present covers need; the rest of `len` has been left behind."""
        self.traced: dict[int, Ints] = {}
        """Keys of the slots that do not cover a box of cells but stand under keys of their own."""
        self._ever = 0

    def __len__(self) -> int:
        return len(self.base) + len(self.delta)

    @property
    def nbytes(self) -> int:
        """Bytes of memory held."""
        return sum(run.keys.nbytes + run.slots.nbytes for run in (self.base, self.delta))

    def move(self, slots: Ints, before: Ints, after: Ints) -> None:
        """Enter *slots* under the keys of the covers *after* that the covers *before* did not have."""
        self.current += int((_entries(after) - _entries(before)).sum())
        moved = (before != after).any(axis=1)
        if not moved.any():
            return
        owner, keys = entry_keys(after[moved])
        fresh = ~holds_key(before[moved][owner], keys)
        self._enter(keys[fresh], slots[moved][owner[fresh]])

    def lay(self, slot: int, keys: Ints) -> None:
        """Enter one slot under just these sorted *keys*, in place of those it was laid under before."""
        before = self.traced.pop(slot, NO_INTS)
        self.current += len(keys) - len(before)
        if len(keys):
            self.traced[slot] = keys
        fresh = keys[~is_in(keys, before)]
        self._enter(fresh, np.full(len(fresh), slot, dtype=np.int64))

    def _enter(self, keys: Ints, slots: Ints) -> None:
        self._ever += int((bucket_of(keys) == EVER).sum())
        order = np.argsort(keys)
        self.delta.merge(keys[order], slots[order].astype(np.int32))

    def settle(self, cover_of: Callable[[Ints], Ints]) -> None:
        """Merge and clean up when it is time; *cover_of* gives the present covers of slots."""
        if len(self.delta) > max(DELTA_LEAST, int((1000 * len(self.base)) ** 0.5)):
            self.base.merge(self.delta.keys, self.delta.slots)
            self.delta = Run()
        if len(self) > self.current + self.current // 3 + DELTA_LEAST:
            self._clean(cover_of)

    def look_up(self, owner: Ints, cells: Ints, cover: Ints) -> Iterator[tuple[Run, Ints, Ints, Ints]]:
        """Yield per run: (run, owner, start, count) of the entries in each of the *cells*, those of `cell_keys`.

        owner: number of the *cover* whose buckets are wanted in that cell.
        """
        order = np.argsort(cells)
        owner, cells = owner[order], cells[order]
        ranges = [(cells | cover[owner, B_LOW], cells | cover[owner, B_HIGH])]
        if self._ever:
            ranges.append((cells | EVER, cells | EVER))
        for run in (self.base, self.delta):
            for low, high in ranges:
                start, count = run.find(low, high)
                some = np.flatnonzero(count)
                yield run, owner[some], start[some], count[some]

    def _clean(self, cover_of: Callable[[Ints], Ints]) -> None:
        """Drop entries that no present cover has, and doubles of plans that moved away and back."""
        self.base.merge(self.delta.keys, self.delta.slots)
        self.delta = Run()
        wanted = np.ones(len(self.base), dtype=np.bool_)
        for start in range(0, len(wanted), 1 << 20):
            part = slice(start, start + (1 << 20))
            wanted[part] = holds_key(cover_of(self.base.slots[part].astype(np.int64)), self.base.keys[part])
        self._want_traced(wanted)
        self.base.keep(wanted)
        if len(self.base) > self.current:
            order = np.lexsort((self.base.slots, self.base.keys))
            keys, slots = self.base.keys[order], self.base.slots[order]
            once = np.concatenate([[True], (keys[1:] != keys[:-1]) | (slots[1:] != slots[:-1])])
            self.base.keys, self.base.slots = keys[once], slots[once]
        self._ever = int((bucket_of(self.base.keys) == EVER).sum())

    def _want_traced(self, wanted: Bools) -> None:
        """Mark the entries of slots under keys of their own."""
        places = np.flatnonzero(is_in(self.base.slots.astype(np.int64), np.array(sorted(self.traced), dtype=np.int64)))
        places = places[np.argsort(self.base.slots[places], kind="stable")]
        edges = np.flatnonzero(np.diff(self.base.slots[places], prepend=-1, append=-1))
        for low, high in pairwise(edges.tolist()):
            part = places[low:high]
            wanted[part] = is_in(self.base.keys[part], self.traced[int(self.base.slots[part[0]])])


def _entries(cover: Ints) -> Ints:
    count: Ints = cell_count(cover) * (cover[:, B_HIGH] - cover[:, B_LOW] + 1)
    return count


def split(counts: Ints, most: int) -> list[slice]:
    """Cut ranges of *counts* elements into stretches of about *most* elements each."""
    if not len(counts):
        return []
    part = np.cumsum(counts) // most
    edges = [0, *(np.flatnonzero(np.diff(part)) + 1).tolist(), len(counts)]
    return [slice(low, high) for low, high in pairwise(edges)]
