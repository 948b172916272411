"""From one complete snapshot of a source to the changes of its plans or restrictions. Pure: what was, what is now.

Two questions are kept apart. The record *fingerprint* says what was added, removed and changed at the source; the
*content hash* of what it says decides what is published. Nothing is ever concluded from half a snapshot: connectors
refuse those, and what is complete but cannot be true is held here for an operator.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime
from hashlib import sha256

from samenloop import reported
from samenloop.errors import Held
from samenloop.identity import uuid_of
from samenloop.model import Change, ChangeKind, DeadLetter, DeadReason, SourceState, Subject
from samenloop.source import Guards, Rejected, Snapshot, SourceRecord, taken_at
from samenloop.value import value

LARGEST_VALUE = 900_000
"""Bytes of a dead letter's value; above it only the digest is kept."""
_AUTHORISATION = ("owner.not-mandated",)


@value
class Speaker:
    """The source that is read: its name in the settings, its system's URN, the OIN of who runs it."""

    source: str
    system: str
    oin: str


@value
class Memory:
    """What is known of a source: its cursor and the state of every record that was ever seen."""

    cursor: SourceState | None = None
    records: Mapping[str, SourceState] = field(default_factory=dict)

    @property
    def snapshot_id(self) -> str | None:
        """The last snapshot that was applied."""
        return self.cursor.snapshot_id if self.cursor else None

    @property
    def present(self) -> frozenset[str]:
        """The records that were in it."""
        return frozenset(record for record, state in self.records.items() if not state.gone and not state.absences)


@value
class Counts:
    """What became of the records of a snapshot; a removed one was not in it and counts as read all the same.

    *published* are the changes of it on their way: a plan that was over already is removed without one.
    """

    created: int = 0
    updated: int = 0
    removed: int = 0
    unchanged: int = 0
    rejected: int = 0
    published: int = 0

    @property
    def read(self) -> int:
        """All of them."""
        return self.created + self.updated + self.removed + self.unchanged + self.rejected


@value
class Step:
    """What happened to the records at the source, by fingerprint; returns count as added."""

    added: int = 0
    removed: int = 0
    changed: int = 0


@value
class Effect:
    """One record's new state, and the change that is published with it in one transaction, if any."""

    state: SourceState
    change: Change | None = None


@value
class Diff:
    """What a snapshot leads to; *effects* that publish come first.

    The state of a record that was published or removed names the snapshot, so that after a crash half-way the same
    snapshot is counted the same.
    """

    effects: tuple[Effect, ...]
    dead_letters: tuple[DeadLetter, ...]
    counts: Counts
    step: Step

    @property
    def changes(self) -> Iterator[Change]:
        """The changes to publish."""
        return (effect.change for effect in self.effects if effect.change)


def is_older(memory: Memory, snapshot_id: str) -> bool:
    """Say whether a snapshot was taken before the last one that was applied, or is that one."""
    last = memory.snapshot_id
    return last is not None and (snapshot_id == last or taken_at(snapshot_id) < taken_at(last))


def diff(
    memory: Memory, snapshot: Snapshot, *, speaker: Speaker, guards: Guards, now: datetime, released: bool = False
) -> Diff:
    """Return what a complete *snapshot* leads to, given what is known.

    rule: sources.md 0.3-0.9. Absence after the last known end closes a plan (phase COMPLETED, derived) or a restriction
    (status ENDED); absence before it is counted, and deletes with reason ABSENT after the grace. The first snapshot of
    a source is no news: its changes are of kind SNAPSHOT. *released* waives the guards for this one. Raises Held:
    `snapshot.empty`, `snapshot.unrelated`, `snapshot.shrunk`, `records.rejected`. The same arguments give the same
    event ids.
    """
    if not released:
        check(memory, snapshot, guards)
    judge = _Judge(memory, snapshot, speaker, guards, now)
    effects = [effect for record in snapshot.records if (effect := judge.present(record))]
    seen = ids_in(snapshot)
    for local_id, state in memory.records.items():
        if local_id not in seen and (effect := judge.absent(state)):
            effects.append(effect)
    effects.sort(key=lambda effect: effect.change is None)
    letters = tuple(dead_letter(rejected, speaker, now) for rejected in snapshot.rejected)
    return Diff(tuple(effects), letters, judge.counts(len(snapshot.rejected)), judge.step())


def check(memory: Memory, snapshot: Snapshot, guards: Guards) -> None:
    """Raise Held when a complete snapshot cannot be true."""
    _check_rejected(snapshot, guards)
    known = memory.present
    if not known:
        return
    found = ids_in(snapshot)
    if not found:
        raise Held("snapshot.empty", f"no records at all; {len(known)} were known")
    if guards.common_ids and found.isdisjoint(memory.records):
        raise Held("snapshot.unrelated", f"none of {len(found)} ids is known; {len(known)} were")
    gone = len(known - found)
    if gone > guards.shrink_count and gone > len(known) * guards.shrink_percent / 100:
        share = f"{gone} of {len(known)} ids would vanish ({gone / len(known):.1%})"
        raise Held("snapshot.shrunk", f"{share}; more than {guards.shrink_percent:g} % is held")


def ids_in(snapshot: Snapshot) -> set[str]:
    """Return every id that a snapshot holds, also of records that are refused."""
    known = {record.local_id for record in snapshot.records}
    return known | {rejected.local_id for rejected in snapshot.rejected if rejected.local_id is not None}


def _check_rejected(snapshot: Snapshot, guards: Guards) -> None:
    refused, total = len(snapshot.rejected), len(snapshot.records) + len(snapshot.rejected)
    ratio = refused > guards.reject_count and refused > total * guards.reject_percent / 100
    if refused and (refused == total or ratio or _longest_run(snapshot.rejected) >= guards.reject_run):
        codes = ", ".join(sorted({rejected.code for rejected in snapshot.rejected}))
        raise Held("records.rejected", f"{refused} of {total} records are refused ({codes})")


def _longest_run(rejected: Sequence[Rejected]) -> int:
    longest = run = 0
    before = None
    for position in sorted(r.position for r in rejected):
        run = run + 1 if before is not None and position == before + 1 else 1
        longest, before = max(longest, run), position
    return longest


class _Judge:
    """Judges record after record and counts what it found."""

    def __init__(self, memory: Memory, snapshot: Snapshot, speaker: Speaker, guards: Guards, now: datetime) -> None:
        self.memory, self.snapshot, self.speaker, self.guards, self.now = memory, snapshot, speaker, guards, now
        self.first = memory.snapshot_id is None
        self.moment = reported.Moment(speaker.oin, speaker.system, snapshot.id, snapshot.taken_at, now)
        self.created = self.updated = self.removed = self.unchanged = 0
        self.added = self.vanished = self.changed = 0
        self.published = 0

    def counts(self, rejected: int) -> Counts:
        return Counts(self.created, self.updated, self.removed, self.unchanged, rejected, self.published)

    def step(self) -> Step:
        return Step(self.added, self.vanished, self.changed)

    def present(self, record: SourceRecord) -> Effect | None:
        """Judge a record that is there: new, changed, back, or as it was."""
        state = self.memory.records.get(record.local_id)
        same = (
            state is not None and reported.published(state) is record.plan
        )  # a connector may give the very same value again
        hashed = (state.content_hash if state and same else None) or reported.hash_of(record.plan)
        if state is not None and state.snapshot_id == self.snapshot.id and not state.gone:
            return self._again(record, state, hashed)
        if state is None or state.gone or state.absences:
            self.added += 1
        elif state.fingerprint != record.fingerprint:
            self.changed += 1
        kind = self._kind(state, record.plan, hashed)
        if kind is None:
            self.unchanged += 1
            return self._remember(record, state, hashed) if state else None
        if kind in (ChangeKind.CREATED, ChangeKind.SNAPSHOT):
            self.created += 1
        else:
            self.updated += 1
        return self._publish(kind, record.local_id, record.plan, hashed, state=state, fingerprint=record.fingerprint)

    def absent(self, state: SourceState) -> Effect | None:
        """Judge a record that is not there: over, gone, or perhaps only missing."""
        if state.gone:
            if state.snapshot_id == self.snapshot.id:  # removed before a crash half-way
                self.removed += 1
                self.vanished += 1
                self.published += not state.absences
            return None
        if not state.absences:
            self.vanished += 1
        if state.snapshot_id == self.snapshot.id:
            return None
        subject = reported.published(state)
        if subject is None or state.phase in reported.CLOSED or reported.is_closed(subject):
            self.removed += 1
            # gone without a word: its absences stay, so that it is known after a crash half-way
            return Effect(replace(state, snapshot_id=self.snapshot.id, gone=True, absences=state.absences + 1))
        if state.last_end is not None and state.last_end < self.snapshot.day:
            self.removed += 1
            over = reported.closed(subject)
            effect = self._publish(
                ChangeKind.UPDATED,
                state.record,
                over,
                reported.hash_of(over),
                state=state,
                fingerprint=state.fingerprint,
            )
            return replace(effect, state=replace(effect.state, gone=True))
        if state.absences + 1 < self.guards.absence_grace:
            return Effect(replace(state, snapshot_id=self.snapshot.id, absences=state.absences + 1))
        self.removed += 1
        return self._delete(state, subject)

    def _kind(self, state: SourceState | None, subject: Subject, hashed: bytes) -> ChangeKind | None:
        if state is None or state.content_hash is None:
            return ChangeKind.SNAPSHOT if self.first else ChangeKind.CREATED
        if state.content_hash == hashed:
            return None
        cancelled = reported.is_cancelled(subject) and not reported.is_cancelled(reported.published(state))
        return ChangeKind.CANCELLED if cancelled else ChangeKind.UPDATED

    def _again(self, record: SourceRecord, state: SourceState, hashed: bytes) -> Effect | None:
        """Count a record whose change of this snapshot was published before a crash half-way."""
        self.published += 1
        if state.sequence == 1:
            self.created += 1
            self.added += 1
        else:
            self.updated += 1
            self.changed += 1
        return self._remember(record, state, hashed)

    def _remember(self, record: SourceRecord, state: SourceState, hashed: bytes) -> Effect | None:
        new = replace(state, fingerprint=record.fingerprint, content_hash=hashed, absences=0, gone=False)
        return None if new == state else Effect(reported.remembered(new, record.plan))

    def _publish(
        self,
        kind: ChangeKind,
        local_id: str,
        subject: Subject,
        hashed: bytes,
        *,
        state: SourceState | None,
        fingerprint: bytes | None,
    ) -> Effect:
        self.published += 1
        sequence = (state.sequence if state else 0) + 1
        before = reported.published(state) if state else None
        pointers = reported.changed_pointers(before, subject) if before else ()
        change = reported.change_of(
            subject, kind, self.moment, sequence=sequence, content_hash=hashed, changed_fields=pointers
        )
        remembered = SourceState(
            source=self.speaker.source,
            record=local_id,
            snapshot_id=self.snapshot.id,
            fingerprint=fingerprint,
            content_hash=hashed,
            sequence=sequence,
            last_end=subject.period.end,
        )
        return Effect(reported.remembered(remembered, subject), change)

    def _delete(self, state: SourceState, subject: Subject) -> Effect:
        self.published += 1
        sequence = state.sequence + 1
        change = reported.change_of(subject, ChangeKind.DELETED, self.moment, sequence=sequence, content_hash=None)
        remembered = SourceState(
            source=self.speaker.source,
            record=state.record,
            snapshot_id=self.snapshot.id,
            sequence=sequence,
            gone=True,
        )
        return Effect(remembered, change)


def dead_letter(rejected: Rejected, speaker: Speaker, now: datetime) -> DeadLetter:
    """Return the dead letter of a refused record; the same bytes with the same fault give the same id again."""
    digest = sha256(rejected.raw)
    reason = DeadReason.AUTHORISATION if rejected.code in _AUTHORISATION else DeadReason.VALIDATION
    if rejected.code.endswith(".unparseable") or rejected.code.startswith(("row.", "record.")):
        reason = DeadReason.MALFORMED
    place = f"record {rejected.position}"
    return DeadLetter(
        id=uuid_of("dead-letter", speaker.system, rejected.code, digest.hexdigest()),
        code=rejected.code,
        detail=f"{speaker.source}, {place}: {rejected.detail}",
        stage=f"source.{speaker.source}",
        retryable=False,
        failed_at=now,
        reason=reason,
        system=speaker.system,
        key=rejected.local_id.encode() if rejected.local_id is not None else None,
        value=rejected.raw if len(rejected.raw) <= LARGEST_VALUE else None,
        value_sha256=digest.digest(),
    )


def apply(memory: Memory, effects: Collection[Effect], cursor: SourceState | None = None) -> Memory:
    """Return what is known after *effects*, and after the whole snapshot when *cursor* is given."""
    records = {**memory.records, **{effect.state.record: effect.state for effect in effects}}
    return Memory(cursor or memory.cursor, records)
