"""Places of many plans at once: GeoJSON to the domain's geometries, each one checked.

A shape that crosses itself is taken as it is: detection repairs and flags it, as for every source.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import orjson
import pyproj
import shapely
from numpy.typing import NDArray

from edge.forms import GeometryForm
from edge.problems import Fault
from samenloop.errors import Reject
from samenloop.geometry import CRS84, crs_uri, epsg_of, to_metric_many, transformer
from samenloop.model import Geometry
from samenloop.places import Box, area_of_use

MOST_VERTICES = 20_000


class Place(NamedTuple):
    """A place that is asked for: its form, the name of its CRS, its accuracy, and where it stands in the body."""

    form: GeometryForm
    crs: str | None
    accuracy_m: float | None
    pointer: str


def read_places(places: Sequence[Place], metric_crs: str) -> list[Geometry | list[Fault]]:
    """Return the geometry of each place, or what is wrong with it.

    Refused: a CRS that PROJ does not know, coordinates that are none or have no place in *metric_crs*, degrees that lie
    in its area of use only with x and y exchanged, an empty shape, and one of more than `MOST_VERTICES` vertices.
    """
    shapes = shapely.from_geojson(_texts(places), on_invalid="ignore")
    shapes = shapely.force_2d(shapes)
    counts, on_earth = shapely.get_num_coordinates(shapes), _in_degrees(shapes)
    turned = _turned(shapes, area_of_use(epsg_of(metric_crs)))
    wkbs = shapely.to_wkb(shapes, byte_order=1, flavor="iso")
    found: list[Geometry | list[Fault]] = []
    columns = (shapely.is_missing(shapes), counts, on_earth, turned, wkbs)
    for place, missing, count, fits, swapped, wkb in zip(places, *(column.tolist() for column in columns), strict=True):
        try:
            crs = _crs(place.crs or CRS84)
            _check(place, missing, count)
            if not fits and _is_geographic(crs):
                raise Reject("geometry.outside-crs", "degrees beyond 180 east or 90 north; x stands before y")
            if swapped and _is_geographic(crs):
                raise Reject(
                    "geometry.axes-swapped", "x and y are exchanged: give longitude (east) before latitude (north)"
                )
        except Reject as error:
            pointer = f"{place.pointer}/crs" if error.code == "geometry.crs-unknown" else place.pointer
            found.append([Fault(pointer, error.code, error.detail)])
        else:
            found.append(Geometry(wkb, crs, place.accuracy_m))
    return _inside(found, places, metric_crs)


def _texts(places: Sequence[Place]) -> NDArray[np.object_]:
    texts: NDArray[np.object_] = np.full(len(places), None, dtype=object)
    for number, place in enumerate(places):
        try:
            text = orjson.dumps({"type": place.form.type, "coordinates": place.form.coordinates})
            texts[number] = text.decode() if _finite(text) else None
        except orjson.JSONEncodeError:  # nested beyond measure
            continue
    return texts


def _in_degrees(shapes: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Say which shapes lie within the degrees there are. PROJ would go round the earth with the others."""
    west, south, east, north = shapely.bounds(shapes).T
    inside: NDArray[np.bool_] = (west >= -180) & (east <= 180) & (south >= -90) & (north <= 90)
    return inside


def _turned(shapes: NDArray[np.object_], area: Box) -> NDArray[np.bool_]:
    """Say which shapes lie in *area* with x and y exchanged, and not as they are."""
    west, south, east, north = shapely.bounds(shapes).T
    x, y = (west + east) / 2, (south + north) / 2
    turned: NDArray[np.bool_] = _within(y, x, area) & ~_within(x, y, area)
    return turned


def _within(x: NDArray[np.float64], y: NDArray[np.float64], area: Box) -> NDArray[np.bool_]:
    west, south, east, north = area
    inside: NDArray[np.bool_] = (west <= x) & (x <= east) & (south <= y) & (y <= north)
    return inside


@lru_cache(maxsize=256)
def _is_geographic(crs: str) -> bool:
    return bool(pyproj.CRS(epsg_of(crs)).is_geographic)


def _finite(text: bytes) -> bool:
    return b"null" not in text and b"true" not in text and b"false" not in text


def _crs(name: str) -> str:
    """Return the URI of a CRS that PROJ knows. Raises Reject("geometry.crs-unknown")."""
    transformer(name, CRS84)
    return crs_uri(name)


def _check(place: Place, missing: bool, count: int) -> None:
    if missing:
        raise Reject("geometry.unparseable", f"the coordinates do not make a {place.form.type}")
    if not count:
        raise Reject("geometry.empty", "the place is empty, leave it out where there is none")
    if count > MOST_VERTICES:
        raise Reject("geometry.too-detailed", f"more than {MOST_VERTICES:,} vertices, simplify it")


def _inside(
    found: list[Geometry | list[Fault]], places: Sequence[Place], metric_crs: str
) -> list[Geometry | list[Fault]]:
    shapes = to_metric_many([place if isinstance(place, Geometry) else None for place in found], metric_crs)
    detail = f"the coordinates have no place in {epsg_of(metric_crs)}: is `crs` right, and x before y?"
    return [
        [Fault(place.pointer, "geometry.outside-crs", detail)] if isinstance(one, Geometry) and shape is None else one
        for one, place, shape in zip(found, places, shapes, strict=True)
    ]
