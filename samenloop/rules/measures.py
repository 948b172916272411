"""The measures of a pair: where two plans meet, and when. rule: rules.md 1.

Geometry is compared as given, in metres, never buffered; many pairs are measured at once. Time is in whole local
days with inclusive ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import Final, NamedTuple

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from samenloop.geometry import Shapes, write_wkb_many
from samenloop.model import ContactKind
from samenloop.rules.subject import Span, Subject

MILLIMETRE: Final = 0.0005
"""Candidates are looked for this much further than a limit; the decision falls on the rounded distance."""
INTERIORS_MEET: Final = "T********"
MAX_VERTICES: Final = 2000


class Place(NamedTuple):
    """Where two plans meet: metres rounded to 3 decimals, areas and lengths to 2."""

    distance_m: float
    interiors_meet: bool
    both_areal: bool
    overlap_m2: float
    shared_length_m: float | None
    zone_wkb: bytes
    """What they share, simple enough for an event; where they share nothing, the shortest line between them."""

    def contact(self, min_overlap_m2: float) -> ContactKind:
        """Return how they meet; two polygons that share less than *min_overlap_m2* only touch."""
        if self.distance_m > 0:
            return ContactKind.NEAR
        overlap = self.overlap_m2 >= min_overlap_m2 if self.both_areal else self.interiors_meet
        return ContactKind.OVERLAP if overlap else ContactKind.TOUCH


def measure_places(a: Shapes, b: Shapes) -> list[Place]:
    """Measure pairs of geometries in metres, element by element."""
    distance = np.round(shapely.distance(a, b), 3)
    zone = shapely.shortest_line(a, b)
    both_areal = (shapely.get_dimensions(a) == 2) & (shapely.get_dimensions(b) == 2)
    area, length = np.zeros(len(a)), np.full(len(a), np.nan)
    interiors = np.zeros(len(a), dtype=np.bool_)
    meet = np.flatnonzero(distance == 0)
    if len(meet):
        shared = shapely.intersection(a[meet], b[meet])
        area[meet] = np.round(shapely.area(shared), 2)
        lineal = (shapely.get_dimensions(a[meet]) == 1) | (shapely.get_dimensions(b[meet]) == 1)
        length[meet] = np.where(lineal, np.round(shapely.length(shared), 2), np.nan)
        loose = meet[~both_areal[meet]]
        interiors[loose] = shapely.relate_pattern(a[loose], b[loose], INTERIORS_MEET)
        interiors[meet] |= area[meet] > 0
        zone[meet] = np.where(shapely.is_empty(shared), zone[meet], shared)
    return [
        Place(*row)
        for row in zip(
            distance.tolist(),
            interiors.tolist(),
            both_areal.tolist(),
            area.tolist(),
            [None if isnan(value) else value for value in length.tolist()],
            write_wkb_many(_simple(zone)),
            strict=True,
        )
    ]


def measure_place(a: BaseGeometry, b: BaseGeometry) -> Place:
    """Measure one pair of geometries in metres."""
    return measure_places(np.array([a], dtype=np.object_), np.array([b], dtype=np.object_))[0]


def _simple(zones: Shapes) -> Shapes:
    """Put what an event can carry in the place of zones it cannot."""
    collections = shapely.get_type_id(zones) == shapely.GeometryType.GEOMETRYCOLLECTION
    for at in np.flatnonzero(collections | (shapely.get_num_coordinates(zones) > MAX_VERTICES)):
        zones[at] = _simplified(zones[at])
    return zones


def _simplified(zone: BaseGeometry) -> BaseGeometry:
    """Return a zone of one dimension with at most 2,000 vertices. rule: contract.md 8."""
    if zone.geom_type == "GeometryCollection":
        parts = shapely.get_parts(zone)
        dimensions = shapely.get_dimensions(parts)
        zone = shapely.union_all(parts[dimensions == dimensions.max()])
    tolerance = 0.01
    while shapely.get_num_coordinates(zone) > MAX_VERTICES and tolerance < 1e6:
        zone, tolerance = zone.simplify(tolerance, preserve_topology=True), tolerance * 4
    return zone if shapely.get_num_coordinates(zone) <= MAX_VERTICES else shapely.envelope(zone)


class Timing(NamedTuple):
    """When two plans meet, as matched on one day."""

    overlap_days: int
    gap_days: int | None
    """Free days between, None when they overlap; adjacent days have gap 0."""
    lead_days: int
    first_common: int | None
    last_common: int | None
    known_overlap_days: int
    """Days in common that rest on no assumed end."""
    second_is_b: bool
    later_days: int
    earlier_days: int
    """Smallest move of the plan that starts second, later or earlier, that loses the overlap."""


def measure_time(a: Subject, b: Subject, today: int) -> Timing:
    """Measure when two plans meet on *today* (days since 1970-01-01). The plan with the smaller id wins a tie."""
    in_a, in_b = a.spans_on(today), b.spans_on(today)
    common = _common(in_a, in_b)
    days = sum(end - start + 1 for start, end in common)
    known = days
    if days and (a.assumed_on(today) or b.assumed_on(today)):
        known = sum(end - start + 1 for start, end in _common(a.known_on(today), b.known_on(today)))
    second_is_b = (b.start, b.plan_id) > (a.start, a.plan_id)
    first, second = (in_a, in_b) if second_is_b else (in_b, in_a)
    return Timing(
        overlap_days=days,
        gap_days=None if days else _gap(in_a, in_b),
        lead_days=min(a.start, b.start) - today,
        first_common=common[0][0] if common else None,
        last_common=common[-1][1] if common else None,
        known_overlap_days=known,
        second_is_b=second_is_b,
        later_days=_clearing_move(first, second) if days else 0,
        earlier_days=_clearing_move(_mirrored(first), _mirrored(second)) if days else 0,
    )


def _common(a: Sequence[Span], b: Sequence[Span]) -> list[Span]:
    if len(a) == 1 == len(b):  # nearly always
        start, end = max(a[0][0], b[0][0]), min(a[0][1], b[0][1])
        return [(start, end)] if end >= start else []
    found = [(max(p[0], q[0]), min(p[1], q[1])) for p in a for q in b]
    return sorted(span for span in found if span[1] >= span[0])


def _gap(a: Sequence[Span], b: Sequence[Span]) -> int:
    if len(a) == 1 == len(b):
        return max(a[0][0], b[0][0]) - min(a[0][1], b[0][1]) - 1
    return min(max(p[0], q[0]) - min(p[1], q[1]) - 1 for p in a for q in b)


def clearing_moves(still: Sequence[Span], moving: Sequence[Span]) -> tuple[int, int]:
    """Return the smallest moves in days, later and earlier, by which *moving* loses all days in common with *still*.

    They must have a day in common.
    """
    return _clearing_move(still, moving), _clearing_move(_mirrored(still), _mirrored(moving))


def _clearing_move(first: Sequence[Span], second: Sequence[Span]) -> int:
    """Smallest number of days by which *second* must move later to have no day in common with *first*."""
    if len(first) == 1 == len(second):
        return first[0][1] - second[0][0] + 1
    moves = sorted({p[1] - q[0] + 1 for p in first for q in second if p[1] >= q[0]})
    return next(n for n in moves if not _common(first, [(start + n, end + n) for start, end in second]))


def adjacent_move(first: Sequence[Span], second: Sequence[Span]) -> int:
    """Return the smallest number of days, earlier is negative, by which *second* follows or precedes *first* directly.

    After it no free day is left between two of their spans and no day is common. Both have no common day before.
    """
    moves = {p[1] + 1 - q[0] for p in first for q in second} | {p[0] - 1 - q[1] for p in first for q in second}
    ordered = sorted(moves, key=lambda days: (abs(days), days))
    return next(n for n in ordered if not _common(first, [(start + n, end + n) for start, end in second]))


def _mirrored(spans: Sequence[Span]) -> list[Span]:
    return [(-end, -start) for start, end in spans]
