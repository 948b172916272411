"""The invented region: the town of Havervoort, three organisations, twelve Mondays of exports.

Pure: week in, bytes out. Names, places and numbers are made up; OINs are of the test range; coordinates lie in open
fields. Each organisation exports what its own system holds, in its own words and format:

* **Gemeente Havervoort**: GeoJSON in WGS84, a case number, Dutch status words, dates as ISO text;
* **Waterschap De Wetering**: CSV with semicolons, dates as dd-mm-yyyy, WKT in RD, years for early ideas;
* **Netbeheerder Vonkstroom**: GeoJSON in RD (EPSG:28992), its own codes, the end of endless works as 31-12-2999.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from shapely import Point, Polygon, transform

from samenloop.geometry import CRS84, transformer

WEEKS = 12
FIRST_MONDAY = date(2027, 1, 4)
BROKEN_WEEK = 5
"""The municipality's export of this week is an error page: it must remove nothing."""
RECEIVER_DOWN = (6, 8)
"""The subscribed partner's receiver is down from the first of these weeks until before the second."""
OFFLINE = (4, 10)
"""The system that pulls is offline from the first of these weeks until before the second."""

GEMEENTE = ("00000099000000001001", "Gemeente Havervoort")
WATERSCHAP = ("00000099000000001002", "Waterschap De Wetering")
NETBEHEERDER = ("00000099000000001003", "Netbeheerder Vonkstroom")
SOURCES = ("gemeente-havervoort", "waterschap-de-wetering", "netbeheerder-vonkstroom")
TOWN = (180_900.0, 433_800.0, 181_600.0, 434_500.0)
"""The built-up area in RD metres: min x, min y, max x, max y."""

# A street is a strip from its corner (RD metres) in one direction: (x, y, along x?, length).
STREETS: Mapping[str, tuple[float, float, bool, float]] = {
    "Lindelaan": (181_000, 434_000, True, 420),
    "Molenstraat": (181_000, 434_150, True, 420),
    "Havenkade": (181_000, 434_300, True, 420),
    "Kerkpad": (181_060, 433_950, False, 400),
    "Singel": (181_250, 433_950, False, 400),
    "Weverstraat": (181_380, 433_950, False, 400),
}


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of street: metres from and to along it, from its kerb, and how wide."""

    street: str
    start_m: float
    end_m: float
    kerb_m: float
    width_m: float

    def polygon(self) -> Polygon:
        """The stretch as a rectangle in RD metres (EPSG:28992)."""
        x, y, along_x, _ = STREETS[self.street]
        along, across = (self.start_m, self.end_m), (self.kerb_m, self.kerb_m + self.width_m)
        (x0, x1), (y0, y1) = (along, across) if along_x else (across, along)
        return Polygon([(x + x0, y + y0), (x + x1, y + y0), (x + x1, y + y1), (x + x0, y + y1)])


@dataclass(frozen=True, slots=True)
class Work:
    """One line of a source system: what it says in its first week, and what changes later."""

    number: str
    name: str
    what: str
    status: str
    start: str
    end: str
    place: Section
    since: int = 1
    absent: frozenset[int] = frozenset()
    traffic: str = "geen"
    later: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)

    def in_week(self, week: int) -> Work | None:
        """The line as exported in *week* (1..12), None when it is not in the export."""
        if week < self.since or week in self.absent:
            return None
        known = {key: value for w in sorted(self.later) if w <= week for key, value in self.later[w].items()}
        return replace(self, **known)


def monday(week: int) -> date:
    """The day on which the exports of *week* are made."""
    return FIRST_MONDAY + timedelta(weeks=week - 1)


GEMEENTE_WORKS = (
    Work(
        "HV-2027-001",
        "Herinrichting Lindelaan",
        "herinrichting",
        "vastgesteld",
        "2027-03-22",
        "2027-05-14",
        Section("Lindelaan", 40, 180, 0, 8),
        traffic="afgesloten",
    ),
    Work(
        "HV-2027-002",
        "Bomen vervangen Singel",
        "groen",
        "voorgenomen",
        "2027-09-06",
        "2027-09-24",
        Section("Singel", 20, 120, 0, 3),
    ),
    Work(
        "HV-2027-003",
        "Asfaltonderhoud Havenkade",
        "asfalt",
        "vastgesteld",
        "2027-06-07",
        "2027-06-25",
        Section("Havenkade", 0, 260, 1, 7),
        traffic="om en om",
    ),
    Work(
        "HV-2027-004",
        "Riolering Molenstraat",
        "riolering",
        "vergund",
        "2027-04-05",
        "2027-07-02",
        Section("Molenstraat", 60, 220, 2, 5),
        absent=frozenset({6}),
        traffic="afgesloten",
    ),
    Work(
        "HV-2027-005",
        "Speelplek Kerkpad",
        "groen",
        "idee",
        "2028-01-10",
        "2028-02-25",
        Section("Kerkpad", 200, 230, 6, 10),
    ),
    Work(
        "HV-2027-006",
        "Openbare verlichting Weverstraat",
        "verlichting",
        "voorgenomen",
        "2027-08-16",
        "2027-09-03",
        Section("Weverstraat", 30, 190, 0, 1.2),
        since=2,
        later={10: {"status": "vastgesteld"}},
    ),
    Work(
        "HV-2027-007",
        "Fietspad langs de Singel",
        "herinrichting",
        "idee",
        "2028-03-06",
        "2028-06-30",
        Section("Singel", 150, 340, 4, 3.5),
        since=4,
    ),
    Work(
        "HV-2027-008",
        "Braderie Havenkade",
        "evenement",
        "vergund",
        "2027-06-19",
        "2027-06-20",
        Section("Havenkade", 60, 200, 0, 9),
        since=3,
    ),
)

WATERSCHAP_WORKS = (
    Work(
        "W-0312",
        "Persleiding Molenstraat vervangen",
        "persleiding",
        "in voorbereiding",
        "17-05-2027",
        "30-07-2027",
        Section("Molenstraat", 180, 300, 4, 2.5),
        later={
            8: {"end": "02-08-2027"},
            9: {"end": "27-08-2027"},
            12: {"start": "05-07-2027", "end": "03-09-2027"},  # what the hub proposed: after the sewer
        },
    ),
    Work(
        "W-0318",
        "Duiker Kerkpad",
        "duiker",
        "besluit genomen",
        "03-05-2027",
        "28-05-2027",
        Section("Kerkpad", 150, 175, 1, 6),
    ),
    Work(
        "W-0327",
        "Kadeverbetering Havenkade",
        "kade",
        "programma",
        "2028",
        "2028",
        Section("Havenkade", 100, 330, -4, 4),
        since=2,
    ),
    Work(
        "W-0331",
        "Gemaal Singel aansluiten",
        "persleiding",
        "besluit genomen",
        "30-08-2027",
        "01-10-2027",
        Section("Singel", 90, 150, 1, 2),
        since=2,
        later={7: {"status": "vervallen"}},
    ),
    Work(
        "W-0340",
        "Drainage Weverstraat",
        "drainage",
        "in voorbereiding",
        "04-10-2027",
        "29-10-2027",
        Section("Weverstraat", 60, 210, 3, 1),
        since=6,
    ),
)

NETBEHEERDER_WORKS = (
    Work(
        "VS81001",
        "Middenspanning Lindelaan",
        "MS",
        "GEPLAND",
        "2027-05-03",
        "2027-06-18",
        Section("Lindelaan", 150, 260, 3, 1),
        since=2,
        later={4: {"start": "2027-05-17", "end": "2027-07-02"}},
    ),
    Work(
        "VS81002",
        "Laagspanning Kerkpad",
        "LS",
        "GEPLAND",
        "2027-05-24",
        "2027-06-11",
        Section("Kerkpad", 120, 260, 4, 1),
        later={9: {"place": Section("Kerkpad", 177, 260, 12, 1)}},
    ),
    Work(
        "VS81003",
        "Verdeelstation Singel",
        "STATION",
        "ONTWERP",
        "2027-09-13",
        "2999-12-31",
        Section("Singel", 110, 118, 5, 6),
    ),
    Work(
        "VS81004",
        "Warmtenet Molenstraat",
        "WARMTE",
        "GEPLAND",
        "2027-09-06",
        "2027-11-26",
        Section("Molenstraat", 20, 320, 6, 1.5),
        since=3,
    ),
    Work(
        "VS81005",
        "Glasvezel Weverstraat",
        "GLAS",
        "GEPLAND",
        "2027-08-23",
        "2027-09-10",
        Section("Weverstraat", 0, 300, 1.5, 0.5),
        later={11: {"start": "2027-09-06", "end": "2027-09-24"}},
    ),
    Work(
        "VS81006",
        "Storingsherstel Havenkade",
        "STORING",
        "UITVOERING",
        "2027-01-18",
        "2027-01-22",
        Section("Havenkade", 20, 26, 2, 2),
        since=3,
        absent=frozenset(range(5, WEEKS + 1)),
    ),
)

BROKEN_PAGE = b"""<!DOCTYPE html>
<html><head><title>503 Service Unavailable</title></head>
<body><h1>Export tijdelijk niet beschikbaar</h1></body></html>
"""


@dataclass(frozen=True, slots=True)
class Export:
    """One file as an organisation's system drops it."""

    source: str
    week: int
    file_name: str
    body: bytes


def exports(week: int) -> tuple[Export, ...]:
    """All files that appear on the Monday of *week* (1..12)."""
    day = monday(week).isoformat()
    gemeente = BROKEN_PAGE if week == BROKEN_WEEK else _gemeente(week)
    return (
        Export("gemeente-havervoort", week, f"werken_{day}.geojson", gemeente),
        Export("waterschap-de-wetering", week, f"projecten_{day}.csv", _waterschap(week)),
        Export("netbeheerder-vonkstroom", week, f"assets_{day}.json", _netbeheerder(week)),
    )


def _lines(works: tuple[Work, ...], week: int) -> list[Work]:
    return [line for work in works if (line := work.in_week(week)) is not None]


def _feature(geometry: Polygon, properties: Mapping[str, str]) -> dict[str, Any]:
    ring = [[round(x, 9), round(y, 9)] for x, y in geometry.exterior.coords]
    return {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": dict(properties)}


def _gemeente(week: int) -> bytes:
    to_wgs84 = transformer("EPSG:28992", CRS84)
    features = []
    for work in _lines(GEMEENTE_WORKS, week):
        place = transform(work.place.polygon(), to_wgs84.transform, interleaved=False)
        properties = {
            "zaaknummer": work.number, "naam": work.name, "straat": work.place.street, "soort": work.what,
            "status": work.status, "datum_start": work.start, "datum_einde": work.end, "verkeer": work.traffic,
            "behandelaar": f"medewerker {work.number[-1]}",
        }  # fmt: skip
        features.append(_feature(place, properties))
    collection = {"type": "FeatureCollection", "name": "werken", "count": len(features), "features": features}
    return json.dumps(collection, ensure_ascii=False, indent=1).encode()


def _waterschap(week: int) -> bytes:
    text = io.StringIO()
    rows = csv.writer(text, delimiter=";", lineterminator="\r\n")
    rows.writerow(["Projectnr", "Omschrijving", "Type", "Fase", "Start", "Gereed", "Oppervlak m2", "Ligging"])
    for work in _lines(WATERSCHAP_WORKS, week):
        place = work.place.polygon()
        area = f"{place.area:.1f}".replace(".", ",")
        rows.writerow([work.number, work.name, work.what, work.status, work.start, work.end, area, place.wkt])
    return text.getvalue().encode("cp1252")


def _netbeheerder(week: int) -> bytes:
    features = []
    for work in _lines(NETBEHEERDER_WORKS, week):
        properties = {
            "assetProject": work.number, "omschrijving": work.name, "medium": work.what, "statusCode": work.status,
            "begin": work.start, "eind": work.end,
        }  # fmt: skip
        features.append(_feature(work.place.polygon(), properties))
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::28992"}}
    return json.dumps({"type": "FeatureCollection", "crs": crs, "features": features}, ensure_ascii=False).encode()


def street_at(x: float, y: float) -> str:
    """The street nearest to a point in RD metres."""
    streets = {name: Section(name, 0, length, 0, 8).polygon() for name, (_, _, _, length) in STREETS.items()}
    return min(streets, key=lambda name: streets[name].distance(Point(x, y)))
