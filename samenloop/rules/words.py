"""Findings and remedies as plain sentences for a coordinator, in Dutch and in English.

The sentences come from the rule's own templates; what a reader may not see is left out by not passing its plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Literal

from samenloop.identity import is_restriction
from samenloop.model import (
    Conflict,
    ContactKind,
    Evidence,
    Finding,
    FindingStatus,
    Force,
    Plan,
    Precision,
    Remedy,
    RemedyKind,
    Restriction,
    RestrictionStatus,
    Subject,
)
from samenloop.rules.configuration import Language, Rules, Words, ZoneWords
from samenloop.rules.subject import UNKNOWN_OWNER_PREFIX, UNKNOWN_OWNERS

OPEN = frozenset({FindingStatus.OPEN, FindingStatus.ACKNOWLEDGED})
Plans = Mapping[str, Subject]
"""Plans and restrictions by id."""


def sentence(finding: Finding, plans: Plans, language: Language, rules: Rules) -> str:
    """Return the finding in one sentence: who, where, when, how severe; for a closed one, why it is over.

    *plans* by id; a participant that is not among them is described without its title, owner and dates.
    """
    words, evidence = rules.words[language], finding.evidence
    if (own := rules.zone_words_of(evidence.rule_id, language)) is not None:
        return _zone_sentence(finding, plans, words, own)
    a, b = finding.participants[0], finding.participants[1]
    named = {
        "a": _plan(a.id, plans, words),
        "b": _plan(b.id, plans, words),
        "owner_a": _owner(a.id, plans, words),
        "owner_b": _owner(b.id, plans, words),
    }
    if finding.status not in OPEN:
        reason = words.reasons.get(finding.status_reason or "", finding.status_reason or finding.status.value)
        return _capital(words.closed.format(**named, reason=reason))
    severity = words.severities[finding.severity] if isinstance(finding, Conflict) else ""
    return _capital(
        rules.words_of(evidence.rule_id, language).sentence.format(
            **named,
            severity=severity,
            place=_place(evidence, words),
            time=_time(evidence, words),
            days=_days(evidence.overlap_days or 0, words),
            period=_period(evidence, words),
        )
    )


def remedy_sentences(finding: Finding, plans: Plans, language: Language, rules: Rules) -> list[str]:
    """Return who would have to do what, one sentence per remedy: what dissolves a conflict, what both gain."""
    own = rules.zone_words_of(finding.evidence.rule_id, language)
    if own is not None:
        return _zone_remedies(finding, plans, rules.words[language], own)
    found = [_remedy(remedy, finding, plans, language, rules) for remedy in finding.evidence.remedies]
    if not found and finding.status in OPEN:
        words, (a, b) = rules.words[language], (participant.id for participant in finding.participants[:2])
        found = [words.no_remedy.format(owner_a=_owner(a, plans, words), owner_b=_owner(b, plans, words))]
    return [_capital(text) for text in found if text]


def _zone_sentence(finding: Finding, plans: Plans, words: Words, own: ZoneWords) -> str:
    works, zone = _works_and_zone(finding)
    named = {"works": _plan(works, plans, words), "zone": _zone(zone, plans, words)}
    if finding.status not in OPEN:
        code = finding.status_reason or ""
        reason = own.reasons.get(code) or words.reasons.get(code) or code or finding.status.value
        return _capital(words.closed.format(a=named["works"], b=named["zone"], reason=reason))
    return _capital(
        own.sentence.format(
            **named,
            severity=words.severities[finding.severity],
            inside=_inside(finding.evidence, words),
            ban=words.bans[_ban(plans.get(zone))],
            days=_days(finding.evidence.overlap_days or 0, words),
            period=_period(finding.evidence, words),
        )
    )


def _zone_remedies(finding: Finding, plans: Plans, words: Words, own: ZoneWords) -> list[str]:
    works, zone = _works_and_zone(finding)
    found = [
        _shifted(remedy, plans, words, own.shift_later if (remedy.days or 0) > 0 else own.shift_earlier)
        if remedy.kind is RemedyKind.SHIFT
        else _asked(remedy.participant_id, finding, plans, words, own)
        for remedy in finding.evidence.remedies
    ]
    if not found and finding.status in OPEN:
        found = [own.no_remedy.format(owner=_owner(works, plans, words), authority=_owner(zone, plans, words))]
    return [_capital(text) for text in found]


def _asked(subject_id: str, finding: Finding, plans: Plans, words: Words, own: ZoneWords) -> str:
    question = _confirm(plans.get(subject_id), finding, words)
    if question == words.confirm_end:
        question = own.confirm_end
    return question.format(plan=_title(subject_id, plans, words), owner=_owner(subject_id, plans, words))


def _works_and_zone(finding: Finding) -> tuple[str, str]:
    """The ids of the plan and of the restriction in a finding about both."""
    a, b = finding.participants[0].id, finding.participants[1].id
    return (b, a) if is_restriction(a) else (a, b)


def _zone(zone_id: str, plans: Plans, words: Words) -> str:
    zone = plans.get(zone_id)
    if zone is None:
        return words.hidden_zone
    return words.zone.format(title=zone.title, owner=_owner(zone_id, plans, words))


def _ban(zone: Subject | None) -> Literal["IN_FORCE", "PROPOSED", "ADVISORY", "UNKNOWN"]:
    if not isinstance(zone, Restriction):
        return "UNKNOWN"
    if zone.force is Force.ADVISORY:
        return "ADVISORY"
    return "IN_FORCE" if zone.status is RestrictionStatus.IN_FORCE else "PROPOSED"


def _inside(evidence: Evidence, words: Words) -> str:
    if evidence.overlap_m2:
        return words.inside_area.format(overlap_m2=number(evidence.overlap_m2, words))
    if evidence.shared_length_m:
        return words.inside_length.format(shared_length_m=number(evidence.shared_length_m, words))
    return words.inside_point


def _remedy(remedy: Remedy, finding: Finding, plans: Plans, language: Language, rules: Rules) -> str:
    words = rules.words[language]
    named = {"plan": _title(remedy.participant_id, plans, words), "owner": _owner(remedy.participant_id, plans, words)}
    if remedy.kind is RemedyKind.SHIFT and remedy.days is not None:
        return _shift(remedy, remedy.days, finding, plans, words)
    if remedy.kind in (RemedyKind.NARROW, RemedyKind.REROUTE):
        return words.narrow.format(**named, metres=number(remedy.metres or 0.0, words))
    if remedy.kind is RemedyKind.CONFIRM:
        return _confirm(plans.get(remedy.participant_id), finding, words).format(**named)
    if remedy.kind is RemedyKind.COMBINE:
        return _combine(finding, plans, language, rules)
    return ""


def _shift(remedy: Remedy, days: int, finding: Finding, plans: Plans, words: Words) -> str:
    if isinstance(finding, Conflict):
        template = words.shift_later if days > 0 else words.shift_earlier
    else:
        template = words.join_later if days > 0 else words.join_earlier
    return _shifted(remedy, plans, words, template)


def _shifted(remedy: Remedy, plans: Plans, words: Words, template: str) -> str:
    plan, owner = plans.get(remedy.participant_id), _owner(remedy.participant_id, plans, words)
    days = remedy.days or 0
    moved = _days(abs(days), words)
    start = first_day(plan) if plan is not None else None
    if start is None:
        return words.shift_hidden.format(owner=owner, days=moved)
    return template.format(
        owner=owner,
        plan=_title(remedy.participant_id, plans, words),
        days=moved,
        new_start=day_in_words(start + timedelta(days=days), words),
        old_start=day_in_words(start, words),
    )


def _confirm(plan: Subject | None, finding: Finding, words: Words) -> str:
    """The question to ask; without the plan the finding's flags tell which."""
    if finding.status_reason == "GEOMETRY_LOST":
        return words.confirm_geometry
    coarse = "coarse_period" in finding.evidence.flags
    if plan is not None and coarse and "assumed_end" in finding.evidence.flags:
        coarse = plan.period.precision in (Precision.QUARTER, Precision.YEAR)
    return words.confirm_dates if coarse else words.confirm_end


def _combine(finding: Finding, plans: Plans, language: Language, rules: Rules) -> str:
    words, evidence = rules.words[language], finding.evidence
    a, b = finding.participants[0].id, finding.participants[1].id
    area = words.area.format(overlap_m2=number(evidence.overlap_m2, words)) if evidence.overlap_m2 else ""
    return rules.words_of(evidence.rule_id, language).combine.format(
        a=_title(a, plans, words),
        b=_title(b, plans, words),
        owner_a=_owner(a, plans, words),
        owner_b=_owner(b, plans, words),
        area=area,
    )


def first_day(plan: Subject) -> date | None:
    """Return the first day of the works: of the earliest work period, else of the period."""
    stated = plan.work_periods if isinstance(plan, Plan) else ()
    starts = [part.start for part in stated if part.start is not None]
    return min(starts) if starts else plan.period.start


def day_in_words(day: date, words: Words) -> str:
    """Return a date in words: `12 april 2027`."""
    return f"{day.day} {words.months[day.month - 1]} {day.year}"


def number(value: float, words: Words) -> str:
    """Return a figure as people write it: no more decimals than it needs, thousands parted."""
    decimals = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    text = f"{value:,.{decimals}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.translate(str.maketrans(",.", ".,")) if words.decimal_comma else text


def _plan(plan_id: str, plans: Plans, words: Words) -> str:
    plan = plans.get(plan_id)
    if plan is None:
        return words.hidden_plan
    return words.plan.format(title=plan.title, owner=_owner(plan_id, plans, words))


def _title(plan_id: str, plans: Plans, words: Words) -> str:
    plan = plans.get(plan_id)
    return words.hidden_plan if plan is None else words.title.format(title=plan.title)


def _owner(plan_id: str, plans: Plans, words: Words) -> str:
    plan = plans.get(plan_id)
    if plan is None:
        return words.hidden_owner
    unknown = plan.owner.oin in UNKNOWN_OWNERS or plan.owner.oin.startswith(UNKNOWN_OWNER_PREFIX)
    return plan.owner.name or (words.unknown_owner if unknown else plan.owner.oin)


def _place(evidence: Evidence, words: Words) -> str:
    if evidence.contact_kind is ContactKind.NEAR:
        return words.place_near.format(distance_m=number(evidence.distance_m or 0.0, words))
    if evidence.contact_kind is ContactKind.TOUCH:
        return words.place_touch
    if evidence.overlap_m2:
        return words.place_area.format(overlap_m2=number(evidence.overlap_m2, words))
    if evidence.shared_length_m:
        return words.place_length.format(shared_length_m=number(evidence.shared_length_m, words))
    return words.place_overlap


def _time(evidence: Evidence, words: Words) -> str:
    if evidence.overlap_days:
        return words.time_overlap.format(days=_days(evidence.overlap_days, words), period=_period(evidence, words))
    if not evidence.gap_days:
        return words.time_adjacent
    return words.time_gap.format(days=_days(evidence.gap_days, words))


def _days(count: int, words: Words) -> str:
    return (words.day if count == 1 else words.days).format(n=number(count, words))


def _period(evidence: Evidence, words: Words) -> str:
    period = evidence.period
    if period is None or period.start is None or period.end is None:
        return ""
    if period.start == period.end:
        return words.one_day.format(**{"from": day_in_words(period.start, words)})
    first = day_in_words(period.start, words)
    if period.start.year == period.end.year:
        first = first.removesuffix(f" {period.start.year}")
    return words.period.format(**{"from": first, "to": day_in_words(period.end, words)})


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
