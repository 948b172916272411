"""When an export was made: a date in its name, a member of the document, or when it was modified."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from connectors.sources.file_snapshots.dates import Moment, read_date
from connectors.sources.file_snapshots.documents import read_document
from connectors.sources.file_snapshots.envelopes import member
from connectors.sources.file_snapshots.profile import ExportProfile
from samenloop.errors import Reject
from samenloop.folders import Reader

_DAY = r"(?<!\d)(?P<day>20\d\d-?[01]\d-?[0-3]\d)"
_TIME = r"(?:[T_ -]?(?P<time>[0-2]\d[:.-]?[0-5]\d(?:[:.-]?[0-5]\d)?)(?P<z>Z)?(?![0-9A-Za-z]))?(?!\d)"
_IN_NAME = re.compile(_DAY + _TIME)


def snapshot_moment(profile: ExportProfile, name: str, modified: datetime, body: Reader) -> datetime:
    """Return the moment of an export: from its name, a member of the document, or when it was modified.

    *body* is a function that reads the file, called only when the document must be asked.
    """
    how = profile.snapshot_time
    if how.member:
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
