"""Detection: rows of plans in, transitions of findings out. Pure: the day comes with the rows."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from itertools import groupby
from typing import Final

import numpy as np
from shapely.geometry.base import BaseGeometry

from samenloop import geometry
from samenloop.detection.findings import FindingEvent, Side
from samenloop.detection.ledger import Cause, Ledger, Pairs
from samenloop.detection.plans import PlanTable, Slots
from samenloop.detection.rows import Row, tick
from samenloop.errors import Reject
from samenloop.geometry import Shapes
from samenloop.kernel import Kernel
from samenloop.model import Finding, Restriction, Severity
from samenloop.rules import Gone, Rules, day_number, subject_with, zone_with
from samenloop.rules.subject import Matchable

LOAD_ROWS: Final = 20_000
"""Rows that are paired at once while state is rebuilt."""
CATCH_UP_PAIRS: Final = 4_000
"""Queued pairs that are judged in one go: well under a second."""


class Detector:
    """Holds the plans of one region and the findings about them.

    Feed it rows in log order, folded or not: what it says depends on the last version of each plan, the rules and the
    newest day only. Until the first day is known it only collects. After a restart: `load`, `adopt`, `reconcile`.
    """

    def __init__(self, rules: Rules, metric_crs: str) -> None:
        self.today: date | None = None
        self.plans = PlanTable()
        self.kernel = Kernel(rules.reach_m, rules.reach_days)
        self.kept = 0
        """Pairs found in reach of each other so far."""
        self.rejected: list[tuple[str, Reject]] = []
        """Plans whose geometry cannot be read, for the caller to take: they count as without geometry."""
        self._rules = rules
        self._metric_crs = metric_crs
        self._ledger = Ledger(rules, metric_crs, self.plans)
        self._to_judge: deque[Pairs] = deque()
        self._last: Row | None = None

    @property
    def open(self) -> Counter[tuple[str, Severity]]:
        """Open findings by rule and severity."""
        return self._ledger.open

    @property
    def missed(self) -> int:
        """How often a pair was judged that would have been an opportunity before its freeze."""
        return self._ledger.missed

    @property
    def behind(self) -> bool:
        """Whether pairs wait to be judged again: call `catch_up`."""
        return bool(self._to_judge)

    def load(self, rows: Iterable[Row]) -> None:
        """Take rows without saying anything: they were judged before."""
        latest: dict[str, Row] = {}
        for row in rows:
            self._last = row
            if row.day is None:
                latest[row.plan_id] = row
            else:
                self.today = row.day if self.today is None else max(self.today, row.day)
        every = list(latest.values())
        for start in range(0, len(every), LOAD_ROWS):
            self._put(every[start : start + LOAD_ROWS])

    def adopt(self, finding: Finding) -> None:
        """Take a finding as it was last written; a later revision of the same finding replaces it."""
        self._ledger.adopt(finding)

    def drop(self, finding_key: str) -> None:
        """Take note that a finding was removed for good; *finding_key* is its id."""
        self._ledger.drop(finding_key)

    def reconcile(self) -> list[FindingEvent]:
        """Compare all that is held with all that was said; the rest of the answer comes from `catch_up`."""
        if self.today is None:
            return []
        self._queue_all()
        return self.catch_up()

    def catch_up(self, pairs: int = CATCH_UP_PAIRS) -> list[FindingEvent]:
        """Judge up to so many queued pairs and say what was not said for this day, these rules and revisions."""
        events: list[FindingEvent] = []
        while self._to_judge and pairs > 0 and self.today is not None and self._last is not None:
            head = self._to_judge.popleft()
            if len(head) > pairs:
                self._to_judge.appendleft(head[pairs:])
                head = head[:pairs]
            pairs -= len(head)
            events += self._ledger.settle(head, self.today, {}, last=self._last, again=False)
        return events

    def apply(self, rows: Sequence[Row]) -> list[FindingEvent]:
        """Take rows in log order and return what they lead to; ticks among them are obeyed in their place."""
        events: list[FindingEvent] = []
        for is_tick, part in groupby(rows, key=lambda row: row.day is not None):
            if is_tick:
                for row in part:
                    events += self._tick(row)
            else:
                events += self._apply(list(part))
        return events

    def tick(self, day: date, *, at: datetime, cause_id: str) -> list[FindingEvent]:
        """Let a new day begin: works that are over end, assumed ends move, all pairs queue for `catch_up`."""
        return self._tick(tick(day, at=at, cause_id=cause_id))

    def _apply(self, rows: list[Row]) -> list[FindingEvent]:
        causes: dict[int, Cause] = {}
        for row in rows:
            slot = self.plans.slot(row.plan_id)
            before = causes[slot].event_ids if slot in causes else ()
            causes[slot] = Cause(row, (*before, row.cause_id))
        self._last = rows[-1]
        pairs = self._put([cause.row for cause in causes.values()])
        if self.today is None:
            return []
        return self._ledger.settle(pairs, self.today, causes, last=self._last, again=True)

    def _tick(self, row: Row) -> list[FindingEvent]:
        self._last = row
        if row.day is None or (self.today is not None and row.day <= self.today):
            return []
        before, self.today = self.today, row.day
        moved = self._slots_that_move(before, row.day)
        pairs = self._pair_up(moved)
        events = self._ledger.settle(pairs, row.day, {}, last=row, again=False)
        events += self._ledger.sweep(row.day, row)
        self._queue_all()
        return events + self.catch_up()

    def _put(self, rows: Sequence[Row]) -> Pairs:
        """Store rows, one per plan, and return the pairs of these plans: that hold, and that ended."""
        found = [row.plan.geometry if row.plan else None for row in rows]
        shapes, repaired = geometry.repair_many(geometry.to_metric_many(found, self._metric_crs))
        slots = np.fromiter((self.plans.slot(row.plan_id) for row in rows), dtype=np.int64, count=len(rows))
        for row, slot, index in zip(rows, slots.tolist(), range(len(rows)), strict=True):
            self._put_one(row, slot, shapes[index : index + 1], bool(repaired[index]))
        return self._pair_up(slots)

    def _put_one(self, row: Row, slot: int, shape: Shapes, repaired: bool) -> None:
        plan = row.plan
        if plan is None:
            self.plans.remove(slot)
            return
        if shape[0] is None and plan.geometry is not None:
            try:
                geometry.to_metric(plan.geometry, self._metric_crs)
            except Reject as error:
                self.rejected.append((plan.id, error))
        if isinstance(plan, Restriction):
            self._put_zone(plan, row.revision, slot, shape[0], repaired)
        elif isinstance(subject := subject_with(plan, row.revision, self._rules, shape[0], repaired), Gone):
            self.plans.put_gone(slot, subject, _side(plan, row.revision))
        else:
            self.plans.put(slot, subject)
        if row.first_load:
            self.plans.note_first_load(slot)

    def _put_zone(
        self, restriction: Restriction, revision: int, slot: int, shape: BaseGeometry | None, repaired: bool
    ) -> None:
        zone = zone_with(restriction, revision, self._rules, shape, repaired)
        if isinstance(zone, Gone):
            self.plans.zones.pop(slot, None)
            self.plans.put_gone(slot, zone, _side(restriction, revision))
        else:
            self.plans.put_zone(slot, zone)

    def _pair_up(self, slots: Slots) -> Pairs:
        """Tell the kernel where and when these plans are now; works that are over are nowhere."""
        today = day_number(self.today) if self.today else np.iinfo(np.int32).min
        start, end = self.plans.envelope(slots, today)
        shapes = self.plans.shapes[slots]
        shapes[end < today] = None
        same = self._rules.rules.clash.include_same_owner
        groups = self.plans.groups(slots, skip_same_owner=not same)
        found = self.kernel.apply(slots, shapes, start, end, groups)
        self.kept += len(found.started) + len(found.kept)
        return np.concatenate([found.ended, found.started, found.kept])

    def _slots_that_move(self, before: date | None, today: date) -> Slots:
        """Plans that are over since *before*, or whose assumed end moves along with the day."""
        slots = np.flatnonzero(self.plans.is_matched(np.arange(len(self.plans))))
        now = day_number(today)
        then = np.iinfo(np.int32).min if before is None else day_number(before)
        end_then, end_now = self.plans.envelope(slots, then)[1], self.plans.envelope(slots, now)[1]
        moved: Slots = slots[(end_then != end_now) | ((end_now < now) & (end_now >= then))]
        return moved

    def _queue_all(self) -> None:
        every = np.sort(np.concatenate([self.kernel.pairs().reshape(-1, 2), self._ledger.open_pairs()]), axis=1)
        self._to_judge.clear()
        if len(every):
            self._to_judge.append(np.unique(every, axis=0))


def _side(plan: Matchable | Restriction, revision: int) -> Side:
    return Side(plan.id, revision, plan.owner.oin, plan.visibility, plan.audience)
