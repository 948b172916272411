"""The profile: one YAML file that says where a source's exports are and how their rows map to plans.

Eight keys are enough (`system`, `organisation`, `oin`, `files`, `id`, `title`, `period`, `visibility`); every other
one has a default. A bare word stands for the simplest form of a key. The reference is docs/sources/file-snapshots.md.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from connectors.sources.file_snapshots.code_tables import (
    BooleanTable,
    CertaintyTable,
    CodeTable,
    ForceTable,
    KindTable,
    Pattern,
    PhaseTable,
    RestrictionKindTable,
    StatusTable,
    TrafficTable,
    VisibilityTable,
    WorkKindTable,
)
from connectors.sources.file_snapshots.documents import CsvProfile, Encoding, Reading
from connectors.sources.file_snapshots.envelopes import Expectation
from connectors.sources.file_snapshots.fields import Names, fields_of
from connectors.sources.file_snapshots.locations import Crs, GeometryProfile, Place
from connectors.sources.file_snapshots.owners import Owner, Roles
from connectors.sources.file_snapshots.periods import When
from connectors.sources.file_snapshots.privacy import Drops
from samenloop import yamlfile
from samenloop.model import (
    Certainty,
    Force,
    Phase,
    PlanKind,
    RestrictionKind,
    RestrictionStatus,
    TrafficImpact,
    Visibility,
)
from samenloop.owners import Mandate, Oin
from samenloop.personal_data import is_personal
from samenloop.places import Box
from samenloop.source_settings import BoxField, GuardProfile, HttpProfile, SourceProfile, Zone, as_box
from samenloop.yamlfile import Model

NULLS = ("-", "--", "n/a", "N/A", "nvt", "n.v.t.", "NULL", "null", "<Null>", "None", "NaN", "nan")


def _id_form(value: Any) -> Any:
    return {"field": value} if isinstance(value, (str, list)) else value


def _time_form(value: Any) -> Any:
    return {"from": value} if isinstance(value, str) else value


def _reference_form(value: Any) -> Any:
    return {"field": value, "scheme": "permit"} if isinstance(value, str) else value


def _functional(text: str) -> str:
    local = text.partition("@")[0]
    if not re.fullmatch(r"[^@\s]+@[\w-]+(\.[\w-]+)+", text):
        raise ValueError(f"{text!r} is not an e-mail address")
    if re.fullmatch(r"[A-Za-z]\.?[a-z]*\.[a-z-]{3,}", local):
        raise ValueError("looks like a person's address; give a functional mailbox such as planning@")
    return text


def _unit(text: str) -> str:
    if is_personal(text):
        raise ValueError("holds an e-mail address or a number; name the department only")
    return text


class IdProfile(Model):
    """`id`: what a work is called in the source."""

    field: Names = Field(min_length=1, description="field or template; of several the first that is filled")
    pattern: Pattern | None = Field(None, description="regular expression of a whole id; another scheme is refused")
    duplicates: Literal["collect", "reject"] = Field(
        "collect", description="rows of one id: collect their geometries and periods, or refuse all but the first"
    )


class SnapshotTime(Model):
    """`snapshot_time`: where the moment of an export stands."""

    from_: Literal["auto", "name", "modified", "member"] = Field(
        "auto", alias="from", description="auto: a date in the file name, else when the file was modified"
    )
    member: str | None = Field(None, description="member of the GeoJSON with an instant, e.g. timeStamp")
    pattern: Pattern | None = Field(None, description="regular expression with one group: the date in the name")
    format: str | None = Field(None, description="strptime form of that date, e.g. %d%m%y")

    @model_validator(mode="before")
    @classmethod
    def _member(cls, value: Any) -> Any:
        return {"from": "member", **value} if isinstance(value, dict) and "member" in value else value


class ReferenceProfile(Model):
    """One of `references`: a number elsewhere."""

    field: str = Field(description="field with the number")
    scheme: str = Field(
        "permit", min_length=1, max_length=120, description="URI, or a word such as permit, klic, melvin"
    )


class ContactProfile(Model):
    """`contact`: where to ask; a department, never a person."""

    unit: Annotated[str, AfterValidator(_unit)] | None = Field(None, description="department, constant")
    unit_field: str | None = Field(None, description="field with the department")
    email: Annotated[str, AfterValidator(_functional)] | None = Field(None, description="functional mailbox, constant")
    phone: str | None = Field(None, max_length=40, description="general number, constant")
    url: str | None = Field(None, max_length=500, description="page, constant")


class ExportProfile(SourceProfile):
    """A source of whole exports: where they are, and how what plans and restrictions share is found in a row."""

    record: Literal["plan", "restriction"] = Field("plan", description="what a row is: plan, or restriction (a zone)")

    format: Literal["auto", "geojson", "csv"] = Field("auto", description="default: by content")
    encoding: Encoding | None = Field(None, description="default: UTF-8, else cp1252; a byte order mark wins")
    csv: CsvProfile = Field(CsvProfile(), description="how a CSV is written")
    records: str | None = Field(None, description="member with the list of rows, where it is not `features`")
    max_megabytes: int = Field(200, ge=1, le=2000, description="largest export, unpacked")
    snapshot_time: Annotated[SnapshotTime, BeforeValidator(_time_form)] = Field(
        SnapshotTime.model_validate({}), description="where the moment of an export stands"
    )
    zone: Zone = Field("Europe/Amsterdam", description="time zone of dates without an offset")
    nulls: tuple[str, ...] = Field(NULLS, max_length=50, description="texts that say nothing, beside the empty one")
    expect: Expectation = Field(Expectation(), description="what the file must say of itself")

    id: Annotated[IdProfile, BeforeValidator(_id_form)] = Field(description="what a record is called in the source")
    title: Names = Field((), description="field or template; of several the first that is filled; default the id")
    owner: Owner | None = Field(None, description="whose plan or restriction it is; default: the organisation")
    mandate: Mandate = Field("own", description="for whom the source may speak: own, any or a list of OINs")
    visibility: VisibilityTable = Field(
        CodeTable[Visibility](default=Visibility.RESTRICTED), description="who may see it; default RESTRICTED"
    )
    audience: tuple[Oin, ...] = Field((), max_length=100, description="OINs that see what has visibility GROUP")
    period: When | None = Field(None, description="first and last day")
    work_kinds: WorkKindTable = Field(CodeTable[tuple[str, ...]](default=()), description="kinds of work, short codes")

    crs: Crs | None = Field(None, description="default: what the file says, else EPSG:4326")
    bbox: BoxField | None = Field(None, description="[west, south, east, north] in degrees, or in units of crs")
    geometry: Place = Field(GeometryProfile(), description="where the shape is; default the feature's geometry")

    drop: Drops = Field((), description="personal data: fields that never leave the connector")
    compare: Names = Field((), description="fields that make a record changed in the counts; default all")
    guards: GuardProfile = Field(GuardProfile(), description="when an export is held for an operator")
    http: HttpProfile = Field(HttpProfile(), description="how an address is asked")

    @property
    def tz(self) -> ZoneInfo:
        """The source's time zone."""
        return ZoneInfo(self.zone)

    @property
    def box(self) -> Box | None:
        """The bounding box as four numbers."""
        return as_box(self.bbox)

    @property
    def reading(self) -> Reading:
        """How its files are to be read."""
        return Reading(
            self.format, self.encoding, self.csv, self.records, frozenset(self.nulls), self.max_megabytes * 1_000_000
        )

    @property
    def tables(self) -> dict[str, tuple[str, ...]]:
        """The fields that each code table looks at, by the table's key."""
        return {name: getattr(self, name).names for name in self._tables}

    @property
    def mentioned(self) -> dict[str, str]:
        """Every field of the source that the profile names, with the key that names it first."""
        places: list[tuple[str, str]] = [(name, "id") for name in fields_of(self.id.field)]
        places += [(name, "title") for name in fields_of(self.title)]
        places += [(name, "owner") for name in (fields_of(self.owner.field) if self.owner else ())]
        places += [(name, "period") for name in fields_of(self.period.names if self.period else ())]
        places += [(self.period.duration, "period.duration")] if self.period and self.period.duration else []
        places += [(name, table) for table, names in self.tables.items() for name in names]
        places += self._own_places()
        places += [(name, "geometry") for name in fields_of(self.geometry.names)]
        places += [(drop.field, "drop") for drop in self.drop] + [(name, "compare") for name in self.compare]
        return {name: key for name, key in reversed(places) if name not in ("geometry", "*")}

    @property
    def _tables(self) -> tuple[str, ...]:
        """The keys that are code tables."""
        return "visibility", "kind", "work_kinds"

    def _own_places(self) -> list[tuple[str, str]]:
        """The fields that only this sort of profile names, each with its key."""
        return []

    @model_validator(mode="after")
    def _located(self) -> Self:
        if (self.geometry.x is None) != (self.geometry.y is None):
            raise ValueError("geometry: give both x and y, or neither")
        if self.crs is None and (self.geometry.x or self.geometry.field) and self.format == "csv":
            raise ValueError("crs: is needed for a CSV, it cannot say it itself")
        return self


class Profile(ExportProfile):
    """A source of plans and how its rows map."""

    description: Names = Field((), description="the same, for the longer text")
    parties: Roles = Field((), description="organisations beside the owner")
    kind: KindTable = Field(CodeTable[PlanKind](default=PlanKind.WORKS), description="kind of plan; default WORKS")
    phase: PhaseTable = Field(CodeTable[Phase](default=Phase.UNKNOWN), description="how far it is")
    certainty: CertaintyTable = Field(CodeTable[Certainty](default=Certainty.UNKNOWN), description="how sure it is")
    ground_disturbing: BooleanTable = Field(CodeTable[bool](), description="whether it breaks ground or paving")
    traffic_impact: TrafficTable = Field(
        CodeTable[TrafficImpact](default=TrafficImpact.UNKNOWN), description="what motor traffic notices"
    )
    references: tuple[Annotated[ReferenceProfile, BeforeValidator(_reference_form)], ...] = Field(
        (), max_length=20, description="numbers elsewhere"
    )
    permit_submission: str | None = Field(None, description="field with the day on which the permit is asked")
    contact: ContactProfile | None = Field(None, description="where to ask; never a person")
    keep: Literal["all", "none"] | tuple[str, ...] = Field(
        "all", description="which other fields go along as source_fields"
    )

    @property
    def _tables(self) -> tuple[str, ...]:
        return "visibility", "kind", "phase", "certainty", "work_kinds", "ground_disturbing", "traffic_impact"

    def _own_places(self) -> list[tuple[str, str]]:
        places = [(name, "description") for name in fields_of(self.description)]
        places += [(party.field, "parties") for party in self.parties if party.field]
        places += [(reference.field, "references") for reference in self.references]
        places += [(self.permit_submission, "permit_submission")] if self.permit_submission else []
        places += [(self.contact.unit_field, "contact")] if self.contact and self.contact.unit_field else []
        return places

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.contact and not (self.contact.unit or self.contact.unit_field):
            raise ValueError("contact: needs unit or unit_field")
        return self


class RestrictionProfile(ExportProfile):
    """A source of restrictions and how its rows map (`record: restriction`)."""

    kind: RestrictionKindTable = Field(
        CodeTable[RestrictionKind](default=RestrictionKind.MORATORIUM),
        description="kind of restriction; default MORATORIUM",
    )
    status: StatusTable = Field(
        CodeTable[RestrictionStatus](default=RestrictionStatus.UNKNOWN),
        description="PROPOSED, IN_FORCE, ENDED or CANCELLED; UNKNOWN is not judged",
    )
    force: ForceTable = Field(CodeTable[Force](default=Force.UNKNOWN), description="BINDING or ADVISORY")
    exempt_work_kinds: WorkKindTable = Field(
        CodeTable[tuple[str, ...]](default=()), description="kinds of work it is not about, short codes"
    )
    legal_basis: str | None = Field(None, description="field with the URI of the decision")
    for_plan: str | None = Field(
        None, description="field with the plan that caused it: its URN, or its id in this system"
    )

    @property
    def _tables(self) -> tuple[str, ...]:
        return "visibility", "kind", "status", "force", "work_kinds", "exempt_work_kinds"

    def _own_places(self) -> list[tuple[str, str]]:
        named = (("legal_basis", self.legal_basis), ("for_plan", self.for_plan))
        return [(field, key) for key, field in named if field]


def load_profile(path: Path | str) -> Profile | RestrictionProfile:
    """Read a profile. Raises BadSettings with one line per problem: file, line, key, what is expected."""
    path = Path(path)
    if yamlfile.peek(path, "record") == "restriction":
        return yamlfile.load(path, RestrictionProfile)
    return yamlfile.load(path, Profile)
