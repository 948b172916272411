"""Dates that are no day: a week, month, season, quarter, half year or year, as plans of later years are written.

A year and what stands before or after it, in Dutch, English, French or German. Its precision is never finer than what
is written: the beginning of a year is four months, by YEAR.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator
from datetime import date, timedelta

from samenloop.model import Precision

Span = tuple[date, date, Precision]
"""First and last day, and how precise that is."""

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan januari january janvier januar jänner",
            "feb februari february février fév februar",
            "mrt mar maart march mars märz mär",
            "apr april avril avr",
            "mei may mai",
            "jun juni june juin",
            "jul juli july juillet juil",
            "aug augustus august août aout",
            "sep sept september septembre",
            "okt oct oktober october octobre",
            "nov november novembre",
            "dec december décembre déc dez dezember",
        ),
        start=1,
    )
    for name in names.split()
}
_SEASONS = {
    name: first
    for first, names in (
        (3, "voorjaar lente spring printemps frühjahr frühling"),
        (6, "zomer summer été sommer"),
        (9, "najaar herfst autumn fall automne herbst"),
    )
    for name in names.split()
}
_THIRDS = {
    name: number
    for number, names in enumerate(
        (
            "begin start early début anfang",
            "medio midden halverwege half mid middle mi mitte",
            "eind einde end late fin ende",
        )
    )
    for name in names.split()
}
_ORDINALS = {
    name: str(number)
    for number, names in enumerate(
        (
            "eerste first premier première erstes erste",
            "tweede second deuxième zweites zweite",
            "derde third troisième drittes",
            "vierde fourth quatrième viertes",
        ),
        start=1,
    )
    for name in names.split()
}
_FILLERS = frozenset(["van", "het", "de", "of", "the", "in", "du", "des", "le", "la"])
_YEAR = r"(?P<y>(?:19|20|21)\d\d)"
_NUMERIC = re.compile(rf"{_YEAR}(?:[-/](?P<m>\d\d))?|(?P<m2>\d{{1,2}})[-/]{_YEAR.replace('<y>', '<y2>')}")
_WITH_YEAR = re.compile(
    rf"{_YEAR}\W*(?P<after>[^\W\d].*|\d\W?\s*[^\W\d].*)"
    rf"|(?P<before>.*[^\W\d].*?)\W*{_YEAR.replace('<y>', '<y2>')}"
)
_WINTER = re.compile(rf"winter {_YEAR}\s*[-/]\s*(?:\d\d)?(?P<next>\d\d)")
_NTH = r"\s*(?:e|de|st|nd|rd|th|er|ère|ème|\.)?\s*"
_HALF = re.compile(rf"[hs](?P<a>[12])|(?P<b>[12]){_NTH}(?:helft|halfjaar|half|semestre|halbjahr|hälfte)")
_QUARTER = re.compile(rf"[qkt](?P<a>[1-4])|(?P<b>[1-4]){_NTH}(?:q|kw|kwartaal|quarter|trimestre|quartal)")
_WEEK = re.compile(r"(?:w|wk|kw|week|semaine|woche)\W*(?P<a>\d{1,2})(?P<b>)")


def read_coarse(text: str) -> Span | None:
    """Return what a date without a day spans; None where it is none.

    Raises ValueError for a month or a week that is none.
    """
    text = " ".join(text.lower().split())
    if found := _NUMERIC.fullmatch(text):
        month = found["m"] or found["m2"]
        year = int(found["y"] or found["y2"])
        return _months(year, int(month), 1, Precision.MONTH) if month else _months(year, 1, 12, Precision.YEAR)
    if (found := _WINTER.fullmatch(text)) and (int(found["y"]) + 1) % 100 == int(found["next"]):
        year = int(found["y"])
        return date(year, 12, 1), _months(year + 1, 2, 1, Precision.QUARTER)[1], Precision.QUARTER
    found = _WITH_YEAR.fullmatch(text)
    return _part(int(found["y"] or found["y2"]), found["after"] or found["before"]) if found else None


def _part(year: int, text: str) -> Span | None:
    """Return a part of a year by its words."""
    words = [_ORDINALS.get(word, word) for word in text.split() if word not in _FILLERS]
    if words and words[0] in _THIRDS:
        if len(words) == 1:
            return _months(year, 4 * _THIRDS[words[0]] + 1, 4, Precision.YEAR)
        del words[0]  # the end of March is in March
    rest = " ".join(words).strip(" .,-/")
    for pattern, months, precision in ((_HALF, 6, Precision.YEAR), (_QUARTER, 3, Precision.QUARTER)):
        if found := pattern.fullmatch(rest):
            return _months(year, months * (int(found["a"] or found["b"]) - 1) + 1, months, precision)
    if found := _WEEK.fullmatch(rest):
        monday = date.fromisocalendar(year, int(found["a"]), 1)
        return monday, monday + timedelta(6), Precision.WEEK
    if rest in _SEASONS:
        return _months(year, _SEASONS[rest], 3, Precision.QUARTER)
    return _months(year, _MONTHS[rest], 1, Precision.MONTH) if rest in _MONTHS else None


def completed(first: str, last: str) -> Iterator[tuple[str, str]]:
    """Yield two sides of a period with what one leaves out and the other says.

    `maart`, `mei 2027`: the year. `november`, `mei 2027`: the year before. `1`, `15 maart 2027`: month and year.
    `week 12`, `14 2027`: the word too.
    """
    year = re.search(rf"\b{_YEAR}$", last)
    if year is None:
        return
    yield f"{first} {year[0]}", last
    yield f"{first} {int(year[0]) - 1}", last
    yield f"{first} {last.partition(' ')[2]}", last
    word = re.match(r"[^\W\d]+\s*", first)
    if word:
        yield f"{first} {year[0]}", word[0] + last


def month_of(name: str) -> int | None:
    """Return the number of a month by its name; None where it is none."""
    return _MONTHS.get(name.lower())


def _months(year: int, first: int, count: int, precision: Precision) -> Span:
    last = first + count - 1
    return date(year, first, 1), date(year, last, monthrange(year, last)[1]), precision
