"""Coordinates at the door: which CRS are offered, boxes on the way in, GeoJSON on the way out.

Inside x comes before y everywhere; on the wire EPSG:4258 and EPSG:9067 have latitude first, CRS84 longitude. Positions
go out with 3 decimals in metres and 8 in degrees.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyproj
import shapely
from shapely.geometry.base import BaseGeometry

from samenloop.errors import Reject
from samenloop.geometry import CRS84, crs_uri, epsg_of, transform

_EPSG = "http://www.opengis.net/def/crs/EPSG/0/"
CRS_URIS = (CRS84, f"{_EPSG}28992", f"{_EPSG}4258", f"{_EPSG}9067")
"""What can be asked for, the default first."""

_LATITUDE_FIRST = frozenset({"EPSG:4258", "EPSG:9067"})
_METRES = frozenset({"EPSG:28992"})
_BEYOND_METRES, _BEYOND_DEGREES = 1_000_000.0, 10.0
_LARGEST_METRES, _LARGEST_DEGREES = 100_000_000.0, 360.0
"""No coordinate on earth is larger, in any CRS that is offered."""
_STEPS = 16
"""Points along each side of a box, since a straight side is a curve in another CRS."""

Box = tuple[float, float, float, float]
NOWHERE = (-3e38, -3e38, -3e38, -3e38)
"""The box of what has no place: no question about an area finds it."""


@dataclass(frozen=True, slots=True)
class Area:
    """A box that was asked for, in metres of the hub's CRS: its outline, the box around that, and one inside it.

    What lies in *inner* is in the area for sure; what reaches out of it must be looked at itself.
    """

    outline: BaseGeometry
    box: Box
    inner: Box


def offered(crs: str) -> str:
    """Return the URI of a CRS that is offered, given as URI, URN or code.

    Raises Reject("query.crs-not-offered").
    """
    try:
        uri = crs_uri(crs)
    except Reject:
        uri = ""
    if uri not in CRS_URIS:
        raise Reject(
            "query.crs-not-offered", f"the CRS is not offered, expected one of {', '.join(CRS_URIS)}", field="crs"
        )
    return uri


def area_of(bbox: Sequence[float], crs: str, metric_crs: str) -> Area | None:
    """Return the area of *bbox*, whose axes are in the order of *crs*; None where it lies outside *metric_crs*.

    A box whose west is east of its east crosses the antimeridian. Raises Reject("query.bbox") for one that is none,
    Reject("query.crs-not-offered").
    """
    crs = offered(crs)
    boxes = boxes_of(bbox, crs)
    if epsg_of(crs) == epsg_of(metric_crs):
        outline = shapely.union_all(boxes)
    else:
        # a projection is good near its own area only
        reach = shapely.box(*_reach(crs, metric_crs))
        inside = shapely.intersection(shapely.union_all(boxes), reach)
        if inside.is_empty:
            return None
        outline = transform(shapely.segmentize(inside, _longest_step(inside.bounds)), crs, metric_crs)
    shapely.prepare(outline)
    x0, y0, x1, y1 = outline.bounds
    return Area(outline, (x0, y0, x1, y1), _inner(outline))


def boxes_of(bbox: Sequence[float], crs: str) -> list[BaseGeometry]:
    """Return *bbox*, whose axes are in the order of *crs*, as one box, or two where it crosses the antimeridian.

    Raises Reject("query.bbox") for one that is none.
    """
    if len(bbox) != 4 or not np.isfinite(bbox).all():
        raise Reject("query.bbox", "expected four numbers: the lower and the upper corner", field="bbox")
    code = epsg_of(crs)
    largest = _LARGEST_METRES if code in _METRES else _LARGEST_DEGREES
    if np.abs(bbox).max() > largest:
        raise Reject("query.bbox", f"a corner lies beyond {largest:,.0f}, which is nowhere on earth", field="bbox")
    x0, y0, x1, y1 = (bbox[1], bbox[0], bbox[3], bbox[2]) if code in _LATITUDE_FIRST else bbox
    if y0 > y1:
        raise Reject("query.bbox", "the lower corner lies above the upper one", field="bbox")
    if x0 <= x1:
        return [shapely.box(x0, y0, x1, y1)]
    if code in _METRES:
        raise Reject("query.bbox", "the lower corner lies right of the upper one", field="bbox")
    return [shapely.box(x0, y0, 180.0, y1), shapely.box(-180.0, y0, x1, y1)]


def to_geojson(wkbs: Sequence[bytes | None], sources: Sequence[str | None], target: str) -> list[str | None]:
    """Return GeoJSON geometries in *target*, axes in its order; None for what is missing or cannot be had."""
    result: list[str | None] = [None] * len(wkbs)
    groups: dict[str, list[int]] = defaultdict(list)
    for index, (wkb, source) in enumerate(zip(wkbs, sources, strict=True)):
        if wkb is not None and source is not None:
            groups[source].append(index)
    for source, indexes in groups.items():
        try:
            shapes = transform(_read([wkbs[i] for i in indexes]), source, target)
        except Reject:
            continue
        for index, text in zip(indexes, _written(shapes, target), strict=True):
            result[index] = text
    return result


@lru_cache(maxsize=4096)
def accuracy_in(accuracy_m: float | None, source: str | None, target: str) -> float | None:
    """Return the accuracy in metres after a change of CRS; None where none was given.

    Without the RD grid, a change to or from ETRS89 costs 0.25 m and one to or from CRS84 1 m. rule: contract.md 9.
    """
    if accuracy_m is None or source is None:
        return accuracy_m
    codes = {epsg_of(source), epsg_of(target)}
    if len(codes) == 1:
        return accuracy_m
    return round(accuracy_m + (1.0 if "EPSG:4326" in codes else 0.25), 3)


def intersecting(
    wkbs: Sequence[bytes | None], sources: Sequence[str | None], area: Area, metric_crs: str
) -> list[bool]:
    """Say of each geometry whether it touches or overlaps *area*; what is missing or unreadable does not."""
    result = [False] * len(wkbs)
    groups: dict[str, list[int]] = defaultdict(list)
    for index, (wkb, source) in enumerate(zip(wkbs, sources, strict=True)):
        if wkb is not None and source is not None:
            groups[source].append(index)
    for source, indexes in groups.items():
        try:
            shapes = transform(_read([wkbs[i] for i in indexes]), source, metric_crs)
        except Reject:
            continue
        for index, hit in zip(indexes, shapely.intersects(area.outline, shapes).tolist(), strict=True):
            result[index] = hit
    return result


def _read(wkbs: Sequence[bytes | None]) -> Any:
    array = np.empty(len(wkbs), dtype=object)
    array[:] = wkbs
    return shapely.force_2d(shapely.from_wkb(array, on_invalid="ignore"))


def _written(shapes: Any, target: str) -> list[str | None]:
    code = epsg_of(target)
    decimals = 3 if code in _METRES else 8
    swap = code in _LATITUDE_FIRST

    def on_the_wire(xy: Any) -> Any:
        return np.round(xy[:, ::-1] if swap else xy, decimals)

    bounds = shapely.bounds(shapes)
    shapes = np.where(np.isfinite(bounds).all(axis=1) | shapely.is_empty(shapes), shapes, None)
    shapes = shapely.transform(shapes, on_the_wire)
    if code == "EPSG:4326":
        shapes = shapely.orient_polygons(shapes)  # RFC 7946: outer rings counter-clockwise
    texts: list[str | None] = shapely.to_geojson(shapes).tolist()
    return texts


def _inner(outline: BaseGeometry) -> Box:
    """Return a large box inside; sides that were straight in another CRS are bent by little."""
    x0, y0, x1, y1 = outline.bounds
    for share in (0.0, 0.01, 0.03, 0.1):
        dx, dy = share * (x1 - x0), share * (y1 - y0)
        box = (x0 + dx, y0 + dy, x1 - dx, y1 - dy)
        if outline.covers(shapely.box(*box)):
            return box
    return (np.inf, np.inf, -np.inf, -np.inf)


def _longest_step(bounds: Box) -> float:
    return max(bounds[2] - bounds[0], bounds[3] - bounds[1], 1e-9) / _STEPS


@lru_cache(maxsize=64)
def _reach(crs: str, metric_crs: str) -> Box:
    """Return the box in *crs* within which *metric_crs* is of use, and some way around it."""
    use = pyproj.CRS(epsg_of(metric_crs)).area_of_use
    west, south, east, north = use.bounds if use is not None else (-180.0, -80.0, 180.0, 80.0)
    if pyproj.CRS(epsg_of(crs)).is_geographic:
        d = _BEYOND_DEGREES
        return (west - d, max(south - d, -89.0), east + d, min(north + d, 89.0))
    x0, y0, x1, y1 = transform(shapely.box(west, south, east, north), CRS84, crs).bounds
    return (x0 - _BEYOND_METRES, y0 - _BEYOND_METRES, x1 + _BEYOND_METRES, y1 + _BEYOND_METRES)
