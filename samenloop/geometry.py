"""Geometry at the border: WKB in and out, into metres, and repaired.

Coordinates are always x before y (east before north), also where the CRS says otherwise; `EPSG:4326` therefore
travels as CRS84. Nothing here buffers a geometry.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from pyproj.exceptions import CRSError
from shapely.geometry.base import BaseGeometry

from samenloop import model
from samenloop.errors import Reject

CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
_RD_AREA = (3.2, 50.7, 7.3, 53.7)
_WORLD_MAPS = frozenset({"EPSG:3857", "EPSG:3395", "EPSG:6933", "EPSG:8857"})
_EPSG_URI = "http://www.opengis.net/def/crs/EPSG/0/"
_CODE = re.compile(
    r"(?:EPSG:|urn:ogc:def:crs:EPSG:[^:]*:|https?://www\.opengis\.net/(?:def/crs/EPSG/[^/]+/|gml/srs/epsg\.xml#))(\d+)"
)
_CRS84_NAMES = re.compile(
    r"(?:OGC:CRS84|urn:ogc:def:crs:OGC:[^:]*:CRS84|https?://www\.opengis\.net/def/crs/OGC/.*CRS84)"
)

Shapes = NDArray[np.object_]
"""One-dimensional object array of shapely geometries or None."""


@lru_cache(maxsize=256)
def crs_uri(name: str) -> str:
    """Return the OGC URI of a CRS given as `EPSG:28992`, an OGC URN or URI; `EPSG:4326` becomes CRS84.

    Raises Reject("geometry.crs-unknown") for any other text.
    """
    code = epsg_of(name)
    return CRS84 if code == "EPSG:4326" else _EPSG_URI + code.removeprefix("EPSG:")


@lru_cache(maxsize=256)
def epsg_of(uri: str) -> str:
    """Return `EPSG:<number>` for a CRS URI, URN or code; CRS84 gives `EPSG:4326` (read x before y).

    Raises Reject("geometry.crs-unknown") for any other text.
    """
    if _CRS84_NAMES.fullmatch(uri):
        return "EPSG:4326"
    if found := _CODE.fullmatch(uri):
        return f"EPSG:{found[1]}"
    raise Reject("geometry.crs-unknown", "the CRS is not an EPSG code or CRS84", field="geometry.crs")


@lru_cache(maxsize=64)
def transformer(source: str, target: str) -> pyproj.Transformer:
    """Return the cached transformer between two CRS (code, URN or URI), x before y on both sides.

    Raises Reject("geometry.crs-unknown") when PROJ does not know one of them.
    """
    try:
        return pyproj.Transformer.from_crs(epsg_of(source), epsg_of(target), always_xy=True)
    except CRSError as error:
        raise Reject("geometry.crs-unknown", f"PROJ does not know {source} or {target}") from error


def read_wkb(wkb: bytes) -> BaseGeometry:
    """Read WKB into a two-dimensional geometry. Raises Reject("geometry.unparseable")."""
    try:
        return shapely.force_2d(shapely.from_wkb(wkb))
    except shapely.errors.GEOSException as error:
        raise Reject("geometry.unparseable", "the geometry is not readable WKB", field="geometry.wkb") from error


def write_wkb(shape: BaseGeometry) -> bytes:
    """Write ISO WKB, two-dimensional, little endian, without SRID."""
    return bytes(shapely.to_wkb(shape, output_dimension=2, byte_order=1, include_srid=False, flavor="iso"))


def write_wkb_many(shapes: Shapes) -> list[bytes]:
    """Write many geometries as `write_wkb` does."""
    written = shapely.to_wkb(shapes, output_dimension=2, byte_order=1, include_srid=False, flavor="iso")
    return list(written)


def to_model(shape: BaseGeometry, crs: str, accuracy_m: float | None = None) -> model.Geometry:
    """Wrap a shapely geometry as the domain's value; *crs* as in `crs_uri`, *accuracy_m* in metres."""
    return model.Geometry(write_wkb(shape), crs_uri(crs), accuracy_m)


def transform(shapes: Any, source: str, target: str) -> Any:
    """Transform one geometry or an array of them between two CRS (code, URN or URI), x before y.

    Raises Reject("geometry.crs-unknown"). Coordinates outside the target's area become infinite.
    """
    if epsg_of(source) == epsg_of(target):
        return shapes
    change = transformer(source, target).transform

    def move(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(change(xy[:, 0], xy[:, 1]))

    return shapely.transform(shapes, move)


def to_metric(geometry: model.Geometry, metric_crs: str) -> BaseGeometry:
    """Return *geometry* in metres of *metric_crs*, as given: neither repaired nor buffered.

    Raises Reject: `geometry.unparseable`, `geometry.crs-unknown`, or `geometry.outside-crs` when the coordinates
    have no place in *metric_crs*.
    """
    shape = transform(read_wkb(geometry.wkb), geometry.crs, metric_crs)
    if not shape.is_empty and not np.isfinite(shape.bounds).all():
        raise Reject("geometry.outside-crs", f"the coordinates have no place in {metric_crs}", field="geometry")
    return shape


def to_metric_many(geometries: Sequence[model.Geometry | None], metric_crs: str) -> Shapes:
    """Return many geometries in metres of *metric_crs*, in order; None where one is missing or `to_metric` rejects."""
    result: Shapes = np.full(len(geometries), None, dtype=object)
    groups: dict[str, list[int]] = defaultdict(list)
    for index, geometry in enumerate(geometries):
        if geometry is not None:
            groups[geometry.crs].append(index)
    for crs, indexes in groups.items():
        wkbs: NDArray[np.object_] = np.empty(len(indexes), dtype=object)
        wkbs[:] = [found.wkb for i in indexes if (found := geometries[i]) is not None]
        shapes = shapely.from_wkb(wkbs, on_invalid="ignore")
        if shapely.has_z(shapes).any():
            shapes = shapely.force_2d(shapes)
        try:
            shapes = transform(shapes, crs, metric_crs)
        except Reject:
            continue
        finite = np.isfinite(shapely.bounds(shapes)).all(axis=1) | shapely.is_empty(shapes)
        result[indexes] = np.where(finite, shapes, None)
    return result


def fitting_metric_crs(geometries: Iterable[model.Geometry | None]) -> str:
    """Return a projected CRS in metres in which distances between *geometries* are true, as `EPSG:<number>`.

    The one they are all given in when it has metres and is no world map; else, by the middle of the places, RD in the
    Netherlands and the UTM zone elsewhere. What cannot be read has no say.
    """
    present = [geometry for geometry in geometries if geometry is not None]
    codes = {epsg_of(geometry.crs) for geometry in present}
    if len(codes) == 1 and _is_metric(only := next(iter(codes))):
        return only
    boxes = shapely.bounds(to_metric_many(present, "EPSG:4326"))
    boxes = boxes[np.isfinite(boxes).all(axis=1)]
    if not len(boxes):
        return "EPSG:28992"
    east, north = (float(value) for value in np.median((boxes[:, :2] + boxes[:, 2:]) / 2, axis=0))
    if not (_RD_AREA[0] <= east <= _RD_AREA[2] and _RD_AREA[1] <= north <= _RD_AREA[3]):
        zone = min(max(int((east + 180) // 6) + 1, 1), 60)
        return f"EPSG:{(32600 if north >= 0 else 32700) + zone}"
    return "EPSG:28992"


@lru_cache(maxsize=64)
def _is_metric(code: str) -> bool:
    if code in _WORLD_MAPS:
        return False
    try:
        crs = pyproj.CRS(code)
    except CRSError as error:
        raise Reject("geometry.crs-unknown", f"PROJ does not know {code}") from error
    return bool(crs.is_projected and all(axis.unit_conversion_factor == 1 for axis in crs.axis_info[:2]))


def repair(shape: BaseGeometry) -> tuple[BaseGeometry | None, bool]:
    """Return a valid geometry and whether it had to be repaired; None when nothing remains.

    rule: rules.md 9. Repair is `make_valid` and keeps the parts of the highest dimension; a valid geometry comes
    back unchanged. Never `buffer(0)`, which silently drops half of a bow-tie.
    """
    if shape.is_empty:
        return None, False
    if shape.is_valid:
        return shape, False
    if not np.isfinite(shapely.get_coordinates(shape)).all():
        return None, True
    # "structure" keeps what overlapping parts share; "linework" would cut it out as a hole
    parts = shapely.get_parts(shapely.make_valid(shape, method="structure", keep_collapsed=True))
    parts = _flat(parts[~shapely.is_empty(parts)])
    if not len(parts):
        return None, True
    dimensions = shapely.get_dimensions(parts)
    kept = parts[dimensions == dimensions.max()]
    return (kept[0] if len(kept) == 1 else shapely.union_all(kept)), True


def repair_many(shapes: Shapes) -> tuple[Shapes, NDArray[np.bool_]]:
    """Repair many geometries as `repair` does; None stays None. Only the invalid ones cost more than a check."""
    result = shapes.copy()
    repaired = np.zeros(len(shapes), dtype=np.bool_)
    present = shapely.is_geometry(shapes)
    doubtful = present & (~shapely.is_valid(shapes) | shapely.is_empty(shapes))
    for index in np.flatnonzero(doubtful):
        result[index], repaired[index] = repair(shapes[index])
    return result, repaired


def _flat(parts: Shapes) -> Shapes:
    """Split collections inside collections until single parts remain."""
    while len(parts) and (shapely.get_type_id(parts) >= 4).any():
        parts = shapely.get_parts(parts)
    return parts
