"""What stands behind the `?`: one table of parameters, how each is read and described.

Every route names those it takes; an unknown or repeated one is refused, and everything that is wrong is told at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from fastapi import Request

from edge.problems import Fault, Problem
from edge.read_model import CRS_URIS, MOST_PER_PAGE, Period
from edge.read_model.areas import boxes_of, offered
from edge.read_model.cursors import read_cursor, read_page
from samenloop.contract.cloudevents import read_timestamp
from samenloop.errors import Reject

LONGEST = 2048
_LATITUDE_FIRST_WGS84 = re.compile(r"(?i).*EPSG.*4326")


class Parameter(NamedTuple):
    """How one is read, which raises Reject, and what the description says of it."""

    read: Callable[[str], Any]
    schema: Mapping[str, Any]
    description: str
    example: Any = None


def _bbox(text: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) == 6:
        numbers = (*numbers[:2], *numbers[3:5])  # heights say nothing here
    if len(numbers) != 4:
        raise Reject("query.bbox", "expected four numbers with commas: the lower and the upper corner")
    return numbers


def _crs(text: str) -> str:
    if _LATITUDE_FIRST_WGS84.fullmatch(text):
        # else its axes would silently be taken for those of CRS84
        raise Reject("query.crs-not-offered", f"the CRS is not offered, expected one of {', '.join(CRS_URIS)}")
    return offered(text)


def _period(text: str) -> Period:
    first, slash, last = text.partition("/")
    start, end = _day(first), _day(last if slash else first)
    if (not slash and start is None) or (slash and start is None and end is None):
        raise Reject("query.datetime", "expected a day, an instant, or an interval of which one end is given")
    if start is not None and end is not None and start > end:
        raise Reject("query.period", "the period ends before it starts, expected the first day first")
    return start, end


def _day(text: str) -> date | None:
    if text in ("", ".."):
        return None
    try:
        return date.fromisoformat(text) if len(text) == 10 else _local_day(text)
    except (ValueError, Reject) as error:
        detail = (
            "expected 2027-03-01, 2027-03-01T12:00:00Z, or an interval such as 2027-03-01/2027-04-16 or ../2027-04-16"
        )
        raise Reject("query.datetime", detail) from error


def _local_day(text: str) -> date:
    """The day that is written: that of the sender's own offset."""
    read_timestamp(text)
    return datetime.fromisoformat(text).date()


def _instant(text: str) -> datetime:
    try:
        return read_timestamp(text)
    except Reject as error:
        raise Reject("query.as-of", "expected an instant with a time zone, such as 2027-03-01T12:00:00Z") from error


def _limit(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) or int(text) < 1:
        raise Reject("query.limit", f"expected a number from 1 to {MOST_PER_PAGE}")
    return min(int(text), MOST_PER_PAGE)


def _cursor(text: str) -> str:
    read_cursor(text)
    return text


def _next(text: str) -> str:
    read_page(text)
    return text


def _language(text: str) -> str:
    if text not in ("nl", "en"):
        raise Reject("query.language", "expected nl or en")
    return text


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise Reject("query.subscription", "expected the id of a subscription, a UUID") from error


_CRS_SCHEMA = {"type": "string", "format": "uri", "enum": list(CRS_URIS), "default": CRS_URIS[0]}
PARAMETERS: dict[str, Parameter] = {
    "bbox": Parameter(
        _bbox,
        {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 6},
        "only what touches this box: the lower and the upper corner, axes in the order of `bbox-crs`",
        [5.38, 52.15, 5.4, 52.16],
    ),
    "bbox-crs": Parameter(_crs, _CRS_SCHEMA, "the CRS of `bbox`"),
    "datetime": Parameter(
        _period,
        {"type": "string"},
        "only what is planned in these days, both ends inclusive: a day, an instant (its day as written), or an"
        " interval, one end of which may be open (`..`)",
        "2027-03-01/2027-04-16",
    ),
    "crs": Parameter(_crs, _CRS_SCHEMA, "the CRS of the answer"),
    "limit": Parameter(
        _limit,
        {"type": "integer", "minimum": 1, "default": 100},
        f"most in one answer; more than {MOST_PER_PAGE} counts as {MOST_PER_PAGE}",
        10,
    ),
    "next": Parameter(_next, {"type": "string"}, "from the link `next` of the page before; opaque"),
    "asOf": Parameter(
        _instant, {"type": "string", "format": "date-time"}, "what was known at this instant, some days back at most"
    ),
    "after": Parameter(_cursor, {"type": "string"}, "the cursor behind what you have: `next` of an answer; opaque"),
    "subscription": Parameter(
        _uuid, {"type": "string", "format": "uuid"}, "only the alerts of this subscription of yours"
    ),
    "lang": Parameter(
        _language, {"type": "string", "enum": ["nl", "en"], "default": "nl"}, "the language of sentences", "en"
    ),
}  # fmt: skip


def read_query(request: Request, *names: str) -> dict[str, Any]:
    """Return what is asked, by name, of parameters that may be *names*.

    Raises Problem("malformed") with everything that is wrong, by name; never what was found.
    """
    found: dict[str, Any] = {}
    faults: list[Fault] = []
    for name in dict.fromkeys(request.query_params):
        texts = request.query_params.getlist(name)
        if name not in names:
            known = ", ".join(names) or "none"
            place = name[:100].replace("~", "~0").replace("/", "~1")
            detail = f"this parameter is not known here, expected of: {known}"
            faults.append(Fault(f"/query/{place}", "query.unknown", detail))
            continue
        try:
            if len(texts) > 1 or len(texts[0]) > LONGEST:
                raise Reject("query.repeated", "expected once, and not longer than 2048 characters")
            found[name] = PARAMETERS[name].read(texts[0])
        except Reject as error:
            faults.append(Fault(f"/query/{name}", error.code, error.detail))
    if not {"bbox", "bbox-crs"} & {fault.pointer.rpartition("/")[2] for fault in faults} and "bbox" in found:
        faults += _wrong_box(found)
    if faults:
        raise Problem("malformed", "Parameters are not as they should be.", faults[:20])
    return found


def _wrong_box(found: Mapping[str, Any]) -> list[Fault]:
    try:
        boxes_of(found["bbox"], found.get("bbox-crs", CRS_URIS[0]))
    except Reject as error:
        return [Fault("/query/bbox", error.code, error.detail)]
    return []


def documented(*names: str) -> list[dict[str, Any]]:
    """Return *names* as the description of the interface has them."""
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": one.description,
            "schema": dict(one.schema),
            **({"style": "form", "explode": False} if one.schema["type"] == "array" else {}),
            **({} if one.example is None else {"example": one.example}),
        }
        for name in names
        for one in [PARAMETERS[name]]
    ]
