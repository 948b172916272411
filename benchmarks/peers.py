"""What the kernel is compared with: a shapely STRtree that is rebuilt now and then, with the same pair difference."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from benchmarks.load import Batch, Ints

REBUILD_AFTER = 20_000


def checksum(pairs: Ints) -> int:
    """Return a number that two equal sets of k x 2 pairs share, in any order."""
    mixed = (pairs[:, 0].astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) ^ (
        pairs[:, 1].astype(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F)
    )
    mixed ^= mixed >> np.uint64(29)
    return int((mixed * np.uint64(0xBF58476D1CE4E5B9)).sum(dtype=np.uint64))


class TreePeer:
    """Pairs by two STRtrees: a large one, and a small one of what came since; time and owner before the exact test."""

    def __init__(self, distance_m: float, gap_days: int) -> None:
        self.distance_m, self.gap_days = distance_m, gap_days
        self.partners: dict[int, set[int]] = {}
        self._shape: NDArray[Any] = np.empty(0, dtype=object)
        self._columns = np.empty((0, 3), np.int64)
        self._fresh: set[int] = set()

    def load(self, batch: Batch) -> None:
        """Begin with *batch*."""
        self._store(batch)
        self._rebuild()
        self._link(self._near(batch.slots))

    def apply(self, batch: Batch) -> int:
        """Take *batch* and return how many pairs started, were kept or ended."""
        self._store(batch)
        self._fresh.update(batch.slots.tolist())
        before = {
            (min(slot, other), max(slot, other))
            for slot in batch.slots.tolist()
            for other in self.partners.get(slot, ())
        }
        after = self._near(batch.slots)
        for a, b in before - after:
            self.partners[a].discard(b)
            self.partners[b].discard(a)
        self._link(after - before)
        if len(self._fresh) > REBUILD_AFTER:
            self._rebuild()
        return len(before | after)

    def pairs(self) -> Ints:
        """All pairs, k x 2."""
        every = [(slot, other) for slot, others in self.partners.items() for other in others if slot < other]
        return np.array(every, dtype=np.int64).reshape(-1, 2)

    def _store(self, batch: Batch) -> None:
        size = int(batch.slots.max()) + 1
        if size > len(self._shape):
            self._shape = np.concatenate([self._shape, np.full(size - len(self._shape), None, dtype=object)])
            self._columns = np.concatenate([self._columns, np.zeros((size - len(self._columns), 3), np.int64)])
        self._shape[batch.slots] = batch.shapes
        self._columns[batch.slots] = np.column_stack([batch.start, batch.end, batch.owner])

    def _rebuild(self) -> None:
        self._tree = shapely.STRtree(self._shape)
        self._fresh.clear()

    def _near(self, slots: Ints) -> set[tuple[int, int]]:
        fresh = np.fromiter(self._fresh, np.int64, len(self._fresh))
        box = shapely.bounds(self._shape[slots]) + np.array([-1, -1, 1, 1]) * (self.distance_m + 0.001)
        asked = shapely.box(*box.T)
        query, row = self._tree.query(asked)
        old = ~np.isin(row, fresh)
        small_query, small_row = shapely.STRtree(self._shape[fresh]).query(asked)
        a = slots[np.concatenate([query[old], small_query])]
        b = np.concatenate([row[old], fresh[small_row]])
        start, end, owner = self._columns.T
        passes = (
            (a != b)
            & (owner[a] != owner[b])
            & (np.maximum(start[a], start[b]) - np.minimum(end[a], end[b]) - 1 <= self.gap_days)
        )
        a, b = a[passes], b[passes]
        near = shapely.dwithin(self._shape[a], self._shape[b], self.distance_m + 0.0005)
        a, b = a[near], b[near]
        return set(zip(np.minimum(a, b).tolist(), np.maximum(a, b).tolist(), strict=True))

    def _link(self, pairs: set[tuple[int, int]]) -> None:
        for a, b in pairs:
            self.partners.setdefault(a, set()).add(b)
            self.partners.setdefault(b, set()).add(a)
