"""What the water board's dispatch system reports: urgent works, pushed as they come, each event an id for ever.

Pure: a second system of the organisation that also delivers a project list. Coordinates in RD metres (EPSG:28992).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any

from shapely.geometry import mapping

from samenloop.demo.region import WATERSCHAP, Section, monday
from samenloop.identity import plan_id, system_urn
from samenloop.rules.work_kinds import work_kind_uri

SYSTEM = system_urn(WATERSCHAP[0], "storingen")
RD = "EPSG:28992"


@dataclass(frozen=True, slots=True)
class Urgent:
    """Urgent works as the dispatch system knows them now."""

    title: str
    kind: str
    start: str
    end: str
    place: Section
    visibility: str = "PARTNERS"


@dataclass(frozen=True, slots=True)
class Report:
    """One event: its id, the works' number, and what they are now; None when the report is withdrawn."""

    id: str
    number: str
    works: Urgent | None

    @property
    def plan_id(self) -> str:
        """The plan's URN."""
        return plan_id(SYSTEM, self.number)


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent in one go: a single event or a batch. *recorded* is the week in which it was first sent."""

    reports: tuple[Report, ...]
    recorded: int
    again: bool = False


_LEAK = Urgent("Lekke persleiding Lindelaan", "sewer", "2027-01-19", "2027-02-12", Section("Lindelaan", 100, 118, 2, 3))
_LEAK_LONGER = Urgent(
    "Lekke persleiding Lindelaan, ook de mof", "sewer", "2027-01-19", "2027-03-26", Section("Lindelaan", 100, 140, 2, 3)
)
_COLLAPSE = Urgent(
    "Verzakking boven duiker Kerkpad", "drainage", "2027-02-01", "2027-02-19", Section("Kerkpad", 140, 160, 0, 5)
)
_INSPECTION = Urgent(
    "Inspectie na melding Lindelaan",
    "other",
    "2027-02-08",
    "2027-02-10",
    Section("Lindelaan", 350, 360, 2, 1),
    "RESTRICTED",
)
"""For the water board and the hub only: nobody may be told of it."""
_BATCH = (
    Report("0041-2", "ST-0041", _LEAK_LONGER),
    Report("0044-1", "ST-0044", _COLLAPSE),
    Report("0045-1", "ST-0045", _INSPECTION),
)
REQUESTS: Mapping[int, Request] = {
    3: Request((Report("0041-1", "ST-0041", _LEAK),), 3),
    5: Request(_BATCH, 5),
    6: Request(_BATCH, 5, again=True),  # the answer got lost, so the same is sent again
    8: Request((Report("0044-2", "ST-0044", None),), 8),
    10: Request((Report("0041-3", "ST-0041", _LEAK),), 10),  # done sooner after all
}
"""What is sent, by week."""


def events(request: Request, now: datetime) -> list[dict[str, Any]]:
    """Return *request* as CloudEvents in JSON; what it recorded lies on its Monday, or *now* while that is to come."""
    said = datetime.combine(monday(request.recorded), time(7, 40), UTC)
    return [_event(report, min(said, now)) for report in request.reports]


def _event(report: Report, recorded: datetime) -> dict[str, Any]:
    event = {
        "specversion": "1.0",
        "id": report.id,
        "source": SYSTEM,
        "type": f"nl.samenloop.plan-{'removed' if report.works is None else 'changed'}.v1",
        "time": recorded.isoformat().replace("+00:00", "Z"),
        "subject": report.plan_id,
    }
    if report.works is None:
        return event
    return {**event, "datacontenttype": "application/geo+json", "data": _feature(report.works)}


def _feature(works: Urgent) -> dict[str, Any]:
    properties = {
        "crs": RD,
        "owner": {"oin": WATERSCHAP[0], "name": WATERSCHAP[1]},
        "title": works.title,
        "phase": "EXECUTION",
        "certainty": "FIXED",
        "visibility": works.visibility,
        "period": {"start": works.start, "end": works.end},
        "work_kinds": [work_kind_uri(works.kind)],
        "ground_disturbing": True,
        "traffic_impact": "CLOSED",
    }
    return {"type": "Feature", "geometry": mapping(works.place.polygon()), "properties": properties}
