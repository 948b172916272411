"""Where the works are: lines, areas and points with coordinates, latitude before longitude as DATEX II writes them.

A reference to a location table (Alert-C) has no coordinates: such a location is none here. Of a stretch that is given
by its ends only (TPEG, OpenLR) the straight line between them is taken; a point for display is the last resort.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import pyproj
import shapely
from lxml import etree
from pyproj.exceptions import CRSError
from shapely.geometry.base import BaseGeometry

from connectors.sources.ndw_datex.stream import local
from samenloop import geometry as border
from samenloop.errors import Reject
from samenloop.places import Box, check_place, collect
from samenloop.source import Note
from samenloop.texts import one_line

Sort = Literal["line", "area", "point", "ends", "display", "reference"]
_BEST: tuple[Sort, ...] = ("line", "area", "point", "ends", "display", "reference")
_DEGREES = re.compile(r"|.*(?:WGS ?-?84|ETRS ?-?89|CRS84|4326|4258)\D*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Place:
    """A location in the words of the source: its sort, its coordinates (rings for an area), the CRS it names."""

    sort: Sort
    texts: tuple[str, ...] = ()
    crs: str = ""
    dimension: int = 2


@dataclass(frozen=True, slots=True)
class Located:
    """A shape in WGS84 (longitude before latitude) or nothing, and what was odd."""

    shape: BaseGeometry | None
    notes: tuple[Note, ...] = ()


def read_places(element: etree._Element) -> Iterator[Place]:
    """Yield the locations in a `locationReference` or `groupOfLocations`, of each its best description."""
    members = [
        child for child in element if local(child.tag) in ("locationContainedInItinerary", "locationContainedInGroup")
    ]
    if members:
        for member in members:
            yield from read_places(member)
        return
    found = list(_descriptions(element))
    if found:
        best = min((place.sort for place in found), key=_BEST.index)
        yield from (place for place in found if place.sort == best)


def located(places: Sequence[Place], *, latitude_first: bool, box: Box | None) -> Located:
    """Return one shape for all *places*.

    *box* is where it can be, in degrees; a shape outside it gives no location and a note. Raises
    Reject(`geometry.unparseable`) for coordinates that are there and cannot be read.
    """
    notes: list[Note] = []
    shapes = []
    for place in places:
        if place.sort == "reference":
            continue
        made = _made(place, latitude_first)
        if made is None:
            notes.append(Note("geometry.crs-unexpected", "srsName", one_line(place.crs, 60)))
            continue
        shapes += made
        notes += [Note(_ODD[place.sort])] if place.sort in _ODD else []
    if any(place.sort == "reference" for place in places):
        notes.append(Note("geometry.reference-part" if shapes else "geometry.reference-only"))
    shape = collect(shapes)
    if shape is not None and (note := check_place(shape, "EPSG:4326", box)):
        return Located(None, (*dict.fromkeys(notes), note))
    return Located(shape, tuple(dict.fromkeys(notes)))


def _made(place: Place, latitude_first: bool) -> list[BaseGeometry] | None:
    """Return the shapes of a place in degrees; None where its CRS is not known. Axes come in the order of the CRS."""
    if _DEGREES.fullmatch(place.crs):
        return _MAKERS[place.sort](place, latitude_first and "CRS84" not in place.crs.upper())
    known = _known(place.crs)
    if known is None:
        return None
    code, north_first = known
    shapes = _MAKERS[place.sort](place, latitude_first and north_first)
    return [border.transform(shape, code, "EPSG:4326") for shape in shapes]


@lru_cache(maxsize=64)
def _known(crs: str) -> tuple[str, bool] | None:
    """Return the code of a CRS and whether its north comes first; None where it is not known."""
    try:
        code = border.epsg_of(crs)
        return code, pyproj.CRS(code).axis_info[0].direction == "north"
    except (Reject, CRSError):
        return None


_ODD = {"ends": "geometry.ends-only", "display": "geometry.display-point"}


def _descriptions(element: etree._Element) -> Iterator[Place]:
    for child in element:
        name = local(child.tag)
        if name in ("gmlLineString", "LineString"):
            yield _with_crs("line", child, (_positions(child),))
        elif name in ("gmlPolygon", "Polygon"):
            yield _with_crs("area", child, tuple(_rings(child)))
        elif name == "pointCoordinates":
            yield Place("point", (_pair(child),))
        elif name in ("tpegLinearLocation", "openlrExtendedLinear", "openlrLinear", "openlrLineLocationReference"):
            yield Place("ends", (" ".join(_ends(child)),))
        elif name in ("locationForDisplay", "coordinatesForDisplay"):
            yield Place("display", (_pair(child),))
        elif name.startswith("alertC"):
            yield Place("reference")
        elif name not in ("supplementaryPositionalDescription", "destination"):
            yield from _descriptions(child)


def _with_crs(sort: Sort, element: etree._Element, texts: tuple[str, ...]) -> Place:
    holders = [one for one in element.iter() if one.get("srsName") or one.get("srsDimension")]
    crs = next((one.get("srsName", "") for one in holders if one.get("srsName")), "")
    dimension = next((one.get("srsDimension", "2") for one in holders if one.get("srsDimension")), "2")
    return Place(sort, texts, crs.strip(), 3 if dimension == "3" else 2)


def _positions(element: etree._Element) -> str:
    return " ".join((one.text or "").strip() for one in element.iter() if local(one.tag) in ("posList", "pos"))


def _rings(element: etree._Element) -> Iterator[str]:
    """Yield the outer ring, then the holes."""
    for wanted in ("exterior", "interior"):
        yield from (_positions(one) for one in element.iter() if local(one.tag) == wanted)


def _pair(element: etree._Element) -> str:
    found = {local(one.tag): (one.text or "").strip() for one in element.iter() if len(one) == 0}
    return f"{found.get('latitude', '')} {found.get('longitude', '')}".strip()


def _ends(element: etree._Element) -> Iterator[str]:
    """Yield the points of a stretch from its beginning to its end: TPEG writes the end (`to`) first."""
    holders = [one for one in element.iter() if any(local(child.tag) == "latitude" for child in one)]
    order = {"from": 0, "to": 2}
    above = [next((local(a.tag) for a in one.iterancestors() if local(a.tag) in order), "") for one in holders]
    ranked = sorted(zip(above, holders, strict=True), key=lambda pair: order.get(pair[0], 1))
    yield from (_pair(one) for _, one in ranked)


def _coordinates(text: str, dimension: int, latitude_first: bool) -> list[tuple[float, float]]:
    try:
        numbers = [float(number) for number in text.replace(",", " ").split()]
    except ValueError:
        numbers = []
    if not numbers or len(numbers) % dimension:
        raise Reject(
            "geometry.unparseable",
            "posList: found text that is not pairs of numbers, expected latitude longitude latitude longitude …",
            field="posList",
        )
    pairs = zip(numbers[::dimension], numbers[1::dimension], strict=True)
    return [(y, x) if latitude_first else (x, y) for x, y in pairs]


def _line(place: Place, latitude_first: bool) -> list[BaseGeometry]:
    points = _coordinates(place.texts[0], place.dimension, latitude_first) if place.texts[0] else []
    if len(set(points)) < 2:
        return [shapely.Point(point) for point in points[:1]]
    return [shapely.LineString(points)]


def _area(place: Place, latitude_first: bool) -> list[BaseGeometry]:
    rings = [_coordinates(text, place.dimension, latitude_first) for text in place.texts if text]
    closed = [ring if ring[0] == ring[-1] else [*ring, ring[0]] for ring in rings]
    if any(len(ring) < 4 for ring in closed):
        raise Reject("geometry.unparseable", "posList: found a ring of less than three points", field="posList")
    return [shapely.Polygon(closed[0], closed[1:])] if closed else []


def _point(place: Place, _: bool) -> list[BaseGeometry]:
    """Latitude and longitude have elements of their own: their order is never in doubt."""
    try:
        y, x = (float(number) for number in place.texts[0].split())
    except ValueError:
        raise Reject(
            "geometry.unparseable",
            "pointCoordinates: found no two numbers, expected latitude and longitude",
            field="pointCoordinates",
        ) from None
    return [shapely.Point(x, y)]


def _stretch(place: Place, _: bool) -> list[BaseGeometry]:
    return _line(place, True)


_MAKERS: dict[Sort, Callable[[Place, bool], list[BaseGeometry]]] = {
    "line": _line,
    "area": _area,
    "point": _point,
    "display": _point,
    "ends": _stretch,
}
