"""Which cells and buckets a box in space and time covers, as whole numbers and as sortable keys.

A key is (cell in y, cell in x, bucket of days) in one number, the bucket lowest: the buckets of one cell are one
range of keys. Far coordinates and days share the outermost cell or bucket; that costs candidates, never a pair.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from samenloop.kernel.arrays import Floats, Ints, expand

EVER: Final = 0
"""The bucket of periods that span more than `LONG` buckets."""
LONG: Final = 16
LARGE: Final = 1024
"""A box of more cells is not entered cell by cell."""
_CELLS: Final = 1 << 22
_BUCKETS: Final = 1 << 15
_Y_SHIFT: Final = 39
_X_SHIFT: Final = 16

# Columns of a cover.
Y_LOW, Y_HIGH, X_LOW, X_HIGH, B_LOW, B_HIGH = range(6)


class Lattice:
    """The size of cells in metres and of buckets in days."""

    def __init__(self, cell_m: float, bucket_days: int) -> None:
        self.cell_m = cell_m
        self.bucket_days = bucket_days

    def cover(self, box: Floats, days: Floats) -> Ints:
        """Return int64 (n, 6): lowest and highest cell in y and x, bucket; *box* is x, y, x, y and *days* start, end.

        A box that is not a number (no geometry) covers nothing.
        """
        absent = np.isnan(box[:, 0])
        cells = np.clip(np.floor(box / self.cell_m), -_CELLS, _CELLS - 1)
        buckets = np.clip(np.floor(days / self.bucket_days) + (_BUCKETS + 1), 1, 2 * _BUCKETS - 1)
        both = np.column_stack([cells[:, 1], cells[:, 3], cells[:, 0], cells[:, 2], buckets])
        both[absent] = 0
        cover = both.astype(np.int64)
        cover[absent, Y_HIGH] = -1
        return cover


def cell_count(cover: Ints) -> Ints:
    """Return how many cells each cover has."""
    count: Ints = (cover[:, Y_HIGH] - cover[:, Y_LOW] + 1) * (cover[:, X_HIGH] - cover[:, X_LOW] + 1)
    return count


def shorten(cover: Ints) -> None:
    """Put periods of more than `LONG` buckets in the one bucket `EVER`, in place."""
    long = cover[:, B_HIGH] - cover[:, B_LOW] >= LONG
    cover[long, B_LOW] = EVER
    cover[long, B_HIGH] = EVER


def cell_keys(cover: Ints) -> tuple[Ints, Ints]:
    """Return (number of the cover, key of the cell without bucket) for all cells of all covers."""
    owner, step = expand(np.zeros(len(cover), dtype=np.int64), cell_count(cover))
    mine = cover[owner]
    wide = mine[:, X_HIGH] - mine[:, X_LOW] + 1
    return owner, _key(mine[:, Y_LOW] + step // wide, mine[:, X_LOW] + step % wide)


def entry_keys(cover: Ints) -> tuple[Ints, Ints]:
    """Return (number of the cover, key) for all cells and buckets of all covers."""
    cell_owner, cells = cell_keys(cover)
    spans = cover[:, B_HIGH] - cover[:, B_LOW] + 1
    if (spans == 1).all():
        return cell_owner, cells | cover[cell_owner, B_LOW]
    index, bucket = expand(cover[cell_owner, B_LOW], spans[cell_owner])
    return cell_owner[index], cells[index] | bucket


def with_buckets(cells: Ints, cover: Ints) -> Ints:
    """Return the keys, sorted, of sorted *cells* in every bucket of one *cover*."""
    keys: Ints = (cells[:, None] | np.arange(cover[B_LOW], cover[B_HIGH] + 1)).ravel()
    return keys


def low_corner(one: Ints, other: Ints, bucket_found: Ints) -> Ints:
    """Return the one key under which a pair of covers is to be found, out of all they share."""
    bucket = np.where(bucket_found == EVER, EVER, np.maximum(one[:, B_LOW], other[:, B_LOW]))
    return _key(np.maximum(one[:, Y_LOW], other[:, Y_LOW]), np.maximum(one[:, X_LOW], other[:, X_LOW])) | bucket


def bucket_of(keys: Ints) -> Ints:
    """Return the bucket of each key."""
    bucket: Ints = keys & ((1 << _X_SHIFT) - 1)
    return bucket


def holds_key(cover: Ints, keys: Ints) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Tell for each cover whether the key beside it lies in it."""
    y, x, bucket = (keys >> _Y_SHIFT) - _CELLS, ((keys >> _X_SHIFT) & (2 * _CELLS - 1)) - _CELLS, bucket_of(keys)
    inside: np.ndarray[tuple[int], np.dtype[np.bool_]] = (
        (y >= cover[:, Y_LOW]) & (y <= cover[:, Y_HIGH])
        & (x >= cover[:, X_LOW]) & (x <= cover[:, X_HIGH])
        & (bucket >= cover[:, B_LOW]) & (bucket <= cover[:, B_HIGH])
    )  # fmt: skip
    return inside


def _key(y: Ints, x: Ints) -> Ints:
    key: Ints = ((y + _CELLS) << _Y_SHIFT) | ((x + _CELLS) << _X_SHIFT)
    return key
