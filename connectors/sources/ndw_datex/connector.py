"""The connector: opens a profile, fetches publications, splits them into situations and translates those."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from connectors.sources.ndw_datex.profile import Profile, load_profile
from connectors.sources.ndw_datex.situations import Situation, read_situation
from connectors.sources.ndw_datex.stream import publication_time, read_situations
from connectors.sources.ndw_datex.translate import translate
from samenloop import clock
from samenloop.downloads import Download
from samenloop.errors import Reject
from samenloop.folders import Folder, Reader
from samenloop.localday import local_day
from samenloop.source import Context, Measures, Page, SourceRecord

if TYPE_CHECKING:
    from samenloop.source_report import ReadResult, Report

ENDINGS = (".xml",)
ACCEPT = "application/xml, text/xml, application/gzip, */*;q=0.5"
MOST_KEPT = 100_000


@dataclass(frozen=True, slots=True)
class RawSituation:
    """A situation in the words of the source, with its bytes; or what the same bytes came to the last time."""

    position: int
    local_id: str | None
    document: bytes
    key: bytes
    situation: Situation | None = None
    known: SourceRecord | Measures | None = None
    problem: Reject | None = None

    def original(self) -> bytes:
        """Return the situation as it stood in the document."""
        return self.document


class NdwDatex:
    """A DATEX II publication of situations, version 2 or 3, such as the planning feed of the Dutch NDW.

    Protocol  HTTP GET of one XML, gzip or not, with ETag; or a file or folder of them
    Cursor    ETag, date and hash of the last answer; its moment is `publicationTime`
    Identity  `situation@id`; one plan per situation with works, measures and detours are counted apart
    Deletes   by absence in complete publications, after a grace; absence after the last known end is the normal close
    """

    name = "ndw-datex"

    def open(self, profile: Path, context: Context) -> DatexSource:
        """Read *profile* and return its source. Raises BadSettings."""
        return DatexSource(load_profile(profile), profile.parent, context)

    def check(self, profile: Path, files: Sequence[Path] | None = None) -> Report:
        """Say how the situations of *files*, or of the newest publication, map. Raises BadSettings, Retry."""
        return self.read_plans(files, profile).report

    def read_plans(self, files: Sequence[Path] | Path | None, profile: Path) -> ReadResult:
        """Read the plans in *files*, without a hub. Raises BadSettings, Retry."""
        from connectors.sources.ndw_datex import report  # noqa: PLC0415 - a running source needs no report

        return report.read_plans(files, profile)


class DatexSource:
    """One source of publications, as its profile describes it.

    Most situations of a publication are those of the last one: what they came to is kept for one round.
    """

    connector = NdwDatex.name
    standards = ("DATEX II",)

    def __init__(
        self, profile: Profile, base: Path, context: Context, transport: httpx.BaseTransport | None = None
    ) -> None:
        self.profile = profile
        self.system, self.oin, self.guards = profile.urn, profile.oin, profile.guards.values
        self.organisation, self.protocol = profile.organisation, profile.protocol
        self._pages = _pages(profile, base, context, transport)
        self._last: dict[bytes, SourceRecord | Measures] = {}
        self._now: dict[bytes, SourceRecord | Measures] = {}

    def fetch(self, cursor: str | None) -> Iterator[Page]:
        """Yield the publications after *cursor*, oldest first. Raises Retry."""
        return self._pages.pages(cursor)

    def unpack(self, page: Page) -> Iterator[RawSituation]:
        """Yield the situations of a publication while it is read. Raises Reject(`envelope.…`), also at its end."""
        self._last, self._now = self._now or self._last, {}
        seen: dict[str, bytes] = {}
        p = self.profile
        for found in read_situations(page.body, max_bytes=p.max_bytes, take_updates=p.take_updates):
            key = blake2b(found.original, digest_size=16).digest()
            local_id = (found.element.get("id") or "").strip() or None
            twin = seen.get(local_id) if local_id else None
            if local_id:
                seen.setdefault(local_id, key)
            if twin == key:
                continue
            if twin is not None:
                problem = Reject(
                    "id.duplicate", f"situation {local_id}: the id stands earlier too, with another content"
                )
                yield RawSituation(found.position, local_id, found.original, key, problem=problem)
            elif known := self._last.get(key):
                yield RawSituation(found.position, local_id, found.original, key, known=known)
            else:
                situation = read_situation(found.element, p.language)
                yield RawSituation(found.position, local_id, found.original, key, situation)

    def parse(self, raw: RawSituation) -> SourceRecord | Measures:
        """Translate one situation. Raises Reject."""
        if raw.problem:
            raise raw.problem
        found = raw.known or translate(self.profile, raw.situation or Situation(None))
        if len(self._now) < MOST_KEPT:
            self._now[raw.key] = found
        return found

    def day(self, instant: datetime) -> date:
        """Return the local day of *instant* at the source."""
        return local_day(instant, self.profile.tz)


def moment_of(name: str, modified: datetime, read: Reader) -> datetime:
    """Return when a publication was made: its `publicationTime` unless that lies ahead, else when it was modified."""
    text = publication_time(read())
    try:
        said = datetime.fromisoformat(text or "")
    except ValueError:
        return modified
    said = said.astimezone(UTC) if said.tzinfo else said.replace(tzinfo=UTC)
    return said if said <= clock.now() else modified


def _pages(profile: Profile, base: Path, context: Context, transport: httpx.BaseTransport | None) -> Download | Folder:
    if "://" not in profile.files:
        return Folder(base / profile.files, endings=ENDINGS, moment=moment_of, packed=True)
    return Download(
        profile.files,
        profile.http,
        connector=NdwDatex.name,
        accept=ACCEPT,
        max_bytes=profile.max_bytes,
        moment=lambda modified, body: moment_of("", modified, lambda: body),
        environment=context.environment,
        packed=True,
        transport=transport,
    )
