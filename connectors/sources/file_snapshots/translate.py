"""From a work in the source's words to a plan. A function of its argument; nothing personal leaves it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from types import MappingProxyType
from typing import Any, TypeVar

from connectors.sources.file_snapshots.code_tables import CodeTable, look_up
from connectors.sources.file_snapshots.dates import read_date
from connectors.sources.file_snapshots.documents import Document
from connectors.sources.file_snapshots.fields import Row, as_text, fields_of
from connectors.sources.file_snapshots.fingerprints import fingerprint
from connectors.sources.file_snapshots.locations import read_place
from connectors.sources.file_snapshots.owners import read_owner, read_parties
from connectors.sources.file_snapshots.periods import read_period
from connectors.sources.file_snapshots.profile import Profile
from connectors.sources.file_snapshots.works import Work
from samenloop import geometry as border
from samenloop.errors import Reject
from samenloop.identity import plan_id
from samenloop.model import (
    Certainty,
    Contact,
    Geometry,
    Period,
    Phase,
    Plan,
    PlanKind,
    Reference,
    TrafficImpact,
    Visibility,
)
from samenloop.owners import check_mandate
from samenloop.periods import envelope
from samenloop.personal_data import is_personal, names_a_person
from samenloop.places import METRES_IN_A_DEGREE, MOST_VERTICES, collect, thinned
from samenloop.source import Note, SourceRecord
from samenloop.source_settings import REFERENCE_URN
from samenloop.texts import one_line, shape_of

V = TypeVar("V")
MOST_FIELDS, LONGEST_FIELD = 50, 500
LONGEST_TITLE, LONGEST_TEXT = 200, 4000


def translate(profile: Profile, work: Work) -> SourceRecord:
    """Return the plan of *work* with its fingerprint and what was odd.

    Raises Reject: `id.…`, `row.width`, `record.unexpected`, `date.unparseable`, `geometry.unparseable`,
    `owner.not-mandated`. What is missing refuses nothing but an id.
    """
    if work.problem or work.local_id is None:
        raise work.problem or Reject("id.missing", "found nothing, expected the id of the work")
    return _Translation(profile, work, work.local_id).record()


class _Translation:
    """One work on its way to a plan: what was odd and which fields found a place is gathered on the way."""

    def __init__(self, profile: Profile, work: Work, local_id: str) -> None:
        self.profile, self.work, self.local_id = profile, work, local_id
        self.id = plan_id(profile.urn, local_id)
        self.notes: list[Note] = [Note("id.duplicate", detail=f"{len(work.rows)} rows")] if len(work.rows) > 1 else []
        self.placed: set[str] = set()
        merged = work.merged
        dropped = {drop.field for drop in profile.drop if drop.when is None or drop.when.holds(merged)}
        self.notes += [Note("personal.dropped", n) for n in sorted(dropped) if merged.value(n) is not None]
        kept = {name: value for name, value in merged.properties.items() if name not in dropped}
        self.row = Row(merged.position, kept, merged.geometry, merged.feature_id, merged.nulls)

    def record(self) -> SourceRecord:
        plan = self._plan()
        return SourceRecord(self.local_id, plan, fingerprint(self.profile, self.work), tuple(self.notes))

    def _plan(self) -> Plan:
        p, row = self.profile, self.row
        self.placed.update(p.id.field)
        owner = read_owner(p.owner, p.own, row, self.id)
        check_mandate(p.mandate, p.oin, owner)
        self.placed.update(fields_of(p.owner.field) if p.owner else ())
        period, work_periods = self._period()
        return Plan(
            id=self.id,
            system=p.urn,
            local_id=self.local_id,
            owner=owner,
            title=self._text(p.title, LONGEST_TITLE) or self.local_id,
            description=self._text(p.description, LONGEST_TEXT),
            parties=read_parties(p.parties, p.owner, row),
            kind=self._code("kind", p.kind, PlanKind.WORKS),
            phase=self._code("phase", p.phase, Phase.UNKNOWN),
            certainty=self._code("certainty", p.certainty, Certainty.UNKNOWN),
            visibility=self._code("visibility", p.visibility, Visibility.RESTRICTED),
            audience=p.audience,
            period=period,
            work_periods=work_periods,
            geometry=self._geometry(),
            work_kinds=self._work_kinds(),
            ground_disturbing=self._optional("ground_disturbing", p.ground_disturbing),
            traffic_impact=self._code("traffic_impact", p.traffic_impact, TrafficImpact.UNKNOWN),
            permit_submission=self._day(p.permit_submission),
            references=self._references(),
            contact=self._contact(),
            source_fields=self._source_fields(),
        )

    def _optional(self, key: str, table: CodeTable[V]) -> V | None:
        looked = look_up(table, self.row, key)
        self.notes += looked.notes
        return looked.value

    def _code(self, key: str, table: CodeTable[V], fallback: V) -> V:
        value = self._optional(key, table)
        return fallback if value is None else value

    def _work_kinds(self) -> tuple[str, ...]:
        found: tuple[str, ...] | None = self._optional("work_kinds", self.profile.work_kinds)
        return tuple(sorted(set(found or ())))

    def _text(self, names: Sequence[str], limit: int) -> str | None:
        for name in names:
            text = self.row.template(name)
            if text is None or not (text := one_line(text, limit)):
                continue
            if is_personal(text):
                self.notes.append(Note("personal.text-withheld", name))
                continue
            self.placed.add(name)
            return text
        return None

    def _period(self) -> tuple[Period, tuple[Period, ...]]:
        profile = self.profile.period
        if profile is None:
            return Period(), ()
        read = [read_period(profile, row, self.profile.tz) for row in self.work.rows]
        self.notes += dict.fromkeys(note for one in read for note in one.notes)
        self.placed.update(name for one in read for name in one.used)
        period, work_periods = envelope(one.period for one in read)
        if period.start is None and period.end is None:
            self.notes.append(Note("period.missing"))
        return period, work_periods

    def _geometry(self) -> Geometry | None:
        p, crs = self.profile, crs_of(self.profile, self.work.document)
        read = [read_place(p.geometry, row, crs, p.box) for row in self.work.rows]
        self.notes += dict.fromkeys(note for one in read for note in one.notes)
        self.placed.update(n for n in (*p.geometry.field, p.geometry.x, p.geometry.y) if n)
        shape = collect([one.shape for one in read if one.shape is not None])
        if shape is None:
            self.notes.append(Note("geometry.missing"))
            return None
        shape, tolerance = thinned(shape)
        accuracy = p.geometry.accuracy_m
        if tolerance:
            self.notes.append(Note("geometry.simplified", detail=f"more than {MOST_VERTICES} vertices"))
            metres = tolerance * (METRES_IN_A_DEGREE if crs == "EPSG:4326" else 1.0)
            accuracy = max(accuracy or 0.0, round(metres, 2))
        return border.to_model(shape, crs, accuracy)

    def _day(self, name: str | None) -> date | None:
        value = self.row.value(name) if name else None
        if name is None or value is None:
            return None
        self.placed.add(name)
        try:
            return read_date(value, self.profile.period.formats if self.profile.period else (), self.profile.tz).first
        except ValueError:
            self.placed.discard(name)
            self.notes.append(Note("date.unreadable", name, detail=shape_of(as_text(value) or "")))
            return None

    def _references(self) -> tuple[Reference, ...]:
        found = []
        for reference in self.profile.references:
            if (text := self.row.text(reference.field)) and not is_personal(text):
                self.placed.add(reference.field)
                scheme = reference.scheme if ":" in reference.scheme else REFERENCE_URN + reference.scheme
                found.append(Reference(scheme, one_line(text, LONGEST_TITLE)))
        return tuple(found)

    def _contact(self) -> Contact | None:
        contact = self.profile.contact
        if contact is None:
            return None
        unit = self._text([contact.unit_field], LONGEST_TITLE) if contact.unit_field else None
        unit = unit or contact.unit
        return Contact(unit, contact.email, contact.phone, contact.url) if unit else None

    def _source_fields(self) -> Mapping[str, str]:
        """Return the fields without a place of their own, as text; personal ones are left out and noted."""
        result: dict[str, str] = {}
        keep = self.profile.keep
        for name, value in self.row.properties.items() if keep != "none" else ():
            chosen = name in keep if isinstance(keep, tuple) else name not in self.placed
            text = self._free_text(name, value) if chosen else None
            if text is not None and len(result) < MOST_FIELDS:
                result[name] = text
        return MappingProxyType(result)

    def _free_text(self, name: str, value: Any) -> str | None:
        text = json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else self.row.text(name)
        if text is None or value in ({}, []):
            return None
        text = one_line(text, LONGEST_FIELD)
        listed = isinstance(self.profile.keep, tuple) and name in self.profile.keep
        if names_a_person(name) and not listed:
            self.notes.append(Note("personal.dropped", name, detail="by its name"))
            return None
        if isinstance(value, (str, dict, list)) and not text.isdigit() and is_personal(text):
            self.notes.append(Note("personal.text-withheld", name))
            return None
        return text or None


def crs_of(profile: Profile, document: Document) -> str:
    """Return the CRS of a document's coordinates: what the profile says, else the file, else WGS84.

    Raises Reject(`geometry.crs-unknown`).
    """
    return profile.crs or border.epsg_of(document.crs or "EPSG:4326")
