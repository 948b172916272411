"""Array types of the kernel, and the arithmetic of many ranges at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Shapes = NDArray[np.object_]

NO_INTS: Ints = np.empty(0, dtype=np.int64)


def expand(starts: Ints, counts: Ints) -> tuple[Ints, Ints]:
    """Write out ranges: (number of the range, element) for each element of `start .. start + count - 1`, in order."""
    owner = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
    shift = starts - np.cumsum(counts) + counts
    return owner, np.arange(len(owner), dtype=np.int64) + shift[owner]


def insert_sorted(into: Ints, codes: Ints) -> Ints:
    """Return the places at which sorted *codes* stand after a merge with sorted *into*, behind their equals."""
    return np.searchsorted(into, codes, side="right") + np.arange(len(codes), dtype=np.int64)


def with_room(array: NDArray[Any], size: int, fill: object) -> NDArray[Any]:
    """Return *array* with at least *size* rows, half as many again when it has to grow; new rows hold *fill*."""
    if size <= len(array):
        return array
    grown = np.full((max(size, len(array) * 3 // 2, 1024), *array.shape[1:]), fill, dtype=array.dtype)
    grown[: len(array)] = array
    return grown


def is_in(codes: Ints, among: Ints) -> Bools:
    """Tell which *codes* occur in sorted *among*."""
    if not len(among):
        return np.zeros(len(codes), dtype=np.bool_)
    places = np.minimum(np.searchsorted(among, codes), len(among) - 1)
    found: Bools = among[places] == codes
    return found


def distinct(codes: Ints) -> Ints:
    """Return sorted *codes* without doubles."""
    if len(codes) < 2:
        return codes
    ordered = np.sort(codes)
    once: Ints = ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])]
    return once
