"""What the translations of plans and of restrictions share: one work on its way, and what was odd about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from connectors.sources.file_snapshots.code_tables import CodeTable, look_up
from connectors.sources.file_snapshots.documents import Document
from connectors.sources.file_snapshots.fields import Row, fields_of
from connectors.sources.file_snapshots.fingerprints import fingerprint
from connectors.sources.file_snapshots.locations import read_place
from connectors.sources.file_snapshots.owners import read_owner
from connectors.sources.file_snapshots.periods import read_period
from connectors.sources.file_snapshots.profile import ExportProfile
from connectors.sources.file_snapshots.works import Work
from samenloop import geometry as border
from samenloop.errors import Reject
from samenloop.model import Geometry, Organisation, Period, Subject
from samenloop.owners import check_mandate
from samenloop.periods import envelope
from samenloop.personal_data import is_personal
from samenloop.places import METRES_IN_A_DEGREE, MOST_VERTICES, collect, thinned
from samenloop.source import Note, SourceRecord
from samenloop.texts import one_line

V = TypeVar("V")
LONGEST_TITLE = 200


def readable_id(work: Work) -> str:
    """Return the id of *work*. Raises Reject: what is wrong with its rows, `id.missing`."""
    if work.problem or work.local_id is None:
        raise work.problem or Reject("id.missing", "found nothing, expected the id of the work")
    return work.local_id


class Translation:
    """One work on its way: what was odd and which fields found a place is gathered. *subject_id* is its URN."""

    def __init__(self, profile: ExportProfile, work: Work, subject_id: str) -> None:
        self.export, self.work, self.id = profile, work, subject_id
        self.notes: list[Note] = [Note("id.duplicate", detail=f"{len(work.rows)} rows")] if len(work.rows) > 1 else []
        self.placed: set[str] = set()
        merged = work.merged
        dropped = {drop.field for drop in profile.drop if drop.when is None or drop.when.holds(merged)}
        self.notes += [Note("personal.dropped", n) for n in sorted(dropped) if merged.value(n) is not None]
        kept = {name: value for name, value in merged.properties.items() if name not in dropped}
        self.row = Row(merged.position, kept, merged.geometry, merged.feature_id, merged.nulls)

    def record(self, subject: Subject) -> SourceRecord:
        """Return the record of what the work came to."""
        return SourceRecord(subject.local_id, subject, fingerprint(self.export, self.work), tuple(self.notes))

    def owner(self) -> Organisation:
        """Return whose it is. Raises Reject(`owner.not-mandated`)."""
        p = self.export
        self.placed.update(p.id.field)
        owner = read_owner(p.owner, p.own, self.row, self.id)
        check_mandate(p.mandate, p.oin, owner)
        self.placed.update(fields_of(p.owner.field) if p.owner else ())
        return owner

    def optional(self, key: str, table: CodeTable[V]) -> V | None:
        """Return what a code table says, None where it says nothing."""
        looked = look_up(table, self.row, key)
        self.notes += looked.notes
        return looked.value

    def code(self, key: str, table: CodeTable[V], fallback: V) -> V:
        """Return what a code table says, else *fallback*."""
        value = self.optional(key, table)
        return fallback if value is None else value

    def work_kinds(self, key: str, table: CodeTable[tuple[str, ...]]) -> tuple[str, ...]:
        """Return the URIs of kinds of work of a table."""
        found: tuple[str, ...] | None = self.optional(key, table)
        return tuple(sorted(set(found or ())))

    def text(self, names: Sequence[str], limit: int) -> str | None:
        """Return the first of several fields that says something and nothing personal."""
        for name in names:
            text = self.row.text(name)
            if text is None or not (text := one_line(text, limit)):
                continue
            if is_personal(text):
                self.notes.append(Note("personal.text-withheld", name))
                continue
            self.placed.add(name)
            return text
        return None

    def period(self) -> tuple[Period, tuple[Period, ...]]:
        """Return the whole period, and its parts where there are several."""
        profile = self.export.period
        if profile is None:
            return Period(), ()
        read = [read_period(profile, row, self.export.tz) for row in self.work.rows]
        self.notes += dict.fromkeys(note for one in read for note in one.notes)
        self.placed.update(fields_of([name for one in read for name in one.used]))
        period, work_periods = envelope(one.period for one in read)
        if period.start is None and period.end is None:
            self.notes.append(Note("period.missing"))
        return period, work_periods

    def geometry(self) -> Geometry | None:
        """Return where it is, None without a place."""
        p, crs = self.export, crs_of(self.export, self.work.document)
        read = [read_place(p.geometry, row, crs, p.box) for row in self.work.rows]
        self.notes += dict.fromkeys(note for one in read for note in one.notes)
        self.placed.update(fields_of(p.geometry.names))
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


def crs_of(profile: ExportProfile, document: Document) -> str:
    """Return the CRS of a document's coordinates: what the profile says, else the file, else WGS84.

    Raises Reject(`geometry.crs-unknown`).
    """
    return profile.crs or border.epsg_of(document.crs or "EPSG:4326")
