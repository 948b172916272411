"""What two plans are to each other: a conflict, an opportunity, both or neither. rule: rules.md 2 to 4."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import date
from enum import Enum, auto
from typing import Final, NamedTuple

from samenloop.model import ContactKind, Evidence, FindingStatus, Geometry, ScorePart, Severity
from samenloop.rules.configuration import CLASH_WORKS, Chance, Rules
from samenloop.rules.evidence import evidence_of, zone_of
from samenloop.rules.measures import Place, measure_place
from samenloop.rules.pair import Pair, pair_up
from samenloop.rules.remedies import remedies_of_chance, remedies_of_clash
from samenloop.rules.subject import NOT_MATCHED, OVER, UNKNOWN_OWNERS, Gone, Subject, day_number, size_of
from samenloop.value import value


class Meeting(Enum):
    """Whether two plans have days in common."""

    OVERLAP = auto()
    GAP = auto()


class Sureness(Enum):
    """What the weakest certainty of a pair amounts to."""

    COMMITTED = auto()
    INTENDED = auto()
    INDICATIVE = auto()


class Moment(Enum):
    """Whether there is still time to plan together: LATE below the freeze, or with one side in execution."""

    EARLY = auto()
    LATE = auto()


class Say(Enum):
    """What is said of a pair."""

    CONFLICT = auto()
    OPPORTUNITY = auto()
    LATE_COMMIT = auto()
    MISSED = auto()


SAYS: Final[Mapping[tuple[Meeting, Sureness, Moment], frozenset[Say]]] = {
    (Meeting.OVERLAP, Sureness.COMMITTED, Moment.EARLY): frozenset({Say.CONFLICT, Say.OPPORTUNITY}),
    (Meeting.OVERLAP, Sureness.COMMITTED, Moment.LATE): frozenset({Say.CONFLICT}),
    (Meeting.OVERLAP, Sureness.INTENDED, Moment.EARLY): frozenset({Say.CONFLICT, Say.OPPORTUNITY}),
    (Meeting.OVERLAP, Sureness.INTENDED, Moment.LATE): frozenset({Say.CONFLICT, Say.LATE_COMMIT}),
    (Meeting.OVERLAP, Sureness.INDICATIVE, Moment.EARLY): frozenset({Say.CONFLICT, Say.OPPORTUNITY}),
    (Meeting.OVERLAP, Sureness.INDICATIVE, Moment.LATE): frozenset({Say.CONFLICT, Say.LATE_COMMIT}),
    (Meeting.GAP, Sureness.COMMITTED, Moment.EARLY): frozenset({Say.OPPORTUNITY}),
    (Meeting.GAP, Sureness.COMMITTED, Moment.LATE): frozenset({Say.MISSED}),
    (Meeting.GAP, Sureness.INTENDED, Moment.EARLY): frozenset({Say.OPPORTUNITY}),
    (Meeting.GAP, Sureness.INTENDED, Moment.LATE): frozenset({Say.MISSED}),
    (Meeting.GAP, Sureness.INDICATIVE, Moment.EARLY): frozenset({Say.OPPORTUNITY}),
    (Meeting.GAP, Sureness.INDICATIVE, Moment.LATE): frozenset({Say.MISSED}),
}
"""The table of rules.md 3; a gap counts up to the `gap_days` of the rule at hand."""

NOT_NEAR: Final = Gone(FindingStatus.RESOLVED, "NOT_NEAR")
NO_OVERLAP: Final = Gone(FindingStatus.RESOLVED, "NO_OVERLAP")
FROZEN: Final = Gone(FindingStatus.EXPIRED, "FROZEN")
TOO_SMALL: Final = Gone(FindingStatus.RESOLVED, "TOO_SMALL")
LOW_SCORE: Final = Gone(FindingStatus.RESOLVED, "LOW_SCORE")
SUPERSEDED: Final = Gone(FindingStatus.WITHDRAWN, "SUPERSEDED")
LINKED: Final = Gone(FindingStatus.WITHDRAWN, "LINKED_SAME_WORKS")
SAME_OWNER: Final = Gone(FindingStatus.WITHDRAWN, "SAME_OWNER")


class Ruling(NamedTuple):
    """One rule that holds for a pair. An opportunity has a score, a conflict a severity."""

    rule_id: str
    severity: Severity
    score: float
    evidence: Evidence


@value
class Judged:
    """Everything the rules say of one pair: what holds, and for each rule that does not, why."""

    rulings: tuple[Ruling, ...] = ()
    gone: Mapping[str, Gone] = field(default_factory=dict)
    missed: bool = False
    """An opportunity would hold, had it been seen before the freeze."""


class _Held(NamedTuple):
    """An opportunity rule that holds."""

    rule_id: str
    rule: Chance
    score: float
    parts: tuple[ScorePart, ...]


def judge(a: Subject, b: Subject, rules: Rules, today: date, *, metric_crs: str, place: Place | None = None) -> Judged:
    """Judge two plans on *today*; the order of *a* and *b* does not matter.

    *place* is what `measure_places` found, the plan with the smaller id first, when it is known already. *metric_crs*
    is the CRS of the subjects' shapes and named in the evidence.
    """
    if b.plan_id < a.plan_id:
        a, b = b, a
    if (apart := kept_apart(a, b, rules)) is not None:
        return Judged(gone=dict.fromkeys((CLASH_WORKS, *(rule_id for rule_id, _ in rules.chances)), apart))
    pair = pair_up(a, b, rules, day_number(today), place or measure_place(a.shape, b.shape))
    held, gone, missed = _best_chance(pair)
    severity = _clash(pair)
    rulings: list[Ruling] = []
    if isinstance(severity, Gone):
        gone[CLASH_WORKS] = severity
        if held is None:
            return Judged((), gone, missed)
    zone = zone_of(pair, metric_crs)
    if not isinstance(severity, Gone):
        late = ("late_commit",) if Say.LATE_COMMIT in _says(pair, rules.late_commit_days) else ()
        remedies = remedies_of_clash(pair, combine=held is not None)
        limit = pair.clash_limit_m
        evidence = evidence_of(pair, metric_crs, CLASH_WORKS, limit_m=limit, flags=late, remedies=remedies, zone=zone)
        rulings.append(Ruling(CLASH_WORKS, severity, 0.0, evidence))
    if held is not None:
        rulings.append(_chance_ruling(pair, held, metric_crs, evidence_zone=zone))
    return Judged(tuple(rulings), gone, missed)


def absence(
    a: Subject, b: Subject, rules: Rules, today: date, rule_id: str, *, metric_crs: str, place: Place
) -> Evidence:
    """Return the measures of a pair for which *rule_id* no longer holds: no zone and no remedies."""
    pair = pair_up(a, b, rules, day_number(today), place)
    limits = {CLASH_WORKS: pair.clash_limit_m} | {name: rule.distance_m for name, rule in rules.chances}
    return evidence_of(pair, metric_crs, rule_id, limit_m=limits.get(rule_id, 0.0))


def kept_apart(a: Subject, b: Subject, rules: Rules) -> Gone | None:
    """Say why two plans are never compared: parent and child, linked same works, or one owner."""
    if b.plan_id in a.ties or a.plan_id in b.ties:
        return LINKED
    if same_owner(a.owner_oin, b.owner_oin) and not rules.rules.clash.include_same_owner:
        return SAME_OWNER
    return None


def same_owner(a: str, b: str) -> bool:
    """Tell whether two owners are one; two unknown owners never are."""
    return a == b and a not in UNKNOWN_OWNERS


def _clash(pair: Pair) -> Severity | Gone:
    """The severity of a conflict, or why there is none."""
    rule, time = pair.rules.rules.clash, pair.time
    if CLASH_WORKS not in pair.a.judged_by or CLASH_WORKS not in pair.b.judged_by:
        return NOT_MATCHED
    if pair.place.distance_m > pair.clash_limit_m:
        return NOT_NEAR
    if time.last_common is not None and time.last_common < pair.today:
        return OVER
    if time.overlap_days < rule.min_overlap_days or Say.CONFLICT not in _says(pair, pair.rules.late_commit_days):
        return NO_OVERLAP
    return _severity(pair)


def _severity(pair: Pair) -> Severity:
    rules = pair.rules
    if pair.weakest in rules.indicative or pair.rests_on_guess:
        return Severity.INFO
    blocking = (
        pair.contact is ContactKind.OVERLAP
        and pair.a.extent_known
        and pair.b.extent_known
        and pair.weakest in rules.committed
        and {pair.a.precision, pair.b.precision} <= rules.exact_precisions
    )
    return Severity.BLOCKING if blocking else Severity.WARNING


def _best_chance(pair: Pair) -> tuple[_Held | None, dict[str, Gone], bool]:
    """The first opportunity rule that holds, why the others do not, and whether one was missed."""
    held: _Held | None = None
    gone: dict[str, Gone] = {}
    for rule_id, rule in pair.rules.chances:
        found = SUPERSEDED if held is not None else _chance(pair, rule_id, rule)
        if isinstance(found, _Held):
            held, gone = found, dict.fromkeys(gone, SUPERSEDED)
        else:
            gone[rule_id] = found
    missed = held is None and FROZEN in gone.values() and Say.MISSED in SAYS[_row(pair)[0], _row(pair)[1], Moment.LATE]
    return held, gone, missed


def _chance(pair: Pair, rule_id: str, rule: Chance) -> _Held | Gone:
    """One opportunity rule: its score and the score's parts, or why it does not hold."""
    why: Gone | None = None
    if any(rule_id not in side.judged_by or not side.groundworks for side in (pair.a, pair.b)):
        why = NOT_MATCHED
    elif pair.place.distance_m > rule.distance_m:
        why = NOT_NEAR
    elif (pair.time.gap_days or 0) > rule.gap_days:
        why = NO_OVERLAP
    elif not (_large_enough(pair.a, rule) and _large_enough(pair.b, rule)):
        why = TOO_SMALL
    elif Say.OPPORTUNITY not in _says(pair, rule.freeze_days):
        why = FROZEN
    if why is not None:
        return why
    score, parts = score_of(pair)
    return LOW_SCORE if score < rule.min_score else _Held(rule_id, rule, score, parts)


def _chance_ruling(pair: Pair, held: _Held, metric_crs: str, *, evidence_zone: Geometry) -> Ruling:
    assumed = ("ground_assumed",) if pair.a.ground_assumed or pair.b.ground_assumed else ()
    evidence = evidence_of(
        pair,
        metric_crs,
        held.rule_id,
        limit_m=held.rule.distance_m,
        flags=assumed,
        remedies=remedies_of_chance(pair),
        score_parts=held.parts,
        zone=evidence_zone,
    )
    return Ruling(held.rule_id, Severity.UNKNOWN, held.score, evidence)


def _large_enough(side: Subject, rule: Chance) -> bool:
    if side.days > rule.min_duration_days:
        return True  # the cheap question first
    area, length = size_of(side)
    return area > rule.min_area_m2 or length > rule.min_length_m


def _row(pair: Pair) -> tuple[Meeting, Sureness]:
    meeting = Meeting.OVERLAP if pair.time.overlap_days else Meeting.GAP
    if pair.weakest in pair.rules.committed:
        return meeting, Sureness.COMMITTED
    return meeting, Sureness.INDICATIVE if pair.weakest in pair.rules.indicative else Sureness.INTENDED


def _says(pair: Pair, freeze_days: int) -> frozenset[Say]:
    late = pair.time.lead_days < freeze_days or pair.a.in_execution or pair.b.in_execution
    return SAYS[(*_row(pair), Moment.LATE if late else Moment.EARLY)]


def score_of(pair: Pair) -> tuple[float, tuple[ScorePart, ...]]:
    """Return the score of an opportunity and its four terms, each 0..1. rule: rules.md 2."""
    parts = _score_parts(pair)
    return round(sum(part.weight * part.value for part in parts), 3), parts


def _score_parts(pair: Pair) -> tuple[ScorePart, ...]:
    score = pair.rules.score
    lead = min(max(pair.time.lead_days, 0) / score.lead.full_at_days, 1.0)
    return (
        ScorePart("distance", max(0.0, 1 - pair.place.distance_m / score.distance.zero_at), score.distance.weight),
        ScorePart("gap", max(0.0, 1 - (pair.time.gap_days or 0) / score.gap.zero_at), score.gap.weight),
        ScorePart("certainty", score.certainty.values[pair.weakest], score.certainty.weight),
        ScorePart("lead", lead, score.lead.weight),
    )
