"""A synthetic nation: plans spread over 342 municipalities as people are, and how they change. Seeded, no real data.

Of the changes 42 % move in time, 30 % change shape, 13 % change neither, 10 % are new plans and 5 % go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

Ints = NDArray[np.int64]
MUNICIPALITIES = 342
WEST, SOUTH, EAST, NORTH = 20_000, 310_000, 270_000, 610_000
FIRST_DAY = 20_454
"""2026-01-01, in days since 1970."""
KINDS = ("reschedule", "reshape", "attribute", "new", "delete")
SHARES = (0.42, 0.30, 0.13, 0.10, 0.05)


class Batch(NamedTuple):
    """n changes of different slots; a shape None takes the plan away."""

    slots: Ints
    shapes: NDArray[Any]
    start: Ints
    end: Ints
    owner: Ints


class Nation:
    """Plans by slot, and a stream of changes to them. *one_city* puts all of them in one town of 12 km."""

    def __init__(self, plans: int, seed: int = 1, *, one_city: bool = False) -> None:
        self._rng = np.random.default_rng(seed)
        self._towns(one_city)
        self.wkb: list[bytes | None] = shapely.to_wkb(self._shapes(plans)).tolist()
        self.start, self.end = self._periods(plans)
        self.owner = self._owners(plans)

    def everything(self) -> Batch:
        """All plans as they are now."""
        slots = np.flatnonzero(np.array([wkb is not None for wkb in self.wkb]))
        return self._batch(slots)

    def changes(self, count: int, size: int = 500) -> Iterator[Batch]:
        """Yield *count* changes in batches of *size*; each batch has a slot at most once, its last state."""
        for begin in range(0, count, size):
            yield self._change(min(size, count - begin))

    def _change(self, size: int) -> Batch:
        kinds = self._rng.choice(len(KINDS), size, p=SHARES)
        slots = self._rng.choice(len(self.wkb), size, replace=False)
        new = np.flatnonzero(kinds == KINDS.index("new"))
        slots[new] = np.arange(len(self.wkb), len(self.wkb) + len(new))
        self._grow(len(new))
        moved = slots[kinds == KINDS.index("reschedule")]
        self.start[moved], self.end[moved] = self._periods(len(moved))
        shaped = slots[kinds == KINDS.index("reshape")].tolist()
        for slot, wkb in zip(shaped, shapely.to_wkb(self._shapes(len(shaped))).tolist(), strict=True):
            self.wkb[slot] = wkb
        for slot in slots[kinds == KINDS.index("delete")].tolist():
            self.wkb[slot] = None
        return self._batch(slots)

    def _grow(self, count: int) -> None:
        start, end = self._periods(count)
        self.wkb += shapely.to_wkb(self._shapes(count)).tolist()
        self.start, self.end = np.concatenate([self.start, start]), np.concatenate([self.end, end])
        self.owner = np.concatenate([self.owner, self._owners(count)])

    def _batch(self, slots: Ints) -> Batch:
        wkbs: NDArray[Any] = np.empty(len(slots), dtype=object)
        wkbs[:] = [self.wkb[slot] for slot in slots.tolist()]
        return Batch(slots, shapely.from_wkb(wkbs), self.start[slots], self.end[slots], self.owner[slots])

    def _towns(self, one_city: bool) -> None:
        count = 1 if one_city else MUNICIPALITIES
        people = np.sort(self._rng.pareto(1.3, count) + 0.3)
        self._share = people / people.sum()
        self._radius = np.full(count, 6000.0) if one_city else np.clip(1500 * np.sqrt(people), 900, 9000)
        self._centre = np.column_stack([self._rng.uniform(WEST, EAST, count), self._rng.uniform(SOUTH, NORTH, count)])

    def _shapes(self, count: int) -> NDArray[Any]:
        """Trenches along streets (60 %), sites (30 %) and points (10 %), in metres of RD, to the centimetre."""
        town = self._rng.choice(len(self._share), count, p=self._share)
        at = self._centre[town] + self._rng.normal(0, 0.5, (count, 2)) * self._radius[town, None]
        length = np.clip(self._rng.lognormal(4.0, 0.8, count), 5, 1500)
        angle = self._rng.choice([0.0, np.pi / 2], count) + self._rng.normal(0, 0.1, count)
        ahead = np.column_stack([np.cos(angle), np.sin(angle)]) * length[:, None]
        lines = shapely.linestrings(np.stack([at, at + ahead], axis=1).round(2))
        side = np.clip(self._rng.lognormal(2.5, 0.6, (count, 2)), 2, 200)
        sites = shapely.box(*at.round(2).T, *(at + side).round(2).T)
        kind = self._rng.random(count)
        result: NDArray[Any] = np.where(kind < 0.6, lines, np.where(kind < 0.9, sites, shapely.points(at.round(2))))
        return result

    def _periods(self, count: int) -> tuple[Ints, Ints]:
        start = FIRST_DAY + self._rng.integers(0, 900, count)
        return start, start + np.clip(self._rng.lognormal(3.2, 0.9, count), 1, 364).astype(np.int64)

    def _owners(self, count: int) -> Ints:
        return self._rng.integers(0, 9, count)
