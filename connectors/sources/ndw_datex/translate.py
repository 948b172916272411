"""From a situation to a plan, or to traffic measures alone. A function of its argument; nothing personal leaves it.

rule: sources.md 3. One plan per situation with works: the works' records give place, period and status; traffic
measures and detours give neither.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from hashlib import sha256
from sys import intern
from types import MappingProxyType
from zoneinfo import ZoneInfo

import orjson

from connectors.sources.ndw_datex.codes import KEPT, impact_of, sort_of, status_of
from connectors.sources.ndw_datex.locations import located
from connectors.sources.ndw_datex.profile import Profile
from connectors.sources.ndw_datex.situations import Comment, Situation, Span, Works
from samenloop import geometry as border
from samenloop.errors import Reject
from samenloop.identity import plan_id
from samenloop.model import (
    EndKind,
    Geometry,
    Organisation,
    Period,
    Plan,
    PlanKind,
    Precision,
    Reference,
    Relation,
    RelationKind,
    Visibility,
)
from samenloop.owners import check_mandate, organisation, unknown_owner
from samenloop.periods import SENTINEL_FROM, envelope
from samenloop.personal_data import is_personal
from samenloop.places import METRES_IN_A_DEGREE, MOST_VERTICES, thinned
from samenloop.source import Measures, Note, SourceRecord
from samenloop.source_settings import REFERENCE_URN
from samenloop.texts import one_line, shape_of

LONGEST_ID, LONGEST_TITLE, LONGEST_TEXT, LONGEST_FIELD = 120, 200, 4000, 500
MOST_LINKS, MOST_PERIODS, MOST_RELATIONS = 20, 400, 50
REAL = "real"
_WITHHELD = ("internalNote", "other")
_CONTACT = re.compile(r"contact\s*(?:informatie|gegevens|persoon|person|info|details)|contact:", re.IGNORECASE)
_COMMAS = re.compile(r"\s*,(?:\s*,)+\s*")
_MELVIN = re.compile(r"NDW03_(\d+)\b")
_STRICTEST = (Visibility.RESTRICTED, Visibility.GROUP, Visibility.PARTNERS, Visibility.PUBLIC)
_KIND_WORDS = {
    "MaintenanceWorks": "Maintenance works",
    "ConstructionWorks": "Construction works",
    "PublicEvent": "Event",
}


def translate(profile: Profile, situation: Situation) -> SourceRecord | Measures:
    """Return the plan of *situation*, or its measures where it holds no works.

    Raises Reject: `id.missing`, `id.unexpected`, `status.not-real`, `date.unparseable`, `geometry.unparseable`,
    `owner.not-mandated`; its sentence names the situation and the element.
    """
    if situation.id is None:
        raise Reject("id.missing", "situation: found no `id`, expected the identification of the situation", field="id")
    if len(situation.id) > LONGEST_ID:
        found = f"found {len(situation.id)} characters, expected {LONGEST_ID} at most"
        raise Reject("id.unexpected", f"situation@id: {found}", field="id")
    try:
        _check_real(situation)
        if not situation.works:
            return Measures(tuple(situation.measures))
        return _Translation(profile, situation, situation.id).record()
    except Reject as error:
        raise Reject(error.code, f"situation {situation.id}: {error.detail}", field=error.field) from error


def _check_real(situation: Situation) -> None:
    status = situation.first("informationStatus")
    if status is not None and status != REAL:
        raise Reject(
            "status.not-real",
            f"informationStatus: found {one_line(status, 30)!r}, expected {REAL!r}: tests and exercises are no plans",
            field="informationStatus",
        )


class _Translation:
    """One situation on its way to a plan: what was odd is gathered on the way."""

    def __init__(self, profile: Profile, situation: Situation, local_id: str) -> None:
        self.profile, self.situation, self.works, self.local_id = profile, situation, situation.works, local_id
        self.id = plan_id(profile.urn, local_id)
        self.fields = _merged(self.works)
        self.notes: list[Note] = []

    def record(self) -> SourceRecord:
        plan = self._plan()
        measures = tuple(self.situation.measures)
        return SourceRecord(
            self.local_id, plan, _fingerprint(plan, measures), tuple(dict.fromkeys(self.notes)), measures
        )

    def _plan(self) -> Plan:
        p = self.profile
        owner = self._owner()
        check_mandate(p.mandate, p.oin, owner)
        comments = self._comments()
        title = self._title(comments, owner)
        description = "\n".join(comments)[:LONGEST_TEXT] or None
        status, sort = status_of(self.fields, self.notes), sort_of(self.fields, p.work_kinds, self.notes)
        period, work_periods = self._period()
        return Plan(
            id=self.id,
            system=p.urn,
            local_id=self.local_id,
            source_version=self._version(),
            owner=owner,
            title=title,
            description=None if description == title else description,
            kind=PlanKind.EVENT if all(one.type == "PublicEvent" for one in self.works) else PlanKind.WORKS,
            phase=status.phase,
            certainty=status.certainty,
            visibility=self._visibility(),
            audience=p.audience,
            period=period,
            work_periods=work_periods,
            geometry=self._geometry(),
            work_kinds=sort.kinds,
            ground_disturbing=sort.ground,
            traffic_impact=impact_of(self.fields, self.notes),
            relations=self._relations(),
            references=self._references(),
            source_fields=self._source_fields(),
        )

    def _owner(self) -> Organisation:
        name = next((one.owner for one in self.works if one.owner), None)
        if name is None or is_personal(name):
            self.notes.append(Note("owner.missing" if name is None else "personal.text-withheld", "sourceName"))
            return unknown_owner(self.id)
        name = intern(one_line(name, LONGEST_TITLE))
        for pattern, oin in self.profile.owner_patterns:
            if pattern.fullmatch(name):
                return Organisation(oin, name)
        return organisation(name, self.profile.plain_owners, self.profile.own)

    def _comments(self) -> list[str]:
        """Return the comments that may be published: no internal notes, no contacts, nothing personal."""
        result: dict[str, None] = {}
        for comment in (c for one in self.works for c in one.comments):
            if comment.type in _WITHHELD or _CONTACT.search(comment.text):
                self.notes.append(Note("comment.withheld", "generalPublicComment", detail=comment.type or "contact"))
            elif text := self._publishable("generalPublicComment", comment):
                result[text] = None
        return list(result)

    def _publishable(self, name: str, comment: Comment) -> str | None:
        if is_personal(comment.text):
            self.notes.append(Note("personal.text-withheld", name))
            return None
        return one_line(comment.text, LONGEST_TEXT)

    def _title(self, comments: list[str], owner: Organisation) -> str:
        """rule: sources.md 3: the cause, else the first publishable comment, else the sort of work and the owner."""
        for cause in (one.cause for one in self.works if one.cause):
            if text := self._publishable("causeDescription", Comment(cause)):
                return one_line(_COMMAS.sub(", ", text).strip(" ,"), LONGEST_TITLE) or text
        if comments:
            return one_line(comments[0], LONGEST_TITLE)
        lead = self.works[0]
        sort = lead.first("roadMaintenanceType") or lead.first("constructionWorkType") or lead.first("publicEventType")
        words = _spaced(sort) if sort and sort != "other" else _KIND_WORDS[lead.type]
        return one_line(f"{words}, {owner.name}" if owner.name else f"{words} {self.local_id}", LONGEST_TITLE)

    def _version(self) -> str | None:
        """Return the highest version of a record, else that of the situation."""
        numbers = [int(found) for found in self.situation.versions if found.isdecimal() and len(found) < 19]
        return str(max(numbers)) if numbers else self.situation.version

    def _visibility(self) -> Visibility:
        """Return the strictest visibility that situation and records ask for."""
        stated = [*self.situation.fields.get("confidentiality", ()), *self.fields.get("confidentialityOverride", ())]
        for code in stated:
            if code not in self.profile.confidentiality:
                self.notes.append(Note("code.unmapped", "confidentiality", code[:100], "visibility"))
        found = [self.profile.confidentiality.get(code, self.profile.unstated_visibility) for code in stated]
        return min(found, key=_STRICTEST.index, default=self.profile.unstated_visibility)

    def _period(self) -> tuple[Period, tuple[Period, ...]]:
        found = [self._span(span, one) for one in self.works for span in one.periods or [one.overall]]
        dated = [period for period in found if period.start or period.end]
        if not dated:
            self.notes.append(Note("period.missing"))
            return Period(), ()
        period, several = envelope(dated)
        if len(several) > MOST_PERIODS:
            self.notes.append(Note("period.too-many", detail=f"{len(several)} periods"))
            several = ()
        return period, several

    def _span(self, span: Span, works: Works) -> Period:
        p = self.profile
        start_text, end_text = span.start or works.overall.start, span.end or works.overall.end
        start = _moment(start_text, p.tz, "overallStartTime").day if start_text else None
        if end_text is None:
            return Period(start, precision=Precision.DAY if start else Precision.UNKNOWN)
        end = _moment(end_text, p.tz, "overallEndTime")
        if end.day >= SENTINEL_FROM:
            self.notes.append(Note("period.open-end", value=end.day.isoformat()))
            return Period(start, None, Precision.DAY, EndKind.SENTINEL)
        last = end.day
        if end.midnight:
            self.notes.append(Note("period.end-at-midnight", detail=p.midnight_end))
            before = last - timedelta(1)
            last = before if p.midnight_end == "day_before" and (start is None or before >= start) else last
        if start is not None and last < start:
            self.notes.append(Note("period.end-before-start"))
        return Period(start, last, Precision.DAY, EndKind.GIVEN)

    def _geometry(self) -> Geometry | None:
        p = self.profile
        places = [place for one in self.works for place in one.places]
        read = located(places, latitude_first=p.axis_order == "yx", box=p.box)
        self.notes += read.notes
        if read.shape is None or read.shape.is_empty:
            self.notes.append(Note("geometry.missing"))
            return None
        shape, tolerance = thinned(read.shape)
        accuracy = p.accuracy_m
        if tolerance:
            self.notes.append(Note("geometry.simplified", detail=f"more than {MOST_VERTICES} vertices"))
            accuracy = max(accuracy or 0.0, round(tolerance * METRES_IN_A_DEGREE, 2))
        return border.to_model(shape, "EPSG:4326", accuracy)

    def _relations(self) -> tuple[Relation, ...]:
        related = dict.fromkeys(
            one for one in self.situation.related if one != self.local_id and len(one) <= LONGEST_ID
        )
        kept = list(related)[:MOST_RELATIONS]
        return tuple(Relation(plan_id(self.profile.urn, one), RelationKind.PART_OF) for one in kept)

    def _references(self) -> tuple[Reference, ...]:
        """Return links as references, and the number of a situation that Melvin holds too."""
        links = dict.fromkeys(self.fields.get("urlLinkAddress", ()))
        kept = [text for text in links if re.fullmatch(r"https?://\S{1,490}", text) and not is_personal(text)]
        found = [Reference(REFERENCE_URN + "link", text) for text in kept[:MOST_LINKS]]
        if number := _MELVIN.match(self.local_id):
            found.append(Reference(REFERENCE_URN + "melvin", number[1]))
        return tuple(found)

    def _source_fields(self) -> Mapping[str, str]:
        """Return the codes as they stood, the sorts of measures, and when the source last changed the situation.

        Codes are the same in many thousands of plans: each text is kept once.
        """
        result = {"situationRecord": intern(", ".join(dict.fromkeys(one.type for one in self.works)))}
        result |= dict(self._kept())
        for name in ("overallSeverity", "confidentiality", "situationVersionTime"):
            if text := self.situation.first(name):
                result[name] = intern(one_line(text, LONGEST_FIELD))
        if self.situation.measures:
            counts = {sort: self.situation.measures.count(sort) for sort in sorted(set(self.situation.measures))}
            result["measures"] = intern(", ".join(f"{sort} {count}" for sort, count in counts.items())[:LONGEST_FIELD])
        return MappingProxyType(result)

    def _kept(self) -> Iterator[tuple[str, str]]:
        for name in KEPT:
            if texts := self.fields.get(name):
                yield name, intern(one_line(", ".join(dict.fromkeys(texts)), LONGEST_FIELD))


def _merged(works: Sequence[Works]) -> Mapping[str, Sequence[str]]:
    """Return the texts of all *works* by the name of their element."""
    if len(works) == 1:
        return works[0].fields
    result: dict[str, list[str]] = {}
    for one in works:
        for name, texts in one.fields.items():
            result.setdefault(name, []).extend(texts)
    return result


class _Moment:
    """A local day, and whether the instant is the very beginning of it."""

    __slots__ = ("day", "midnight")

    def __init__(self, day: date, midnight: bool) -> None:
        self.day, self.midnight = day, midnight


@lru_cache(maxsize=8192)
def _moment(text: str, zone: ZoneInfo, field: str) -> _Moment:
    """Read an instant, a local time without offset, or a bare day. Raises Reject(`date.unparseable`)."""
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            return _Moment(date.fromisoformat(text), False)
        found = datetime.fromisoformat(text)
        there = found.astimezone(zone) if found.tzinfo else found
    except (ValueError, OverflowError):
        detail = f"{field}: found {shape_of(text)}, expected an instant such as 2027-03-01T06:00:00Z"
        raise Reject("date.unparseable", detail, field=field) from None
    return _Moment(there.date(), there.time() == time(0))


def _spaced(code: str) -> str:
    """`resurfacingWork` as words."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", code).lower()
    return words[:1].upper() + words[1:]


def _fingerprint(plan: Plan, measures: tuple[str, ...]) -> bytes:
    """Return SHA-256 of what the source says of a plan; when it was last published there plays no part."""
    kept = {name: text for name, text in plan.source_fields.items() if name != "situationVersionTime"}
    said = [
        plan.title,
        plan.description,
        plan.owner,
        plan.kind,
        plan.phase,
        plan.certainty,
        plan.visibility,
        plan.period,
        plan.work_periods,
        plan.geometry.wkb.hex() if plan.geometry else None,
        plan.work_kinds,
        plan.traffic_impact,
        plan.relations,
        plan.references,
        sorted(kept.items()),
        sorted(measures),
    ]
    return sha256(orjson.dumps(said)).digest()
