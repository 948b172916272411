"""Exports in a folder, oldest first, each taken exactly once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from connectors.sources.file_snapshots.dates import Moment, read_date
from connectors.sources.file_snapshots.documents import read_document
from connectors.sources.file_snapshots.envelopes import member
from connectors.sources.file_snapshots.profile import ExportProfile
from samenloop.errors import Reject, Retry
from samenloop.source import Page, snapshot_id

ENDINGS = (".geojson", ".json", ".csv", ".txt", ".tsv")
_DAY = r"(?<!\d)(?P<day>20\d\d-?[01]\d-?[0-3]\d)"
_TIME = r"(?:[T_ -]?(?P<time>[0-2]\d[:.-]?[0-5]\d(?:[:.-]?[0-5]\d)?)(?P<z>Z)?(?![0-9A-Za-z]))?(?!\d)"
_IN_NAME = re.compile(_DAY + _TIME)


@dataclass(frozen=True, slots=True)
class Export:
    """One file and the moment it was made."""

    path: Path
    taken: datetime

    @property
    def key(self) -> tuple[str, str]:
        """Its place in the order of exports."""
        return f"{self.taken:%Y-%m-%dT%H:%M:%S.%fZ}", self.path.name


class Folder:
    """Lists the exports of a profile and yields those after a cursor (`time|hash|name`)."""

    def __init__(self, profile: ExportProfile, base: Path) -> None:
        self.profile, self.base = profile, base
        self._times: dict[tuple[Path, int, int], datetime] = {}

    def pages(self, cursor: str | None) -> Iterator[Page]:
        """Yield the exports after *cursor*, oldest first. A file with a new content under its old name comes again.

        Raises Retry(`file-error`) when the folder or a file cannot be read.
        """
        time, digest, name = cursor.split("|", 2) if cursor else ("", "", "")
        for export in self.exports():
            if export.key < (time, name):
                continue
            body = _read(export.path)
            found = sha256(body).hexdigest()
            if export.key == (time, name) and found[:16] == digest:
                continue
            new = f"{export.key[0]}|{found[:16]}|{export.path.name}"
            yield Page(snapshot_id(export.taken, found), export.taken, new, export.path.name, body)

    def exports(self) -> list[Export]:
        """Return all exports in the order of their moments."""
        return sorted((Export(path, self._time(path)) for path in self._paths()), key=lambda export: export.key)

    def _paths(self) -> list[Path]:
        where = self.base / self.profile.files
        if where.is_dir():
            return [path for path in where.iterdir() if _is_export(path)]
        if where.is_file():
            return [where]
        root = Path(where.anchor or ".")
        found = [path for path in root.glob(str(where.relative_to(where.anchor))) if path.is_file()]
        if not found and not where.parent.is_dir() and not any(c in str(where) for c in "*?["):
            raise Retry("file-error", f"there is no folder {where.parent.name!r}")
        return [path for path in found if not path.name.startswith(".")]

    def _time(self, path: Path) -> datetime:
        try:
            stat = path.stat()
        except OSError as error:
            raise Retry("file-error", f"{path.name}: {error.strerror}") from error
        key = (path, stat.st_size, stat.st_mtime_ns)
        if key not in self._times:
            modified = datetime.fromtimestamp(stat.st_mtime, UTC)
            self._times[key] = snapshot_moment(self.profile, path.name, modified, lambda: _read(path))
        return self._times[key]


def snapshot_moment(profile: ExportProfile, name: str, modified: datetime, body: object) -> datetime:
    """Return the moment of an export: from its name, a member of the document, or when it was modified.

    *body* is a function that reads the file, called only when the document must be asked.
    """
    how = profile.snapshot_time
    if how.member and callable(body):
        return moment_in_document(profile, body()) or modified
    if how.from_ in ("auto", "name"):
        return moment_in_name(profile, name) or modified
    return modified


def moment_in_name(profile: ExportProfile, name: str) -> datetime | None:
    """Return the date, and time where there is one, in a file name; local time of the source."""
    if profile.snapshot_time.pattern:
        return _by_pattern(profile, name)
    found = _IN_NAME.search(name)
    if found is None:
        return None
    day, time = re.sub(r"\D", "", found["day"]), re.sub(r"\D", "", found["time"] or "").ljust(6, "0")
    try:
        local = datetime.strptime(day + time, "%Y%m%d%H%M%S").replace(tzinfo=UTC if found["z"] else profile.tz)
    except ValueError:
        return None
    return local.astimezone(UTC)


def _by_pattern(profile: ExportProfile, name: str) -> datetime | None:
    how = profile.snapshot_time
    found = re.search(how.pattern or "", name)
    text = "" if found is None else found[1] if found.groups() else found[0]
    try:
        if how.format:
            return datetime.strptime(text, how.format).replace(tzinfo=profile.tz).astimezone(UTC)
        return _instant(read_date(text, (), profile.tz), profile)
    except ValueError:
        return None


def _instant(moment: Moment, profile: ExportProfile) -> datetime:
    local = moment.local or datetime.combine(moment.first, datetime.min.time(), profile.tz)
    return local.astimezone(UTC)


def moment_in_document(profile: ExportProfile, body: bytes) -> datetime | None:
    """Return the instant in the member that the profile names; None when the document cannot be read."""
    name = profile.snapshot_time.member
    try:
        value = member(read_document(body, profile.reading).envelope, name) if name else None
        return _instant(read_date(value, (), profile.tz), profile)
    except (Reject, ValueError):
        return None


def _is_export(path: Path) -> bool:
    """Say whether a file in a folder is an export: by its ending, and not hidden (half written)."""
    bare = path.name.lower().removesuffix(".gz")
    return path.is_file() and not path.name.startswith((".", "~")) and bare.endswith(ENDINGS)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Retry("file-error", f"{path.name}: {error.strerror}") from error
