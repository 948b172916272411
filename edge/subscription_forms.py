"""The JSON form of a subscription, in the shape of the CloudEvents Subscriptions API, and its way to and from ours."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
import shapely
from pydantic import AfterValidator, Field, PlainValidator, Strict, WithJsonSchema
from pydantic_core import PydanticCustomError

from edge.forms import Form, Name, Uri
from samenloop import identity
from samenloop.errors import BadSettings, Reject
from samenloop.geometry import CRS84, crs_uri, read_wkb
from samenloop.model import Clearance, Geometry, Materiality, Subscription
from samenloop.notify import filters as dialects
from samenloop.settings import Hub
from samenloop.subscriptions import ABOUT, Wish, subscription_of
from samenloop.visibility import CLEARANCES
from samenloop.webhooks import Destinations

EVENT_TYPES = tuple(event_type for types in ABOUT.values() for event_type in types)
_ATTRIBUTES = ", ".join(f"`{name}`" for name in dialects.ATTRIBUTES)


def _no_credential(_: Any) -> None:
    raise PydanticCustomError(
        "sink.credential", "leave it out: every delivery is signed with a secret that the hub derives and tells once"
    )


def _filters(found: Any) -> Any:
    """Keep what stands there: all that is wrong with it is told by `filter_faults`."""
    return found


def _event_type(text: str) -> str:
    if text not in EVENT_TYPES:
        raise PydanticCustomError("subscription.type", "expected one of the types of event that alerts have")
    return text


EventType = Annotated[str, AfterValidator(_event_type), WithJsonSchema({"type": "string", "enum": list(EVENT_TYPES)})]


def _crs(text: str) -> str:
    try:
        return crs_uri(text)
    except Reject as error:
        raise PydanticCustomError("geometry.crs-unknown", "expected a CRS such as EPSG:28992 or OGC:CRS84") from error


class AreaForm(Form):
    """Where, as a GeoJSON polygon: only what touches it is told."""

    type: Literal["Polygon", "MultiPolygon"]
    coordinates: list[Any] = Field(max_length=2000, description="x before y; 2,000 points at most")
    crs: Annotated[Name, AfterValidator(_crs)] = Field(
        CRS84, description="left out: CRS84, longitude and latitude", examples=["EPSG:28992"]
    )


class MaterialityForm(Form):
    """From what on something is told."""

    min_severity: Literal["INFO", "WARNING", "BLOCKING"] = Field("WARNING", description="of a conflict")
    min_score: float = Field(0.0, ge=0, le=1, allow_inf_nan=False, description="of an opportunity")
    min_shift_days: Annotated[int, Strict()] = Field(
        0, ge=0, le=3650, description="smaller moves of a plan are not told"
    )
    min_area_m2: float = Field(0.0, ge=0, le=1e12, allow_inf_nan=False, description="smaller overlaps are not told")


class ConfigForm(Form):
    """What a subscription asks beside the type of an event."""

    area: AreaForm | None = Field(None, description="plans of others are told only within an area")
    sources: list[Uri] = Field([], max_length=100, description="systems whose plans count, when `source` is not enough")
    kinds: list[Uri] = Field([], max_length=100, description="kinds of finding or of work, as code URIs; empty: all")
    roles: list[Literal["OWNER", "PARTICIPANT", "AUTHORITY", "OBSERVER"]] = Field(
        [], max_length=4, description="own role in what is told; empty: all"
    )
    materiality: MaterialityForm = Field(MaterialityForm(), description="thresholds")
    digest: Literal["IMMEDIATE", "HOURLY", "DAILY", "WEEKLY"] = Field("IMMEDIATE", description="when alerts are sent")
    payload: Literal["FULL", "THIN"] = Field("FULL", description="THIN: ids only")
    clearance: Literal["PUBLIC", "PARTNERS"] | None = Field(
        None, description="left out: your own; it can be lowered, not raised"
    )
    language: Literal["nl", "en"] = Field("nl", description="of texts that have one language only")


class ProtocolSettingsForm(Form):
    """How the sink is called."""

    method: Literal["POST"] = Field("POST", description="always POST")
    rate_per_minute: Annotated[int, Strict()] | None = Field(
        None, ge=1, le=6000, description="most requests in a minute; the sink's own answer may lower it"
    )


class SubscriptionForm(Form):
    """What you subscribe to, and the address that is told."""

    sink: str = Field(max_length=2000, pattern=r"^[\x21-\x7e]+$", description="https address that takes the alerts")
    source: Uri | None = Field(
        None, description="only what has a plan of this system: urn:nld:oin:<OIN>:systeem:<name>"
    )
    types: list[EventType] = Field([], max_length=20, description="types of event; empty: all")
    filters: Annotated[
        Any,
        PlainValidator(_filters),
        WithJsonSchema({"type": "array", "items": {"type": "object"}, "maxItems": dialects.MOST}),
    ] = Field([], description=f"dialects {', '.join(dialects.DIALECTS)} over {_ATTRIBUTES}; all must take the event")
    sinkcredential: Annotated[None, PlainValidator(_no_credential), WithJsonSchema({"type": "null"})] = Field(
        None,
        description="not taken: deliveries are signed with a derived secret",
        json_schema_extra={"writeOnly": True},
    )
    protocol: Literal["HTTP"] = Field("HTTP", description="HTTP")
    protocolsettings: ProtocolSettingsForm = Field(ProtocolSettingsForm(), description="how the sink is called")
    config: ConfigForm = Field(ConfigForm(), description="what to tell beside the type")


class SubscriptionView(SubscriptionForm):
    """A subscription as it stands."""

    id: UUID
    revision: int = Field(description="also the ETag; `If-Match` of a change")
    status: Literal["requested", "active", "paused", "ended"]
    status_reason: str | None = Field(
        None, description="such as handshake-refused, handshake-unreachable, failing, gone"
    )
    created_at: str
    updated_at: str
    secret: str | None = Field(None, description="only in the answer that made it: `whsec_…`, shown once")


SET_BY_THE_HUB = ("id", "revision", "status", "status_reason", "created_at", "updated_at", "secret")
"""Fields of the answer that may stand in a request, so that what was read can be sent back; they change nothing."""


class SubscriptionList(Form):
    """Subscriptions of the caller's, oldest first."""

    subscriptions: list[SubscriptionView]
    next: str | None = Field(None, description="address of what follows; left out at the end")


class Wrong(Exception):
    """What is wrong with a subscription that has the right form; *found* by JSON pointer."""

    def __init__(self, found: list[tuple[str, str, str]]) -> None:
        super().__init__("the subscription is not right")
        self.found = found


def read(
    form: SubscriptionForm,
    hub: Hub,
    *,
    oin: str,
    clearance: Clearance,
    subscription_id: UUID,
    now: datetime,
    destinations: Destinations,
) -> Subscription:
    """Return the subscription of *oin* that a form describes. It resolves the sink's name, so it may take a while.

    Raises Wrong with all that is wrong.
    """
    wrong = [(f"/filters{one.field}", one.code, one.detail) for one in dialects.check(form.filters)]
    config = form.config
    own = min(clearance, Clearance.PARTNERS, key=CLEARANCES.index)
    asked = Clearance(config.clearance) if config.clearance else own
    if CLEARANCES.index(asked) > CLEARANCES.index(own):
        wrong.append(
            ("/config/clearance", "subscription.clearance", f"your own is {own}; it can be lowered, not raised")
        )
    sources = list(dict.fromkeys([*([form.source] if form.source else []), *config.sources]))
    for source in sources:
        if not _is_system(source):
            place = "/source" if source == form.source else "/config/sources"
            wrong.append((place, "envelope.source", "expected urn:nld:oin:<OIN>:systeem:<name>"))
    try:
        found = subscription_of(
            _wish(form, oin, asked, sources), hub, subscription_id=subscription_id, now=now, destinations=destinations
        )
    except BadSettings as error:
        wrong += [_placed(problem) for problem in error.problems]
    if wrong:
        raise Wrong(wrong)
    return replace(found, types=tuple(dict.fromkeys(form.types)), filters=dialects.to_text(form.filters))


def _is_system(text: str) -> bool:
    try:
        identity.system_oin(text)
    except Reject:
        return False
    return True


def _placed(problem: str) -> tuple[str, str, str]:
    field, _, detail = problem.partition(": ")
    return ("/sink", "sink.address", detail) if field == "sink" else ("/config/area", "subscription.area", detail)


def _wish(form: SubscriptionForm, oin: str, clearance: Clearance, sources: list[str]) -> Wish:
    config = form.config
    area = config.area
    return Wish.model_validate(
        {
            "subscriber": oin,
            "sink": form.sink,
            "area": None if area is None else {"geojson": area.model_dump(exclude={"crs"}), "crs": area.crs},
            "kinds": config.kinds,
            "sources": sources,
            "roles": list(dict.fromkeys(config.roles)),
            **config.materiality.model_dump(),
            "digest": config.digest,
            "payload": config.payload,
            "clearance": clearance.value,
            "rate_per_minute": form.protocolsettings.rate_per_minute,
            "language": config.language,
        }
    )


def view(one: Subscription, secret: str | None = None) -> dict[str, Any]:
    """Return the JSON form of a subscription; what is left out is empty. The name of the secret stays inside."""
    config = {
        "area": _area(one.area),
        "sources": list(one.sources[1:]),
        "kinds": list(one.kinds),
        "roles": [role.value for role in one.roles],
        "materiality": _materiality(one.materiality),
        "digest": one.digest.value,
        "payload": one.payload.value,
        "clearance": one.clearance.value,
        "language": one.language,
    }
    settings = {"method": "POST", "rate_per_minute": one.rate_per_minute}
    told = {
        "id": str(one.id),
        "revision": one.revision,
        "status": one.status.lower(),
        "status_reason": one.status_reason,
        "created_at": _instant(one.created_at),
        "updated_at": _instant(one.updated_at),
        "source": one.sources[0] if one.sources else None,
        "types": list(one.types),
        "filters": orjson.loads(one.filters) if one.filters else [],
        "sink": one.sink,
        "protocol": one.protocol.value,
        "protocolsettings": {name: value for name, value in settings.items() if value is not None},
        "config": {name: value for name, value in config.items() if value not in (None, [])},
        "secret": secret,
    }
    return {name: value for name, value in told.items() if value not in (None, [])}


def _instant(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _area(area: Geometry | None) -> dict[str, Any] | None:
    if area is None:
        return None
    form: dict[str, Any] = orjson.loads(shapely.to_geojson(read_wkb(area.wkb)))
    return form if area.crs == CRS84 else {**form, "crs": area.crs}


def _materiality(own: Materiality) -> dict[str, Any]:
    return {
        "min_severity": own.min_severity.value,
        "min_score": own.min_score,
        "min_shift_days": own.min_shift_days,
        "min_area_m2": own.min_area_m2,
    }
