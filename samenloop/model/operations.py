"""What keeps the hub going: dead letters, polls, what a source remembers, who takes part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import date, datetime
from uuid import UUID

from samenloop.model.codes import (
    Clearance,
    DeadLetterStatus,
    DeadReason,
    Direction,
    PartnerStatus,
    Phase,
    PollOutcome,
    SystemState,
)
from samenloop.model.plans import NOTHING, Contact, Organisation, Plan
from samenloop.model.restrictions import Restriction
from samenloop.value import value


@value
class Header:
    """One Kafka header of a dead-lettered record; repeats and order are kept."""

    name: str
    value: bytes | None = None


@value(kw_only=True)
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


@value(kw_only=True)
class DeadLetterState:
    """What was done about a dead letter; the last one counts (nl: afhandeling van onbestelbaar bericht).

    *attempt* is the number of the attempt it speaks of, *topic* where the record was offered again, *successor* the
    letter that it became when that failed.
    """

    letter_id: UUID
    status: DeadLetterStatus
    at: datetime
    by: str
    reason: str | None = None
    attempt: int = 1
    topic: str | None = None
    successor: UUID | None = None


@value(kw_only=True)
class SourcePoll:
    """One poll of a source. read = created + updated + removed + unchanged + rejected, always.

    A removed record was not in the page that was read; *read* counts it all the same, as judged. *published* are the
    changes written for the page: created + updated + removed, but for plans that were over already and are removed
    without a word. None in polls of a version that did not say.
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
    published: int | None = None


@value(kw_only=True)
class SourceState:
    """What a source connector must remember: its cursor (*record* ``""``) or one record's fingerprint.

    Written in the same transaction as the changes it led to, so no local file holds truth. *plan* or
    *restriction* is what was last published: a record that is absent after its end is closed with it. None once it is
    deleted.
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
    restriction: Restriction | None = None


@value
class ApiKey:
    """An API key of a partner: its SHA-256, and what it may be used for (nl: API-sleutel)."""

    hash: bytes
    created_at: datetime
    scopes: tuple[str, ...] = ()
    label: str | None = None


@value(kw_only=True)
class SourceStatus:
    """One IT system in use and how its feed is doing, as last observed. Written by the health view only.

    The counts of 24 hours are of the last 24 whole hours and the running one (UTC): *polls_24h* by outcome and
    *records_24h* by what became of them, in lower case. *rejected_24h* counts different records, however often they
    were refused. Several *sources* of one system are added up; the worst of them gives the state.
    """

    system: str
    owner: Organisation
    name: str
    connector: str
    protocol: str
    freshness_objective_s: int
    observed_at: datetime
    sources: tuple[str, ...] = ()
    product: str | None = None
    standards: tuple[str, ...] = ()
    direction: Direction = Direction.UNKNOWN
    licence: str | None = None
    contact: Contact | None = None
    state: SystemState = SystemState.UNKNOWN
    error_code: str | None = None
    last_success_at: datetime | None = None
    newest_record_at: datetime | None = None
    plans: int = 0
    rejected_24h: int = 0
    polls_24h: Mapping[str, int] = field(default_factory=lambda: NOTHING)
    records_24h: Mapping[str, int] = field(default_factory=lambda: NOTHING)


@value(kw_only=True)
class Partner:
    """An organisation that takes part: its clearance and its API keys (nl: partner).

    *key_hashes* are keys that may do everything a partner may. *mandate* names other owners for whom it may send
    plans: their OINs, or ``any``.
    """

    oin: str
    name: str
    created_at: datetime
    updated_at: datetime
    clearance: Clearance = Clearance.PARTNERS
    key_hashes: tuple[bytes, ...] = ()
    status: PartnerStatus = PartnerStatus.ACTIVE
    keys: tuple[ApiKey, ...] = ()
    mandate: tuple[str, ...] = ()
