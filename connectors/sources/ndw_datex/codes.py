"""What the codes of DATEX II mean for a plan, as tables. rule: domain.md 5 (NDW), sources.md 3.

A code that is not listed means nothing, is kept in `source_fields` and reported as unmapped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from samenloop.model import Certainty, Phase, TrafficImpact
from samenloop.rules.work_kinds import work_kind_uri
from samenloop.source import Note

V = TypeVar("V")
Fields = Mapping[str, Sequence[str]]
"""Texts of the works by the name of their element."""


class Status(NamedTuple):
    """What one signal says of phase and certainty; UNKNOWN where it says nothing."""

    phase: Phase = Phase.UNKNOWN
    certainty: Certainty = Certainty.UNKNOWN


class Sort(NamedTuple):
    """Kinds of work, and whether such work breaks ground (None: cannot be said)."""

    kinds: tuple[str, ...] = ()
    ground: bool | None = None


SAYS_NOTHING = Status()
SIGNALS: Mapping[str, Mapping[str, Status]] = {
    "roadworkStatus": {
        "initial": Status(Phase.PREPARATION, Certainty.INTENDED),
        "alignmentFinished": Status(Phase.PREPARATION, Certainty.INTENDED),
        "published": Status(Phase.PREPARATION, Certainty.FIXED),
        "final": Status(Phase.PREPARATION, Certainty.FIXED),
        "running": Status(Phase.EXECUTION, Certainty.FIXED),
    },
    "operatorActionStatus": {
        "requested": Status(Phase.PREPARATION, Certainty.INTENDED),
        "approved": Status(Phase.PREPARATION, Certainty.PERMITTED),
        "beingImplemented": Status(Phase.EXECUTION),
        "beingTerminated": Status(Phase.EXECUTION),
        "implemented": SAYS_NOTHING,
    },
    "probabilityOfOccurrence": {
        "riskOf": Status(certainty=Certainty.INDICATIVE),
        "probable": Status(certainty=Certainty.INTENDED),
        "certain": Status(certainty=Certainty.FIXED),
    },
    "validityStatus": {
        "active": Status(Phase.EXECUTION),
        "planned": Status(Phase.PREPARATION),
        "suspended": SAYS_NOTHING,
        "definedByValidityTimeSpec": SAYS_NOTHING,
    },
    "cancel": {"true": Status(Phase.CANCELLED), "false": SAYS_NOTHING},
    "end": {"true": Status(Phase.COMPLETED), "false": SAYS_NOTHING},
}
"""Element: code: status. The furthest phase and the highest certainty of all signals count."""
_PHASES = (Phase.UNKNOWN, Phase.PREPARATION, Phase.EXECUTION, Phase.COMPLETED, Phase.CANCELLED)
_CERTAINTIES = (
    Certainty.UNKNOWN, Certainty.INDICATIVE, Certainty.INTENDED, Certainty.FIXED, Certainty.PERMITTED,
)  # fmt: skip

SUBJECTS: Mapping[str, Sort] = {
    "bridge": Sort(("bridge",)),
    "buriedCables": Sort(("electricity", "telecom"), True),
    "buriedServices": Sort(("other",), True),
    "crashBarrier": Sort(),
    "gallery": Sort(("bridge",)),
    "gantry": Sort(),
    "gasMainWork": Sort(("gas",), True),
    "interchange": Sort(),
    "junction": Sort(),
    "levelCrossing": Sort(("rail",)),
    "lightingSystem": Sort(("public-lighting",)),
    "measurementEquipment": Sort(),
    "other": Sort(),
    "road": Sort(),
    "roadSigns": Sort(),
    "roadsideDrains": Sort(("drainage",), True),
    "roadsideEmbankment": Sort(),
    "roadsideEquipment": Sort(),
    "roundabout": Sort(),
    "signs": Sort(),
    "tollGate": Sort(),
    "tunnel": Sort(("bridge",)),
    "waterMain": Sort(("water",), True),
}
MAINTENANCE: Mapping[str, Sort] = {
    "clearanceWork": Sort((), False),
    "controlledAvalanche": Sort((), False),
    "installationWork": Sort(),
    "grassCuttingWork": Sort(("green",), False),
    "maintenanceWork": Sort(),
    "other": Sort(),
    "overheadWorks": Sort((), False),
    "repairWork": Sort(),
    "resurfacingWork": Sort(("paving",)),
    "roadMarkingWork": Sort((), False),
    "roadsideWork": Sort(),
    "roadworkClearance": Sort((), False),
    "roadworks": Sort(),
    "rockFallPreventativeMaintenance": Sort((), False),
    "saltingInProgress": Sort((), False),
    "snowploughsInUse": Sort((), False),
    "sweepingOfRoad": Sort((), False),
    "treeAndVegetationCuttingWork": Sort(("green",), False),
}
CONSTRUCTION: Mapping[str, Sort] = {
    "blastingWork": Sort(("other",), True),
    "constructionWork": Sort(),
    "demolitionWork": Sort(("demolition",), True),
    "other": Sort(),
    "roadImprovementOrUpgrading": Sort(("paving",), True),
    "roadWideningWork": Sort(("paving",), True),
}
SORTS: Mapping[str, Mapping[str, Sort]] = {
    "subjectTypeOfWorks": SUBJECTS,
    "roadMaintenanceType": MAINTENANCE,
    "constructionWorkType": CONSTRUCTION,
}
URGENT = "urgentRoadworks"

IMPACTS: Mapping[str, Mapping[str, TrafficImpact]] = {
    "trafficConstrictionType": {
        "carriagewayBlocked": TrafficImpact.CLOSED,
        "carriagewayPartiallyObstructed": TrafficImpact.REDUCED,
        "lanesBlocked": TrafficImpact.REDUCED,
        "lanesPartiallyObstructed": TrafficImpact.REDUCED,
        "roadBlocked": TrafficImpact.CLOSED,
        "roadPartiallyObstructed": TrafficImpact.REDUCED,
    },
    "roadworkHindranceClass": {
        "hindranceClass0": TrafficImpact.NONE,
        **{f"hindranceClass{n}": TrafficImpact.REDUCED for n in range(1, 6)},
    },
    "roadworkHindranceCategory": {f"hindranceCategory{letter}": TrafficImpact.REDUCED for letter in "ABCDE"},
    "delayBand": {
        "negligible": TrafficImpact.NONE,
        **{
            band: TrafficImpact.REDUCED
            for band in (
                "upToTenMinutes", "betweenTenMinutesAndThirtyMinutes", "betweenThirtyMinutesAndOneHour",
                "betweenOneHourAndThreeHours", "betweenThreeHoursAndSixHours", "longerThanSixHours",
            )
        },
    },
}  # fmt: skip
"""Element: code: what motor traffic notices. The strongest counts; only the works' own record is asked."""
_STRONGER = (TrafficImpact.UNKNOWN, TrafficImpact.NONE, TrafficImpact.REDUCED, TrafficImpact.CLOSED)

KEPT = (
    *SIGNALS, *SORTS, *IMPACTS, URGENT, "publicEventType", "mobilityType", "causeType", "residualRoadWidth",
)  # fmt: skip
"""Elements of the works whose texts go along as `source_fields`."""


def status_of(fields: Fields, notes: list[Note]) -> Status:
    """Return the furthest phase and the highest certainty that the signals give."""
    found = [status for _, status in _looked_up(fields, SIGNALS, "phase", notes)]
    phase = max((status.phase for status in found), key=_PHASES.index, default=Phase.UNKNOWN)
    certainty = max((status.certainty for status in found), key=_CERTAINTIES.index, default=Certainty.UNKNOWN)
    return Status(phase, certainty)


def sort_of(fields: Fields, own: Mapping[str, tuple[str, ...]], notes: list[Note]) -> Sort:
    """Return the kinds of the works as URIs, and whether any of them breaks ground; *own* goes before the tables."""
    tables = SORTS
    if own:
        tables = {
            name: {**table, **{code: Sort(kinds) for code, kinds in own.items()}} for name, table in SORTS.items()
        }
    found = list(_looked_up(fields, tables, "work_kinds", notes))
    kinds = {kind if ":" in kind else work_kind_uri(kind) for _, sort in found for kind in sort.kinds}
    if any(text in ("true", "1") for text in fields.get(URGENT, ())):
        kinds.add(work_kind_uri("emergency"))
    breaks = any(sort.ground for _, sort in found)
    surface = {sort.ground for name, sort in found if name != "subjectTypeOfWorks"} == {False}
    return Sort(tuple(sorted(kinds)), True if breaks else False if surface else None)


def impact_of(fields: Fields, notes: list[Note]) -> TrafficImpact:
    """Return the strongest impact on traffic that the works' own records give."""
    found = [impact for _, impact in _looked_up(fields, IMPACTS, "traffic_impact", notes)]
    return max(found, key=_STRONGER.index, default=TrafficImpact.UNKNOWN)


def _looked_up(
    fields: Fields, tables: Mapping[str, Mapping[str, V]], key: str, notes: list[Note]
) -> Iterator[tuple[str, V]]:
    for name, table in tables.items():
        for code in fields.get(name, ()):
            if code in table:
                yield name, table[code]
            else:
                notes.append(Note("code.unmapped", name, code[:100], key))
