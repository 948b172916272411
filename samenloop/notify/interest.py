"""What one subscription wants to hear, and in which role.

Area: only what touches it. Types, filters, kinds and sources: empty means all. An INFO conflict is pulled, not pushed,
unless `min_severity: INFO` asks for it. Plans of others are news only to a subscription with an area, or one that names
their type.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Protocol

import shapely
from shapely.geometry.base import BaseGeometry

from samenloop import visibility
from samenloop.errors import Reject
from samenloop.geometry import repair, to_metric
from samenloop.model import (
    Certainty,
    Conflict,
    Finding,
    Partner,
    PartnerStatus,
    PartyRole,
    Plan,
    PlanKind,
    PlanRegion,
    Restriction,
    Severity,
    Subject,
    SubscriberRole,
    Subscription,
    SubscriptionStatus,
)
from samenloop.notify import filters
from samenloop.notify.baseline import PlanFigures, plan_figures
from samenloop.visibility import Viewer

PLAN_CHANGED = "nl.samenloop.plan-state-changed.v1"
PLAN_REMOVED = "nl.samenloop.plan-removed.v1"
PLAN_WITHDRAWN = "nl.samenloop.plan-withdrawn.v1"
FIRST_LOAD = "nl.samenloop.first-load-summary.v1"
SUBSCRIPTION_TEST = "nl.samenloop.subscription-test.v1"
FINDING_KIND = "urn:samenloop:finding-kind:"
WORK_KIND = "urn:samenloop:work-kind:"

_SEVERITIES = (Severity.UNKNOWN, Severity.INFO, Severity.WARNING, Severity.BLOCKING)
_AUTHORITIES = frozenset({PartyRole.ROAD_AUTHORITY, PartyRole.PERMIT_AUTHORITY})
_ROLES = (SubscriberRole.OWNER, SubscriberRole.AUTHORITY, SubscriberRole.PARTICIPANT)


class Row(Protocol):
    """What a row of plan-regions says besides its plan or restriction."""

    @property
    def revision(self) -> int: ...
    @property
    def accepted_at(self) -> datetime: ...
    @property
    def cause_id(self) -> str: ...
    @property
    def first_load(self) -> bool: ...


class Known:
    """A plan or restriction as last seen, with its geometry in metres worked out once, when first asked for."""

    def __init__(self, row: Row, plan: Subject, metric_crs: str) -> None:
        self.row, self.plan, self._crs = row, plan, metric_crs

    @cached_property
    def shape(self) -> BaseGeometry | None:
        """The geometry in metres, repaired; None where there is none or it has no place in the hub's CRS."""
        if self.plan.geometry is None:
            return None
        try:
            return repair(to_metric(self.plan.geometry, self._crs))[0]
        except Reject:
            return None

    def figures(self, committed: Collection[Certainty]) -> PlanFigures:
        """The figures that are compared later."""
        if self.shape is None:
            return plan_figures(self.plan, None, None, committed)
        x0, y0, x1, y1 = (round(float(v), 1) for v in self.shape.bounds)
        return plan_figures(self.plan, float(shapely.area(self.shape)), (x0, y0, x1, y1), committed)


class KnownPlan(Known):
    """A plan as last seen."""

    row: PlanRegion
    plan: Plan


@dataclass(frozen=True, slots=True, eq=False)
class Interest:
    """A subscription that is active, with what is worked out of it once."""

    subscription: Subscription
    viewer: Viewer
    area: BaseGeometry | None
    source: str
    """The `source` of every event that is told: the hub's own URN."""

    filters: Sequence[filters.Filter] = ()

    @property
    def oin(self) -> str:
        """Who is told."""
        return self.subscription.subscriber_oin

    def sees(self, plans: Iterable[Subject]) -> bool:
        """Say whether the subscriber may see every one of *plans*."""
        return visibility.may_see_all(plans, self.viewer)

    def finding_role(self, finding: Finding, plans: Collection[Known]) -> SubscriberRole | None:
        """Return the role in which a finding concerns the subscriber; None when it was not asked for.

        Thresholds are left out: see `passes`.
        """
        kinds = [kind for kind in self.subscription.kinds if kind.startswith(FINDING_KIND)]
        if kinds and finding.kind not in kinds:
            return None
        return self._role(plans) if self._from_sources(plans) and self._touches(plans) else None

    def plan_role(self, known: KnownPlan) -> SubscriberRole | None:
        """Return the role in which a plan of another concerns the subscriber; None when it was not asked for."""
        plan, asked = known.plan, self.subscription
        if plan.owner.oin == self.oin or plan.kind is PlanKind.OBSERVATION:
            return None
        if not (PLAN_CHANGED in asked.types or (not asked.types and self.area is not None)):
            return None
        if not self.takes(PLAN_CHANGED, plan.id):
            return None
        kinds = [kind for kind in asked.kinds if kind.startswith(WORK_KIND)]
        if kinds and not set(kinds) & set(plan.work_kinds):
            return None
        return self._role([known]) if self._from_sources([known]) and self._touches([known]) else None

    def takes(self, event_type: str, subject: str) -> bool:
        """Say whether the subscription's types and filters take an event with these attributes."""
        if self.subscription.types and event_type not in self.subscription.types:
            return False
        return filters.takes(self.filters, {"type": event_type, "source": self.source, "subject": subject})

    def passes(self, finding: Finding) -> bool:
        """Say whether a finding is above the subscription's own thresholds: severity, or score; and area."""
        own = self.subscription.materiality
        area = finding.evidence.overlap_m2 or 0.0
        if 0 < area < own.min_area_m2:
            return False
        if not isinstance(finding, Conflict):
            return finding.score >= own.min_score
        least = Severity.WARNING if own.min_severity is Severity.UNKNOWN else own.min_severity
        return finding.severity is Severity.UNKNOWN or _rank(finding.severity) >= _rank(least)

    def passes_masked(self, finding: Finding) -> bool:
        """Say whether a finding that is told masked is above the threshold of severity, the only one that may ask."""
        own = self.subscription.materiality
        least = Severity.WARNING if own.min_severity is Severity.UNKNOWN else own.min_severity
        return finding.severity is Severity.UNKNOWN or _rank(finding.severity) >= _rank(least)

    def _from_sources(self, plans: Collection[Known]) -> bool:
        sources = self.subscription.sources
        return not sources or any(known.plan.system in sources for known in plans)

    def _touches(self, plans: Collection[Known]) -> bool:
        """Where works meet a zone, only the works count: a zone may span a town."""
        if self.area is None:
            return True
        placed = [known for known in plans if isinstance(known.plan, Plan)] or plans
        return any(known.shape is not None and self.area.intersects(known.shape) for known in placed)

    def _role(self, plans: Collection[Known]) -> SubscriberRole | None:
        found = {role for known in plans for role in _roles(known.plan, self.oin)}
        asked = self.subscription.roles
        wanted = [role for role in (*_ROLES, SubscriberRole.OBSERVER) if not asked or role in asked]
        if not found:
            found = {SubscriberRole.OBSERVER}
        return next((role for role in wanted if role in found), None)


def interest_of(subscription: Subscription, partner: Partner | None, metric_crs: str, source: str) -> Interest | None:
    """Return what a subscription of an active partner wants; None when it is not active, nor paused.

    The alerts of a paused one wait at the sink, so that nothing is lost. An area that cannot be read in metres of
    *metric_crs*, or filters that cannot be understood, leave nothing to tell: None as well.
    """
    if subscription.status not in (SubscriptionStatus.ACTIVE, SubscriptionStatus.PAUSED):
        return None
    if partner is None or partner.status is not PartnerStatus.ACTIVE:
        return None
    area: BaseGeometry | None = None
    try:
        asked = filters.from_text(subscription.filters)
        if subscription.area is not None:
            area = to_metric(subscription.area, metric_crs)
            shapely.prepare(area)
    except Reject:
        return None
    clearance = visibility.lower(partner.clearance, subscription.clearance)
    return Interest(subscription, Viewer(subscription.subscriber_oin, clearance), area, source, asked)


def _roles(plan: Subject, oin: str) -> Iterable[SubscriberRole]:
    if plan.owner.oin == oin:
        yield SubscriberRole.OWNER
    if isinstance(plan, Restriction):
        if plan.owner.oin == oin:
            yield SubscriberRole.AUTHORITY
        return
    for party in plan.parties:
        if party.oin == oin:
            yield SubscriberRole.AUTHORITY if party.role in _AUTHORITIES else SubscriberRole.PARTICIPANT


def _rank(severity: Severity) -> int:
    return _SEVERITIES.index(severity)
