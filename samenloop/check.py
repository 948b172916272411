"""Plans in, findings out, nothing kept: the engine of `samenloop check`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Any, Final

import shapely

from samenloop.contract.json_form import to_json
from samenloop.detection.findings import Side, Told, opened
from samenloop.geometry import fitting_metric_crs, read_wkb, transform
from samenloop.identity import finding_id
from samenloop.model import Conflict, Finding, Plan, Restriction, Severity, Subject
from samenloop.oracle import batch_findings
from samenloop.rules import Language, Rules, remedy_sentences, sentence

_GRAVEST_FIRST: Final = {Severity.BLOCKING: 0, Severity.WARNING: 1, Severity.INFO: 2, Severity.UNKNOWN: 3}
_DEGREES: Final = 8
"""Decimals of a coordinate in degrees. rule: contract.md 9."""


def check(
    plans: Iterable[Plan],
    rules: Rules,
    today: date,
    *,
    restrictions: Iterable[Restriction] = (),
    metric_crs: str | None = None,
) -> list[Finding]:
    """Return every finding among *plans* on *today*: gravest conflicts first, then opportunities, then INFO.

    Those between them and *restrictions* included. Of plans or restrictions with one id the last counts. *metric_crs*
    is the CRS in metres to measure in (`EPSG:28992`); without it the one that fits the plans. Raises Reject for a
    geometry that cannot be read.
    """
    of_plans = {plan.id: plan for plan in plans}
    of_zones = {restriction.id: restriction for restriction in restrictions}
    by_id: dict[str, Subject] = {**of_plans, **of_zones}
    metric_crs = metric_crs or fitting_metric_crs(subject.geometry for subject in by_id.values())
    at = datetime.combine(today, time(), UTC)
    found: list[Finding] = []
    expected_ones = batch_findings(of_plans, rules, today, metric_crs=metric_crs, restrictions=of_zones.values())
    for expected in expected_ones.values():
        ruling = expected.ruling
        told = Told(ruling.rule_id, finding_id(ruling.rule_id, [plan_id for plan_id, _ in expected.revisions]))
        a, b = (_side(by_id[plan_id]) for plan_id, _ in expected.revisions)
        found.append(opened(told, ruling, (a, b), at=at, cause_id="check", first=False))
    return sorted(found, key=_order)


def to_text(found: Sequence[Finding], plans: Mapping[str, Subject], rules: Rules, language: Language = "nl") -> str:
    """Return the findings as sentences: each with what would dissolve it, or what both gain, and a count at the end."""
    words = rules.words[language]
    lines: list[str] = []
    for finding in found:
        lines.append(sentence(finding, plans, language, rules))
        lines += [f"  - {remedy}" for remedy in remedy_sentences(finding, plans, language, rules)]
        lines.append("")
    conflicts = Counter(finding.severity for finding in found if isinstance(finding, Conflict))
    counts = ", ".join(
        f"{conflicts[severity]} {words.severities[severity].lower()}"
        for severity in (Severity.BLOCKING, Severity.WARNING, Severity.INFO)
    )
    summary = words.summary.format(
        plans=sum(isinstance(plan, Plan) for plan in plans.values()),
        conflicts=conflicts.total(),
        counts=counts,
        chances=len(found) - conflicts.total(),
    )
    return "\n".join([*lines, summary])


def to_json_form(found: Sequence[Finding], plans: Mapping[str, Subject], rules: Rules) -> list[dict[str, Any]]:
    """Return the findings in the contract's JSON form, each with its sentences beside it under `words`."""
    return [to_json(finding) | {"words": _words(finding, plans, rules)} for finding in found]


def to_geojson(found: Sequence[Finding], plans: Mapping[str, Subject], rules: Rules) -> dict[str, Any]:
    """Return a FeatureCollection in CRS84: one feature per finding, its geometry where the two plans meet."""
    return {"type": "FeatureCollection", "features": [_feature(finding, plans, rules) for finding in found]}


def _feature(finding: Finding, plans: Mapping[str, Subject], rules: Rules) -> dict[str, Any]:
    properties = to_json(finding) | {"words": _words(finding, plans, rules)}
    zone = finding.evidence.zone
    del properties["evidence"]["zone"]
    shape = None
    if zone is not None:
        degrees = transform(read_wkb(zone.wkb), zone.crs, "EPSG:4326")
        shape = shapely.geometry.mapping(shapely.transform(degrees, lambda xy: xy.round(_DEGREES)))
    return {"type": "Feature", "id": str(finding.id), "geometry": shape, "properties": properties}


def _words(finding: Finding, plans: Mapping[str, Subject], rules: Rules) -> dict[str, Any]:
    return {
        language: {
            "sentence": sentence(finding, plans, language, rules),
            "remedies": remedy_sentences(finding, plans, language, rules),
        }
        for language in rules.words
    }


def _side(plan: Subject) -> Side:
    return Side(plan.id, 1, plan.owner.oin, plan.visibility, plan.audience)


def _order(finding: Finding) -> tuple[int, int, float, str]:
    """Conflicts by severity and area, opportunities by score; a mere INFO comes last."""
    if isinstance(finding, Conflict):
        last = 2 if finding.severity is Severity.INFO else 0
        return last, _GRAVEST_FIRST[finding.severity], -float(finding.evidence.overlap_m2 or 0), str(finding.id)
    return 1, 0, -finding.score, str(finding.id)
