"""A conflict, an opportunity, and the evidence they rest on."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from samenloop.model.codes import Answer, ContactKind, FindingStatus, RemedyKind, Severity, Verdict, Visibility
from samenloop.model.plans import Geometry, Period
from samenloop.value import value


@value
class Participant:
    """A plan or restriction in a finding, at the revision that was judged (nl: betrokken plan)."""

    id: str
    revision: int
    owner_oin: str


@value
class Remedy:
    """One step that would dissolve a conflict or seal an opportunity; *days* signed: later is positive."""

    kind: RemedyKind
    participant_id: str
    days: int | None = None
    metres: float | None = None


@value
class ScorePart:
    """One term of a score: *value* 0..1 times *weight*."""

    name: str
    value: float
    weight: float


@value(kw_only=True)
class Evidence:
    """What a finding rests on: enough to repeat the decision.

    Distances, areas and lengths in metres of the hub's metric CRS (*metric_crs*, default EPSG:28992), geometries as
    given, never buffered. *overlap_days* or *gap_days* is set, never both. Flags: assumed_end, geometry_repaired,
    extent_known, coarse_period, within_accuracy, late_commit, ground_assumed; with a zone default_years, short_notice.
    """

    rule_id: str
    rule_version: str
    metric_crs: str
    distance_m: float | None = None
    contact_kind: ContactKind = ContactKind.UNKNOWN
    overlap_m2: float | None = None
    shared_length_m: float | None = None
    overlap_days: int | None = None
    gap_days: int | None = None
    lead_days: int | None = None
    judged_on: date | None = None
    flags: tuple[str, ...] = ()
    zone: Geometry | None = None
    period: Period | None = None
    remedies: tuple[Remedy, ...] = ()
    score_parts: tuple[ScorePart, ...] = ()


@value
class Judgement:
    """What one organisation says of a conflict."""

    oin: str
    at: datetime
    verdict: Verdict = Verdict.UNJUDGED


@value
class Reply:
    """What one organisation answers to an opportunity."""

    oin: str
    answer: Answer = Answer.PENDING
    at: datetime | None = None


@value(kw_only=True)
class Conflict:
    """Plans, or a plan and a restriction, that cannot all go on as planned (nl: conflict)."""

    id: UUID
    revision: int
    kind: str
    status: FindingStatus
    participants: tuple[Participant, ...]
    evidence: Evidence
    detected_at: datetime
    updated_at: datetime
    cause_id: str
    status_reason: str | None = None
    superseded_by: str | None = None
    severity: Severity = Severity.UNKNOWN
    visibility: Visibility = Visibility.RESTRICTED
    audience: tuple[str, ...] = ()
    closed_at: datetime | None = None
    judgements: tuple[Judgement, ...] = ()


@value(kw_only=True)
class Opportunity:
    """Plans that gain by being done together or in a certain order (nl: meekoppelkans)."""

    id: UUID
    revision: int
    kind: str
    status: FindingStatus
    participants: tuple[Participant, ...]
    evidence: Evidence
    detected_at: datetime
    updated_at: datetime
    cause_id: str
    status_reason: str | None = None
    superseded_by: str | None = None
    severity: Severity = Severity.UNKNOWN
    visibility: Visibility = Visibility.RESTRICTED
    audience: tuple[str, ...] = ()
    closed_at: datetime | None = None
    score: float = 0.0
    saving_eur: float | None = None
    lead_oin: str | None = None
    answer_by: date | None = None
    replies: tuple[Reply, ...] = ()


Finding = Conflict | Opportunity
