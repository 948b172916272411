"""The ledger: what was last told about each pair, and what the next judgement makes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from samenloop.detection.findings import FindingEvent, Side, Told, Transition, closed, opened, topic_of
from samenloop.detection.plans import PlanTable
from samenloop.detection.rows import Row
from samenloop.identity import finding_id, is_restriction
from samenloop.model import Evidence, Finding, FindingStatus, Remedy, RemedyKind, Severity
from samenloop.rules import (
    Gone,
    Place,
    Rules,
    Subject,
    Zone,
    absence_in_zone,
    day_number,
    judge,
    judge_zone,
    measure_places,
)
from samenloop.rules.judge import SUPERSEDED, Judged, Ruling, absence
from samenloop.rules.subject import DELETED, GEOMETRY_LOST
from samenloop.rules.zones import RESTRICTION_DELETED

Pairs = NDArray[np.int64]
"""Shape (k, 2): slots of plans."""
Key = tuple[int, int]
"""Slots of two plans, the one with the smaller id first."""

KEEP_CLOSED_DAYS: Final = 30
"""A closed finding stays so long before it is removed. rule: contract.md 2."""
RULE_CHANGED: Final = Gone(FindingStatus.WITHDRAWN, "RULE_CHANGED")


class Cause(NamedTuple):
    """Why a pair is judged: the newest row that touched it, and the event ids of all that did."""

    row: Row
    event_ids: tuple[str, ...]
    direct: bool = True
    """The row is about one of the pair's plans, not merely the newest of all."""


class _Case(NamedTuple):
    """A pair as it stands on one day; *plans* and *sides* in the order of their ids."""

    key: Key
    plans: tuple[Subject | Gone, Subject | Gone]
    sides: tuple[Side, Side]
    place: Place | None
    judged: Judged
    today: date
    cause: Cause

    @property
    def day(self) -> int:
        return day_number(self.today)


class Ledger:
    """Findings by pair. It judges pairs on a day and says what changed against what was told before."""

    def __init__(self, rules: Rules, metric_crs: str, plans: PlanTable) -> None:
        self.open: Counter[tuple[str, Severity]] = Counter()
        """Open findings by rule and severity."""
        self.missed = 0
        """How often a pair was judged that would have been an opportunity before its freeze."""
        self._rules = rules
        self._metric_crs = metric_crs
        self._plans = plans
        self._told: dict[Key, list[Told]] = {}
        self._with_closed: set[Key] = set()

    def adopt(self, finding: Finding) -> None:
        """Take a finding as it was last written; a later revision of the same finding replaces it."""
        sides = sorted(finding.participants, key=lambda participant: participant.id)
        slots = [self._plans.slot(side.id) for side in sides]
        for slot, side in zip(slots, sides, strict=True):
            if self._plans.side(slot).revision == 0:
                ghost = Side(side.id, side.revision, side.owner_oin, finding.visibility, finding.audience)
                self._plans.put_gone(slot, RESTRICTION_DELETED if is_restriction(side.id) else DELETED, ghost)
        key = (slots[0], slots[1])
        told = self._told_of(key, finding.evidence.rule_id)
        if told.is_open:
            self.open[told.rule_id, told.severity] -= 1
        judged_on = finding.evidence.judged_on
        told.revision, told.severity = finding.revision, finding.severity
        told.detected_at, told.closed_at = finding.detected_at, finding.closed_at
        told.day = day_number(judged_on) if judged_on else 0
        told.seen = (sides[0].revision, sides[1].revision)
        told.current = finding.evidence.rule_version == self._rules.rule_version
        if told.is_open:
            self.open[told.rule_id, told.severity] += 1
        else:
            self._with_closed.add(key)

    def drop(self, finding_key: str) -> None:
        """Take note that a finding was removed for good."""
        for key in [key for key in self._with_closed if any(told.text_id == finding_key for told in self._told[key])]:
            self._keep(key, [told for told in self._told[key] if told.text_id != finding_key])

    def open_pairs(self) -> Pairs:
        """Return the pairs with an open finding."""
        keys = [key for key, entries in self._told.items() if any(told.is_open for told in entries)]
        return np.array(keys, dtype=np.int64).reshape(-1, 2)

    def settle(
        self, pairs: Pairs, today: date, causes: Mapping[int, Cause], *, last: Row, again: bool
    ) -> list[FindingEvent]:
        """Judge *pairs* on *today* and return what is to be said.

        *causes* by slot, *last* where neither side has one. With *again* all that holds is said with fresh evidence;
        without, only what was not yet said for this day, these rules and these revisions.
        """
        events: list[FindingEvent] = []
        pairs = self._by_id(pairs)
        both = self._plans.is_matched(pairs[:, 0]) & self._plans.is_matched(pairs[:, 1])
        places = iter(measure_places(self._plans.shapes[pairs[both, 0]], self._plans.shapes[pairs[both, 1]]))
        for (a, b), matched in zip(pairs.tolist(), both.tolist(), strict=True):
            place = next(places) if matched else None
            if place is not None or (a, b) in self._told:
                cause = _newest(causes.get(a), causes.get(b)) or Cause(last, (last.cause_id,), direct=False)
                self._settle_one(self._case((a, b), place, today, cause), again, events)
        return events

    def sweep(self, today: date, row: Row) -> list[FindingEvent]:
        """Remove for good what has been closed for 30 days."""
        events: list[FindingEvent] = []
        last = day_number(today) - KEEP_CLOSED_DAYS
        for key in sorted(self._with_closed):
            kept = []
            for told in self._told[key]:
                if told.is_open or told.day > last:
                    kept.append(told)
                else:
                    events.append(_event(told, "removed", None, Cause(row, (row.cause_id,))))
            self._keep(key, kept)
        return events

    def _by_id(self, pairs: Pairs) -> Pairs:
        """The same pairs with the smaller plan id first: measures and keys do not depend on the order of arrival."""
        ids = self._plans.ids
        return np.array([(a, b) if ids[a] < ids[b] else (b, a) for a, b in pairs.tolist()], dtype=np.int64).reshape(
            -1, 2
        )

    def _case(self, key: Key, place: Place | None, today: date, cause: Cause) -> _Case:
        plans = (self._plans.get(key[0]), self._plans.get(key[1]))
        sides = (self._side(key[0], plans[0]), self._side(key[1], plans[1]))
        judged = Judged()
        a, b = plans
        if place is not None and not isinstance(a, Gone) and not isinstance(b, Gone):
            zoned = self._zoned(key, a, b)
            if zoned is None:
                judged = judge(a, b, self._rules, today, metric_crs=self._metric_crs, place=place)
            else:
                judged = judge_zone(*zoned, self._rules, today, metric_crs=self._metric_crs, place=place)
            self.missed += judged.missed
        return _Case(key, plans, sides, place, judged, today, cause)

    def _zoned(self, key: Key, a: Subject, b: Subject) -> tuple[Subject, Zone] | None:
        """The plan and the zone of a pair, None for two plans."""
        zones = self._plans.zones
        if not zones:  # nearly always
            return None
        if (zone := zones.get(key[0])) is not None:
            return b, zone
        return (a, zone) if (zone := zones.get(key[1])) is not None else None

    def _side(self, slot: int, plan: Subject | Gone) -> Side:
        if isinstance(plan, Gone):
            return self._plans.side(slot)
        return Side(plan.plan_id, plan.revision, plan.owner_oin, plan.visibility, plan.audience)

    def _settle_one(self, case: _Case, again: bool, events: list[FindingEvent]) -> None:
        before = tuple(self._told.get(case.key, ()))
        seen = (case.sides[0].revision, case.sides[1].revision)
        for ruling in case.judged.rulings:
            told = self._told_of(case.key, ruling.rule_id)
            if again or not (told.is_open and told.current and told.day == case.day and told.seen == seen):
                events.append(self._open(case, told, ruling))
        held = {ruling.rule_id for ruling in case.judged.rulings}
        for told in before:
            if told.is_open and told.rule_id not in held:
                events.append(self._close(case, told))

    def _open(self, case: _Case, told: Told, ruling: Ruling) -> FindingEvent:
        was_open = told.is_open
        if was_open:
            self.open[told.rule_id, told.severity] -= 1
        row = case.cause.row
        first = row.first_load if case.cause.direct else not was_open and all(map(self._plans.is_first_load, case.key))
        finding = opened(told, ruling, case.sides, at=row.at, cause_id=row.cause_id, first=first)
        told.day = case.day
        self.open[told.rule_id, told.severity] += 1
        return _event(told, "changed" if was_open else "opened", finding, case.cause)

    def _close(self, case: _Case, told: Told) -> FindingEvent:
        gone = self._why(case, told)
        by = None
        if gone is SUPERSEDED:
            taker = next(
                ruling.rule_id for ruling in case.judged.rulings if topic_of(ruling.rule_id) == "opportunities"
            )
            by = self._told_of(case.key, taker).id
        self.open[told.rule_id, told.severity] -= 1
        row = case.cause.row
        evidence = self._last_evidence(case, told.rule_id)
        finding = closed(told, gone, evidence, case.sides, at=row.at, cause_id=row.cause_id, superseded_by=by)
        told.day = case.day
        self._with_closed.add(case.key)
        return _event(told, "closed", finding, case.cause)

    def _why(self, case: _Case, told: Told) -> Gone:
        if not told.current and told.seen == (case.sides[0].revision, case.sides[1].revision):
            return RULE_CHANGED
        unmatched = next((plan for plan in case.plans if isinstance(plan, Gone)), None)
        return unmatched or case.judged.gone.get(told.rule_id, RULE_CHANGED)

    def _last_evidence(self, case: _Case, rule_id: str) -> Evidence:
        """The measures as they are now; without one of the plans only what is missing."""
        a, b = case.plans
        if case.place is not None and not isinstance(a, Gone) and not isinstance(b, Gone):
            crs, place = self._metric_crs, case.place
            zoned = self._zoned(case.key, a, b)
            if zoned is not None:
                return absence_in_zone(*zoned, self._rules, case.today, rule_id, metric_crs=crs, place=place)
            return absence(a, b, self._rules, case.today, rule_id, metric_crs=crs, place=place)
        lost = [side.plan_id for plan, side in zip(case.plans, case.sides, strict=True) if plan == GEOMETRY_LOST]
        return Evidence(
            rule_id=rule_id,
            rule_version=self._rules.rule_version,
            metric_crs=self._metric_crs,
            judged_on=case.today,
            remedies=tuple(Remedy(RemedyKind.CONFIRM, plan_id) for plan_id in lost),
        )

    def _told_of(self, key: Key, rule_id: str) -> Told:
        entries = self._told.setdefault(key, [])
        for told in entries:
            if told.rule_id == rule_id:
                return told
        told = Told(rule_id, finding_id(rule_id, (self._plans.ids[key[0]], self._plans.ids[key[1]])))
        entries.append(told)
        return told

    def _keep(self, key: Key, kept: list[Told]) -> None:
        if kept:
            self._told[key] = kept
        else:
            self._told.pop(key, None)
        if all(told.is_open for told in kept):
            self._with_closed.discard(key)


def _newest(a: Cause | None, b: Cause | None) -> Cause | None:
    """The later of two causes, with the events of both."""
    if a is None or b is None:
        return a or b
    earlier, later = (a, b) if a.row.at <= b.row.at else (b, a)
    return Cause(later.row, earlier.event_ids + later.event_ids)


def _event(told: Told, transition: Transition, finding: Finding | None, cause: Cause) -> FindingEvent:
    row = cause.row
    return FindingEvent(
        topic_of(told.rule_id), told.text_id, transition, finding, row.at, row.cause_id, row.correlation_id,
        cause.event_ids,
    )  # fmt: skip
