"""Dates as sources write them: a day, an instant, a week, a month, a quarter, a year.

Day before month, always; where a source writes the month first its profile says so (`formats: [mm/dd/yyyy]`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from connectors.sources.file_snapshots.coarse_dates import completed, month_of, read_coarse
from samenloop.model import Precision

_TIME = (
    r"(?:[T ,]+(?P<H>\d{1,2})[:.h](?P<M>\d{2})(?::(?P<S>\d{2})(?:[.,]\d+)?)?"
    r"(?:\s*(?:uur|Uhr|h|(?P<half_day>[ap])\.?m\.?))?)?"
)
_ZONE = r"\s*(?P<Z>Z|UTC|[+-]\d{2}(?::?\d{2})?)?"
DAYS = (
    r"(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})",
    r"(?P<d>\d{1,2})(?P<sep>[/.-])(?P<m>\d{1,2})(?P=sep)(?P<y>\d{4})",
    r"(?P<y>\d{4})(?P<sep>[/.])(?P<m>\d{1,2})(?P=sep)(?P<d>\d{1,2})",
    r"(?P<y>(?:19|20|21)\d\d)(?P<m>\d\d)(?P<d>\d\d)",
    r"(?P<d>\d{1,2})\.?\s+(?P<name>[^\W\d]+)\.?\s+(?P<y>\d{4})",
)
_SEPARATORS = (" t/m ", " tot en met ", " tot ", " bis ", " to ", " until ", " au ", " – ", " - ", "/", ",", "–", "-")
_EXCEL_ZERO = date(1899, 12, 30)


@dataclass(frozen=True, slots=True)
class Moment:
    """A date as read: first and last day, precision, and the local time of an instant (None for a bare day)."""

    first: date
    last: date
    precision: Precision = Precision.DAY
    local: datetime | None = None

    @property
    def midnight(self) -> bool:
        """Whether it is an instant at exactly 00:00 local time."""
        return self.local is not None and (self.local.hour, self.local.minute, self.local.second) == (0, 0, 0)


def read_date(value: Any, formats: Sequence[str], zone: ZoneInfo, written_in: ZoneInfo | None = None) -> Moment:
    """Read one date. *formats* as in a profile replace the common day forms; ISO, epoch and coarse dates always do.

    Instants with an offset and epoch numbers are converted to *zone*; without an offset they are local time there, or
    in *written_in*. Raises ValueError.
    """
    moment = _read(value, formats, written_in or zone)
    if moment.local is None or written_in is None:
        return moment
    local = moment.local.astimezone(zone)
    return Moment(local.date(), local.date(), local=local)


def _read(value: Any, formats: Sequence[str], zone: ZoneInfo) -> Moment:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError("not a date")
    text = str(int(value)) if isinstance(value, float) and value == int(value) else str(value).strip()
    for form in formats:
        if (found := _by_format(form, text, zone)) is not None:
            return found
    number = isinstance(value, (int, float)) or text.startswith("/Date(") or re.fullmatch(r"-?\d{9,}(\.\d+)?", text)
    found = _epoch(text, zone) if number else None
    return found or _day(DAYS[:1] if formats else DAYS, text, zone) or _coarse(text) or _fail()


def read_range(
    text: str, formats: Sequence[str], zone: ZoneInfo, written_in: ZoneInfo | None = None
) -> tuple[Moment, Moment]:
    """Read a period from one text: a coarse date (`2027`, `2027-Q3`) or two dates with a word between them.

    What one of the two leaves out is that of the other: `maart t/m mei 2027`, `week 12-14 2027`. Raises ValueError.
    """
    try:
        one = read_date(text, formats, zone, written_in)
        return one, one
    except ValueError:
        for separator in _SEPARATORS:
            left, found, right = (part.strip() for part in text.partition(separator))
            for pair in [(left, right), *completed(left, right)] if found else ():
                try:
                    first, last = (read_date(side, formats, zone, written_in) for side in pair)
                except ValueError:
                    continue
                if pair == (left, right) or first.first <= last.last:
                    return first, last
        raise


def _fail() -> Moment:
    raise ValueError("not a date in an expected form")


def _by_format(form: str, text: str, zone: ZoneInfo) -> Moment | None:
    if form in ("epoch_ms", "epoch_s"):
        return _epoch(text, zone, 1000 if form == "epoch_ms" else 1)
    if form == "excel":
        day = _EXCEL_ZERO + timedelta(int(float(text))) if re.fullmatch(r"\d{5}(\.\d+)?", text) else None
        return Moment(day, day) if day else None
    if form == "coarse":
        return _coarse(text)
    return _day((DAYS[0] if form == "iso" else format_pattern(form),), text, zone)


@lru_cache(maxsize=64)
def format_pattern(form: str) -> str:
    """Turn `dd/mm/yyyy` into a pattern. Raises ValueError when a day, month or year is missing."""
    parts = {"yyyy": r"(?P<y>\d{4})", "yy": r"(?P<y>\d{2})", "mm": r"(?P<m>\d{1,2})", "dd": r"(?P<d>\d{1,2})"}
    day = re.split(r"[ T]*hh", form, maxsplit=1, flags=re.IGNORECASE)[0]
    if "yyyymm" in day.lower() or "mmyyyy" in day.lower() or "ddmm" in day.lower():
        parts |= {"mm": r"(?P<m>\d{2})", "dd": r"(?P<d>\d{2})"}
    pattern = re.sub(r"yyyy|yy|mm|dd", lambda m: "\0" + m[0], day.lower())
    pattern = "".join(
        parts[piece[:4]] + re.escape(piece[4:])
        if piece.startswith("yyyy")
        else parts[piece[:2]] + re.escape(piece[2:])
        if piece[:2] in parts
        else re.escape(piece)
        for piece in pattern.split("\0")
    )
    if any(f"(?P<{part}>" not in pattern for part in "ymd"):
        raise ValueError(f"{form!r} does not name dd, mm and yyyy")
    return pattern


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    time = _TIME if "sep" in pattern or "-" in pattern or "name" in pattern else _TIME.replace("[T ,]+", "[T ,]*")
    compact = r"|(?:[T ]*(?P<H2>\d{2}):?(?P<M2>\d{2})(?P<S2>\d{2})?)"
    return re.compile(rf"{pattern}(?:{time}{compact if time != _TIME else ''}){_ZONE}", re.IGNORECASE)


def _day(patterns: Sequence[str], text: str, zone: ZoneInfo) -> Moment | None:
    for pattern in patterns:
        found = _compiled(pattern).fullmatch(text)
        if found is None:
            continue
        part = found.groupdict()
        month = month_of(part["name"]) if part.get("name") else int(part["m"])
        if month is None:
            continue
        year = int(part["y"]) + (2000 if len(part["y"]) == 2 else 0)
        day = date(year, month, int(part["d"]))
        return _instant(day, part, zone)
    return None


def _instant(day: date, part: dict[str, str | None], zone: ZoneInfo) -> Moment:
    hour, minute, second = (int(part.get(k) or part.get(f"{k}2") or 0) for k in "HMS")
    if part.get("H") is None and part.get("H2") is None:
        return Moment(day, day)
    if half := part.get("half_day"):
        hour = hour % 12 + (12 if half.lower() == "p" else 0)
    if hour == 24:
        day, hour = day + timedelta(1), 0
    local = datetime(day.year, day.month, day.day, hour, minute, min(second, 59), tzinfo=zone)
    offset = part.get("Z")
    if offset and 1 < day.year < 9999:
        digits = offset.upper().replace("UTC", "Z").replace(":", "")
        text = "+00:00" if digits == "Z" else f"{digits[:3]}:{digits[3:] or '00'}"
        local = datetime.fromisoformat(local.replace(tzinfo=None).isoformat() + text).astimezone(zone)
    return Moment(local.date(), local.date(), local=local)


def _epoch(text: str, zone: ZoneInfo, per_second: int | None = None) -> Moment | None:
    number = re.sub(r"^/Date\((-?\d+)(?:[+-]\d{4})?\)/$", r"\1", text)
    if not re.fullmatch(r"-?\d+(?:\.\d+)?", number):
        return None
    value = float(number)
    if per_second is None:
        if abs(value) < 1e8 or abs(value) >= 1e15:
            return None
        per_second = 1000 if abs(value) >= 1e11 or text != number else 1
    try:
        local = datetime.fromtimestamp(value / per_second, UTC).astimezone(zone)
    except (OverflowError, OSError):
        raise ValueError("not a date") from None
    return Moment(local.date(), local.date(), local=local)


def _coarse(text: str) -> Moment | None:
    span = read_coarse(text)
    return Moment(*span) if span else None
