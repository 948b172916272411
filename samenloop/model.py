"""The domain's values: a plan, a finding, and what they are made of.

One name everywhere: attribute here = Avro field = JSON property. Values are frozen; nothing here knows a clock, a
file or a network. Dates are local calendar days (Europe/Amsterdam unless a source says otherwise) with **inclusive
ends**; instants are aware UTC datetimes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID

NOTHING: Mapping[str, str] = MappingProxyType({})


class PlanKind(StrEnum):
    """What sort of thing is planned (nl: plansoort). OBSERVATION and PROGRAMME are never matched."""

    UNKNOWN = "UNKNOWN"
    PROGRAMME = "PROGRAMME"
    PROJECT = "PROJECT"
    WORKS = "WORKS"
    EXCAVATION = "EXCAVATION"
    OCCUPATION = "OCCUPATION"
    EVENT = "EVENT"
    OBSERVATION = "OBSERVATION"


class Phase(StrEnum):
    """How far the works are (nl: fase). Stored as reported: a plan may go backwards."""

    UNKNOWN = "UNKNOWN"
    INITIATIVE = "INITIATIVE"
    FEASIBILITY = "FEASIBILITY"
    DESIGN = "DESIGN"
    PREPARATION = "PREPARATION"
    EXECUTION = "EXECUTION"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"


class Certainty(StrEnum):
    """How sure the owner is of place and time (nl: zekerheid). FIXED and PERMITTED are *committed*."""

    UNKNOWN = "UNKNOWN"
    INDICATIVE = "INDICATIVE"
    INTENDED = "INTENDED"
    FIXED = "FIXED"
    PERMITTED = "PERMITTED"


class Visibility(StrEnum):
    """Who may see it (nl: zichtbaarheid). RESTRICTED, the safe one, is the default."""

    RESTRICTED = "RESTRICTED"
    GROUP = "GROUP"
    PARTNERS = "PARTNERS"
    PUBLIC = "PUBLIC"


class Precision(StrEnum):
    """How coarse a period is (nl: precisie)."""

    UNKNOWN = "UNKNOWN"
    DAY = "DAY"
    WEEK = "WEEK"
    MONTH = "MONTH"
    QUARTER = "QUARTER"
    YEAR = "YEAR"


class EndKind(StrEnum):
    """Where a period's end comes from (nl: soort einde)."""

    UNKNOWN = "UNKNOWN"
    GIVEN = "GIVEN"
    SENTINEL = "SENTINEL"
    INDEFINITE = "INDEFINITE"


class PartyRole(StrEnum):
    """What a party does in a plan (nl: rol van betrokkene)."""

    UNKNOWN = "UNKNOWN"
    CLIENT = "CLIENT"
    LEAD = "LEAD"
    CONTRACTOR = "CONTRACTOR"
    NETWORK_OPERATOR = "NETWORK_OPERATOR"
    ROAD_AUTHORITY = "ROAD_AUTHORITY"
    PERMIT_AUTHORITY = "PERMIT_AUTHORITY"


class RelationKind(StrEnum):
    """How two plans hang together (nl: soort relatie)."""

    UNKNOWN = "UNKNOWN"
    PART_OF = "PART_OF"
    RELATED = "RELATED"
    SAME_WORKS = "SAME_WORKS"
    AFTER = "AFTER"


class TrafficImpact(StrEnum):
    """What motor traffic notices (nl: verkeershinder). UNKNOWN counts as not hindering."""

    UNKNOWN = "UNKNOWN"
    NONE = "NONE"
    REDUCED = "REDUCED"
    ALTERNATING = "ALTERNATING"
    CLOSED = "CLOSED"


class Cooperation(StrEnum):
    """Whether the owner wants to work together (nl: samenwerking gewenst)."""

    UNKNOWN = "UNKNOWN"
    CLOSED = "CLOSED"
    OPEN = "OPEN"
    SOUGHT = "SOUGHT"


class ChangeKind(StrEnum):
    """What happened to a plan (nl: wijzigingsoort)."""

    UNKNOWN = "UNKNOWN"
    CREATED = "CREATED"
    UPDATED = "UPDATED"
    CANCELLED = "CANCELLED"
    DELETED = "DELETED"
    SNAPSHOT = "SNAPSHOT"


class ChangeReason(StrEnum):
    """Why a plan changed (nl: reden)."""

    UNKNOWN = "UNKNOWN"
    REPORTED = "REPORTED"
    ABSENT = "ABSENT"
    CORRECTED = "CORRECTED"
    ERASED = "ERASED"


class FindingStatus(StrEnum):
    """Where a finding stands (nl: status van bevinding). The last three are closed."""

    UNKNOWN = "UNKNOWN"
    OPEN = "OPEN"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    RESOLVED = "RESOLVED"
    EXPIRED = "EXPIRED"
    WITHDRAWN = "WITHDRAWN"


class Severity(StrEnum):
    """How bad a conflict is (nl: informatief, waarschuwing, ernstig). An attribute, never part of an id."""

    UNKNOWN = "UNKNOWN"
    INFO = "INFO"
    WARNING = "WARNING"
    BLOCKING = "BLOCKING"


class ContactKind(StrEnum):
    """How two geometries meet (nl: soort raakvlak)."""

    UNKNOWN = "UNKNOWN"
    OVERLAP = "OVERLAP"
    TOUCH = "TOUCH"
    NEAR = "NEAR"


class RemedyKind(StrEnum):
    """What would dissolve a finding (nl: soort oplossing)."""

    UNKNOWN = "UNKNOWN"
    SHIFT = "SHIFT"
    SHORTEN = "SHORTEN"
    NARROW = "NARROW"
    REROUTE = "REROUTE"
    COMBINE = "COMBINE"
    CONFIRM = "CONFIRM"


class Verdict(StrEnum):
    """What an organisation says of a conflict (nl: beoordeling)."""

    UNJUDGED = "UNJUDGED"
    CONFIRMED = "CONFIRMED"
    REJECTED = "REJECTED"
    REVIEW = "REVIEW"


class Answer(StrEnum):
    """What an organisation answers to an opportunity (nl: antwoord). Silence is never consent."""

    PENDING = "PENDING"
    AGREED = "AGREED"
    DECLINED = "DECLINED"
    NO_ANSWER = "NO_ANSWER"


class SubscriberRole(StrEnum):
    """Why a subscriber is concerned (nl: rol van abonnee)."""

    UNKNOWN = "UNKNOWN"
    OWNER = "OWNER"
    PARTICIPANT = "PARTICIPANT"
    AUTHORITY = "AUTHORITY"
    OBSERVER = "OBSERVER"


class Digest(StrEnum):
    """How alerts are bundled (nl: bundeling)."""

    IMMEDIATE = "IMMEDIATE"
    HOURLY = "HOURLY"
    DAILY = "DAILY"
    WEEKLY = "WEEKLY"


class Payload(StrEnum):
    """Whether an alert carries the finding itself."""

    THIN = "THIN"
    FULL = "FULL"


class Clearance(StrEnum):
    """What a partner or subscription may see (nl: autorisatieniveau). PUBLIC, the safe one, is the default."""

    PUBLIC = "PUBLIC"
    PARTNERS = "PARTNERS"
    GROUP = "GROUP"
    RESTRICTED = "RESTRICTED"


class Protocol(StrEnum):
    """How alerts reach a subscriber."""

    UNKNOWN = "UNKNOWN"
    HTTP = "HTTP"
    MAIL = "MAIL"
    KAFKA = "KAFKA"


class SubscriptionStatus(StrEnum):
    """Where a subscription stands (nl: status van abonnement)."""

    REQUESTED = "REQUESTED"
    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    ENDED = "ENDED"


class AlertReason(StrEnum):
    """Why a subscriber is told (nl: reden)."""

    UNKNOWN = "UNKNOWN"
    NEW = "NEW"
    CHANGED = "CHANGED"
    ENDED = "ENDED"
    REMINDER = "REMINDER"
    TEST = "TEST"


class Mode(StrEnum):
    """Live news or a replay; replays stay out of the objectives."""

    UNKNOWN = "UNKNOWN"
    LIVE = "LIVE"
    REPLAY = "REPLAY"


class Outcome(StrEnum):
    """What became of a delivery attempt (nl: uitkomst). All but RETRY are final."""

    UNKNOWN = "UNKNOWN"
    DELIVERED = "DELIVERED"
    ACCEPTED = "ACCEPTED"
    REFUSED = "REFUSED"
    RETRY = "RETRY"
    GIVEN_UP = "GIVEN_UP"
    EXPIRED = "EXPIRED"
    WITHHELD = "WITHHELD"
    ECHO = "ECHO"


class DeadReason(StrEnum):
    """Why a record was set aside (nl: oorzaak)."""

    UNKNOWN = "UNKNOWN"
    MALFORMED = "MALFORMED"
    SCHEMA = "SCHEMA"
    VALIDATION = "VALIDATION"
    AUTHORISATION = "AUTHORISATION"
    LOOP = "LOOP"
    OVERSIZE = "OVERSIZE"
    DELIVERY = "DELIVERY"
    INTERNAL = "INTERNAL"


class PollOutcome(StrEnum):
    """How a poll of a source ended."""

    UNKNOWN = "UNKNOWN"
    OK = "OK"
    UNCHANGED = "UNCHANGED"
    HELD = "HELD"
    RATE_LIMITED = "RATE_LIMITED"
    AUTH = "AUTH"
    TIMEOUT = "TIMEOUT"
    HTTP_ERROR = "HTTP_ERROR"
    PARSE_ERROR = "PARSE_ERROR"


class PartnerStatus(StrEnum):
    """Whether a partner may use the hub."""

    UNKNOWN = "UNKNOWN"
    ACTIVE = "ACTIVE"
    REVOKED = "REVOKED"


@dataclass(frozen=True, slots=True)
class Organisation:
    """An organisation (nl: organisatie): OIN, or a hub identity ``urn:samenloop:org:<slug>`` where there is none."""

    oin: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Party:
    """An organisation in a role beside the owner (nl: betrokkene); never a person."""

    role: PartyRole = PartyRole.UNKNOWN
    oin: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Geometry:
    """Where, as the source gave it: ISO WKB, two-dimensional, without SRID, x before y, in *crs* (an OGC URI)."""

    wkb: bytes
    crs: str
    accuracy_m: float | None = None


@dataclass(frozen=True, slots=True)
class Period:
    """When: local days, *end* and *latest_end* inclusive; a missing end is open (see *end_kind*)."""

    start: date | None = None
    end: date | None = None
    precision: Precision = Precision.UNKNOWN
    end_kind: EndKind = EndKind.UNKNOWN
    earliest_start: date | None = None
    latest_end: date | None = None
    duration_days: int | None = None


@dataclass(frozen=True, slots=True)
class Contact:
    """Functional contact point (nl: contactpunt); never a person."""

    unit: str
    email: str | None = None
    phone: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Reference:
    """A number elsewhere: permit, dig report, road (nl: verwijzing)."""

    scheme: str
    value: str


@dataclass(frozen=True, slots=True)
class Relation:
    """A tie to another plan (nl: relatie)."""

    plan_id: str
    kind: RelationKind = RelationKind.UNKNOWN


@dataclass(frozen=True, slots=True)
class Validity:
    """When a version described the world: half open, ``[valid_from, valid_until)`` (nl: geldigheid)."""

    valid_from: datetime
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a change began (nl: herkomst)."""

    oin: str
    system: str
    event_id: str
    cause_id: str | None = None
    hops: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """An intention to do works at a place in a period: the unit that is exchanged (nl: plan)."""

    id: str
    system: str
    local_id: str
    owner: Organisation
    title: str
    source_version: str | None = None
    parties: tuple[Party, ...] = ()
    description: str | None = None
    kind: PlanKind = PlanKind.UNKNOWN
    phase: Phase = Phase.UNKNOWN
    certainty: Certainty = Certainty.UNKNOWN
    visibility: Visibility = Visibility.RESTRICTED
    audience: tuple[str, ...] = ()
    period: Period = Period()
    work_periods: tuple[Period, ...] = ()
    geometry: Geometry | None = None
    work_kinds: tuple[str, ...] = ()
    assets: tuple[str, ...] = ()
    ground_disturbing: bool | None = None
    max_depth_m: float | None = None
    traffic_impact: TrafficImpact = TrafficImpact.UNKNOWN
    permit_submission: date | None = None
    cooperation: Cooperation = Cooperation.UNKNOWN
    relations: tuple[Relation, ...] = ()
    references: tuple[Reference, ...] = ()
    contact: Contact | None = None
    confirmed_at: datetime | None = None
    source_fields: Mapping[str, str] = field(default_factory=lambda: NOTHING)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanChanged:
    """One change of one plan, as its source reported it; *plan* is the full new state, None when DELETED."""

    plan_id: str
    change: ChangeKind
    validity: Validity
    recorded_at: datetime
    ingested_at: datetime
    origin: Origin
    reason: ChangeReason = ChangeReason.REPORTED
    changed_fields: tuple[str, ...] = ()
    sequence: int = 0
    content_hash: bytes | None = None
    plan: Plan | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldOrigin:
    """Who supplied a field, and when (nl: veldherkomst)."""

    system: str
    event_id: str
    recorded_at: datetime
    derived: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanState:
    """The shared truth of one plan; *revision* rises from 1 and is its ETag. Removed plans are a null value."""

    plan_id: str
    revision: int
    validity: Validity
    registered_at: datetime
    sequence: int
    event_id: str
    content_hash: bytes
    provenance: Mapping[str, FieldOrigin]
    plan: Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRegion:
    """Internal row of `plan-regions`: what detect and notify need of one plan, or a tick of the day.

    *version* is the offset of the accepted change + 1: it only rises per plan, also over deletion and return.
    A tick has *day* and no plan. A removed plan is a null value, its version in the header `version`.
    """

    plan_id: str
    version: int
    revision: int
    accepted_at: datetime
    cause_id: str
    first_load: bool = False
    day: date | None = None
    plan: Plan | None = None


@dataclass(frozen=True, slots=True)
class Participant:
    """A plan in a finding, at the revision that was judged (nl: betrokken plan)."""

    id: str
    revision: int
    owner_oin: str


@dataclass(frozen=True, slots=True)
class Remedy:
    """One step that would dissolve a conflict or seal an opportunity; *days* signed: later is positive."""

    kind: RemedyKind
    participant_id: str
    days: int | None = None
    metres: float | None = None


@dataclass(frozen=True, slots=True)
class ScorePart:
    """One term of a score: *value* 0..1 times *weight*."""

    name: str
    value: float
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a finding rests on: enough to repeat the decision.

    Distances, areas and lengths in metres of the hub's metric CRS (*metric_crs*, default EPSG:28992), geometries as
    given, never buffered. *overlap_days* or *gap_days* is set, never both. Flags: assumed_end, geometry_repaired,
    extent_known, coarse_period, within_accuracy.
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


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one organisation says of a conflict."""

    oin: str
    at: datetime
    verdict: Verdict = Verdict.UNJUDGED


@dataclass(frozen=True, slots=True)
class Reply:
    """What one organisation answers to an opportunity."""

    oin: str
    answer: Answer = Answer.PENDING
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Plans that cannot all go on as planned (nl: conflict)."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True)
class Materiality:
    """Below these a subscriber is left alone (nl: drempels)."""

    min_severity: Severity = Severity.UNKNOWN
    min_score: float = 0.0
    min_shift_days: int = 0
    min_area_m2: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """Who is told what, where to, and from which threshold (nl: abonnement)."""

    id: UUID
    revision: int
    subscriber_oin: str
    sink: str
    created_at: datetime
    updated_at: datetime
    types: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    filters: str | None = None
    area: Geometry | None = None
    kinds: tuple[str, ...] = ()
    roles: tuple[SubscriberRole, ...] = ()
    materiality: Materiality = Materiality()
    digest: Digest = Digest.IMMEDIATE
    payload: Payload = Payload.FULL
    clearance: Clearance = Clearance.PUBLIC
    protocol: Protocol = Protocol.HTTP
    secret_ref: str | None = None
    rate_per_minute: int | None = None
    language: str = "nl"
    status: SubscriptionStatus = SubscriptionStatus.REQUESTED
    status_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One message to one subscriber; *data* is JSON text already filtered for that subscriber, None when thin."""

    id: UUID
    subscription_id: UUID
    sequence: int
    event_id: str
    event_type: str
    subject_id: str
    subject_revision: int
    accepted_at: datetime
    created_at: datetime
    due_at: datetime
    reason: AlertReason = AlertReason.UNKNOWN
    role: SubscriberRole = SubscriberRole.UNKNOWN
    severity: Severity = Severity.UNKNOWN
    mode: Mode = Mode.LIVE
    expires_at: datetime | None = None
    data: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryReceipt:
    """What one attempt to deliver one alert led to (nl: afleverbewijs)."""

    id: UUID
    alert_id: UUID
    subscription_id: UUID
    subscriber_oin: str
    subject_id: str
    attempt: int
    attempted_at: datetime
    outcome: Outcome = Outcome.UNKNOWN
    http_status: int | None = None
    problem: str | None = None
    partner_version: str | None = None
    sent_hash: bytes | None = None
    duration_ms: int = 0
    next_attempt_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertState:
    """What a subscription was last told of a subject: the baseline of materiality, and the alert sequence.

    *subject_id* is a finding or plan id, or ``""`` for the subscription's own counter (*sequence*).
    *told* is the JSON text of the compared figures (see `samenloop.notify`).
    """

    subscription_id: UUID
    subject_id: str
    sequence: int
    told_at: datetime
    told: str | None = None
    open: bool = False


@dataclass(frozen=True, slots=True)
class Header:
    """One Kafka header of a dead-lettered record; repeats and order are kept."""

    name: str
    value: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A record set aside, byte for byte, with the reason (nl: onbestelbaar bericht)."""

    id: UUID
    code: str
    detail: str
    stage: str
    retryable: bool
    failed_at: datetime
    reason: DeadReason = DeadReason.UNKNOWN
    system: str | None = None
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    key: bytes | None = None
    value: bytes | None = None
    value_sha256: bytes | None = None
    headers: tuple[Header, ...] = ()
    attempts: int = 1
    traceparent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePoll:
    """One poll of a source. read = created + updated + removed + unchanged + rejected, always.

    A removed record was not in the page that was read; *read* counts it all the same, as judged.
    """

    id: UUID
    source: str
    connector: str
    started_at: datetime
    duration_ms: int
    outcome: PollOutcome = PollOutcome.UNKNOWN
    error_code: str | None = None
    detail: str | None = None
    snapshot_id: str | None = None
    read: int = 0
    created: int = 0
    updated: int = 0
    removed: int = 0
    unchanged: int = 0
    rejected: int = 0
    newest_record_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """What a source connector must remember: its cursor (*record* ``""``) or one record's fingerprint.

    Written in the same transaction as the changes it led to, so no local file holds truth. *plan* is the plan as last
    published: a record that is absent after its end is closed with it (phase COMPLETED). None once it is deleted.
    """

    source: str
    record: str
    snapshot_id: str | None = None
    cursor: str | None = None
    fingerprint: bytes | None = None
    content_hash: bytes | None = None
    sequence: int = 0
    absences: int = 0
    gone: bool = False
    last_end: date | None = None
    phase: Phase = Phase.UNKNOWN
    held: str | None = None
    plan: Plan | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner:
    """An organisation that takes part: its clearance and the SHA-256 of its API keys (nl: partner)."""

    oin: str
    name: str
    created_at: datetime
    updated_at: datetime
    clearance: Clearance = Clearance.PARTNERS
    key_hashes: tuple[bytes, ...] = ()
    status: PartnerStatus = PartnerStatus.ACTIVE
