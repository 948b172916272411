"""Where something is, judged at the border: can it be there, and how many vertices may it have.

Axes are x before y. What lies outside its box (swapped axes, 0/0, another zone) gives no location and is reported: a
wrong place is worse than none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import pyproj
import shapely
from shapely.geometry.base import BaseGeometry

from samenloop import geometry as border
from samenloop.source import Note

Box = tuple[float, float, float, float]
"""West, south, east, north."""
_EDGE_DEGREES = 0.05
MOST_VERTICES = 20_000
"""So that a record stays well under the broker's megabyte. Edges that carry less thin a shape themselves."""
METRES_IN_A_DEGREE = 111_320.0


def collect(shapes: Sequence[BaseGeometry]) -> BaseGeometry | None:
    """Return one geometry for the shapes of several rows: a multi-part of one type, else a collection."""
    if len(shapes) < 2:
        return shapes[0] if shapes else None
    distinct = {shape.wkb: shape for shape in shapes}
    parts = [distinct[wkb] for wkb in sorted(distinct)]
    if len(parts) == 1:
        return parts[0]
    flat = [part for shape in parts for part in (shapely.get_parts(shape) if hasattr(shape, "geoms") else [shape])]
    kinds = {part.geom_type for part in flat}
    maker = {"Point": shapely.MultiPoint, "LineString": shapely.MultiLineString, "Polygon": shapely.MultiPolygon}
    kind = kinds.pop() if len(kinds) == 1 else ""
    return maker[kind](flat) if kind in maker else shapely.GeometryCollection(flat)


def thinned(shape: BaseGeometry) -> tuple[BaseGeometry, float]:
    """Return a shape of at most `MOST_VERTICES` vertices, and by how much it was simplified in units of its CRS."""
    tolerance = 0.0
    thin = shape
    west, south, east, north = shape.bounds
    while shapely.get_num_coordinates(thin) > MOST_VERTICES:
        tolerance = tolerance * 2 or math.hypot(east - west, north - south) / 100_000
        thin = shapely.simplify(shape, tolerance, preserve_topology=True)
        if tolerance > math.hypot(east - west, north - south):
            return shapely.envelope(shape), tolerance
    return thin, tolerance


def check_place(shape: BaseGeometry, crs: str, box: Box | None) -> Note | None:
    """Say why *shape* cannot be where it is; None when all is well.

    *box* is in degrees when it fits the globe and *crs* is projected or not; else in units of *crs*. Without a box
    the area of use of *crs* counts. The point that is tested is the middle of the shape.
    """
    west, south, east, north = shape.bounds
    if not all(map(math.isfinite, (west, south, east, north))):
        return Note("geometry.not-finite")
    x, y = (west + east) / 2, (south + north) / 2
    if abs(x) < 1e-6 and abs(y) < 1e-6:
        return Note("geometry.zero-coordinate", detail="0, 0")
    if _inside(x, y, crs, box):
        return None
    if _inside(y, x, crs, box):
        return Note("geometry.axes-swapped", detail=f"y comes first in {crs}: say `axis_order: yx` if all are so")
    hint = ""
    if crs == "EPSG:4326" and (abs(x) > 180 or abs(y) > 90):
        hint = ": these are metres, say in which `crs`"
    elif crs != "EPSG:4326" and abs(x) <= 180 and abs(y) <= 90:
        hint = ": these look like degrees (EPSG:4326)"
    return Note("geometry.outside-area", detail=f"outside {'`bbox`' if box else f'the area of {crs}'}{hint}")


def is_degrees(box: Box) -> bool:
    """Say whether a bounding box can be in degrees, longitude first."""
    return max(abs(box[0]), abs(box[2])) <= 180 and max(abs(box[1]), abs(box[3])) <= 90


def _inside(x: float, y: float, crs: str, box: Box | None) -> bool:
    if box is not None and not is_degrees(box):
        return box[0] <= x <= box[2] and box[1] <= y <= box[3]
    if crs == "EPSG:4326":
        lon, lat = x, y
    else:
        lon, lat = border.transformer(crs, "EPSG:4326").transform(x, y)
    if not (math.isfinite(lon) and math.isfinite(lat) and abs(lon) <= 180 and abs(lat) <= 90):
        return False
    area = box or area_of_use(crs)
    edge = 0.0 if box else _EDGE_DEGREES
    if area[0] > area[2]:  # across the antimeridian
        return (lon >= area[0] or lon <= area[2]) and area[1] <= lat <= area[3]
    return area[0] - edge <= lon <= area[2] + edge and area[1] - edge <= lat <= area[3] + edge


@lru_cache(maxsize=64)
def area_of_use(crs: str) -> Box:
    """Return where a CRS is meant to be used, in degrees, longitude first; the whole earth where PROJ does not say."""
    area = pyproj.CRS.from_user_input(crs).area_of_use
    return (area.west, area.south, area.east, area.north) if area else (-180.0, -90.0, 180.0, 90.0)
