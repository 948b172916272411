"""A geometry written so that equal shapes give equal text, however they were stored.

Whole millimetres (projected CRS) or 1e-8 degrees (geographic CRS), in the CRS of the source: transforming first would
tie the text to one version of a transformation grid. Rings run counter-clockwise from their smallest point without
the closing one; holes and parts are sorted. Lines keep their direction.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import orjson
import pyproj
import shapely
from numpy.typing import NDArray
from pyproj.exceptions import CRSError

from samenloop.errors import Reject
from samenloop.geometry import epsg_of
from samenloop.model import Geometry

Form = dict[str, Any]
"""A JSON object."""
Points = list[list[int]]

_TYPES = (
    "Point", "LineString", "LinearRing", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon",
    "GeometryCollection",
)  # fmt: skip
_POINT, _POLYGON, _FIRST_MULTI, _COLLECTION = 0, 3, 4, 7


def canonical_geometries(geometries: Sequence[Geometry]) -> list[Form]:
    """Return ``{crs, type, xy}`` of each geometry.

    Raises Reject("geometry.unparseable") for bytes that are no WKB, Reject("geometry.not-finite"), and
    Reject("geometry.crs-unknown").
    """
    if not geometries:
        return []
    shapes = shapely.from_wkb(np.array([item.wkb for item in geometries], dtype=object), on_invalid="ignore")
    if shapely.is_missing(shapes).any():
        raise Reject("geometry.unparseable", "the geometry is not readable WKB", field="geometry.wkb")
    scales = np.array([_scale(item.crs) for item in geometries])
    forms = _forms(shapes, scales)
    return [{"crs": item.crs, **form} for item, form in zip(geometries, forms, strict=True)]


@lru_cache(maxsize=256)
def _scale(crs: str) -> float:
    """Return how many units of the text go into one unit of the CRS. Raises Reject("geometry.crs-unknown")."""
    try:
        return 1e8 if pyproj.CRS(epsg_of(crs)).is_geographic else 1e3
    except CRSError as error:
        raise Reject("geometry.crs-unknown", f"PROJ does not know {epsg_of(crs)}", field="geometry.crs") from error


def _forms(shapes: NDArray[np.object_], scales: NDArray[np.float64]) -> list[Form]:
    kinds = shapely.get_type_id(shapes)
    parts, owner = shapely.get_parts(shapes, return_index=True)
    of_shape: list[list[Any]] = [[] for _ in range(len(shapes))]
    nested = kinds[owner] == _COLLECTION
    if nested.any():
        for number, form in zip(owner[nested], _forms(parts[nested], scales[owner[nested]]), strict=True):
            of_shape[number].append(form)
    parts, owner = parts[~nested], owner[~nested]
    for number, part in zip(owner, _parts(parts, scales[owner]), strict=True):
        of_shape[number].append(part)
    return [_shape(int(kind), found) for kind, found in zip(kinds, of_shape, strict=True)]


def _shape(kind: int, parts: list[Any]) -> Form:
    if kind == _COLLECTION:
        parts.sort(key=lambda form: orjson.dumps(form, option=orjson.OPT_SORT_KEYS))
    elif kind >= _FIRST_MULTI:
        parts.sort()
    else:
        parts = parts[0] if parts else []
    return {"type": _TYPES[kind], "xy": parts}


def _parts(parts: NDArray[np.object_], scales: NDArray[np.float64]) -> list[Any]:
    """Return the coordinates of simple geometries: a point, a line, or rings."""
    polygon = shapely.get_type_id(parts) == _POLYGON
    rings, ring_owner = shapely.get_rings(parts[polygon], return_index=True)
    strands = np.concatenate([rings, parts[~polygon]])
    owner = np.concatenate([np.flatnonzero(polygon)[ring_owner], np.flatnonzero(~polygon)])
    points, clockwise = _points(strands, scales[owner], len(rings))
    found: list[Any] = [[] for _ in range(len(parts))]
    for number in range(len(rings)):
        found[owner[number]].append(_ring(points[number], clockwise[number]))
    for number in range(len(rings), len(strands)):
        found[owner[number]] = points[number]
    for number, kind in enumerate(shapely.get_type_id(parts).tolist()):
        if kind == _POLYGON:
            found[number][1:] = sorted(found[number][1:])
        elif kind == _POINT:
            found[number] = found[number][0] if found[number] else []
    return found


def _points(
    strands: NDArray[np.object_], scales: NDArray[np.float64], rings: int
) -> tuple[list[Points], list[bool | None]]:
    """Return the rounded points of each strand, and of the first *rings* whether they run clockwise (None: too flat
    to say in doubles).
    """
    xy, strand = shapely.get_coordinates(strands, return_index=True)
    if not np.isfinite(xy).all():
        raise Reject("geometry.not-finite", "a coordinate is NaN or infinite", field="geometry")
    whole = np.floor(xy * scales[strand, None] + 0.5)
    counts = np.bincount(strand, minlength=len(strands))
    ends = np.cumsum(counts)
    listed: Points = whole.astype(np.int64).tolist()
    points = [listed[end - count : end] for end, count in zip(ends.tolist(), counts.tolist(), strict=True)]
    return points, _clockwise(whole, strand, (ends - counts)[:rings], int(counts[:rings].sum()))


def _clockwise(
    whole: NDArray[np.float64], strand: NDArray[np.int64], starts: NDArray[np.int64], stop: int
) -> list[bool | None]:
    """Return the direction of closed rings, whose points lie in *whole* up to *stop*, from *starts* on."""
    if not len(starts):
        return []
    near = whole[:stop] - whole[starts][strand[:stop]]  # small numbers: products keep their last digits
    terms = np.zeros(stop)
    terms[:-1] = near[:-1, 0] * near[1:, 1] - near[1:, 0] * near[:-1, 1]  # a step to the next ring starts at zero
    area = np.add.reduceat(terms, starts)
    doubt = np.add.reduceat(np.abs(terms), starts) * 1e-12
    return [None if flat else bool(turn) for flat, turn in zip(np.abs(area) <= doubt, area < 0, strict=True)]


def _ring(points: Points, clockwise: bool | None) -> Points:
    """Return a closed ring in its one canonical order."""
    opened = points[:-1]
    if clockwise is None:
        area = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(opened, opened[1:] + opened[:1], strict=True))
        if area == 0:
            return min(_from_smallest(opened), _from_smallest(opened[::-1]))
        clockwise = area < 0
    return _from_smallest(opened[::-1] if clockwise else opened)


def _from_smallest(opened: Points) -> Points:
    """Return the points starting at the smallest; where it occurs twice, in the smaller of the orders."""
    smallest = min(opened)
    first = opened.index(smallest)
    if opened.count(smallest) == 1:
        return opened[first:] + opened[:first]
    starts = (number for number, point in enumerate(opened) if point == smallest)
    return min(opened[number:] + opened[:number] for number in starts)
