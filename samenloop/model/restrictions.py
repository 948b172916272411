"""A restriction: where and when breaking ground is forbidden or advised against, and a source's report of one."""

from __future__ import annotations

from datetime import datetime

from samenloop.model.codes import ChangeKind, ChangeReason, Force, RestrictionKind, RestrictionStatus, Visibility
from samenloop.model.plans import Geometry, Organisation, Origin, Period, Plan, PlanChanged
from samenloop.value import value


@value(kw_only=True)
class Restriction:
    """A zone and period in which an authority restricts works (nl: beperking).

    *work_kinds* are what it is about (empty: all), *exempt_work_kinds* what it is not about; *for_plan_id* the plan
    that caused it; *legal_basis* the URI of the decision. *revision*, *content_hash* and *recorded_at* are given by the
    hub: what a report says of them is not looked at.
    """

    id: str
    system: str
    local_id: str
    owner: Organisation
    title: str
    geometry: Geometry
    revision: int = 0
    kind: RestrictionKind = RestrictionKind.UNKNOWN
    status: RestrictionStatus = RestrictionStatus.UNKNOWN
    force: Force = Force.UNKNOWN
    period: Period = Period()
    work_kinds: tuple[str, ...] = ()
    exempt_work_kinds: tuple[str, ...] = ()
    for_plan_id: str | None = None
    legal_basis: str | None = None
    visibility: Visibility = Visibility.RESTRICTED
    audience: tuple[str, ...] = ()
    content_hash: bytes | None = None
    recorded_at: datetime | None = None


@value(kw_only=True)
class RestrictionReport:
    """What a source reports of one restriction; *restriction* is its full new state, None when DELETED."""

    restriction_id: str
    change: ChangeKind
    recorded_at: datetime
    ingested_at: datetime
    origin: Origin
    reason: ChangeReason = ChangeReason.REPORTED
    changed_fields: tuple[str, ...] = ()
    sequence: int = 0
    restriction: Restriction | None = None


Subject = Plan | Restriction
"""What a finding can be about."""
Change = PlanChanged | RestrictionReport
"""What a source can say."""
