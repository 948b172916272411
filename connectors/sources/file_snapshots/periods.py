"""When: from the fields of a row to a period, with its precision, open ends and duration."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field

from connectors.sources.file_snapshots.dates import Moment, format_pattern, read_date, read_range
from connectors.sources.file_snapshots.fields import Row, as_text
from samenloop.errors import Reject
from samenloop.model import EndKind, Period, Precision
from samenloop.periods import COARSER, SENTINEL_FROM
from samenloop.source import Note
from samenloop.source_settings import Zone
from samenloop.texts import shape_of
from samenloop.yamlfile import Model

NAMED_FORMATS = ("iso", "epoch_ms", "epoch_s", "excel", "coarse")
KNOWN_FROM = date(1970, 1, 2)
"""Starts before this day mean "unknown": the zero days of Unix and spreadsheets."""
_EXPECTED = "a date such as 2027-03-01 or 01-03-2027 (other forms: `period.formats`)"
_DURATION = re.compile(r"(\d+(?:[.,]\d+)?)\s*(.*)")
_UNITS = {
    "working": re.compile(r"ouvr|werkdag|working|business|werktag|arbeitstag", re.IGNORECASE),
    "week": re.compile(r"^(?:week|weken|weeks|semaine|woche)", re.IGNORECASE),
    "month": re.compile(r"^(?:maand|month|mois|monat)", re.IGNORECASE),
    "year": re.compile(r"^(?:jaar|jaren|year|an\b|ans\b|jahr)", re.IGNORECASE),
    "hour": re.compile(r"^(?:uur|uren|hour|heure|stunde|h\b)", re.IGNORECASE),
    "day": re.compile(r"^(?:$|dag|day|jour|tag|kalenderdag|d\b|j\b)", re.IGNORECASE),
}
_DAYS = {"week": 7.0, "month": 30.4375, "year": 365.25, "hour": 1 / 24, "day": 1.0}


def _format(form: str) -> str:
    if form not in NAMED_FORMATS:
        try:
            format_pattern(form)
        except ValueError as error:
            raise ValueError(f"{error}; known are forms such as dd/mm/yyyy and {', '.join(NAMED_FORMATS)}") from None
    return form


def _pairs(value: Any) -> Any:
    """`a`, `[a, b]`, `[[a, b], [c, d]]` or `{start: a, end: b}` to a list of pairs."""
    if isinstance(value, dict):
        value = [value]
    if isinstance(value, str):
        value = [[value]]
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        value = [value]
    if not isinstance(value, list):
        return value
    return [_pair(item) for item in value]


def _pair(item: Any) -> Any:
    item = [item] if isinstance(item, str) else item
    if isinstance(item, list) and 1 <= len(item) <= 2 and all(isinstance(name, str) for name in item):
        return {"start": item[0], "end": item[-1]}
    if item is not None and not isinstance(item, (dict, Pair)):
        raise ValueError("expected a field, [first, last], or a list of such pairs")
    return item


def _long_form(value: Any) -> Any:
    if not isinstance(value, dict):
        return {"fields": value}
    pair = {side: value[side] for side in ("start", "end") if side in value}
    if pair and "fields" in value:
        raise ValueError("give `fields`, or `start` and `end`")
    rest = {key: item for key, item in value.items() if key not in pair}
    return {"fields": pair, **rest} if pair else rest


def _days(value: Any) -> Any:
    """Days listed in a profile, in any form that cannot be mistaken."""
    if not isinstance(value, list):
        return value
    return [_sentinel(item) for item in value]


def _sentinel(item: Any) -> Any:
    try:
        return read_date(item, (), ZoneInfo("UTC")).last
    except (ValueError, TypeError):
        raise ValueError(f"{item!r} is not a date such as 2099-12-31") from None


Format = Annotated[str, AfterValidator(_format)]


class Pair(Model):
    """Two fields that hold a first and a last day; the same field twice for a period in one text."""

    start: str | None = Field(None, description="field of the first day")
    end: str | None = Field(None, description="field of the last day")

    @property
    def names(self) -> tuple[str, ...]:
        """The fields, each once."""
        return tuple(dict.fromkeys(name for name in (self.start, self.end) if name))


class PeriodProfile(Model):
    """`period`: which fields, how they are written, and what the odd values mean."""

    fields: Annotated[tuple[Pair, ...], BeforeValidator(_pairs)] = Field(
        min_length=1, max_length=10, description="pairs of fields; the first pair that is filled counts"
    )
    formats: tuple[Format, ...] = Field(
        (), max_length=10, description="forms of a day, instead of day-month-year in its common spellings"
    )
    written_in: Zone | None = Field(None, description="zone of times without an offset, where it is not `zone`")
    midnight_end: Literal["same_day", "day_before"] = Field(
        "same_day", description="what an end at exactly 00:00 means: that day, or the day before"
    )
    open_ends: Annotated[tuple[date, ...] | None, BeforeValidator(_days)] = Field(
        None, description="days that mean no end; default every day from 2090 on, [] for none"
    )
    endless: tuple[str, ...] = Field((), max_length=20, description="texts that declare an endless period")
    precision: Precision | None = Field(None, description="instead of what the way of writing shows")
    duration: str | None = Field(None, description="field with a length such as 15 or 3 weken")
    duration_unit: Literal["days", "working_days", "weeks", "months"] = Field(
        "days", description="unit of a bare number in `duration`"
    )
    window: Annotated[Pair | None, BeforeValidator(_pair)] = Field(
        None, description="fields of the earliest start and the latest end"
    )

    @property
    def hours(self) -> ZoneInfo | None:
        """The zone in which times without an offset are written, if it is not the source's own."""
        return ZoneInfo(self.written_in) if self.written_in else None

    @property
    def names(self) -> tuple[str, ...]:
        """Every field that holds a date."""
        pairs = [*self.fields, *([self.window] if self.window else [])]
        return tuple(dict.fromkeys(name for pair in pairs for name in pair.names))


When = Annotated[PeriodProfile, BeforeValidator(_long_form)]


@dataclass(frozen=True, slots=True)
class ReadPeriod:
    """A period, the pair it came from, and what was odd."""

    period: Period
    used: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()


def read_period(profile: PeriodProfile, row: Row, zone: ZoneInfo) -> ReadPeriod:
    """Return the period of *row*; empty when no field says anything.

    rule: sources.md 0.11. A pair that is filled on both sides goes before one that has only a start. Raises
    Reject(`date.unparseable`) for what is there and cannot be read.
    """
    pair = _choose(profile, row)
    notes: list[Note] = []
    if pair is None:
        duration = _duration(profile, row, notes)
        return ReadPeriod(Period(duration_days=duration), notes=tuple(notes))
    first, last, kind = _moments(profile, pair, row, zone)
    if last is None and kind is EndKind.UNKNOWN and first is not None and first.precision is not Precision.DAY:
        last, kind = first, EndKind.GIVEN  # "2029" and nothing else is the whole year
        notes.append(Note("period.end-from-start", pair.start))
    start = None if first is None or first.first < KNOWN_FROM else first.first
    end, kind = _end(profile, first, last, kind, notes)
    precision = profile.precision or max(
        (moment.precision for moment in (first, last) if moment), key=COARSER.index, default=Precision.UNKNOWN
    )
    if start is not None and end is not None and end < start:
        notes.append(Note("period.end-before-start", pair.end))
    earliest, latest = _window(profile, row, zone)
    period = Period(
        start=start,
        end=end,
        precision=precision,
        end_kind=kind,
        earliest_start=earliest,
        latest_end=latest,
        duration_days=_duration(profile, row, notes),
    )
    return ReadPeriod(period, pair.names, tuple(notes))


def comparable(value: Any, profile: PeriodProfile, zone: ZoneInfo) -> Any:
    """Return a date in one form whatever its way of writing; anything else as it is."""
    try:
        moment = read_date(value, profile.formats, zone, profile.hours)
    except ValueError:
        return value
    text = moment.first.isoformat() if moment.first == moment.last else f"{moment.first}/{moment.last}"
    return text if moment.local is None else moment.local.replace(tzinfo=None).isoformat()


def _choose(profile: PeriodProfile, row: Row) -> Pair | None:
    filled = [(pair, [row.value(n) is not None for n in (pair.start, pair.end) if n]) for pair in profile.fields]
    whole = (pair for pair, sides in filled if all(sides))
    started = (pair for pair, _ in filled if pair.start and row.value(pair.start) is not None)
    some = (pair for pair, sides in filled if any(sides))
    return next(whole, None) or next(started, None) or next(some, None)


def _moments(
    profile: PeriodProfile, pair: Pair, row: Row, zone: ZoneInfo
) -> tuple[Moment | None, Moment | None, EndKind]:
    if pair.start == pair.end and pair.start:
        text = as_text(row.value(pair.start)) or ""
        with _naming(profile, pair.start, text):
            return *read_range(text, profile.formats, zone, profile.hours), EndKind.GIVEN
    first = _moment(profile, pair.start, row, zone)
    if pair.end and row.text(pair.end) in profile.endless:
        return first, None, EndKind.INDEFINITE
    last = _moment(profile, pair.end, row, zone)
    return first, last, EndKind.GIVEN if last else EndKind.UNKNOWN


def _moment(profile: PeriodProfile, name: str | None, row: Row, zone: ZoneInfo) -> Moment | None:
    value = row.value(name) if name else None
    if name is None or value is None:
        return None
    with _naming(profile, name, as_text(value) or type(value).__name__):
        return read_date(value, profile.formats, zone, profile.hours)


@contextmanager
def _naming(profile: PeriodProfile, name: str, text: str) -> Iterator[None]:
    """Turn the ValueError of a date into a Reject that names the field and the shape of what was found."""
    try:
        yield
    except ValueError:
        forms = " or ".join(profile.formats)
        expected = f"{forms} (`period.formats`)" if forms else _EXPECTED
        raise Reject("date.unparseable", f"{name}: found {shape_of(text)}, expected {expected}", field=name) from None


def _end(
    profile: PeriodProfile, first: Moment | None, last: Moment | None, kind: EndKind, notes: list[Note]
) -> tuple[date | None, EndKind]:
    if last is None:
        return None, kind
    sentinels = profile.open_ends
    if last.last in sentinels if sentinels is not None else last.last >= SENTINEL_FROM:
        notes.append(Note("period.open-end", value=last.last.isoformat()))
        return None, EndKind.SENTINEL
    if last.midnight and last is not first:
        notes.append(Note("period.end-at-midnight", detail=profile.midnight_end))
        before = last.last - timedelta(1)
        if profile.midnight_end == "day_before" and (first is None or before >= first.first):
            return before, kind
    return last.last, kind


def _window(profile: PeriodProfile, row: Row, zone: ZoneInfo) -> tuple[date | None, date | None]:
    if profile.window is None:
        return None, None
    first = _moment(profile, profile.window.start, row, zone)
    last = _moment(profile, profile.window.end, row, zone)
    return first.first if first else None, last.last if last else None


def _duration(profile: PeriodProfile, row: Row, notes: list[Note]) -> int | None:
    text = row.text(profile.duration) if profile.duration else None
    if text is None:
        return None
    days = duration_days(text, profile.duration_unit)
    if days is None:
        notes.append(Note("duration.unreadable", profile.duration, detail=shape_of(text)))
    return days


def duration_days(text: str, unit: str = "days") -> int | None:
    """Return a length in calendar days, rounded up; None when it cannot be read.

    Five working days are a week of seven days. *unit* is that of a bare number.
    """
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        return None
    number, word = float(found[1].replace(",", ".")), found[2].strip() or unit.replace("working_days", "working days")
    name = next((name for name, pattern in _UNITS.items() if pattern.search(word)), None)
    if name is None:
        return None
    if name == "working":
        weeks, rest = divmod(math.ceil(number), 5)
        return weeks * 7 + rest
    return math.ceil(number * _DAYS[name])
