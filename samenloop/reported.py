"""What a source can report, a plan or a restriction, as the differ of snapshots sees it: one function per question."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import datetime

from samenloop.content_hash import content_hash, restriction_hash
from samenloop.identity import change_event_id, report_event_id
from samenloop.model import (
    Change,
    ChangeKind,
    ChangeReason,
    Origin,
    Phase,
    Plan,
    PlanChanged,
    RestrictionReport,
    RestrictionStatus,
    SourceState,
    Subject,
    Validity,
)
from samenloop.value import value

CLOSED = (Phase.COMPLETED, Phase.CANCELLED)
_OVER = (RestrictionStatus.ENDED, RestrictionStatus.CANCELLED)
_NOT_COMPARED = frozenset({"source_fields", "confirmed_at", "source_version"})


@value
class Moment:
    """Who says it, in which snapshot, and when: what every change of one snapshot has in common."""

    oin: str
    system: str
    snapshot_id: str
    taken_at: datetime
    now: datetime


def published(state: SourceState) -> Subject | None:
    """Return what a record was last published as; None once it is deleted."""
    return state.plan or state.restriction


def remembered(state: SourceState, subject: Subject) -> SourceState:
    """Return *state* with *subject* as what was last published."""
    if isinstance(subject, Plan):
        return replace(state, plan=subject, phase=subject.phase)
    return replace(state, restriction=subject)


def hash_of(subject: Subject) -> bytes:
    """Return the content hash. Raises Reject as `content_hash` does."""
    return content_hash(subject) if isinstance(subject, Plan) else restriction_hash(subject)


def is_closed(subject: Subject) -> bool:
    """Tell whether its absence is no more news: completed or cancelled, ended or cancelled."""
    return subject.phase in CLOSED if isinstance(subject, Plan) else subject.status in _OVER


def is_cancelled(subject: Subject | None) -> bool:
    """Tell whether it was called off."""
    if isinstance(subject, Plan):
        return subject.phase is Phase.CANCELLED
    return subject is not None and subject.status is RestrictionStatus.CANCELLED


def closed(subject: Subject) -> Subject:
    """Return it as it is once it is absent after its last day."""
    if isinstance(subject, Plan):
        return replace(subject, phase=Phase.COMPLETED)
    return replace(subject, status=RestrictionStatus.ENDED)


def changed_pointers(old: Subject, new: Subject) -> tuple[str, ...]:
    """Return JSON pointers to the fields that differ."""
    names = (item.name for item in fields(type(new)) if item.name not in _NOT_COMPARED)
    return tuple(f"/{name}" for name in names if getattr(old, name, None) != getattr(new, name))


def change_of(
    subject: Subject,
    kind: ChangeKind,
    moment: Moment,
    *,
    sequence: int,
    content_hash: bytes | None,
    changed_fields: tuple[str, ...] = (),
) -> Change:
    """Return the change to publish of *subject*; for DELETED it is what was last published."""
    deleted = kind is ChangeKind.DELETED
    reason = ChangeReason.ABSENT if deleted else ChangeReason.REPORTED
    token = f"s:{moment.snapshot_id}"
    if isinstance(subject, Plan):
        event_id = change_event_id(subject.id, token, kind, content_hash)
        return PlanChanged(
            plan_id=subject.id,
            change=kind,
            validity=Validity(moment.taken_at),
            recorded_at=moment.taken_at,
            ingested_at=moment.now,
            origin=Origin(moment.oin, moment.system, event_id),
            reason=reason,
            changed_fields=changed_fields,
            sequence=sequence,
            content_hash=content_hash,
            plan=None if deleted else subject,
        )
    return RestrictionReport(
        restriction_id=subject.id,
        change=kind,
        recorded_at=moment.taken_at,
        ingested_at=moment.now,
        origin=Origin(moment.oin, moment.system, report_event_id(subject.id, token, kind, content_hash)),
        reason=reason,
        changed_fields=changed_fields,
        sequence=sequence,
        restriction=None if deleted else subject,
    )
