"""From a record to what is kept of it: who may see it, where and when it is, and its JSON in pieces.

What a page costs is paid here, once per version: the JSON stands ready, contact and source fields apart, so that an
answer is put together without being parsed. The form is that of `samenloop.contract.to_json`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, timedelta
from functools import cache
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

import orjson

from edge.read_model.areas import NOWHERE, Box, accuracy_in, to_geojson
from edge.read_model.layout import rid_of
from samenloop.contract import Envelope
from samenloop.contract.alert_events import alert_event
from samenloop.contract.json_form import LARGEST_EXACT
from samenloop.contract.records import optional
from samenloop.geometry import CRS84, to_metric_many
from samenloop.model import (
    Alert,
    Finding,
    Geometry,
    Period,
    Plan,
    PlanState,
    Restriction,
    SubscriberRole,
    Visibility,
)

LEVELS: tuple[Visibility, ...] = tuple(Visibility)
"""A level is kept as its place here."""
UNREADABLE = LEVELS.index(Visibility.RESTRICTED)
_EPOCH = date(1970, 1, 1)
_ALWAYS = (-3e38, 3e38)
_UTC_Z = orjson.OPT_UTC_Z


class Participant(NamedTuple):
    """A plan or restriction in a finding, as it is kept with it."""

    id: str
    rid: int
    revision: int
    owner: str


@dataclass(slots=True)
class Version:
    """What is kept of one state of a plan, restriction or finding.

    *body* and *mask* are JSON objects without their closing brace, *feature* is GeoJSON in CRS84 without the last two.
    *box* is in metres, *days* since 1970 with inclusive ends.
    """

    id: str
    rid: int
    revision: int
    level: int
    owner: str
    audience: str | None
    body: str
    geometry: Geometry | None
    days: tuple[float, float]
    contact: str | None = None
    source_fields: str | None = None
    mask: str | None = None
    participants: str | None = None
    owners: Sequence[str] = ()
    box: Box = NOWHERE
    feature: bytes = b""


def plan_version(state: PlanState) -> Version:
    """Return what is kept of a plan state; `place` fills in where it is."""
    plan = state.plan
    shaped = _shape(Plan)(plan)
    contact, source_fields = shaped.pop("contact", None), shaped.pop("source_fields")
    return Version(
        id=plan.id,
        rid=rid_of(plan.id),
        revision=state.revision,
        level=level_of(plan.visibility),
        owner=plan.owner.oin,
        audience=_json(plan.audience) if plan.audience else None,
        body=_json(shaped)[:-1],
        contact=None if contact is None else _json(contact),
        source_fields=_json(source_fields),
        geometry=plan.geometry,
        days=days_of(plan.period),
    )


def restriction_version(restriction: Restriction) -> Version:
    """Return what is kept of a restriction; all of it is for everyone who may see it."""
    return Version(
        id=restriction.id,
        rid=rid_of(restriction.id),
        revision=restriction.revision,
        level=level_of(restriction.visibility),
        owner=restriction.owner.oin,
        audience=_json(restriction.audience) if restriction.audience else None,
        body=_json(_shape(Restriction)(restriction))[:-1],
        geometry=restriction.geometry,
        days=days_of(restriction.period),
    )


def finding_version(finding: Finding) -> Version:
    """Return what is kept of a conflict or opportunity; its place is the zone of its evidence."""
    kind: Any = type(finding)
    shaped = _shape(kind)(finding)
    mask = {name: shaped[name] for name in ("kind", "status", "severity")}
    participants = [Participant(p.id, rid_of(p.id), p.revision, p.owner_oin) for p in finding.participants]
    period = finding.evidence.period
    return Version(
        id=str(finding.id),
        rid=rid_of(str(finding.id)),
        revision=finding.revision,
        level=level_of(finding.visibility),
        owner="",
        audience=_json(finding.audience) if finding.audience else None,
        body=_json(shaped)[:-1],
        mask=_json(mask)[:-1],
        participants=_json([tuple(p) for p in participants]),
        owners=sorted({p.owner for p in participants} - {""}),
        geometry=finding.evidence.zone,
        days=_ALWAYS if period is None else days_of(period),
    )


def place(versions: Sequence[Version], metric_crs: str) -> None:
    """Fill in boxes and features of many versions at once."""
    placed = [version for version in versions if version.geometry is not None]
    geometries = [version.geometry for version in placed]
    shapes = to_metric_many(geometries, metric_crs)
    texts = to_geojson([g.wkb if g else None for g in geometries], [g.crs if g else None for g in geometries], CRS84)
    for version, shape, text in zip(placed, shapes, texts, strict=True):
        version.feature = _feature(version, text)
        if shape is not None and not shape.is_empty:
            version.box = shape.bounds
    for version in versions:
        version.feature = version.feature or _feature(version, None)


def _feature(version: Version, geometry: str | None) -> bytes:
    name, body, place = orjson.dumps(version.id).decode(), version.body, version.geometry
    accuracy = None if place is None else accuracy_in(place.accuracy_m, place.crs, CRS84)
    if accuracy is not None:
        body = f'{body},"accuracy_m":{accuracy!r}'
    return f'{{"type":"Feature","id":{name},"geometry":{geometry or "null"},"properties":{body}'.encode()


def days_of(period: Period) -> tuple[float, float]:
    """Return first and last day of a planned period, in days since 1970; what is open has no bound."""
    start = period.start or period.earliest_start
    return days_between(start, period.end, period.duration_days, period.latest_end)


def days_between(
    start: date | None, end: date | None, duration_days: int | None, latest_end: date | None
) -> tuple[float, float]:
    """Return first and last day as `days_of` does, from what a period says."""
    if end is None and start is not None and duration_days:
        end = _after(start, duration_days - 1)
    end = end or latest_end
    first = _ALWAYS[0] if start is None else float((start - _EPOCH).days)
    return first, _ALWAYS[1] if end is None else max(first, float((end - _EPOCH).days))


def level_of(visibility: Visibility) -> int:
    """Return the place of a level; one that is not known counts as RESTRICTED."""
    return LEVELS.index(visibility) if visibility in LEVELS else UNREADABLE


def head_of(envelope: Envelope) -> str:
    """Return what every event about a record says, as JSON without the closing brace; id and type follow later."""
    return _json(
        {
            "specversion": "1.0",
            "source": envelope.source,
            "subject": envelope.subject,
            "time": envelope.time,
        }
    )[:-1]


def alert_document(alert: Alert, source: str) -> str:
    """Return an alert as its webhook carries it, with its own id and its subscription beside the event's."""
    named = {"alertid": str(alert.id), "alertsubscription": str(alert.subscription_id)}
    return alert_event(alert, source, named).decode()


def tells_content(alert: Alert) -> bool:
    """Say whether an alert tells more than an id or a mask: then its subject must still be visible."""
    if alert.data is None:
        return False
    data = orjson.loads(alert.data)
    return not (
        isinstance(data, dict) and (data.get("masked") is True or data.get("changes") in (["withheld"], ["closed"]))
    )


def is_own(alert: Alert) -> bool:
    """Say whether the subscriber owns a part of what the alert is about."""
    return alert.role is SubscriberRole.OWNER


def _json(value: object) -> str:
    return orjson.dumps(value, option=_UTC_Z).decode()


def _after(day: date, days: int) -> date:
    return day + timedelta(days=min(days, (date.max - day).days))


@cache
def _shape(cls: Any) -> Callable[[Any], dict[str, Any]]:
    """Return the function that turns an instance of *cls* into what orjson writes in the contract's JSON form."""
    hints = get_type_hints(cls)
    parts = [(item.name, how) for item in fields(cls) if (how := _how(hints[item.name])) is not None]

    def shape(value: Any) -> dict[str, Any]:
        shaped = {}
        for name, how in parts:
            part = getattr(value, name)
            if part is not None:
                shaped[name] = part if how is _as_it_is else how(part)
        return shaped

    return shape


def _as_it_is(value: Any) -> Any:
    return value


def _how(hint: Any) -> Callable[[Any], Any] | None:
    """Return how a value of this type is shaped; None leaves it out: a geometry stands elsewhere."""
    hint, _ = optional(hint)
    if hint is Geometry:
        return None
    if hint is int:
        return lambda value: value if abs(value) <= LARGEST_EXACT else str(value)
    if hint is bytes:
        return bytes.hex
    if is_dataclass(hint):
        return _shape(hint)  # type: ignore[arg-type]
    if get_origin(hint) is tuple:
        inner = _how(get_args(hint)[0])
        return _as_it_is if inner in (None, _as_it_is) else lambda values: [inner(value) for value in values]
    return dict if get_origin(hint) is Mapping else _as_it_is
