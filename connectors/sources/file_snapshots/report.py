"""What `samenloop source check` finds: how the rows of a file map, and what does not. No Kafka, nothing is kept."""

from __future__ import annotations

import os
from collections.abc import Sequence
from difflib import get_close_matches
from functools import partial
from pathlib import Path

from connectors.sources.file_snapshots.connector import FileSource, unpack
from connectors.sources.file_snapshots.documents import Document
from connectors.sources.file_snapshots.moments import snapshot_moment
from connectors.sources.file_snapshots.packing import FILES
from connectors.sources.file_snapshots.profile import ExportProfile, Profile, RestrictionProfile, load_profile
from connectors.sources.file_snapshots.works import Work
from samenloop import geometry as border
from samenloop.errors import BadSettings, Held, Reject
from samenloop.folders import named_pages
from samenloop.model import Plan, Restriction, Subject
from samenloop.source import Context, Page, Rejected, Snapshot, read_snapshot
from samenloop.source_report import FileReport, MissingField, ReadResult, Report, gather, gather_notes, refusals


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
    report.refused = refusals(snapshot.rejected)
    report.missing = _missing(source.profile, works)
    gather_notes(report, snapshot.records)
    gather(report, [record.plan for record in snapshot.records])
    return report, snapshot


def _pages(source: FileSource, files: Sequence[Path] | None) -> list[Page]:
    if files is None:
        found = list(source.fetch(None))
        if not found:
            at, known = source.profile.files, ", ".join(FILES)
            raise BadSettings([f"files: there is no export at {at!r}: of a folder {known} count, with .gz or not"])
        return found[-1:]
    return list(named_pages(files, partial(snapshot_moment, source.profile)))


def _crs(profile: ExportProfile, document: Document) -> str:
    said = "profile" if profile.crs else "file" if document.crs else "default"
    return f"{profile.crs or border.epsg_of(document.crs or 'EPSG:4326')} ({said})"


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
