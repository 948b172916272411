"""What `samenloop source check` finds: how the rows of a file map, and what does not. No Kafka, nothing is kept."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import shapely

from connectors.sources.file_snapshots.connector import FileSource, unpack
from connectors.sources.file_snapshots.documents import Document
from connectors.sources.file_snapshots.folders import snapshot_moment
from connectors.sources.file_snapshots.profile import ExportProfile, Profile, RestrictionProfile, load_profile
from connectors.sources.file_snapshots.works import Work
from samenloop import clock
from samenloop import geometry as border
from samenloop.errors import BadSettings, Held, Reject
from samenloop.model import Plan, Restriction, Subject
from samenloop.source import Context, Page, Rejected, Snapshot, SourceRecord, read_snapshot

SAMPLES = 3
_COUNTED = ("kind", "phase", "status", "force", "certainty", "visibility", "traffic_impact")
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
    """One file: what it is, how its rows map, or why it is not used at all (*problem*)."""

    name: str
    taken_at: datetime | None = None
    problem: str | None = None
    problem_code: str | None = None
    format: str = ""
    encoding: str = ""
    crs: str = ""
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
    kept_fields: list[str] = field(default_factory=list)
    bounds_wgs84: tuple[float, float, float, float] | None = None
    first_day: date | None = None
    last_day: date | None = None
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    samples: list[Subject] = field(default_factory=list)


@dataclass(slots=True)
class Report:
    """Everything `source check` says of a profile and its files."""

    profile: str
    system: str
    files: list[FileReport]

    @property
    def ok(self) -> bool:
        """Whether every file would be used and no record is refused."""
        return bool(self.files) and not any(
            file.problem or file.refused or not (file.plans or file.restrictions) for file in self.files
        )

    def text(self) -> str:
        """Return it in words."""
        from connectors.sources.file_snapshots.report_words import words  # noqa: PLC0415 - they know each other

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


def check_profile(path: Path | str, files: Sequence[Path] | None = None) -> Report:
    """Say how the rows of *files* map by the profile at *path*; by default the newest export that it points to.

    Raises BadSettings for a profile that is wrong, Retry for an address that does not answer.
    """
    return read_plans(files, path).report


def read_plans(files: Sequence[Path] | Path | None, profile: Profile | RestrictionProfile | Path | str) -> ReadResult:
    """Read plans or restrictions from *files* (None: the newest the profile points to), and say what was refused.

    One that stands in several files is taken from the last of them. Raises BadSettings for a profile or a file that
    cannot be read, Retry for an address that does not answer. A file that is not a whole export gives no plans; the
    report says why.
    """
    path = Path(profile) if isinstance(profile, (str, Path)) else None
    loaded = profile if isinstance(profile, Profile | RestrictionProfile) else load_profile(profile)
    if files is not None:  # then nobody is asked, whatever the profile points to
        loaded = loaded.model_copy(update={"files": "."})
    source = FileSource(loaded, path.parent if path else Path(), Context(os.environ))
    found: dict[str, Subject] = {}
    rejected: list[Rejected] = []
    reports = []
    for page in _pages(source, [files] if isinstance(files, Path) else files):
        report, snapshot = check_page(source, page)
        reports.append(report)
        if snapshot:
            found |= {record.plan.id: record.plan for record in snapshot.records}
            rejected += snapshot.rejected
    plans = [subject for subject in found.values() if isinstance(subject, Plan)]
    zones = [subject for subject in found.values() if isinstance(subject, Restriction)]
    return ReadResult(plans, rejected, Report(str(path or loaded.system), loaded.urn, reports), zones)


def check_page(source: FileSource, page: Page) -> tuple[FileReport, Snapshot | None]:
    """Return the report of one page and its snapshot; no snapshot when the page is not used."""
    report = FileReport(page.name, page.taken_at)
    try:
        document, works = unpack(source.profile, page.body)
        snapshot = read_snapshot(source, page)
    except (Reject, Held) as error:
        report.problem, report.problem_code = error.detail, error.code
        return report, None
    report.format, report.encoding, report.crs = document.format, document.encoding, _crs(source.profile, document)
    report.rows, report.works = len(document.rows), len(works)
    report.plans = sum(isinstance(record.plan, Plan) for record in snapshot.records)
    report.restrictions = len(snapshot.records) - report.plans
    report.refused = _refused(snapshot.rejected)
    report.missing = _missing(source.profile, works)
    _gather_notes(report, snapshot.records)
    _gather(report, [record.plan for record in snapshot.records])
    return report, snapshot


def _pages(source: FileSource, files: Sequence[Path] | None) -> list[Page]:
    if files is None:
        found = list(source.fetch(None))
        if not found:
            raise BadSettings([f"files: there is no export at {source.profile.files!r}"])
        return found[-1:]
    pages = []
    for path in map(Path, files):
        try:
            body, modified = path.read_bytes(), datetime.fromtimestamp(path.stat().st_mtime, UTC)
        except OSError as error:
            raise BadSettings([f"{path}: cannot be read ({error.strerror})"]) from error
        taken = min(snapshot_moment(source.profile, path.name, modified, lambda body=body: body), clock.now())
        pages.append(Page(f"{taken:%Y-%m-%dT%H:%M:%S.%fZ}_", taken, "", str(path), body))
    return pages


def _crs(profile: ExportProfile, document: Document) -> str:
    said = "profile" if profile.crs else "file" if document.crs else "default"
    return f"{profile.crs or border.epsg_of(document.crs or 'EPSG:4326')} ({said})"


def _refused(rejected: Iterable[Rejected]) -> list[Refusal]:
    groups: dict[tuple[str, str | None], list[Rejected]] = {}
    for record in rejected:
        groups.setdefault((record.code, record.field), []).append(record)
    return [
        Refusal(code, name, len(found), found[0].detail, tuple(_place(record) for record in found[:PLACES]))
        for (code, name), found in sorted(groups.items(), key=lambda item: -len(item[1]))
    ]


def _place(record: Rejected) -> str:
    return f"row {record.position}" + (f" ({record.local_id})" if record.local_id else "")


def _missing(profile: ExportProfile, works: Sequence[Work]) -> list[MissingField]:
    rows = [row for work in works for row in work.rows]
    known = {name for row in rows for name in row.properties}
    result = []
    for name, key in profile.mentioned.items():
        if rows and name not in known and not any(row.has(name) for row in rows):
            near = get_close_matches(name, known, n=1, cutoff=0.6)
            folded = next((k for k in known if k.casefold() == name.casefold()), None)
            result.append(MissingField(name, key, folded or (near[0] if near else None)))
    return result


def _gather_notes(report: FileReport, records: Sequence[SourceRecord]) -> None:
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


def _gather(report: FileReport, found: Sequence[Subject]) -> None:
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
