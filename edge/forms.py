"""The JSON forms of a change and of a plan, as partners send them: one declaration for checking and for documentation.

Same names as in the contract. A list takes no more than its bound; what is no text, number or truth value is not made
into one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, Strict, WithJsonSchema
from pydantic_core import PydanticCustomError

from samenloop.contract.cloudevents import read_timestamp
from samenloop.errors import Reject
from samenloop.model import (
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

_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_PRINTABLE = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"
LONGEST_TITLE, LONGEST_TEXT, LONGEST_FIELD, MOST_FIELDS = 200, 4000, 500, 50


@lru_cache(maxsize=8192)
def _day_of(text: str) -> date:
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise PydanticCustomError("date.unparseable", "expected a calendar day such as 2027-03-01")


def _day(value: Any) -> date | None:
    if value is None:
        return None
    return _day_of(value if isinstance(value, str) else "")


def _instant(value: Any) -> datetime | None:
    if value is None:
        return None
    try:
        return read_timestamp(value if isinstance(value, str) else "")
    except Reject as error:
        raise PydanticCustomError("date.unparseable", "expected an instant such as 2026-11-23T09:15:00Z") from error


def _hash(value: Any) -> bytes | None:
    if value is None:
        return None
    if isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value):
        return bytes.fromhex(value)
    raise PydanticCustomError("record.value", "expected 64 lower-case hexadecimal digits")


def _checked(check: Callable[[Any], Any], form: str, example: str) -> Any:
    schema = {"type": "string", "format": form, "examples": [example]}
    return PlainValidator(check), WithJsonSchema(schema)


Day = Annotated[date | None, *_checked(_day, "date", "2027-03-01")]
Instant = Annotated[datetime | None, *_checked(_instant, "date-time", "2026-11-23T09:15:00Z")]
Hash = Annotated[bytes | None, *_checked(_hash, "sha256", "0" * 64)]
Title = Annotated[str, Field(min_length=1, max_length=LONGEST_TITLE, pattern=_PRINTABLE)]
Text = Annotated[str, Field(max_length=LONGEST_TEXT, pattern=_PRINTABLE)]
Name = Annotated[str, Field(min_length=1, max_length=255, pattern=_PRINTABLE)]
Uri = Annotated[str, Field(max_length=255, pattern=r"^[A-Za-z][A-Za-z0-9+.-]*:[^\x00-\x20\x7f]+$")]
Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Truth = Annotated[bool, Strict()]
Days = Annotated[int, Strict(), Field(ge=0, le=100_000)]


class Form(BaseModel):
    """Base of every form: unknown keys are refused, never quoted."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class OrganisationForm(Form):
    """An organisation (nl: organisatie)."""

    oin: Name = Field(
        description="OIN, or urn:samenloop:org:<slug> where there is none", examples=["00000099000000001002"]
    )
    name: Title | None = None


class PartyForm(Form):
    """An organisation in a role beside the owner (nl: betrokkene); never a person."""

    role: PartyRole = PartyRole.UNKNOWN
    oin: Name | None = None
    name: Title | None = None


class PeriodForm(Form):
    """When: local days, ends inclusive (nl: periode)."""

    start: Day = None
    end: Day = None
    precision: Precision | None = Field(None, description="DAY where days are given and nothing is said")
    end_kind: EndKind | None = Field(None, description="GIVEN where an end is given and nothing is said")
    earliest_start: Day = None
    latest_end: Day = None
    duration_days: Days | None = None


class ContactForm(Form):
    """Functional contact point (nl: contactpunt); never a person."""

    unit: Title
    email: Name | None = None
    phone: Name | None = None
    url: Uri | None = None


class ReferenceForm(Form):
    """A number elsewhere: permit, dig report, road (nl: verwijzing)."""

    scheme: Uri
    value: Title


class RelationForm(Form):
    """A tie to another plan (nl: relatie)."""

    plan_id: Uri
    kind: RelationKind = RelationKind.UNKNOWN


class GeometryForm(BaseModel):
    """GeoJSON geometry, two-dimensional, x before y, in `crs` (default CRS84: longitude, latitude)."""

    type: Literal["Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon"]
    coordinates: list[Any] = Field(max_length=20_000)
    crs: Name | None = Field(None, examples=["http://www.opengis.net/def/crs/EPSG/0/28992"])
    accuracy_m: Annotated[float, Strict(), Field(ge=0, allow_inf_nan=False)] | None = None


class _PlanFields(Form):
    """What stands in a plan beside its place."""

    id: Uri | None = Field(None, description="the plan's URN; may be left out where the event's subject says it")
    system: Uri | None = Field(None, description="the event's source")
    local_id: Name | None = Field(None, description="the id in the source; follows from the URN")
    source_version: Name | None = None
    owner: OrganisationForm | None = Field(None, description="left out: the organisation in the event's source")
    parties: tuple[PartyForm, ...] = Field((), max_length=50)
    title: Title
    description: Text | None = None
    kind: PlanKind = PlanKind.WORKS
    phase: Phase = Phase.UNKNOWN
    certainty: Certainty = Certainty.UNKNOWN
    visibility: Visibility = Field(Visibility.RESTRICTED, description="left out: for the owner and the hub only")
    audience: tuple[Name, ...] = Field((), max_length=100)
    period: PeriodForm | None = None
    work_periods: tuple[PeriodForm, ...] = Field((), max_length=100)
    work_kinds: tuple[Uri, ...] = Field((), max_length=50, examples=[["urn:samenloop:work-kind:sewer"]])
    assets: tuple[Uri, ...] = Field((), max_length=50)
    ground_disturbing: Truth | None = None
    max_depth_m: Number | None = None
    traffic_impact: TrafficImpact = TrafficImpact.UNKNOWN
    permit_submission: Day = None
    cooperation: Cooperation = Cooperation.UNKNOWN
    relations: tuple[RelationForm, ...] = Field((), max_length=100)
    references: tuple[ReferenceForm, ...] = Field((), max_length=100)
    contact: ContactForm | None = None
    confirmed_at: Instant = None
    source_fields: Mapping[Name, Annotated[str, Field(max_length=LONGEST_FIELD, pattern=_PRINTABLE)]] = Field(
        {}, max_length=MOST_FIELDS
    )


class PlanForm(_PlanFields):
    """A plan (nl: plan) in the contract's JSON form."""

    geometry: GeometryForm | None = None


class PropertiesForm(_PlanFields):
    """A plan without its place: the properties of a GeoJSON feature."""

    crs: Name | None = Field(None, description="of the feature's geometry; left out: CRS84")
    accuracy_m: Annotated[float, Strict(), Field(ge=0, allow_inf_nan=False)] | None = None


class FeatureForm(BaseModel):
    """A plan as a GeoJSON feature: a new plan or its whole new state."""

    model_config = ConfigDict(hide_input_in_errors=True)

    type: Literal["Feature"]
    id: Uri | None = None
    geometry: GeometryForm | None = None
    properties: PropertiesForm


class ValidityForm(Form):
    """When this version described the world (nl: geldigheid)."""

    valid_from: Instant
    valid_until: Instant = None


class OriginForm(Form):
    """Where a change began (nl: herkomst)."""

    oin: Name | None = None
    system: Uri | None = None
    event_id: Name | None = None
    cause_id: Name | None = None
    hops: Annotated[int, Strict(), Field(ge=0, le=100)] = 0


class ChangeForm(Form):
    """One change of one plan, in the contract's JSON form; `plan` is its whole new state, left out when DELETED."""

    plan_id: Uri | None = Field(None, description="left out: the event's subject, or the plan's id")
    change: ChangeKind
    reason: ChangeReason = ChangeReason.REPORTED
    plan: PlanForm | None = None
    changed_fields: tuple[Name, ...] = Field((), max_length=100)
    sequence: Annotated[int, Strict(), Field(ge=0, le=2**53)] = 0
    content_hash: Hash = None
    validity: ValidityForm | None = None
    recorded_at: Instant = Field(None, description="must equal the event's time, where both are given")
    ingested_at: Instant = Field(None, description="set by the hub; what you send is not used")
    origin: OriginForm | None = None
