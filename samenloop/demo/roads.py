"""What the invented national road register publishes about Havervoort: DATEX II, version 3, whole every time.

Pure: week in, bytes out. Three situations: the province resurfaces its road into town, a foundation runs through it,
and a speed limit that belongs to no works at all. In most weeks nothing new is published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from samenloop.demo.region import monday
from samenloop.geometry import CRS84, transformer

ROADS = "wegenregister"
"""Name of the source."""
PUBLISHED = (1, 4, 9)
"""Weeks with a new publication."""
Line = tuple[tuple[float, float], ...]
"""Corners in RD metres."""


@dataclass(frozen=True, slots=True)
class Situation:
    """One situation: its one record, and the first and last day by the week of the publication that says so."""

    number: str
    record: str
    days: Mapping[int, tuple[str, str]]
    line: Line
    owner: str = ""
    cause: str = ""
    inside: str = ""

    def until(self, week: int) -> list[tuple[str, str]]:
        """The days of each version until *week*; none before it is published."""
        return [self.days[w] for w in sorted(self.days) if w <= week]


SITUATIONS = (
    Situation(
        "NWR_2027_0815",
        "MaintenanceWorks",
        {1: ("2027-06-14", "2027-06-18"), 9: ("2027-07-05", "2027-07-09")},
        ((181_230, 434_303), (181_420, 434_303), (181_700, 434_330)),
        owner="Provincie Rietland",
        cause="Deklaag N831 vervangen, Havenkade tot rondweg",
        inside="<s:roadMaintenanceType>resurfacingWork</s:roadMaintenanceType>"
        "<s:roadworkStatus>published</s:roadworkStatus>",
    ),
    Situation(
        "NWR_2027_0822",
        "PublicEvent",
        {4: ("2027-05-29", "2027-05-29")},
        ((181_000, 434_154), (181_254, 434_154), (181_254, 434_303), (181_000, 434_303)),
        owner="Stichting Havenrun",
        cause="Havenrun Havervoort",
        inside="<s:publicEventType>athleticsMeeting</s:publicEventType>",
    ),
    Situation(
        "NWR_2027_0829",
        "SpeedManagement",
        {1: ("2027-01-04", "2027-12-31")},
        ((181_700, 434_330), (182_400, 434_400)),
    ),
)

_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<m:messageContainer xmlns:m="http://datex2.eu/schema/3/messageContainer" xmlns:c="http://datex2.eu/schema/3/common"
 xmlns:s="http://datex2.eu/schema/3/situation" xmlns:l="http://datex2.eu/schema/3/locationReferencing"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<m:payload xsi:type="s:SituationPublication" lang="nl">
<c:publicationTime>{day}T04:30:00Z</c:publicationTime>
<c:publicationCreator><c:country>nl</c:country><c:nationalIdentifier>NWR</c:nationalIdentifier></c:publicationCreator>
"""
_TAIL = "</m:payload>\n</m:messageContainer>\n"


def publication(week: int) -> bytes | None:
    """Return the publication of *week* (1..12); None when nothing new is published."""
    if week not in PUBLISHED:
        return None
    told = [_situation(one, versions) for one in SITUATIONS if (versions := one.until(week))]
    return "".join((_HEAD.format(day=monday(week)), *told, _TAIL)).encode()


def latest(week: int) -> int:
    """Return the week of the newest publication there is in *week*."""
    return max(w for w in PUBLISHED if w <= week)


def _situation(one: Situation, versions: Sequence[tuple[str, str]]) -> str:
    first, last = versions[-1]
    source = f"<s:source>{_text('c:sourceName', one.owner)}</s:source>" if one.owner else ""
    cause = f"<s:cause>{_text('s:causeDescription', one.cause)}</s:cause>" if one.cause else ""
    return (
        f'<s:situation id="{one.number}"><s:headerInformation><c:confidentiality>noRestriction</c:confidentiality>'
        "<c:informationStatus>real</c:informationStatus></s:headerInformation>\n"
        f'<s:situationRecord xsi:type="s:{one.record}" id="{one.number}_1" version="{len(versions)}">'
        "<s:probabilityOfOccurrence>certain</s:probabilityOfOccurrence>"
        f"{source}{cause}<s:validity><c:validityStatus>definedByValidityTimeSpec</c:validityStatus>"
        f"<c:validityTimeSpecification><c:overallStartTime>{first}T05:00:00Z</c:overallStartTime>"
        f"<c:overallEndTime>{last}T18:00:00Z</c:overallEndTime></c:validityTimeSpecification></s:validity>"
        f"<s:locationReference>{_line(one.line)}</s:locationReference>{one.inside}</s:situationRecord></s:situation>\n"
    )


def _text(name: str, words: str) -> str:
    return f'<{name}><c:values><c:value lang="nl">{escape(words)}</c:value></c:values></{name}>'


def _line(corners: Sequence[tuple[float, float]]) -> str:
    """Latitude before longitude, as DATEX II writes them."""
    degrees = (transformer("EPSG:28992", CRS84).transform(x, y) for x, y in corners)
    places = " ".join(f"{north:.8f} {east:.8f}" for east, north in degrees)
    return f'<l:gmlLineString srsName="WGS 84"><l:posList>{places}</l:posList></l:gmlLineString>'
