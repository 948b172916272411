"""The contract's JSON form: same names, nulls left out, days and instants as ISO text, hashes in hex.

A geometry becomes GeoJSON in its own CRS, which is named beside it; the WKB does not appear.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from enum import Enum
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints
from uuid import UUID

import shapely
from shapely.geometry.base import BaseGeometry

from samenloop.contract.records import optional
from samenloop.model import Geometry, Plan

LARGEST_EXACT = 2**53
"""Integers beyond it are text: a JSON reader may hold numbers as doubles."""


def to_json(value: Any) -> Any:
    """Return the JSON form of a domain value: a dict for a record, else what it is made of."""
    if isinstance(value, Geometry):
        return _geometry(value)
    if is_dataclass(value):
        found = ((item.name, getattr(value, item.name)) for item in fields(value))
        return {name: to_json(part) for name, part in found if part is not None}
    if isinstance(value, Mapping):
        return {key: to_json(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [to_json(part) for part in value]
    return _scalar(value)


def to_feature(plan: Plan) -> dict[str, Any]:
    """Return a plan as a GeoJSON Feature: id, geometry, properties = the plan without its geometry.

    The geometry stays in the plan's own CRS, which `properties.crs` names.
    """
    properties = to_json(plan)
    geometry = properties.pop("geometry", None)
    if geometry:
        properties |= {key: geometry.pop(key) for key in ("crs", "accuracy_m") if key in geometry}
    return {"type": "Feature", "id": plan.id, "geometry": geometry, "properties": properties}


def from_json(cls: Any, form: Any) -> Any:
    """Return the value of *cls* whose JSON form is *form*; what is left out takes its default.

    Raises ValueError, KeyError or TypeError for what cannot be one.
    """
    return _reader(cls)(form)


def _instant(value: datetime) -> str:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


_SCALARS: tuple[tuple[type[Any], Callable[[Any], Any]], ...] = (
    (Enum, lambda value: value.value),
    (datetime, _instant),  # before date: a datetime is one
    (date, date.isoformat),
    (UUID, str),
    (bytes, bytes.hex),
    (bool, bool),  # before int: a bool is one
    (int, lambda value: value if abs(value) <= LARGEST_EXACT else str(value)),
)


def _scalar(value: Any) -> Any:
    return next((form(value) for kind, form in _SCALARS if isinstance(value, kind)), value)


def _geometry(geometry: Geometry) -> dict[str, Any]:
    shape: BaseGeometry = shapely.from_wkb(geometry.wkb)
    form: dict[str, Any] = {**_plain(shape.__geo_interface__), "crs": geometry.crs}
    if geometry.accuracy_m is not None:
        form["accuracy_m"] = geometry.accuracy_m
    return form


def _plain(part: Any) -> Any:
    """Turn shapely's tuples into lists, so that the form equals what a JSON reader gives."""
    if isinstance(part, dict):
        return {key: _plain(inner) for key, inner in part.items()}
    return [_plain(inner) for inner in part] if isinstance(part, tuple | list) else part


@cache
def _reader(hint: Any) -> Any:
    hint, nullable = optional(hint)
    if nullable:
        inner = _reader(hint)
        return lambda form: None if form is None else inner(form)
    if hint is Geometry:
        return _read_geometry
    if is_dataclass(hint):
        return _record_reader(hint)
    if get_origin(hint) is tuple:
        item = _reader(get_args(hint)[0])
        return lambda form: tuple(item(part) for part in form)
    if get_origin(hint) is Mapping:
        entry = _reader(get_args(hint)[1])
        return lambda form: {key: entry(part) for key, part in form.items()}
    return {date: date.fromisoformat, datetime: datetime.fromisoformat, bytes: bytes.fromhex}.get(hint, hint)


def _record_reader(cls: Any) -> Any:
    hints = get_type_hints(cls)
    readers = {item.name: _reader(hints[item.name]) for item in fields(cls)}
    return lambda form: cls(**{name: reader(form[name]) for name, reader in readers.items() if name in form})


def _read_geometry(form: Mapping[str, Any]) -> Geometry:
    shape = shapely.from_geojson(json.dumps({key: form[key] for key in form if key not in ("crs", "accuracy_m")}))
    return Geometry(shapely.to_wkb(shape), form["crs"], form.get("accuracy_m"))
