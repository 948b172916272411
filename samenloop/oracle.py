"""The batch oracle: all findings over a set of plans, from scratch, by another way than detection takes.

An STRtree over the geometries and nothing else: no kernel, no state, no history. Used to check what the stages hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Final, NamedTuple

import numpy as np
import shapely

from samenloop.identity import finding_id
from samenloop.model import Finding, FindingStatus, Plan, Restriction
from samenloop.rules import (
    Gone,
    Rules,
    Subject,
    Zone,
    judge,
    judge_zone,
    measure_places,
    subject_of,
    zone_subject,
)
from samenloop.rules.judge import Ruling
from samenloop.rules.measures import MILLIMETRE

MEASURED: Final = (
    "distance_m", "contact_kind", "overlap_m2", "shared_length_m", "overlap_days", "gap_days", "lead_days", "flags",
    "remedies", "period", "rule_version", "judged_on",
)  # fmt: skip
"""Fields of Evidence that are compared."""


class Expected(NamedTuple):
    """One finding as the oracle sees it; *revisions* by participant id, in the order of the ids."""

    ruling: Ruling
    revisions: tuple[tuple[str, int], ...]


def batch_findings(
    plans: Mapping[str, Plan] | Iterable[Plan],
    rules: Rules,
    today: date,
    *,
    metric_crs: str = "EPSG:28992",
    revisions: Mapping[str, int] | None = None,
    restrictions: Iterable[Restriction] = (),
) -> dict[str, Expected]:
    """Return every open finding among *plans*, and between them and *restrictions*, on *today*, by finding id.

    *revisions* by id of plan or restriction, 1 where it is silent. Raises Reject for a geometry that cannot be read.
    """
    every = plans.values() if isinstance(plans, Mapping) else plans
    seen = revisions or {}
    found = (subject_of(plan, seen.get(plan.id, 1), rules, metric_crs) for plan in every)
    subjects = sorted(
        (subject for subject in found if not isinstance(subject, Gone)), key=lambda subject: subject.plan_id
    )
    zoned = (zone_subject(item, seen.get(item.id, 1), rules, metric_crs) for item in restrictions)
    zones = [zone for zone in zoned if not isinstance(zone, Gone)]
    return findings_among(subjects, rules, today, zones=zones, metric_crs=metric_crs)


def findings_among(
    subjects: list[Subject],
    rules: Rules,
    today: date,
    *,
    zones: Sequence[Zone] = (),
    metric_crs: str = "EPSG:28992",
) -> dict[str, Expected]:
    """Return every open finding among matchable plans, and between them and *zones*, on *today*, by finding id."""
    pairs = [*_rulings(subjects, rules, today, metric_crs), *_zone_rulings(subjects, zones, rules, today, metric_crs)]
    return {
        str(finding_id(ruling.rule_id, (a.plan_id, b.plan_id))): Expected(
            ruling, tuple(sorted(((a.plan_id, a.revision), (b.plan_id, b.revision))))
        )
        for a, b, ruling in pairs
    }


def _rulings(
    subjects: list[Subject], rules: Rules, today: date, metric_crs: str
) -> Iterable[tuple[Subject, Subject, Ruling]]:
    shapes = np.array([subject.shape for subject in subjects], dtype=np.object_)
    if not len(shapes):
        return
    left, right = shapely.STRtree(shapes).query(shapes, predicate="dwithin", distance=rules.reach_m + MILLIMETRE)
    once = left < right
    left, right = left[once], right[once]
    for i, j, place in zip(left.tolist(), right.tolist(), measure_places(shapes[left], shapes[right]), strict=True):
        a, b = subjects[i], subjects[j]
        for ruling in judge(a, b, rules, today, metric_crs=metric_crs, place=place).rulings:
            yield a, b, ruling


def _zone_rulings(
    subjects: list[Subject], zones: Sequence[Zone], rules: Rules, today: date, metric_crs: str
) -> Iterable[tuple[Subject, Subject, Ruling]]:
    """Every zone with every plan that its box meets: zones are few."""
    for zone in zones:
        area = zone.subject.shape
        for plan in subjects:
            if shapely.box(*area.bounds).intersects(shapely.box(*plan.shape.bounds)):
                for ruling in judge_zone(plan, zone, rules, today, metric_crs=metric_crs).rulings:
                    yield plan, zone.subject, ruling


def differences(found: Iterable[Finding], expected: Mapping[str, Expected]) -> list[str]:
    """Return one readable line per difference between the open findings that are held and the oracle's."""
    lines = []
    held = {str(finding.id): finding for finding in found if finding.status is FindingStatus.OPEN}
    for key in sorted(held.keys() | expected.keys()):
        if key not in expected:
            lines.append(f"{key} {held[key].evidence.rule_id}: is open, but nothing holds between {_names(held[key])}")
        elif key not in held:
            ruling, revisions = expected[key]
            names = ", ".join(f"{plan_id} r{revision}" for plan_id, revision in revisions)
            lines.append(f"{key} {ruling.rule_id}: is missing between {names}")
        else:
            lines += _compared(held[key], expected[key])
    return lines


def _compared(finding: Finding, expected: Expected) -> list[str]:
    ruling = expected.ruling
    pairs = {name: (getattr(finding.evidence, name), getattr(ruling.evidence, name)) for name in MEASURED}
    pairs["severity"] = (finding.severity, ruling.severity)
    pairs["score"] = (getattr(finding, "score", 0.0), ruling.score)
    seen = tuple(sorted((participant.id, participant.revision) for participant in finding.participants))
    pairs["revisions"] = (seen, expected.revisions)
    return [
        f"{finding.id} {ruling.rule_id}: {name} is {have}, expected {want}"
        for name, (have, want) in pairs.items()
        if have != want
    ]


def _names(finding: Finding) -> str:
    return ", ".join(f"{participant.id} r{participant.revision}" for participant in finding.participants)
