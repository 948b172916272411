"""What two plans are to each other: a conflict, an opportunity, both or neither. rule: rules.md 2 to 4."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import Enum, auto
from typing import Final, NamedTuple

from samenloop.geometry import crs_uri, write_wkb
from samenloop.model import (
    Certainty,
    ContactKind,
    Evidence,
    FindingStatus,
    Geometry,
    Period,
    Precision,
    Remedy,
    ScorePart,
    Severity,
)
from samenloop.rules.configuration import CLASH_WORKS, Chance, Rules
from samenloop.rules.measures import Place, Timing, measure_place, measure_time, simplified
from samenloop.rules.remedies import Situation, remedies_of_chance, remedies_of_clash
from samenloop.rules.subject import NOT_MATCHED, OVER, UNKNOWN_OWNERS, Gone, Subject, day_number, day_of, size_of


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

CERTAINTY_ORDER: Final = {
    Certainty.UNKNOWN: 0,
    Certainty.INDICATIVE: 1,
    Certainty.INTENDED: 2,
    Certainty.FIXED: 3,
    Certainty.PERMITTED: 4,
}

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


@dataclass(frozen=True, slots=True)
class Judged:
    """Everything the rules say of one pair: what holds, and for each rule that does not, why."""

    rulings: tuple[Ruling, ...] = ()
    gone: Mapping[str, Gone] = field(default_factory=dict)
    missed: bool = False
    """An opportunity would hold, had it been seen before the freeze."""


@dataclass(frozen=True, slots=True)
class _Pair:
    """A pair under judgement: *a* has the smaller id."""

    a: Subject
    b: Subject
    rules: Rules
    today: int
    place: Place
    time: Timing
    contact: ContactKind
    weakest: Certainty

    @property
    def situation(self) -> Situation:
        return Situation(self.a, self.b, self.time, self.contact, self.place.distance_m, self.today, self.rules)


def judge(a: Subject, b: Subject, rules: Rules, today: date, *, metric_crs: str, place: Place | None = None) -> Judged:
    """Judge two plans on *today*; the order of *a* and *b* does not matter.

    *place* is what `measure_places` found for them, when it is known already. *metric_crs* is the CRS of the
    subjects' shapes and named in the evidence.
    """
    if b.plan_id < a.plan_id:
        a, b = b, a
    if (apart := kept_apart(a, b, rules)) is not None:
        return Judged(gone=dict.fromkeys((CLASH_WORKS, *(rule_id for rule_id, _ in rules.chances)), apart))
    place = place or measure_place(a.shape, b.shape)
    number = day_number(today)
    pair = _Pair(
        a,
        b,
        rules,
        number,
        place,
        measure_time(a, b, number),
        place.contact(rules.rules.clash.min_overlap_m2),
        min(a.certainty, b.certainty, key=CERTAINTY_ORDER.__getitem__),
    )
    return _ruled(pair, metric_crs, today)


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


def _ruled(pair: _Pair, metric_crs: str, today: date) -> Judged:
    gone: dict[str, Gone] = {}
    missed = False
    chance: tuple[str, Chance, float, tuple[ScorePart, ...]] | None = None
    for rule_id, rule in pair.rules.chances:
        if chance is not None:
            gone[rule_id] = SUPERSEDED
            continue
        why, score, parts = _chance(pair, rule_id, rule)
        missed = missed or (why is FROZEN and not pair.time.overlap_days)
        if why is None:
            chance = (rule_id, rule, score, parts)
            gone = dict.fromkeys(gone, SUPERSEDED)
        else:
            gone[rule_id] = why
    clash = _clash(pair)
    if isinstance(clash, Gone):
        gone[CLASH_WORKS] = clash
    if chance is None and isinstance(clash, Gone):
        return Judged((), gone, missed)
    common = _common_evidence(pair, metric_crs, today)
    rulings = []
    if not isinstance(clash, Gone):
        rulings.append(_clash_ruling(pair, clash, common, chance is not None))
    if chance is not None:
        rulings.append(_chance_ruling(pair, chance, common))
    return Judged(tuple(rulings), gone, missed)


def _clash(pair: _Pair) -> Severity | Gone:
    """The severity of a conflict, or why there is none."""
    rule, time = pair.rules.rules.clash, pair.time
    if CLASH_WORKS not in pair.a.judged_by or CLASH_WORKS not in pair.b.judged_by:
        return NOT_MATCHED
    if pair.place.distance_m > clash_limit(pair.a, pair.b, pair.rules):
        return NOT_NEAR
    if time.last_common is not None and time.last_common < pair.today:
        return OVER
    if time.overlap_days < rule.min_overlap_days or Say.CONFLICT not in _says(pair, pair.rules.late_commit_days):
        return NO_OVERLAP
    return _severity(pair)


def _severity(pair: _Pair) -> Severity:
    rules = pair.rules
    if pair.weakest in rules.indicative or rests_on_guess(pair.a, pair.b, pair.time, rules):
        return Severity.INFO
    blocking = (
        pair.contact is ContactKind.OVERLAP
        and pair.a.extent_known
        and pair.b.extent_known
        and pair.weakest in rules.committed
        and {pair.a.precision, pair.b.precision} <= rules.exact_precisions
    )
    return Severity.BLOCKING if blocking else Severity.WARNING


def rests_on_guess(a: Subject, b: Subject, time: Timing, rules: Rules) -> bool:
    """Tell whether an overlap exists only through coarse dates or an assumed end."""
    coarse = a.precision in rules.coarse_precisions or b.precision in rules.coarse_precisions
    return coarse or time.known_overlap_days < rules.rules.clash.min_overlap_days


def clash_limit(a: Subject, b: Subject, rules: Rules) -> float:
    """Return the distance in metres, inclusive, within which two plans can be in each other's way."""
    rule = rules.rules.clash
    return rule.distance_traffic_m if a.hinders_traffic or b.hinders_traffic else rule.distance_m


def _chance(pair: _Pair, rule_id: str, rule: Chance) -> tuple[Gone | None, float, tuple[ScorePart, ...]]:
    """Why an opportunity does not hold (None: it does), its score and the score's parts."""
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
        return why, 0.0, ()
    parts = _score_parts(pair)
    score = round(sum(part.weight * part.value for part in parts), 3)
    return (LOW_SCORE if score < rule.min_score else None), score, parts


def _large_enough(side: Subject, rule: Chance) -> bool:
    area, length, days = size_of(side)
    return area > rule.min_area_m2 or length > rule.min_length_m or days > rule.min_duration_days


def _says(pair: _Pair, freeze_days: int) -> frozenset[Say]:
    meeting = Meeting.OVERLAP if pair.time.overlap_days else Meeting.GAP
    sureness = Sureness.INTENDED
    if pair.weakest in pair.rules.committed:
        sureness = Sureness.COMMITTED
    elif pair.weakest in pair.rules.indicative:
        sureness = Sureness.INDICATIVE
    late = pair.time.lead_days < freeze_days or pair.a.in_execution or pair.b.in_execution
    return SAYS[meeting, sureness, Moment.LATE if late else Moment.EARLY]


def _score_parts(pair: _Pair) -> tuple[ScorePart, ...]:
    """The four terms of the score, each 0..1. rule: rules.md 2."""
    score = pair.rules.score
    lead = min(max(pair.time.lead_days, 0) / score.lead.full_at_days, 1.0)
    return (
        ScorePart("distance", max(0.0, 1 - pair.place.distance_m / score.distance.zero_at), score.distance.weight),
        ScorePart("gap", max(0.0, 1 - (pair.time.gap_days or 0) / score.gap.zero_at), score.gap.weight),
        ScorePart("certainty", score.certainty.values[pair.weakest], score.certainty.weight),
        ScorePart("lead", lead, score.lead.weight),
    )


def _flags(pair: _Pair, limit_m: float) -> list[str]:
    a, b, rules = pair.a, pair.b, pair.rules
    accuracy = a.accuracy_m + b.accuracy_m
    found = {
        "assumed_end": a.assumed_on(pair.today) or b.assumed_on(pair.today),
        "coarse_period": a.precision in rules.coarse_precisions or b.precision in rules.coarse_precisions,
        "extent_known": a.extent_known and b.extent_known,
        "geometry_repaired": a.repaired or b.repaired,
        "within_accuracy": accuracy > abs(limit_m - pair.place.distance_m),
    }
    return [name for name, holds in found.items() if holds]


def _common_evidence(pair: _Pair, metric_crs: str, today: date) -> dict[str, object]:
    """What conflict and opportunity of one pair both rest on."""
    place, time = pair.place, pair.time
    period = None
    if time.first_common is not None and time.last_common is not None:
        precision = max((pair.a.precision, pair.b.precision), key=list(Precision).index)
        period = Period(day_of(time.first_common), day_of(time.last_common), precision)
    crs = crs_uri(metric_crs)
    return {
        "rule_version": pair.rules.rule_version,
        "metric_crs": metric_crs,
        "distance_m": place.distance_m,
        "contact_kind": pair.contact,
        "overlap_m2": place.overlap_m2,
        "shared_length_m": place.shared_length_m,
        "overlap_days": time.overlap_days or None,
        "gap_days": time.gap_days,
        "lead_days": time.lead_days,
        "judged_on": today,
        "zone": Geometry(write_wkb(simplified(place.zone)), crs),
        "period": period,
    }


def _evidence(
    common: Mapping[str, object],
    rule_id: str,
    flags: list[str],
    remedies: tuple[Remedy, ...],
    parts: tuple[ScorePart, ...],
) -> Evidence:
    return Evidence(rule_id=rule_id, flags=tuple(flags), remedies=remedies, score_parts=parts, **common)  # type: ignore[arg-type]


def _clash_ruling(pair: _Pair, severity: Severity, common: Mapping[str, object], combine: bool) -> Ruling:
    limit = clash_limit(pair.a, pair.b, pair.rules)
    flags = _flags(pair, limit)
    if Say.LATE_COMMIT in _says(pair, pair.rules.late_commit_days):
        flags.append("late_commit")
    guess = rests_on_guess(pair.a, pair.b, pair.time, pair.rules)
    remedies = remedies_of_clash(pair.situation, limit, guess=guess, combine=combine)
    return Ruling(CLASH_WORKS, severity, 0.0, _evidence(common, CLASH_WORKS, flags, remedies, ()))


def _chance_ruling(
    pair: _Pair, chance: tuple[str, Chance, float, tuple[ScorePart, ...]], common: Mapping[str, object]
) -> Ruling:
    rule_id, rule, score, parts = chance
    flags = _flags(pair, rule.distance_m)
    if pair.a.ground_assumed or pair.b.ground_assumed:
        flags.append("ground_assumed")
    remedies = remedies_of_chance(pair.situation)
    return Ruling(rule_id, Severity.UNKNOWN, score, _evidence(common, rule_id, flags, remedies, parts))
