"""What `samenloop source check` finds, for sources of any protocol: how records map, and what does not. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import shapely

from samenloop import geometry as border
from samenloop.model import Plan, Restriction, Subject
from samenloop.source import Rejected, SourceRecord

SAMPLES = 3
_COUNTED = ("kind", "phase", "status", "force", "certainty", "visibility", "traffic_impact")
_WRONG_PLACE = frozenset({"geometry.axes-swapped", "geometry.outside-area", "geometry.not-finite"})
PLACES = 5
"""Most records that are named for one sort of refusal."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Records that are refused for one reason: how many, an example's words, and where the first ones stand."""

    code: str
    field: str | None
    count: int
    detail: str
    places: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unmapped:
    """Codes of one field that a table does not list, with how often they occur."""

    key: str
    field: str
    codes: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class MissingField:
    """A field that the profile names and no row has."""

    name: str
    key: str
    suggestion: str | None


@dataclass(frozen=True, slots=True)
class Finding:
    """Something odd that refuses nothing: a code, where, how often."""

    code: str
    field: str | None
    count: int
    detail: str = ""


@dataclass(slots=True)
class FileReport:
    """One file: what it is, how its records map, or why it is not used at all (*problem*).

    *unit* is what the format calls a record; *measures* counts traffic measures by type, *measures_only* the records
    that hold nothing else.
    """

    name: str
    taken_at: datetime | None = None
    problem: str | None = None
    problem_code: str | None = None
    format: str = ""
    encoding: str = ""
    crs: str = ""
    unit: str = "row"
    rows: int = 0
    works: int = 0
    plans: int = 0
    restrictions: int = 0
    refused: list[Refusal] = field(default_factory=list)
    unmapped: list[Unmapped] = field(default_factory=list)
    missing: list[MissingField] = field(default_factory=list)
    personal: list[Finding] = field(default_factory=list)
    places: list[Finding] = field(default_factory=list)
    odd: list[Finding] = field(default_factory=list)
    measures: dict[str, int] = field(default_factory=dict)
    measures_only: int = 0
    kept_fields: list[str] = field(default_factory=list)
    bounds_wgs84: tuple[float, float, float, float] | None = None
    first_day: date | None = None
    last_day: date | None = None
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    samples: list[Subject] = field(default_factory=list)

    @property
    def used(self) -> bool:
        """Whether anything in it says something to the hub."""
        return bool(self.plans or self.restrictions or self.measures_only)

    @property
    def all_misplaced(self) -> bool:
        """Whether there are places but not one can be used: swapped axes, another CRS."""
        wrong = any(finding.code in _WRONG_PLACE for finding in self.places)
        return bool(self.plans) and wrong and not self.counts.get("geometry")


@dataclass(slots=True)
class Report:
    """Everything `source check` says of a profile and its files."""

    profile: str
    system: str
    files: list[FileReport]

    @property
    def ok(self) -> bool:
        """Whether every file would be used, no record is refused, and not all places are wrong."""
        return bool(self.files) and not any(
            file.problem or file.refused or not file.used or file.all_misplaced for file in self.files
        )

    def text(self) -> str:
        """Return it in words."""
        from samenloop.source_report_words import words  # noqa: PLC0415 - they know each other

        return words(self)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        from samenloop.contract import to_json  # noqa: PLC0415 - Avro is not needed otherwise

        files = [
            {name: to_json(getattr(file, name)) for name in FileReport.__dataclass_fields__} for file in self.files
        ]
        return {"profile": self.profile, "system": self.system, "ok": self.ok, "files": files}


@dataclass(frozen=True, slots=True)
class ReadResult:
    """Plans of files, or restrictions by a profile of those; what was refused of them, and the report."""

    plans: list[Plan]
    rejected: list[Rejected]
    report: Report
    restrictions: list[Restriction] = field(default_factory=list)


def refusals(rejected: Iterable[Rejected], unit: str = "row") -> list[Refusal]:
    """Return refused records by reason, the most frequent first; *unit* is what the format calls a record."""
    groups: dict[tuple[str, str | None], list[Rejected]] = {}
    for record in rejected:
        groups.setdefault((record.code, record.field), []).append(record)
    return [
        Refusal(code, name, len(found), found[0].detail, tuple(_place(record, unit) for record in found[:PLACES]))
        for (code, name), found in sorted(groups.items(), key=lambda item: -len(item[1]))
    ]


def _place(record: Rejected, unit: str) -> str:
    return f"{unit} {record.position}" + (f" ({record.local_id})" if record.local_id else "")


def gather_notes(report: FileReport, records: Sequence[SourceRecord]) -> None:
    """Put what was odd into *report*: unmapped codes, personal data, places, and the rest."""
    codes: dict[tuple[str, str], Counter[str]] = {}
    others: Counter[tuple[str, str | None, str]] = Counter()
    for note in (note for record in records for note in record.notes):
        if note.code == "code.unmapped":
            codes.setdefault((note.detail, note.field or ""), Counter())[note.value or ""] += 1
        else:
            others[note.code, note.field, note.detail or note.value or ""] += 1
    report.unmapped = [Unmapped(key, name, tuple(found.most_common(50))) for (key, name), found in codes.items()]
    for (code, name, detail), count in others.most_common():
        kind = {"personal": report.personal, "geometry": report.places}.get(code.partition(".")[0], report.odd)
        kind.append(Finding(code, name, count, detail))


def gather(report: FileReport, found: Sequence[Subject]) -> None:
    """Put what the plans or restrictions are into *report*: counts by code, days, places, three samples."""
    report.samples = _samples(found)
    report.kept_fields = sorted({name for plan in found if isinstance(plan, Plan) for name in plan.source_fields})
    for name in _COUNTED:
        counted = Counter(str(getattr(subject, name)) for subject in found if hasattr(subject, name))
        report.counts |= {name: dict(counted.most_common())} if counted else {}
    for name in ("work_kinds", "exempt_work_kinds"):
        lists = [getattr(subject, name) or (_empty(subject, name),) for subject in found if hasattr(subject, name)]
        counted = Counter(kind.rpartition(":")[2] for kinds in lists for kind in kinds)
        report.counts |= {name: dict(counted.most_common())} if counted else {}
    report.counts["precision"] = dict(Counter(str(subject.period.precision) for subject in found).most_common())
    report.counts["end"] = dict(Counter(str(subject.period.end_kind) for subject in found).most_common())
    report.counts["owner"] = dict(Counter(_owner(subject) for subject in found).most_common(20))
    report.first_day = min((subject.period.start for subject in found if subject.period.start), default=None)
    report.last_day = max((subject.period.end for subject in found if subject.period.end), default=None)
    shapes = [border.read_wkb(subject.geometry.wkb) for subject in found if subject.geometry]
    report.counts["geometry"] = dict(Counter(shape.geom_type for shape in shapes).most_common())
    report.bounds_wgs84 = _bounds([subject for subject in found if subject.geometry], shapes)


def _empty(subject: Subject, name: str) -> str:
    return "all" if isinstance(subject, Restriction) and name == "work_kinds" else "none"


def _owner(plan: Subject) -> str:
    return f"{plan.owner.name or 'unknown'} ({'no OIN' if plan.owner.oin.startswith('urn:') else plan.owner.oin})"


def _samples(plans: Sequence[Subject]) -> list[Subject]:
    """The first one, one from the middle and the last one."""
    chosen = {0, len(plans) // 2, len(plans) - 1} if plans else set()
    return [plans[index] for index in sorted(chosen)][:SAMPLES]


def _bounds(plans: Sequence[Subject], shapes: Sequence[Any]) -> tuple[float, float, float, float] | None:
    if not plans or plans[0].geometry is None:
        return None
    moved = border.transform(shapely.GeometryCollection(list(shapes)), plans[0].geometry.crs, "EPSG:4326")
    west, south, east, north = (round(float(value), 5) for value in moved.bounds)
    return west, south, east, north
