"""The cells along a shape: for corridors, whose box holds a hundred times as many."""

from __future__ import annotations

from typing import Final

import numpy as np
import shapely

from samenloop.kernel.arrays import Floats, Ints, Shapes, distinct
from samenloop.kernel.cover import Lattice, cell_keys

MOST_PIECES: Final = 1 << 14
"""Pieces of a cell's length in which a shape is followed."""
MOST_INSIDE: Final = 1 << 18
"""Cells of a box in which the inside of an area is looked for."""
_POLYGON: Final = 3


def trace(shape: shapely.Geometry, lattice: Lattice, reach_m: float) -> Ints | None:
    """Return the keys, sorted, of all cells with a point within *reach_m* of *shape*, and of few more.

    None where that would take too long: such a shape is compared with every plan instead.
    """
    if shapely.length(shape) / lattice.cell_m + shapely.get_num_coordinates(shape) > MOST_PIECES:
        return None
    parts = _simple_parts(shape)
    pieces = _pieces(shapely.segmentize(parts, lattice.cell_m))
    keys = [_cells(pieces + np.array([-1, -1, 1, 1]) * reach_m, lattice)]
    for area in parts[shapely.get_type_id(parts) == _POLYGON]:
        inside = _inside(area, lattice)
        if inside is None:
            return None
        keys.append(inside)
    return distinct(np.concatenate(keys))


def _simple_parts(shape: shapely.Geometry) -> Shapes:
    """Points, lines and polygons of a shape, whatever it is wrapped in."""
    parts = shapely.get_parts([shape])
    while (shapely.get_type_id(parts) > _POLYGON).any():
        parts = shapely.get_parts(parts)
    found: Shapes = parts[~shapely.is_empty(parts)]
    return found


def _pieces(parts: Shapes) -> Floats:
    """Boxes of the straight pieces of all parts, and of their points."""
    areas = shapely.get_type_id(parts) == _POLYGON
    lines = np.concatenate([parts[~areas], shapely.get_rings(parts[areas])])
    xy, line = shapely.get_coordinates(lines, return_index=True)
    follows = np.flatnonzero(line[1:] == line[:-1])
    ends = np.concatenate([np.stack([xy[follows], xy[follows + 1]], axis=1), np.stack([xy, xy], axis=1)])
    return np.concatenate([ends.min(axis=1), ends.max(axis=1)], axis=1)


def _inside(area: shapely.Geometry, lattice: Lattice) -> Ints | None:
    """Keys of the cells whose middle lies inside: with those along the border, all that the area covers."""
    low, high = np.split(np.floor(np.array(area.bounds) / lattice.cell_m), 2)
    across, up = (high - low + 1).tolist()
    if across * up > MOST_INSIDE:
        return None
    x, y = np.meshgrid(low[0] + np.arange(across), low[1] + np.arange(up))
    middles = (np.column_stack([x.ravel(), y.ravel()]) + 0.5) * lattice.cell_m
    shapely.prepare(area)
    inside = middles[shapely.contains_xy(area, middles)]
    return _cells(np.concatenate([inside, inside], axis=1), lattice)


def _cells(boxes: Floats, lattice: Lattice) -> Ints:
    return distinct(cell_keys(lattice.cover(boxes, np.zeros((len(boxes), 2))))[1])
