"""What the municipality's permit desk decides: zones in which the ground may not be opened, pushed as they are decided.

Pure: week in, events out. Coordinates in RD metres (EPSG:28992).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from typing import Any

from shapely.geometry import mapping

from samenloop.demo.region import GEMEENTE, Section, monday
from samenloop.geometry import to_model
from samenloop.identity import restriction_id, system_urn
from samenloop.model import (
    EndKind,
    Force,
    Organisation,
    Period,
    Precision,
    Restriction,
    RestrictionKind,
    RestrictionStatus,
    Visibility,
)

SYSTEM = system_urn(GEMEENTE[0], "vergunningen")
RD = "EPSG:28992"


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone as the desk knows it now."""

    number: str
    title: str
    status: RestrictionStatus
    start: str
    end: str
    place: Section


_FAIR = Zone(
    "EV-2027-014",
    "Najaarskermis Weverstraat",
    RestrictionStatus.PROPOSED,
    "2027-10-11",
    "2027-10-17",
    Section("Weverstraat", 40, 240, 0, 8),
)
DECIDED: Mapping[int, Zone] = {7: _FAIR, 9: replace(_FAIR, status=RestrictionStatus.IN_FORCE)}
"""What is decided, by week."""


def event(week: int, now: datetime) -> dict[str, Any] | None:
    """Return what was decided in *week* as a CloudEvent in JSON, recorded on its Monday, or *now* while that is to
    come; None when nothing was."""
    zone = DECIDED.get(week)
    if zone is None:
        return None
    recorded = min(datetime.combine(monday(week), time(8, 10), UTC), now)
    return {
        "specversion": "1.0",
        "id": f"{zone.number}-{week}",
        "source": SYSTEM,
        "type": "nl.samenloop.restriction-reported.v1",
        "time": recorded.isoformat().replace("+00:00", "Z"),
        "subject": restriction_id(SYSTEM, zone.number),
        "datacontenttype": "application/json",
        "data": {
            "restriction": {
                "owner": {"oin": GEMEENTE[0], "name": GEMEENTE[1]},
                "title": zone.title,
                "kind": "EXCLUSION_ZONE",
                "status": zone.status.value,
                "geometry": {**mapping(zone.place.polygon()), "crs": RD},
                "period": {"start": zone.start, "end": zone.end},
                "visibility": "PUBLIC",
            }
        },
    }


def zones(week: int) -> list[Restriction]:
    """Return the zones that there are after *week*, without what reads them at the hub."""
    known = {zone.number: zone for at, zone in sorted(DECIDED.items()) if at <= week}
    return [_restriction(zone) for zone in known.values()]


def _restriction(zone: Zone) -> Restriction:
    return Restriction(
        id=restriction_id(SYSTEM, zone.number),
        system=SYSTEM,
        local_id=zone.number,
        owner=Organisation(*GEMEENTE),
        title=zone.title,
        geometry=to_model(zone.place.polygon(), RD),
        kind=RestrictionKind.EXCLUSION_ZONE,
        status=zone.status,
        force=Force.BINDING,
        period=Period(date.fromisoformat(zone.start), date.fromisoformat(zone.end), Precision.DAY, EndKind.GIVEN),
        visibility=Visibility.PUBLIC,
    )
