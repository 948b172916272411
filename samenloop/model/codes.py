"""The closed lists of words: each begins with the one that is safe when a reader does not know better."""

from __future__ import annotations

from enum import StrEnum


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


class RestrictionKind(StrEnum):
    """What sort of restriction (nl: soort beperking). A DETOUR restricts nothing by itself."""

    UNKNOWN = "UNKNOWN"
    MORATORIUM = "MORATORIUM"
    EXCLUSION_ZONE = "EXCLUSION_ZONE"
    DETOUR = "DETOUR"


class RestrictionStatus(StrEnum):
    """Where a restriction stands (nl: status van beperking). Only PROPOSED and IN_FORCE are judged."""

    UNKNOWN = "UNKNOWN"
    PROPOSED = "PROPOSED"
    IN_FORCE = "IN_FORCE"
    ENDED = "ENDED"
    CANCELLED = "CANCELLED"


class Force(StrEnum):
    """Whether a restriction binds (nl: bindend). ADVISORY never blocks."""

    UNKNOWN = "UNKNOWN"
    ADVISORY = "ADVISORY"
    BINDING = "BINDING"


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


class DeadLetterStatus(StrEnum):
    """What was done about a dead letter (nl: afhandeling). REPLAYED: offered again, its outcome not known yet."""

    UNKNOWN = "UNKNOWN"
    REPLAYED = "REPLAYED"
    TAKEN = "TAKEN"
    FAILED_AGAIN = "FAILED_AGAIN"
    DISCARDED = "DISCARDED"


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


class Direction(StrEnum):
    """Which way data goes between the hub and a system."""

    UNKNOWN = "UNKNOWN"
    READ = "READ"
    WRITE = "WRITE"
    BOTH = "BOTH"


class SystemState(StrEnum):
    """How a system's feed is doing. UNKNOWN was never read, RETIRED is no longer in the settings."""

    UNKNOWN = "UNKNOWN"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    FAILED = "FAILED"
    RETIRED = "RETIRED"


class PartnerStatus(StrEnum):
    """Whether a partner may use the hub."""

    UNKNOWN = "UNKNOWN"
    ACTIVE = "ACTIVE"
    REVOKED = "REVOKED"
