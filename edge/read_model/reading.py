"""Reads plan states straight into what JSON is written from: a file is filled with a million of them, and the values of
the model would be made for nothing. What another schema wrote takes the way through the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Final, NamedTuple, cast

import orjson

from edge.read_model.documents import Version, days_between, level_of, plan_version
from edge.read_model.layout import rid_of
from samenloop.contract import Codec, compiled
from samenloop.contract.codec import read_whole
from samenloop.contract.files import current
from samenloop.contract.json_form import LARGEST_EXACT
from samenloop.stage import Record

_TOPIC: Final = "plan-states"
_EXACT: Final = orjson.OPT_UTC_Z | orjson.OPT_STRICT_INTEGER


class _State(NamedTuple):
    revision: int
    plan: dict[str, Any]


class PlanReader:
    """Reads the records of `plan-states`."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._frame = codec.wires[_TOPIC].frame
        schema = current("PlanState")
        parts: dict[str, compiled.Made] = {
            name: (_said, [field["name"] for field in record["fields"]])
            for name, record in compiled.named_types(schema).items()
            if record["type"] == "record" and name != "Geometry"
        }
        self._read = compiled.reader(schema, _State, keep=_State._fields, parts=parts)

    def read(self, record: Record) -> Version:
        """Return what is kept of a state. Raises Reject("schema.…") and Retry as `Codec.decode` does."""
        value = record.value or b""
        if not value.startswith(self._frame) and not self._codec.writer(_TOPIC, value, record.headers).ours:
            return plan_version(self._codec.decode(_TOPIC, value, record.headers))
        revision, plan = cast(_State, read_whole(self._read, value))
        contact, source_fields = plan.pop("contact", None), plan.pop("source_fields")
        geometry, audience, period = plan.pop("geometry", None), plan["audience"], plan["period"]
        return Version(
            id=plan["id"],
            rid=rid_of(plan["id"]),
            revision=revision,
            level=level_of(plan["visibility"]),
            owner=plan["owner"]["oin"],
            audience=_json(audience) if audience else None,
            body=_json(plan)[:-1],
            contact=None if contact is None else _json(contact),
            source_fields=_json(source_fields),
            geometry=geometry,
            days=_days(period),
        )


def _said(**parts: Any) -> dict[str, Any]:
    return {name: part for name, part in parts.items() if part is not None}


def _days(period: Mapping[str, Any]) -> tuple[float, float]:
    start: date | None = period.get("start") or period.get("earliest_start")
    return days_between(start, period.get("end"), period.get("duration_days"), period.get("latest_end"))


def _json(value: Any) -> str:
    try:
        return orjson.dumps(value, default=_plain, option=_EXACT).decode()
    except orjson.JSONEncodeError:
        return orjson.dumps(_exact(value), default=_plain, option=orjson.OPT_UTC_Z).decode()


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else dict(value)


def _exact(value: Any) -> Any:
    """Return *value* with integers that a JSON reader would round as text."""
    if isinstance(value, Mapping):
        return {name: _exact(part) for name, part in value.items()}
    if isinstance(value, tuple | list):
        return [_exact(part) for part in value]
    return str(value) if isinstance(value, int) and abs(value) > LARGEST_EXACT else value
