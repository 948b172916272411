"""Subscriptions as partners ask for them: a small YAML file or the same as arguments, and the topic they live in.

subscriber: "00000099000000001002"
sink: https://planning.wetering.example/samenloop
area: {bbox: [120900, 486900, 121200, 487100], crs: EPSG:28992}    # or {geojson: area.geojson}
about: [conflicts, opportunities, plans]                           # default: all
min_severity: WARNING
roles: [OWNER, PARTICIPANT]                                        # default: all
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

import shapely
from pydantic import AfterValidator, Field, model_validator
from shapely.geometry.base import BaseGeometry

from samenloop import geometry, identity, webhooks, yamlfile
from samenloop.contract import Codec, Envelope
from samenloop.errors import BadSettings, Reject, Retry
from samenloop.kafka import read_topic
from samenloop.model import (
    Clearance,
    Digest,
    Geometry,
    Materiality,
    Payload,
    Severity,
    SubscriberRole,
    Subscription,
    SubscriptionStatus,
)
from samenloop.notify import PLAN_CHANGED, PLAN_REMOVED
from samenloop.settings import Hub
from samenloop.stage import Output

ABOUT: Mapping[str, tuple[str, ...]] = {
    "conflicts": tuple(f"nl.samenloop.conflict-{step}.v1" for step in ("opened", "changed", "closed")),
    "opportunities": tuple(f"nl.samenloop.opportunity-{step}.v1" for step in ("opened", "changed", "closed")),
    "plans": (PLAN_CHANGED, PLAN_REMOVED),
}
LARGEST_AREA_POINTS = 2000


def _oin(text: str) -> str:
    try:
        return identity.check_oin(text)
    except Reject as error:
        raise ValueError(error.detail) from None


def _crs(text: str) -> str:
    try:
        return geometry.crs_uri(text)
    except Reject as error:
        raise ValueError(f"{error.detail}; expected for example EPSG:28992 or OGC:CRS84") from None


class Area(yamlfile.Model):
    """Where: a box, or GeoJSON in the file or beside it. Coordinates x before y; GeoJSON is CRS84 unless said."""

    bbox: tuple[float, float, float, float] | None = Field(None, description="min x, min y, max x, max y")
    geojson: str | dict[str, Any] | None = Field(None, description="a GeoJSON file, or GeoJSON itself")
    crs: Annotated[str, AfterValidator(_crs)] = Field(geometry.CRS84, description="CRS of the coordinates")

    @model_validator(mode="after")
    def _one(self) -> Area:
        if (self.bbox is None) == (self.geojson is None):
            raise ValueError("expected either bbox or geojson")
        if self.bbox is not None and not (self.bbox[0] < self.bbox[2] and self.bbox[1] < self.bbox[3]):
            raise ValueError("expected bbox as min x, min y, max x, max y")
        return self


class Wish(yamlfile.Model):
    """What a partner asks for."""

    subscriber: Annotated[str, AfterValidator(_oin)] = Field(description="OIN of the partner that is told")
    sink: str = Field(max_length=2000, description="https address that takes the alerts")
    area: Area | None = Field(None, description="only what touches it; plans of others are told only within an area")
    about: list[Literal["conflicts", "opportunities", "plans"]] = Field([], description="what to hear of; empty: all")
    kinds: list[str] = Field([], max_length=100, description="kinds of finding or work, as code URIs; empty: all")
    sources: list[str] = Field([], max_length=100, description="systems whose plans count, as URNs; empty: all")
    roles: list[Literal["OWNER", "PARTICIPANT", "AUTHORITY", "OBSERVER"]] = Field(
        [], description="own role in what is told; empty: all"
    )
    min_severity: Literal["INFO", "WARNING", "BLOCKING"] = Field(
        "WARNING", description="least severity of a conflict; INFO is pushed only when asked for here"
    )
    min_score: float = Field(0.0, ge=0, le=1, description="least score of an opportunity")
    min_shift_days: int = Field(0, ge=0, le=3650, description="smaller moves of a plan are not told")
    min_area_m2: float = Field(0.0, ge=0, description="smaller overlaps, and smaller changes of area, are not told")
    digest: Literal["IMMEDIATE", "HOURLY", "DAILY", "WEEKLY"] = Field("IMMEDIATE", description="when alerts are sent")
    payload: Literal["FULL", "THIN"] = Field("FULL", description="THIN: ids only")
    clearance: Literal["PUBLIC", "PARTNERS"] = Field("PARTNERS", description="never more than the partner's own")
    rate_per_minute: int | None = Field(None, ge=1, le=6000, description="most requests in a minute")
    language: Literal["nl", "en"] = Field("nl", description="of texts that have one language only")


def load_wish(path: Path) -> Wish:
    """Read a subscription from a YAML file; a GeoJSON file is looked for beside it. Raises BadSettings."""
    wish = yamlfile.load(path, Wish)
    if wish.area is None or not isinstance(wish.area.geojson, str):
        return wish
    return wish.model_copy(
        update={"area": wish.area.model_copy(update={"geojson": str(path.parent / wish.area.geojson)})}
    )


def wish_of(arguments: Mapping[str, Any]) -> Wish:
    """Read a subscription from arguments named as the keys of the file. Raises BadSettings with all problems."""
    given = {name: value for name, value in arguments.items() if value is not None}
    return yamlfile.parse(json.dumps(given, default=str), Wish, "subscription")


def subscription_of(
    wish: Wish,
    hub: Hub,
    *,
    subscription_id: UUID,
    now: datetime,
    destinations: webhooks.Destinations | None = None,
) -> Subscription:
    """Return the subscription that a wish describes; *destinations*: where the hub may call, by default its settings.

    Raises BadSettings for an area or sink that will not do.
    """
    problems: list[str] = []
    area = None
    if wish.area is not None:
        try:
            area = _area(wish.area, hub)
        except Reject as error:
            problems.append(f"area: {error.detail}")
    try:
        (destinations or webhooks.Destinations(hub.delivery)).check(wish.sink)
    except Reject as error:
        problems.append(f"sink: {error.detail}, expected https://<public host>/…")
    except Retry:
        pass  # a name that does not resolve yet: every attempt checks again
    if problems:
        raise BadSettings(problems)
    return Subscription(
        id=subscription_id,
        revision=1,
        subscriber_oin=wish.subscriber,
        sink=wish.sink,
        created_at=now,
        updated_at=now,
        types=tuple(event_type for what in ABOUT if what in wish.about for event_type in ABOUT[what]),
        sources=tuple(wish.sources),
        area=area,
        kinds=tuple(wish.kinds),
        roles=tuple(SubscriberRole(role) for role in wish.roles),
        materiality=Materiality(
            min_severity=Severity(wish.min_severity),
            min_score=wish.min_score,
            min_shift_days=wish.min_shift_days,
            min_area_m2=wish.min_area_m2,
        ),
        digest=Digest(wish.digest),
        payload=Payload(wish.payload),
        clearance=Clearance(wish.clearance),
        secret_ref=webhooks.secret_ref(),
        rate_per_minute=wish.rate_per_minute,
        language=wish.language,
        status=SubscriptionStatus.ACTIVE,
    )


def read_subscriptions(hub: Hub, codec: Codec) -> dict[UUID, Subscription]:
    """Return all subscriptions by id, ended ones too."""
    found: dict[UUID, Subscription] = {}
    for record in read_topic(hub.kafka, "subscriptions"):
        if record.value is not None:
            subscription = codec.decode("subscriptions", record.value, record.headers)
            found[subscription.id] = subscription
    return found


def with_status(
    subscription: Subscription, status: SubscriptionStatus, reason: str | None, now: datetime
) -> Subscription:
    """Return the next revision of a subscription; *reason* is a code such as `gone` or `failing`."""
    revision = subscription.revision + 1
    return replace(subscription, revision=revision, status=status, status_reason=reason, updated_at=now)


def subscription_output(codec: Codec, source: str, subscription: Subscription) -> Output:
    """Return the record of a subscription for its topic; *source* is the hub's own URN."""
    key = str(subscription.id)
    event_id = str(
        identity.uuid_of("subscription", key, str(subscription.revision), subscription.updated_at.isoformat())
    )
    envelope = Envelope(
        id=event_id,
        source=source,
        type="nl.samenloop.subscription-changed.v1",
        time=subscription.updated_at,
        subject=key,
        partitionkey=key,
        correlationid=event_id,
    )
    value = codec.encode("subscriptions", subscription)
    return Output("subscriptions", key, value, codec.headers("subscriptions", envelope))


def _area(area: Area, hub: Hub) -> Geometry:
    """Read an area as one geometry. Raises Reject with what is wrong."""
    shape = shapely.box(*area.bbox) if area.bbox is not None else _from_geojson(area.geojson)
    if shape.is_empty or shapely.get_dimensions(shape) != 2:
        raise Reject("area", "expected a polygon or several")
    if shapely.get_num_coordinates(shape) > LARGEST_AREA_POINTS:
        raise Reject("area", f"has more than {LARGEST_AREA_POINTS} points, expected a simpler one")
    found = geometry.to_model(shape, area.crs)
    geometry.to_metric(found, hub.hub.metric_crs)
    return found


def _from_geojson(given: str | Mapping[str, Any] | None) -> BaseGeometry:
    try:
        text = Path(given).read_text(encoding="utf-8") if isinstance(given, str) else json.dumps(given)
        found: Sequence[BaseGeometry] = shapely.get_parts(shapely.from_geojson(text))
    except OSError as error:
        raise Reject("area", f"{given} cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, shapely.errors.GEOSException) as error:
        raise Reject("area", "is not GeoJSON") from error
    for part in found:
        if not part.is_valid:
            raise Reject("area", f"is not a valid polygon: {shapely.is_valid_reason(part)}")
    return shapely.union_all(found)
