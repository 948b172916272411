"""From a work in the source's words to a plan. A function of its argument; nothing personal leaves it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Any

from connectors.sources.file_snapshots.dates import read_date
from connectors.sources.file_snapshots.fields import as_text
from connectors.sources.file_snapshots.owners import read_parties
from connectors.sources.file_snapshots.profile import Profile
from connectors.sources.file_snapshots.translation import LONGEST_TITLE, Translation, readable_id
from connectors.sources.file_snapshots.works import Work
from samenloop.identity import plan_id
from samenloop.model import (
    Certainty,
    Contact,
    Phase,
    Plan,
    PlanKind,
    Reference,
    TrafficImpact,
    Visibility,
)
from samenloop.personal_data import is_personal, names_a_person
from samenloop.source import Note, SourceRecord
from samenloop.source_settings import REFERENCE_URN
from samenloop.texts import one_line, shape_of

MOST_FIELDS, LONGEST_FIELD = 50, 500
LONGEST_TEXT = 4000


def translate(profile: Profile, work: Work) -> SourceRecord:
    """Return the plan of *work* with its fingerprint and what was odd.

    Raises Reject: `id.…`, `row.width`, `record.unexpected`, `date.unparseable`, `geometry.unparseable`,
    `owner.not-mandated`. What is missing refuses nothing but an id.
    """
    found = _PlanTranslation(profile, work, readable_id(work))
    return found.record(found.plan())


class _PlanTranslation(Translation):
    """One work on its way to a plan."""

    def __init__(self, profile: Profile, work: Work, local_id: str) -> None:
        super().__init__(profile, work, plan_id(profile.urn, local_id))
        self.profile, self.local_id = profile, local_id

    def plan(self) -> Plan:
        """Return the plan. Raises Reject."""
        p, row = self.profile, self.row
        owner = self.owner()
        period, work_periods = self.period()
        return Plan(
            id=self.id,
            system=p.urn,
            local_id=self.local_id,
            owner=owner,
            title=self._title(),
            description=self.text(p.description, LONGEST_TEXT),
            parties=read_parties(p.parties, p.owner, row),
            kind=self.code("kind", p.kind, PlanKind.WORKS),
            phase=self.code("phase", p.phase, Phase.UNKNOWN),
            certainty=self.code("certainty", p.certainty, Certainty.UNKNOWN),
            visibility=self.code("visibility", p.visibility, Visibility.RESTRICTED),
            audience=p.audience,
            period=period,
            work_periods=work_periods,
            geometry=self.geometry(),
            work_kinds=self.work_kinds("work_kinds", p.work_kinds),
            ground_disturbing=self.optional("ground_disturbing", p.ground_disturbing),
            traffic_impact=self.code("traffic_impact", p.traffic_impact, TrafficImpact.UNKNOWN),
            permit_submission=self._day(p.permit_submission),
            references=self._references(),
            contact=self._contact(),
            source_fields=self._source_fields(),
        )

    def _title(self) -> str:
        """Return the title, else the id; that none of the fields of the profile has one is noted."""
        title = self.text(self.profile.title, LONGEST_TITLE)
        if title is None and self.profile.title:
            self.notes.append(Note("title.missing"))
        return title or self.local_id

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
        unit = self.text([contact.unit_field], LONGEST_TITLE) if contact.unit_field else None
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
