"""What `samenloop source check` finds in DATEX II publications: plans, measures, codes, refusals. Nothing is kept."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from connectors.sources.ndw_datex.connector import DatexSource, RawSituation, moment_of
from connectors.sources.ndw_datex.profile import load_profile
from samenloop.errors import BadSettings, Held, Reject
from samenloop.folders import named_pages
from samenloop.model import Plan
from samenloop.source import Context, Measures, Page, Rejected, Snapshot, SourceRecord, read_snapshot
from samenloop.source_report import FileReport, ReadResult, Report, gather, gather_notes, refusals


def read_plans(files: Sequence[Path] | Path | None, profile: Path) -> ReadResult:
    """Read plans from *files* (None: the newest publication the profile points to), and say what was refused.

    A plan that stands in several files is taken from the last of them. Raises BadSettings for a profile or a file that
    cannot be read, Retry for an address that does not answer. A file that is no whole publication gives no plans; the
    report says why.
    """
    loaded = load_profile(profile)
    if files is not None:  # then nobody is asked, whatever the profile points to
        loaded = loaded.model_copy(update={"files": "."})
    source = _Counting(loaded, profile.parent, Context(os.environ))
    plans: dict[str, Plan] = {}
    rejected: list[Rejected] = []
    reports = []
    for page in _pages(source, [files] if isinstance(files, Path) else files):
        report, snapshot = _check_page(source, page)
        reports.append(report)
        if snapshot:
            plans |= {plan.id: plan for record in snapshot.records if isinstance(plan := record.plan, Plan)}
            rejected += snapshot.rejected
    return ReadResult(list(plans.values()), rejected, Report(str(profile), loaded.urn, reports))


class _Counting(DatexSource):
    """A source that also counts what passes: situations, and measures by their sort."""

    def unpack(self, page: Page) -> Iterator[RawSituation]:
        self.situations, self.measures = 0, Counter[str]()
        for raw in super().unpack(page):
            self.situations += 1
            yield raw

    def parse(self, raw: RawSituation) -> SourceRecord | Measures:
        found = super().parse(raw)
        self.measures.update(found.measures if isinstance(found, SourceRecord) else found.types)
        return found


def _pages(source: DatexSource, files: Sequence[Path] | None) -> list[Page]:
    if files is not None:
        return list(named_pages(files, moment_of, packed=True))
    found = list(source.fetch(None))
    if not found:
        raise BadSettings([f"files: there is no publication at {source.profile.files!r}"])
    return found[-1:]


def _check_page(source: _Counting, page: Page) -> tuple[FileReport, Snapshot | None]:
    """Return the report of one page and its snapshot; no snapshot when the page is not used."""
    report = FileReport(page.name, page.taken_at, unit="situation")
    try:
        snapshot = read_snapshot(source, page)
    except (Reject, Held) as error:
        report.problem, report.problem_code = error.detail, error.code
        return report, None
    report.format, report.encoding, report.crs = "DATEX II", "XML", "EPSG:4326"
    report.rows, report.plans = source.situations, len(snapshot.records)
    report.works = report.plans + len(snapshot.rejected)
    report.measures, report.measures_only = dict(source.measures.most_common()), snapshot.measures_only
    report.refused = refusals(snapshot.rejected, report.unit)
    gather_notes(report, snapshot.records)
    gather(report, [record.plan for record in snapshot.records])
    return report, snapshot
