"""Records that are set aside: byte for byte, with the reason."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from uuid import UUID

from samenloop.errors import Reject
from samenloop.identity import uuid_of
from samenloop.model import DeadLetter, DeadReason, Header
from samenloop.stage import Headers, Record

LARGEST_VALUE = 900_000
"""Bytes. Above it only the digest is kept: a record must stay under the broker's one megabyte."""

REPLAY_OF, ATTEMPT = "ce_replayof", "ce_attempt"
"""Headers of a record that is offered again: the dead letter it comes from, and the number of this attempt."""
_MOST_ATTEMPTS = 1000

_REASONS = {
    "envelope": DeadReason.MALFORMED,
    "schema": DeadReason.SCHEMA,
    "mandate": DeadReason.AUTHORISATION,
    "loop": DeadReason.LOOP,
    "oversize": DeadReason.OVERSIZE,
    "delivery": DeadReason.DELIVERY,
    "internal": DeadReason.INTERNAL,
}


def reason_of(code: str) -> DeadReason:
    """Return the class of a code such as ``schema.unreadable``; what has no class of its own is VALIDATION."""
    return _REASONS.get(code.partition(".")[0], DeadReason.VALIDATION)


def dead_letter(
    record: Record,
    *,
    reason: DeadReason,
    code: str,
    detail: str,
    stage: str,
    now: datetime,
    retryable: bool = False,
    system: str | None = None,
) -> DeadLetter:
    """Return the dead letter of a record that was read from Kafka. The same record gives the same id again."""
    value = record.value
    large = value is not None and len(value) > LARGEST_VALUE
    return DeadLetter(
        id=letter_id(record.topic, record.partition, record.offset, stage),
        code=code,
        detail=detail,
        stage=stage,
        retryable=retryable,
        failed_at=now,
        reason=reason,
        system=system,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=record.key.encode("utf-8", "surrogateescape"),
        value=None if large else value,
        value_sha256=None if value is None else sha256(value).digest(),
        headers=tuple(Header(name, content) for name, content in record.headers),
        attempts=attempt_of(record.headers),
        traceparent=next((v.decode("latin-1") for name, v in record.headers if name == "traceparent"), None),
    )


def rejected(record: Record, error: Reject, *, stage: str, now: datetime) -> DeadLetter:
    """Return the dead letter of a record that *stage* refused with *error*."""
    return dead_letter(record, reason=reason_of(error.code), code=error.code, detail=error.detail, stage=stage, now=now)


def attempt_of(headers: Headers) -> int:
    """Return which attempt a record is, from 1: what its headers say where it is offered again."""
    text = next((content for name, content in headers if name == ATTEMPT), b"1")
    return min(max(int(text), 1), _MOST_ATTEMPTS) if text.isdigit() and len(text) < 6 else 1


def letter_id(topic: str, partition: int, offset: int, stage: str) -> UUID:
    """Return the id of the dead letter that *stage* makes of the record at a place."""
    return _id(topic, str(partition), str(offset), stage)


def _id(*parts: str) -> UUID:
    return uuid_of("dead-letter", *parts)
