"""A plan, a change of it, the shared state of it, and what they are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import date, datetime
from types import MappingProxyType
from typing import Any

from samenloop.model.codes import (
    Certainty,
    ChangeKind,
    ChangeReason,
    Cooperation,
    EndKind,
    PartyRole,
    Phase,
    PlanKind,
    Precision,
    RelationKind,
    TrafficImpact,
    Visibility,
)
from samenloop.value import value

NOTHING: Mapping[str, Any] = MappingProxyType({})


@value
class Organisation:
    """An organisation (nl: organisatie): OIN, or a hub identity ``urn:samenloop:org:<slug>`` where there is none."""

    oin: str
    name: str | None = None


@value
class Party:
    """An organisation in a role beside the owner (nl: betrokkene); never a person."""

    role: PartyRole = PartyRole.UNKNOWN
    oin: str | None = None
    name: str | None = None


@value
class Geometry:
    """Where, as the source gave it: ISO WKB, two-dimensional, without SRID, x before y, in *crs* (an OGC URI)."""

    wkb: bytes
    crs: str
    accuracy_m: float | None = None


@value
class Period:
    """When: local days, *end* and *latest_end* inclusive; a missing end is open (see *end_kind*)."""

    start: date | None = None
    end: date | None = None
    precision: Precision = Precision.UNKNOWN
    end_kind: EndKind = EndKind.UNKNOWN
    earliest_start: date | None = None
    latest_end: date | None = None
    duration_days: int | None = None


@value
class Contact:
    """Functional contact point (nl: contactpunt); never a person."""

    unit: str
    email: str | None = None
    phone: str | None = None
    url: str | None = None


@value
class Reference:
    """A number elsewhere: permit, dig report, road (nl: verwijzing)."""

    scheme: str
    value: str


@value
class Relation:
    """A tie to another plan (nl: relatie)."""

    plan_id: str
    kind: RelationKind = RelationKind.UNKNOWN


@value
class Validity:
    """When a version described the world: half open, ``[valid_from, valid_until)`` (nl: geldigheid)."""

    valid_from: datetime
    valid_until: datetime | None = None


@value
class Origin:
    """Where a change began (nl: herkomst)."""

    oin: str
    system: str
    event_id: str
    cause_id: str | None = None
    hops: int = 0


@value(kw_only=True)
class Plan:
    """An intention to do works at a place in a period: the unit that is exchanged (nl: plan)."""

    id: str
    system: str
    local_id: str
    owner: Organisation
    title: str
    source_version: str | None = None
    parties: tuple[Party, ...] = ()
    description: str | None = None
    kind: PlanKind = PlanKind.UNKNOWN
    phase: Phase = Phase.UNKNOWN
    certainty: Certainty = Certainty.UNKNOWN
    visibility: Visibility = Visibility.RESTRICTED
    audience: tuple[str, ...] = ()
    period: Period = Period()
    work_periods: tuple[Period, ...] = ()
    geometry: Geometry | None = None
    work_kinds: tuple[str, ...] = ()
    assets: tuple[str, ...] = ()
    ground_disturbing: bool | None = None
    max_depth_m: float | None = None
    traffic_impact: TrafficImpact = TrafficImpact.UNKNOWN
    permit_submission: date | None = None
    cooperation: Cooperation = Cooperation.UNKNOWN
    relations: tuple[Relation, ...] = ()
    references: tuple[Reference, ...] = ()
    contact: Contact | None = None
    confirmed_at: datetime | None = None
    source_fields: Mapping[str, str] = field(default_factory=lambda: NOTHING)


@value(kw_only=True)
class PlanChanged:
    """One change of one plan, as its source reported it; *plan* is the full new state, None when DELETED."""

    plan_id: str
    change: ChangeKind
    validity: Validity
    recorded_at: datetime
    ingested_at: datetime
    origin: Origin
    reason: ChangeReason = ChangeReason.REPORTED
    changed_fields: tuple[str, ...] = ()
    sequence: int = 0
    content_hash: bytes | None = None
    plan: Plan | None = None


@value(kw_only=True)
class FieldOrigin:
    """Who supplied a field, and when (nl: veldherkomst)."""

    system: str
    event_id: str
    recorded_at: datetime
    derived: bool = False


@value(kw_only=True)
class PlanState:
    """The shared truth of one plan; *revision* rises from 1 and is its ETag. Removed plans are a null value."""

    plan_id: str
    revision: int
    validity: Validity
    registered_at: datetime
    sequence: int
    event_id: str
    content_hash: bytes
    provenance: Mapping[str, FieldOrigin]
    plan: Plan


@value(kw_only=True)
class PlanRegion:
    """Internal row of `plan-regions`: what detect and notify need of one plan, or a tick of the day.

    *version* is the offset of the accepted change + 1: it only rises per plan, also over deletion and return.
    A tick has *day* and no plan. A removed plan is a null value, its version in the header `version`.
    """

    plan_id: str
    version: int
    revision: int
    accepted_at: datetime
    cause_id: str
    first_load: bool = False
    day: date | None = None
    plan: Plan | None = None
