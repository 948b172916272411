"""The demonstration in plain words: what each week brought, who is in whose way, and who could dig together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from uuid import UUID

import shapely

from samenloop.demo.region import street_at
from samenloop.geometry import read_wkb, transform
from samenloop.model import Conflict, Evidence, Finding, Severity, Subject
from samenloop.rules import Language, Rules, remedy_sentences, sentence

_GRAVEST_FIRST = (Severity.BLOCKING, Severity.WARNING, Severity.INFO, Severity.UNKNOWN)
_HEADS: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "conflicts": "IN EACH OTHER'S WAY",
        "chances": "COULD DIG TOGETHER",
        "days": "{n} days together", "gap": "{n} days apart", "area": "{n} m² shared", "metres": "{n} m apart",
        "none": "nothing now",
    },
    "nl": {
        "conflicts": "IN ELKAARS VAARWATER",
        "chances": "KUNNEN SAMEN GRAVEN",
        "days": "{n} dagen tegelijk", "gap": "{n} dagen ertussen", "area": "{n} m² gedeeld", "metres": "{n} m ertussen",
        "none": "nu niets",
    },
}  # fmt: skip


def heads(language: Language) -> Mapping[str, str]:
    """Return the headings and figures of a language."""
    return _HEADS[language]


def ordered(findings: Sequence[Finding]) -> list[Finding]:
    """Return findings as a coordinator reads them: gravest conflicts first, then the best opportunities."""
    return sorted(findings, key=_rank)


def told(finding: Finding, plans: Mapping[str, Subject], language: Language, rules: Rules) -> Iterator[str]:
    """Yield the lines of one finding: where, how much, what, and what would dissolve it or what is gained."""
    yield f"{_street(finding.evidence)} · {_figures(finding.evidence, language)}"
    yield f"   {sentence(finding, plans, language, rules)}"
    for remedy in remedy_sentences(finding, plans, language, rules):
        yield f"   → {remedy}"


def news(
    before: Mapping[UUID, Finding],
    now: Sequence[Finding],
    plans: Mapping[str, Subject],
    language: Language,
    rules: Rules,
) -> Iterator[str]:
    """Yield a line for each conflict that is new or over since *before*."""
    for finding in ordered(now):
        if isinstance(finding, Conflict):
            was_open = finding.id in before and before[finding.id].status == "OPEN"
            if finding.status == "OPEN" and not was_open:
                yield f"  + {sentence(finding, plans, language, rules)}"
            elif finding.status != "OPEN" and was_open:
                yield f"  - {sentence(finding, plans, language, rules)}"


def _rank(finding: Finding) -> tuple[int, int, float, str]:
    if isinstance(finding, Conflict):
        return 0, _GRAVEST_FIRST.index(finding.severity), -float(finding.evidence.overlap_m2 or 0), str(finding.id)
    return 1, 0, -finding.score, str(finding.id)


def _street(evidence: Evidence) -> str:
    zone = evidence.zone
    if zone is None:
        return "Havervoort"
    place = shapely.centroid(transform(read_wkb(zone.wkb), zone.crs, evidence.metric_crs))
    return street_at(place.x, place.y)


def _figures(evidence: Evidence, language: Language) -> str:
    words, found = _HEADS[language], []
    if evidence.overlap_m2:
        found.append(words["area"].format(n=f"{evidence.overlap_m2:.0f}"))
    elif evidence.distance_m:
        found.append(words["metres"].format(n=f"{evidence.distance_m:.1f}"))
    if evidence.overlap_days:
        found.append(words["days"].format(n=evidence.overlap_days))
    elif evidence.gap_days:
        found.append(words["gap"].format(n=evidence.gap_days))
    period = evidence.period
    if period is not None and period.start and period.end and evidence.overlap_days:
        found.append(f"{_day(period.start)} – {_day(period.end)}")
    return " · ".join(found)


def _day(day: date) -> str:
    return f"{day:%d-%m-%Y}"
