"""Pairs that hold, kept from both sides: the partners of a slot are one stretch of a pool of numbers."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from samenloop.kernel.arrays import NO_INTS, Ints, distinct, expand, is_in, with_room

SHIFT: Final = 32
"""A pair is one code: the smaller slot above this bit, the larger below."""
_LOW: Final = (1 << SHIFT) - 1


def pair_codes(one: Ints, other: Ints) -> Ints:
    """Code pairs of slots, whichever of the two is smaller."""
    codes: Ints = (np.minimum(one, other) << SHIFT) | np.maximum(one, other)
    return codes


def as_pairs(codes: Ints) -> Ints:
    """Return codes as an array of shape (k, 2), the smaller slot first."""
    return np.column_stack([codes >> SHIFT, codes & _LOW])


class Adjacency:
    """A set of pairs of slots. Each change touches the lists of the slots concerned and nothing else."""

    def __init__(self) -> None:
        self.count = 0
        """Pairs held."""
        self._start: Ints = np.zeros(0, dtype=np.int64)
        self._length: NDArray[np.int32] = np.zeros(0, dtype=np.int32)
        self._room: NDArray[np.int32] = np.zeros(0, dtype=np.int32)
        self._pool: NDArray[np.int32] = np.zeros(1024, dtype=np.int32)
        self._used = 0
        self._wasted = 0

    @property
    def nbytes(self) -> int:
        """Bytes of memory held."""
        return self._start.nbytes + self._length.nbytes + self._room.nbytes + self._pool.nbytes

    def reserve(self, slots: int) -> None:
        """Make room for so many slots."""
        self._start = with_room(self._start, slots, 0)
        self._length = with_room(self._length, slots, 0)
        self._room = with_room(self._room, slots, 0)

    def partners(self, slot: int) -> Ints:
        """Return the partners of one slot, sorted; none for a slot that was never seen."""
        if not 0 <= slot < len(self._start):
            return NO_INTS
        start = self._start[slot]
        return np.sort(self._pool[start : start + self._length[slot]]).astype(np.int64)

    def of(self, slots: Ints) -> Ints:
        """Return the codes of all pairs of these *slots*, sorted, each once."""
        owner, other = self._lists(slots)
        return distinct(pair_codes(slots[owner], other))

    def all(self) -> Ints:
        """Return the codes of all pairs, sorted."""
        owner, other = self._lists(np.flatnonzero(self._length))
        mine = np.flatnonzero(self._length)[owner]
        once = mine < other
        return np.sort(pair_codes(mine[once], other[once]))

    def change(self, started: Ints, ended: Ints) -> None:
        """Add and remove pairs by code; *started* are not held yet, *ended* are held."""
        self.count += len(started) - len(ended)
        coming, going = _both_ways(started), _both_ways(ended)
        slots = distinct(np.concatenate([coming, going]) >> SHIFT)
        owner, other = self._lists(slots)
        held = (slots[owner] << SHIFT) | other
        if len(going):
            held = held[~is_in(held, np.sort(going))]
        codes = np.concatenate([held, coming])
        codes.sort()
        self._write(slots, codes)

    def _lists(self, slots: Ints) -> tuple[Ints, Ints]:
        owner, places = expand(self._start[slots], self._length[slots].astype(np.int64))
        return owner, self._pool[places].astype(np.int64)

    def _write(self, slots: Ints, codes: Ints) -> None:
        """Replace the lists of *slots* by what sorted one-way *codes* say."""
        lengths = np.searchsorted(codes, (slots + 1) << SHIFT) - np.searchsorted(codes, slots << SHIFT)
        self._length[slots] = lengths
        tight = lengths > self._room[slots]
        if tight.any():
            self._move(slots[tight], lengths[tight])
        _, places = expand(self._start[slots], lengths)
        self._pool[places] = codes & _LOW
        if self._wasted > max(len(self._start), self._used // 2):
            self._pack()

    def _move(self, slots: Ints, lengths: Ints) -> None:
        """Give lists that outgrew their stretch a longer one at the end of the pool."""
        room = lengths + lengths // 4 + 2
        self._wasted += int(self._room[slots].sum())
        self._start[slots] = self._used + np.cumsum(room) - room
        self._room[slots] = room
        self._used += int(room.sum())
        self._pool = with_room(self._pool, self._used, 0)

    def _pack(self) -> None:
        """Write all lists one after the other, without the stretches that were left behind."""
        slots = np.flatnonzero(self._room)
        room = self._room[slots].astype(np.int64)
        _, places = expand(self._start[slots], room)
        pool = self._pool[places]
        self._start[slots] = np.cumsum(room) - room
        self._pool, self._used, self._wasted = pool, len(pool), 0


def _both_ways(codes: Ints) -> Ints:
    return np.concatenate([codes, ((codes & _LOW) << SHIFT) | (codes >> SHIFT)])
