"""The connector: opens a profile, fetches pages, unpacks and parses them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import orjson

from connectors.sources.file_snapshots.documents import Document, read_document
from connectors.sources.file_snapshots.envelopes import check_envelope
from connectors.sources.file_snapshots.fields import fields_of
from connectors.sources.file_snapshots.moments import snapshot_moment
from connectors.sources.file_snapshots.packing import FILES
from connectors.sources.file_snapshots.profile import ExportProfile, Profile, RestrictionProfile, load_profile
from connectors.sources.file_snapshots.restrictions import translate_restriction
from connectors.sources.file_snapshots.translate import translate
from connectors.sources.file_snapshots.translation import crs_of
from connectors.sources.file_snapshots.works import Work, read_works
from samenloop.downloads import Download
from samenloop.errors import Reject
from samenloop.folders import Folder
from samenloop.source import Context, Page, SourceRecord
from samenloop.texts import one_line

if TYPE_CHECKING:
    from samenloop.source_report import ReadResult, Report

MOST_KEPT = 50_000
LONGEST_NAME = 80
ACCEPT = "application/geo+json, application/json, text/csv, */*;q=0.5"


class FileSnapshots:
    """Full exports of a source: a folder or a web address, GeoJSON or CSV, mapped by a YAML profile.

    Protocol  whole files, packed or not; http(s) with ETag, no redirects, public addresses only
    Cursor    time, hash and name of the last file; ETag, date and hash of the last answer
    Identity  the profile's `id`; rows of one id are one work
    Deletes   by absence in complete exports, after a grace; absence after the last known end is the normal close
    """

    name = "file-snapshots"

    def open(self, profile: Path, context: Context) -> FileSource:
        """Read *profile* and return its source. Raises BadSettings."""
        return FileSource(load_profile(profile), profile.parent, context)

    def check(self, profile: Path, files: Sequence[Path] | None = None) -> Report:
        """Say how the rows of *files*, or of the newest export, map. Raises BadSettings, Retry."""
        return self.read_plans(files, profile).report

    def read_plans(self, files: Sequence[Path] | Path | None, profile: Path) -> ReadResult:
        """Read the plans in *files*, without a hub. Raises BadSettings, Retry."""
        from connectors.sources.file_snapshots import report  # noqa: PLC0415 - a running source needs no report

        return report.read_plans(files, profile)


class FileSource:
    """One source of exports, as its profile describes it.

    Most rows of an export are those of the last one: what they came to is kept for one round.
    """

    connector = FileSnapshots.name

    def __init__(
        self,
        profile: Profile | RestrictionProfile,
        base: Path,
        context: Context,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.profile = profile
        self.system, self.oin, self.guards = profile.urn, profile.oin, profile.guards.values
        self.organisation, self.protocol = profile.organisation, profile.protocol
        self._pages = _pages(profile, base, context, transport)
        self._last: dict[bytes, SourceRecord] = {}
        self._now: dict[bytes, SourceRecord] = {}

    def fetch(self, cursor: str | None) -> Iterator[Page]:
        """Yield the exports after *cursor*, oldest first. Raises Retry."""
        return self._pages.pages(cursor)

    def unpack(self, page: Page) -> Sequence[Work]:
        """Read a whole export into works. Raises Reject(`envelope.…`) and Held(`snapshot.placeholder`)."""
        works = unpack(self.profile, page.body)[1]
        self._last, self._now = self._now, {}
        return works

    def parse(self, raw: Work) -> SourceRecord:
        """Translate one work. Raises Reject."""
        same = _same(raw)
        found = (self._now.get(same) or self._last.get(same)) if same else None
        found = found or _translate(self.profile, raw)
        if same and len(self._now) < MOST_KEPT:
            self._now[same] = found
        return found

    def day(self, instant: datetime) -> date:
        """Return the local day of *instant* at the source."""
        return instant.astimezone(self.profile.tz).date()


def _pages(
    profile: ExportProfile, base: Path, context: Context, transport: httpx.BaseTransport | None
) -> Download | Folder:
    if "://" not in profile.files:
        return Folder(base / profile.files, endings=FILES, moment=partial(snapshot_moment, profile))
    return Download(
        profile.files,
        profile.http,
        connector=FileSnapshots.name,
        accept=ACCEPT,
        max_bytes=profile.max_megabytes * 1_000_000,
        moment=lambda modified, body: snapshot_moment(profile, "", modified, lambda: body),
        environment=context.environment,
        transport=transport,
    )


def _translate(profile: Profile | RestrictionProfile, work: Work) -> SourceRecord:
    if isinstance(profile, RestrictionProfile):
        return translate_restriction(profile, work)
    return translate(profile, work)


def _same(work: Work) -> bytes | None:
    """Return a hash of all that a work's translation depends on; None where there is none."""
    rows = [(row.properties, row.geometry, row.feature_id) for row in work.rows]
    try:
        return sha256(orjson.dumps([work.local_id, work.document.crs, rows])).digest() if not work.problem else None
    except TypeError:
        return None


def unpack(profile: ExportProfile, body: bytes) -> tuple[Document, list[Work]]:
    """Read the bytes of an export into a document and its works. Raises Reject(`envelope.…`), Held."""
    document = read_document(body, profile.reading)
    check_envelope(profile.expect, document, tuple(fields_of(profile.id.field)))
    try:
        crs_of(profile, document)
    except Reject as error:
        named = f"`crs` of the file is {one_line(document.crs or '', LONGEST_NAME)!r}, which is not known here"
        raise Reject("envelope.unexpected", f"{named}: say in the profile which `crs` it is") from error
    return document, read_works(profile.id, document)
