"""What a finding rests on: enough to repeat the decision. rule: rules.md 4."""

from __future__ import annotations

from typing import Final

from samenloop.geometry import crs_uri
from samenloop.model import Evidence, Geometry, Period, Precision, Remedy, ScorePart
from samenloop.rules.pair import Pair
from samenloop.rules.subject import day_of

COARSENESS: Final = {precision: rank for rank, precision in enumerate(Precision)}


def evidence_of(
    pair: Pair,
    metric_crs: str,
    rule_id: str,
    *,
    limit_m: float,
    flags: tuple[str, ...] = (),
    remedies: tuple[Remedy, ...] = (),
    score_parts: tuple[ScorePart, ...] = (),
    zone: Geometry | None = None,
) -> Evidence:
    """Return the evidence of one rule for a pair. *limit_m* is the distance the rule allows, *flags* come on top."""
    place, time = pair.place, pair.time
    return Evidence(
        rule_id=rule_id,
        rule_version=pair.rules.rule_version,
        metric_crs=metric_crs,
        distance_m=place.distance_m,
        contact_kind=pair.contact,
        overlap_m2=place.overlap_m2,
        shared_length_m=place.shared_length_m,
        overlap_days=time.overlap_days or None,
        gap_days=time.gap_days,
        lead_days=time.lead_days,
        judged_on=day_of(pair.today),
        flags=_flags(pair, limit_m) + flags,
        zone=zone,
        period=_period(pair),
        remedies=remedies,
        score_parts=score_parts,
    )


def zone_of(pair: Pair, metric_crs: str) -> Geometry:
    """Return where a pair meets, in *metric_crs*: what both cover, else the shortest line between them."""
    return Geometry(pair.place.zone_wkb, crs_uri(metric_crs))


def _period(pair: Pair) -> Period | None:
    """From the first to the last day in common."""
    first, last = pair.time.first_common, pair.time.last_common
    if first is None or last is None:
        return None
    coarsest = max(pair.a.precision, pair.b.precision, key=COARSENESS.__getitem__)
    return Period(day_of(first), day_of(last), coarsest)


def _flags(pair: Pair, limit_m: float) -> tuple[str, ...]:
    a, b = pair.a, pair.b
    found = {
        "assumed_end": pair.has_assumed_end,
        "coarse_period": pair.is_coarse,
        "extent_known": a.extent_known and b.extent_known,
        "geometry_repaired": a.repaired or b.repaired,
        "within_accuracy": a.accuracy_m + b.accuracy_m > abs(limit_m - pair.place.distance_m),
    }
    return tuple(name for name, holds in found.items() if holds)
