"""Where: from GeoJSON, WKT, WKB or two columns to a geometry in the source's own CRS, checked against a bounding box.

Axes are x before y in the hub. What lies outside the box (swapped axes, 0/0, another zone) gives no location and is
reported: a wrong place is worse than none. The shape itself is kept as given; rings are closed, heights left out.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pyproj
import shapely
from pydantic import BeforeValidator, Field
from pyproj.exceptions import CRSError
from shapely.geometry.base import BaseGeometry

from connectors.sources.file_snapshots.fields import Names, Row, as_text
from samenloop import geometry as border
from samenloop.errors import Reject
from samenloop.places import Box, check_place
from samenloop.source import Note
from samenloop.texts import shape_of
from samenloop.yamlfile import Model

_SRID = re.compile(r"^\s*SRID=\d+;\s*", re.IGNORECASE)
_HEX_WKB = re.compile(r"0[01][0-9A-Fa-f]{8}")
_PAIR = re.compile(r"\s*([-+]?\d+(?:[.,]\d+)?)\s*[,; ]\s*([-+]?\d+(?:[.,]\d+)?)\s*")
_MAKERS: dict[str, Callable[[Any], BaseGeometry]] = {}


def _crs(name: Any) -> str:
    text = f"EPSG:{name}" if isinstance(name, int) or (isinstance(name, str) and name.isdigit()) else str(name).strip()
    text = {"rd": "EPSG:28992", "wgs84": "EPSG:4326", "crs84": "EPSG:4326"}.get(text.lower(), text)
    try:
        code = border.epsg_of(text.upper() if text.lower().startswith("epsg") else text)
        pyproj.CRS.from_user_input(code)
    except (Reject, CRSError):
        raise ValueError(f"{text!r} is not a CRS that is known here, such as EPSG:28992") from None
    return code


def _place_form(value: Any) -> Any:
    return {"field": value} if isinstance(value, (str, list)) else value


Crs = Annotated[str, BeforeValidator(_crs)]


class GeometryProfile(Model):
    """`geometry`: where the shape is, and in which order its coordinates are written."""

    field: Names = Field((), description="field with GeoJSON, WKT, WKB or `x, y`; of several the first that is filled")
    x: str | None = Field(None, description="column of the easting or longitude")
    y: str | None = Field(None, description="column of the northing or latitude")
    axis_order: Literal["xy", "yx"] = Field("xy", description="yx when the northing or latitude comes first")
    accuracy_m: float | None = Field(None, gt=0, description="how good the coordinates are, in metres")

    @property
    def names(self) -> list[str]:
        """The fields it names."""
        return [name for name in (*self.field, self.x, self.y) if name]


Place = Annotated[GeometryProfile, BeforeValidator(_place_form)]


@dataclass(frozen=True, slots=True)
class ReadPlace:
    """A shape in the source's CRS or nothing, and what was odd."""

    shape: BaseGeometry | None
    notes: tuple[Note, ...] = ()


def read_place(profile: GeometryProfile, row: Row, crs: str, box: Box | None) -> ReadPlace:
    """Return the shape of *row*, x before y in *crs*; None where there is none or where it cannot be.

    Raises Reject(`geometry.unparseable`) for what is there and cannot be read.
    """
    shape = _shape(profile, row)
    if shape is None or shape.is_empty:
        return ReadPlace(None, () if shape is None else (Note("geometry.empty"),))
    if profile.axis_order == "yx":
        shape = _swapped(shape)
    note = check_place(shape, crs, box)
    return ReadPlace(None, (note,)) if note else ReadPlace(shape)


def _shape(profile: GeometryProfile, row: Row) -> BaseGeometry | None:
    if profile.x and profile.y:
        x, y = (_number(row, name) for name in (profile.x, profile.y))
        return None if x is None or y is None else shapely.Point(x, y)
    if not profile.field:
        return from_geojson(row.geometry, "geometry")
    for name in profile.field:
        value = row.geometry if name == "geometry" and "geometry" not in row.properties else row.value(name)
        if value is None:
            continue
        shape = from_geojson(value, name) if isinstance(value, Mapping) else _from_text(value, name)
        if shape is not None and not shape.is_empty:
            return shape
    return None


def _number(row: Row, name: str) -> float | None:
    text = row.text(name)
    if text is None:
        return None
    try:
        return plain_number(text)
    except ValueError:
        found = f"{name}: found {shape_of(text)}, expected a number"
        raise Reject("geometry.unparseable", found, field=name) from None


def plain_number(text: str) -> float:
    """Read a number with a decimal point or comma; of both, the last one is the decimal sign. Raises ValueError."""
    plain = re.sub(r"[\s'\u00a0]", "", text)
    if "," in plain and "." in plain:
        thousands = "." if plain.rindex(",") > plain.rindex(".") else ","
        plain = plain.replace(thousands, "")
    return float(plain.replace(",", "."))


def _from_text(value: Any, name: str) -> BaseGeometry | None:
    text = as_text(value)
    if text is None:
        raise Reject("geometry.unparseable", f"{name}: found a {type(value).__name__}, expected a shape", field=name)
    if text.startswith("{"):
        try:
            return from_geojson(json.loads(text), name)
        except ValueError:
            raise _unreadable(name, "text that begins as JSON and is not") from None
    if pair := _PAIR.fullmatch(text):
        return shapely.Point(*(float(n.replace(",", ".")) for n in pair.groups()))
    try:
        shape = shapely.from_wkb(text) if _HEX_WKB.match(text) else shapely.from_wkt(_SRID.sub("", text))
        return shapely.force_2d(shape)
    except shapely.errors.GEOSException:
        raise _unreadable(name, shape_of(text)) from None


def from_geojson(value: Any, name: str) -> BaseGeometry | None:
    """Build a shape from a GeoJSON geometry: rings closed, heights left out, empty parts skipped. None for null.

    Raises Reject(`geometry.unparseable`).
    """
    if value is None or value == {}:
        return None
    if not isinstance(value, Mapping) or not isinstance(value.get("type"), str):
        raise _unreadable(name, f"a {type(value).__name__} without a type")
    kind = value["type"]
    if kind == "Feature":
        return from_geojson(value.get("geometry"), name)
    try:
        if kind == "GeometryCollection":
            parts = [from_geojson(part, name) for part in value.get("geometries") or []]
            return shapely.GeometryCollection([part for part in parts if part is not None])
        return _MAKERS[kind](value.get("coordinates") or [])
    except KeyError:
        raise _unreadable(name, "a type that is not one of GeoJSON's seven") from None
    except (TypeError, ValueError, IndexError, shapely.errors.ShapelyError):
        raise _unreadable(name, f"a {kind} whose coordinates are not numbers in the right nesting") from None


def _unreadable(name: str, found: str) -> Reject:
    return Reject("geometry.unparseable", f"{name}: found {found}, expected GeoJSON, WKT, WKB or x, y", field=name)


def _point(position: Any) -> tuple[float, float]:
    x, y = float(position[0]), float(position[1])
    if isinstance(position, str) or not (math.isfinite(x) and math.isfinite(y)):
        raise ValueError("not a position")
    return x, y


def _line(positions: Any) -> list[tuple[float, float]]:
    points = [_point(position) for position in positions]
    return points * 2 if len(points) == 1 else points


def _ring(positions: Any) -> list[tuple[float, float]]:
    """Close a ring; one of too few points is filled up with its last, and repaired where shapes are judged."""
    points = [_point(position) for position in positions]
    if points and points[0] != points[-1]:
        points.append(points[0])
    return points + points[-1:] * (4 - len(points)) if points else points


def _polygon(rings: Any) -> BaseGeometry:
    closed = [ring for ring in map(_ring, rings) if ring]
    return shapely.Polygon(closed[0], closed[1:]) if closed else shapely.Polygon()


_MAKERS |= {
    "Point": lambda c: shapely.Point(_point(c)) if c else shapely.Point(),
    "MultiPoint": lambda c: shapely.MultiPoint([_point(p) for p in c]),
    "LineString": lambda c: shapely.LineString(_line(c)),
    "MultiLineString": lambda c: shapely.MultiLineString([_line(part) for part in c if part]),
    "Polygon": _polygon,
    "MultiPolygon": lambda c: shapely.MultiPolygon([_polygon(part) for part in c if part]),
}


def _swapped(shape: BaseGeometry) -> BaseGeometry:
    swapped: BaseGeometry = shapely.transform(shape, lambda xy: xy[:, ::-1])
    return swapped
