"""The fingerprint of the content of a plan or a restriction: SHA-256 of its canonical JSON text.

Left out: nulls, empty arrays, values equal to their schema default (else every new field would change every hash),
`confirmed_at`, `source_version`, `source_fields`, and what the hub gives a restriction. Strings are NFC, set-like
arrays sorted, and the geometry stands in the source's own CRS, rounded to whole millimetres or 1e-8 degrees. The text
is RFC 8785 JSON.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from datetime import date
from functools import cache
from hashlib import sha256
from typing import Any

import orjson
import rfc8785

from samenloop.canonical_geometry import Form, canonical_geometries
from samenloop.errors import Reject
from samenloop.model import Plan, Restriction

LEFT_OUT = frozenset({"confirmed_at", "source_version", "source_fields"})
_BY_THE_HUB = frozenset({"revision", "content_hash", "recorded_at", "geometry"})
SET_LIKE = frozenset(
    {"parties", "audience", "work_kinds", "assets", "relations", "references", "work_periods"} | {"exempt_work_kinds"}
)
_DUMPS = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER
_PLAIN_FROM, _PLAIN_TO = 1e-4, 2.0**53
"""Between these every JSON writer prints a double the same way; outside RFC 8785 has its own notation."""


def content_hash(plan: Plan) -> bytes:
    """Return the 32 bytes of the content hash of *plan*.

    Raises Reject("geometry.…") for WKB that cannot be read, Reject("record.…") for NaN, text that is not Unicode and
    integers beyond 2^53. rule: contract, content hash.
    """
    return content_hashes([plan])[0]


def content_hashes(plans: Sequence[Plan]) -> list[bytes]:
    """Return the content hash of each of *plans*; much faster for many than one by one.

    Raises as `content_hash` does, for the first plan that has none.
    """
    return [sha256(text).digest() for text in _texts(plans)]


def restriction_hash(restriction: Restriction) -> bytes:
    """Return the 32 bytes of the content hash of *restriction*. Raises as `content_hash` does."""
    shape = canonical_geometries([restriction.geometry])[0]
    items = ((item.name, item.default) for item in fields(Restriction) if item.name not in _BY_THE_HUB)
    form: Form = {"geometry": shape}
    for name, default in items:
        value = getattr(restriction, name)
        if value is not None and value not in (default, ()):
            form[name] = _converter(name)(value)
    return sha256(_write(form)).digest()


def canonical_text(plan: Plan) -> str:
    """Return the text of which the content hash is made. Raises as `content_hash` does."""
    return _texts([plan])[0].decode()


def canonical_fields(values: Mapping[str, Any]) -> str:
    """Return the canonical text of a plan of which only some fields are known, by name. Raises as `content_hash`."""
    geometry = values.get("geometry")
    form = _form(values.items(), canonical_geometries([geometry])[0] if geometry else None)
    return _write(form).decode()


def _texts(plans: Sequence[Plan]) -> list[bytes]:
    located = [number for number, plan in enumerate(plans) if plan.geometry is not None]
    shapes: list[Form | None] = [None] * len(plans)
    found = canonical_geometries([geometry for plan in plans if (geometry := plan.geometry) is not None])
    for number, shape in zip(located, found, strict=True):
        shapes[number] = shape
    names = _FIELDS
    return [
        _write(_form(((name, getattr(plan, name)) for name in names), shape))
        for plan, shape in zip(plans, shapes, strict=True)
    ]


def _form(items: Any, geometry: Form | None) -> Form:
    form: Form = {}
    for name, value in items:
        if value is None or value == _DEFAULTS.get(name, MISSING) or name not in _CONVERT:
            continue
        kept = _CONVERT[name](value)
        if kept not in ({}, []):
            form[name] = kept
    if geometry is not None:
        form["geometry"] = geometry
    return form


def _write(form: Form) -> bytes:
    depth = form.get("max_depth_m")
    try:
        if isinstance(depth, float) and not (depth == 0 or _PLAIN_FROM <= abs(depth) < _PLAIN_TO):
            return rfc8785.dumps(form)  # tiny, huge or not a number
        return orjson.dumps(form, option=_DUMPS)
    except rfc8785.FloatDomainError as error:
        raise Reject("record.not-a-number", "NaN or infinity was found, expected a number") from error
    except (rfc8785.CanonicalizationError, orjson.JSONEncodeError) as error:
        raise Reject("record.text", "text that is not Unicode, or a number beyond 2^53") from error


def _text(value: str) -> str:
    """NFC; an enum becomes its symbol."""
    return str(value) if value.isascii() else unicodedata.normalize("NFC", value)


def _number(value: float) -> float | int:
    """A whole double prints as an integer, as RFC 8785 has it; minus zero as zero."""
    return int(value) if abs(value) < _PLAIN_TO and value.is_integer() else value


def _many(values: Sequence[Any], *, as_set: bool) -> list[Any]:
    kept = [_value(value) for value in values]
    return sorted(kept, key=_sort_key) if as_set and len(kept) > 1 else kept


def _sort_key(form: Any) -> bytes:
    return orjson.dumps(form, option=_DUMPS)


def _value(value: Any) -> Any:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, date):
        return value.isoformat()
    if is_dataclass(value):
        return _record(value)
    return value


def _record(value: Any) -> Form:
    form: Form = {}
    cls: Any = type(value)
    for name, default in _layout(cls):
        part = getattr(value, name)
        if part is not None and part != default:
            form[name] = _value(part)
    return form


@cache
def _layout(cls: Any) -> tuple[tuple[str, Any], ...]:
    return tuple((item.name, item.default) for item in fields(cls))


def _converter(name: str) -> Callable[[Any], Any]:
    if name in SET_LIKE:
        return lambda values: _many(values, as_set=True)
    return _value


_FIELDS = tuple(item.name for item in fields(Plan) if item.name not in LEFT_OUT and item.name != "geometry")
_DEFAULTS = {item.name: item.default for item in fields(Plan) if item.default is not MISSING}
_CONVERT = {name: _converter(name) for name in _FIELDS}
