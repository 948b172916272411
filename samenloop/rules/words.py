"""Findings and remedies as plain sentences for a coordinator, in Dutch and in English.

The sentences come from the rule's own templates; what a reader may not see is left out by not passing its plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

from samenloop.model import (
    Conflict,
    ContactKind,
    Evidence,
    Finding,
    FindingStatus,
    Plan,
    Precision,
    Remedy,
    RemedyKind,
)
from samenloop.rules.configuration import Language, Rules, Words
from samenloop.rules.subject import UNKNOWN_OWNER_PREFIX, UNKNOWN_OWNERS

OPEN = frozenset({FindingStatus.OPEN, FindingStatus.ACKNOWLEDGED})
Plans = Mapping[str, Plan]


def sentence(finding: Finding, plans: Plans, language: Language, rules: Rules) -> str:
    """Return the finding in one sentence: who, where, when, how severe; for a closed one, why it is over.

    *plans* by id; a participant that is not among them is described without its title, owner and dates.
    """
    words, evidence = rules.words[language], finding.evidence
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
    found = [_remedy(remedy, finding, plans, language, rules) for remedy in finding.evidence.remedies]
    if not found and finding.status in OPEN:
        words, (a, b) = rules.words[language], (participant.id for participant in finding.participants[:2])
        found = [words.no_remedy.format(owner_a=_owner(a, plans, words), owner_b=_owner(b, plans, words))]
    return [_capital(text) for text in found if text]


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
    plan, owner = plans.get(remedy.participant_id), _owner(remedy.participant_id, plans, words)
    moved = _days(abs(days), words)
    start = first_day(plan) if plan is not None else None
    if start is None:
        return words.shift_hidden.format(owner=owner, days=moved)
    if isinstance(finding, Conflict):
        template = words.shift_later if days > 0 else words.shift_earlier
    else:
        template = words.join_later if days > 0 else words.join_earlier
    return template.format(
        owner=owner,
        plan=_title(remedy.participant_id, plans, words),
        days=moved,
        new_start=day_in_words(start + timedelta(days=days), words),
        old_start=day_in_words(start, words),
    )


def _confirm(plan: Plan | None, finding: Finding, words: Words) -> str:
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


def first_day(plan: Plan) -> date | None:
    """Return the first day of the works: of the earliest work period, else of the period."""
    starts = [part.start for part in plan.work_periods if part.start is not None]
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
