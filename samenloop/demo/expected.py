"""What the hub ought to find and tell, worked out apart from it: from exports and reports to plans to the batch oracle.

Nothing here looks at what the running hub did. Only what must be told is expected; a change that is told as well
(a shift of a finding that stays) is welcome but not demanded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

from samenloop import plugins
from samenloop.demo.dispatch import RD, REQUESTS, SYSTEM, Report, Urgent
from samenloop.demo.permits import zones
from samenloop.demo.region import SOURCES, WATERSCHAP, WEEKS, exports, monday
from samenloop.demo.roads import ROADS, publication
from samenloop.demo.workplace import EXPORTS, PROFILE
from samenloop.errors import Reject
from samenloop.geometry import to_model
from samenloop.model import (
    AlertReason,
    Certainty,
    EndKind,
    Organisation,
    Period,
    Phase,
    Plan,
    Precision,
    Severity,
    TrafficImpact,
    Visibility,
)
from samenloop.oracle import Expected, batch_findings
from samenloop.rules import Rules
from samenloop.rules.work_kinds import work_kind_uri
from samenloop.source import Context, Page, Source, read_snapshot

OVER = frozenset({Phase.CANCELLED, Phase.COMPLETED})
_PUSHED = frozenset({Severity.WARNING, Severity.BLOCKING, Severity.UNKNOWN})
_SHARED = frozenset({Visibility.PUBLIC, Visibility.PARTNERS})
Told = tuple[str, AlertReason]
"""A subject (finding or plan id) and why its subscriber hears of it."""


@dataclass(slots=True)
class Sender:
    """What one source's exports amount to so far: a plan that is absent is gone only after some weeks."""

    source: Source[Any]
    plans: dict[str, Plan] = field(default_factory=dict)
    absent: dict[str, int] = field(default_factory=dict)

    def take(self, body: bytes, name: str, week: int) -> None:
        """Read one export; one that is not complete changes nothing."""
        day = monday(week)
        page = Page(
            snapshot_id=day.isoformat(), taken_at=datetime.combine(day, time(11), UTC), cursor="", name=name, body=body
        )
        try:
            records = read_snapshot(self.source, page).records
        except Reject:
            return
        present = {plan.id: plan for record in records if isinstance(plan := record.plan, Plan)}
        for plan_id in self.plans.keys() - present.keys():
            self.absent[plan_id] = self.absent.get(plan_id, 0) + 1
            end = self.plans[plan_id].period.end
            if self.absent[plan_id] >= self.source.guards.absence_grace or (end is not None and end < day):
                del self.plans[plan_id]
        for plan_id, plan in present.items():
            self.plans[plan_id] = plan
            self.absent.pop(plan_id, None)


def truth(folder: Path, rules: Rules) -> Iterator[tuple[dict[str, Plan], dict[str, Expected]]]:
    """Yield, for each week, all plans by id and the findings the oracle sees among them and the zones on that Monday.

    *folder* holds each organisation's profile.
    """
    senders = {name: _sender(folder, name, "file-snapshots") for name in SOURCES}
    roads = _sender(folder, ROADS, "ndw-datex")
    pushed: dict[str, Plan] = {}
    for week in range(1, WEEKS + 1):
        for export in exports(week):
            senders[export.source].take(export.body, f"{EXPORTS}/{export.file_name}", week)
        published = publication(week)
        if published is not None:
            roads.take(published, ROADS, week)
        for report in REQUESTS[week].reports if week in REQUESTS and not REQUESTS[week].again else ():
            pushed.pop(report.plan_id, None)
            if report.works is not None:
                pushed[report.plan_id] = _reported(report, report.works)
        plans = {key: plan for one in (*senders.values(), roads) for key, plan in one.plans.items()} | pushed
        yield plans, batch_findings(plans, rules, monday(week), restrictions=zones(week))


def _sender(folder: Path, name: str, connector: str) -> Sender:
    return Sender(plugins.load("sources", connector)().open(folder / name / PROFILE, Context({})))


def _reported(report: Report, works: Urgent) -> Plan:
    """Return the plan that a pushed report means, without what reads it at the hub."""
    days = date.fromisoformat(works.start), date.fromisoformat(works.end)
    return Plan(
        id=report.plan_id,
        system=SYSTEM,
        local_id=report.number,
        owner=Organisation(*WATERSCHAP),
        title=works.title,
        phase=Phase.EXECUTION,
        certainty=Certainty.FIXED,
        visibility=Visibility(works.visibility),
        period=Period(*days, Precision.DAY, EndKind.GIVEN),
        geometry=to_model(works.place.polygon(), RD),
        work_kinds=(work_kind_uri(works.kind),),
        ground_disturbing=True,
        traffic_impact=TrafficImpact.CLOSED,
    )


def expected_alerts(folder: Path, rules: Rules, subscriber_oin: str) -> list[Told]:
    """Return what a subscriber to the whole town must be told, in order, after the first week's summary."""
    told: list[Told] = []
    known: set[str] = set()
    for week, (plans, findings) in enumerate(truth(folder, rules), 1):
        news = {key for key, found in findings.items() if _pushed(found)}
        others = {key: plan for key, plan in visible(plans, subscriber_oin).items() if plan.owner.oin != subscriber_oin}
        news |= {key for key, plan in others.items() if plan.phase not in OVER}
        still = {key for key in known if key in findings or (key in news)}
        if week > 1:
            told += [(key, AlertReason.ENDED) for key in sorted(known - still)]
            told += [(key, AlertReason.NEW) for key in sorted(news - known)]
        known = still | news
    return told


def visible(plans: Mapping[str, Plan], oin: str) -> dict[str, Plan]:
    """Return those of *plans* that a partner may see: its own, and what is for partners or for everybody."""
    return {key: plan for key, plan in plans.items() if plan.owner.oin == oin or plan.visibility in _SHARED}


def _pushed(found: Expected) -> bool:
    """Whether a finding is sent unasked: an opportunity, or a conflict that is more than INFO."""
    return found.ruling.severity in _PUSHED


def missing(wanted: Sequence[Told], told: Sequence[Told]) -> list[Told]:
    """Return what of *wanted* was not told; for one subject the order counts, and more may have been told."""
    left = list(wanted)
    for saying in told:
        first = next((one for one in left if one[0] == saying[0]), None)
        if first == saying:
            left.remove(first)
    return left
