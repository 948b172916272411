"""An invented DATEX II publication of any size, in the manner of a national planning feed: nobody's works."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

_NAMESPACES = " ".join(
    f'xmlns:{prefix}="http://datex2.eu/schema/3/{name}"'
    for prefix, name in {
        "mc": "messageContainer",
        "com": "common",
        "sit": "situation",
        "loc": "locationReferencing",
        "nle": "nlExtensions",
    }.items()
)
_HEAD = f"""<?xml version="1.0" encoding="UTF-8"?>
<mc:messageContainer {_NAMESPACES} modelBaseVersion="3">
<mc:payload xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="sit:SituationPublication" lang="nl">
<com:publicationTime>2027-01-04T06:00:00Z</com:publicationTime>
"""
_TAIL = "</mc:payload></mc:messageContainer>\n"
_TOWNS = ("Havervoort", "Lindewoude", "Steenmeer", "Oosterwijde", "Kromdijk")
_CAUSES = ("Rioolvervanging", "Asfalteren", "Leggen van kabels en leidingen", "Herinrichting", "Onderhoud brug")
_MAINTENANCE = ("resurfacingWork", "installationWork", "maintenanceWork", "repairWork", "roadworks")
_SUBJECTS = ("buriedCables", "roadsideDrains", "bridge", "road", "other")
_STATES = ("initial", "published", "final", "running")
_MEASURES = ("SpeedManagement", "RoadOrCarriagewayOrLaneManagement", "ReroutingManagement", "GeneralNetworkManagement")


def write_feed(path: Path, size: int, seed: int = 7) -> int:
    """Write a publication of about *size* bytes, plain XML; return the number of its situations."""
    count = 0
    with path.open("w", encoding="utf-8") as file:
        written = file.write(_HEAD)
        for situation in situations(seed):
            if written + len(situation) > size:
                break
            written += file.write(situation)
            count += 1
        file.write(_TAIL)
    return count


def situations(seed: int = 7) -> Iterator[str]:
    """Yield situations without end: works with up to five measures and detours; one in twelve has nothing else."""
    chance = random.Random(seed)
    number = 0
    while True:
        number += 1
        yield _situation(number, chance)


def _situation(number: int, chance: random.Random) -> str:
    start = datetime(2027, 1, 4, 6, tzinfo=UTC) + timedelta(days=chance.randrange(700))
    end = start + timedelta(days=chance.randrange(1, 90), hours=chance.randrange(12))
    lat, lon = 51.2 + chance.random() * 1.8, 4.2 + chance.random() * 2.4
    common = _common(start, end, chance.choice(_TOWNS), chance.choice(_CAUSES))
    records = [] if number % 12 == 0 else [_works(number, common, (lat, lon), chance)]
    for index in range(chance.choice((0, 0, 1, 1, 2, 3, 5)) if records else 2):
        records.append(_measure(f"{number}_{index}", common, (lat, lon), chance))
    return (
        f'<sit:situation id="NDW03_{number}"><sit:overallSeverity>medium</sit:overallSeverity>'
        "<sit:situationVersionTime>2027-01-03T11:42:16.897824Z</sit:situationVersionTime><sit:headerInformation>"
        "<com:confidentiality>noRestriction</com:confidentiality><com:informationStatus>real</com:informationStatus>"
        f"</sit:headerInformation>{''.join(records)}</sit:situation>\n"
    )


def _common(start: datetime, end: datetime, town: str, cause: str) -> str:
    first, last = (f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in (start, end))
    return (
        "<sit:situationRecordCreationTime>2026-12-01T13:12:43Z</sit:situationRecordCreationTime>"
        "<sit:situationRecordVersionTime>2027-01-03T11:42:16Z</sit:situationRecordVersionTime>"
        "<sit:probabilityOfOccurrence>probable</sit:probabilityOfOccurrence><sit:source><com:sourceName><com:values>"
        f'<com:value lang="nl">Gemeente {town}</com:value></com:values></com:sourceName></sit:source><sit:validity>'
        "<com:validityStatus>definedByValidityTimeSpec</com:validityStatus><com:validityTimeSpecification>"
        f"<com:overallStartTime>{first}</com:overallStartTime><com:overallEndTime>{last}</com:overallEndTime>"
        f"<com:validPeriod><com:startOfPeriod>{first}</com:startOfPeriod><com:endOfPeriod>{last}</com:endOfPeriod>"
        "</com:validPeriod></com:validityTimeSpecification></sit:validity><sit:impact><sit:delays><sit:delayBand>"
        "upToTenMinutes</sit:delayBand></sit:delays></sit:impact><sit:cause><sit:causeDescription><com:values>"
        f'<com:value lang="nl">{cause}</com:value></com:values></sit:causeDescription></sit:cause>'
    )


def _works(number: int, common: str, place: tuple[float, float], chance: random.Random) -> str:
    comment = "Halve rijbaan afgezet, verkeer om en om langs het werk. " * chance.randrange(1, 6)
    return (
        f'<sit:situationRecord xsi:type="sit:MaintenanceWorks" id="NDW03_{number}_MAN" version="{number % 9 + 1}">'
        f"{common}"
        f'<sit:generalPublicComment><sit:comment><com:values><com:value lang="nl">{comment}</com:value></com:values>'
        "</sit:comment><sit:commentType>warning</sit:commentType></sit:generalPublicComment>"
        f"{_location(place, chance.randrange(2, 30), chance)}"
        "<sit:operatorActionStatus>approved</sit:operatorActionStatus><sit:urgentRoadworks>false</sit:urgentRoadworks>"
        f"<sit:subjects><sit:subjectTypeOfWorks>{chance.choice(_SUBJECTS)}</sit:subjectTypeOfWorks></sit:subjects>"
        "<sit:_roadworksExtension><sit:roadworksExtension><nle:roadworkHindrance><nle:roadworkHindranceClass>"
        f"hindranceClass{chance.randrange(1, 4)}</nle:roadworkHindranceClass></nle:roadworkHindrance>"
        f"<nle:roadworkPlanningStatus><nle:roadworkStatus>{chance.choice(_STATES)}</nle:roadworkStatus>"
        "</nle:roadworkPlanningStatus></sit:roadworksExtension></sit:_roadworksExtension>"
        f"<sit:roadMaintenanceType>{chance.choice(_MAINTENANCE)}</sit:roadMaintenanceType></sit:situationRecord>"
    )


def _measure(name: str, common: str, place: tuple[float, float], chance: random.Random) -> str:
    kind = chance.choice(_MEASURES)
    points = chance.randrange(40, 160) if kind == "ReroutingManagement" else chance.randrange(2, 30)
    return (
        f'<sit:situationRecord xsi:type="sit:{kind}" id="NDW03_{name}" version="1">{common}'
        f"{_location(place, points, chance)}<sit:complianceOption>mandatory</sit:complianceOption>"
        "</sit:situationRecord>"
    )


def _location(place: tuple[float, float], points: int, chance: random.Random) -> str:
    lat, lon = place
    positions = " ".join(
        f"{lat + n * 0.0004 + chance.random() * 0.0002:.6f} {lon + n * 0.0005:.6f}" for n in range(points)
    )
    return (
        '<sit:locationReference xsi:type="loc:ItineraryByIndexedLocations"><loc:locationContainedInItinerary index="0">'
        '<loc:location xsi:type="loc:LinearLocation"><loc:supplementaryPositionalDescription><loc:carriageway>'
        "<loc:carriageway>mainCarriageway</loc:carriageway></loc:carriageway></loc:supplementaryPositionalDescription>"
        f'<loc:gmlLineString srsName="WGS 84"><loc:posList>{positions}</loc:posList></loc:gmlLineString></loc:location>'
        "</loc:locationContainedInItinerary></sit:locationReference>"
    )
