"""The writing half: a batch of records and the positions behind them, in one transaction of SQLite.

What a newer record replaces stays for as long as `Keep` says: as an entry of the feed, and for questions about the
past. A feed tells a reader who may no longer see a plan that it was withdrawn, so each version carries who could see
the one before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from edge.read_model.documents import (
    UNREADABLE,
    Version,
    alert_document,
    finding_version,
    head_of,
    is_own,
    place,
    plan_version,
    restriction_version,
    tells_content,
)
from edge.read_model.layout import (
    ALERTS,
    COLLECTIONS,
    REMOVED,
    TOPIC_OF,
    WITHDRAWN,
    at_of,
    open_writer,
    place_of,
    rid_of,
)
from samenloop.contract import Codec, Envelope, read_envelope
from samenloop.errors import Reject
from samenloop.logs import get_logger
from samenloop.model import Subscription, SubscriptionStatus
from samenloop.stage import Partition, Record

log = get_logger("edge")

_COLLECTION_OF = {topic: collection for collection, topic in TOPIC_OF.items()}
_VERSION_OF: dict[str, Callable[[Any], Version]] = {
    "plan-states": plan_version,
    "restrictions": restriction_version,
    "conflicts": finding_version,
    "opportunities": finding_version,
}
_PRUNE_AT_ONCE = 2000
_NOBODY = [None, None, None]
"""Who could see the version before, where there was none: level, owner, audience."""
_HORIZON = "update positions set horizon = max(horizon, ?) where topic = ? and partition = ?"


class _Statements:
    """What is written of one collection."""

    def __init__(self, c: str) -> None:
        self.now = f"select at, id, since, level, owner, audience from {c} where rid = ? and until is null"
        self.version = f"insert into {c} values({', '.join('?' * 24)})"
        self.box = f"insert into {c}_box values(?, ?, ?, ?, ?, ?, ?)"
        self.owner = f"insert into {c}_owners values(?, ?)"
        self.end = f"update {c} set until = ? where at = ?"
        self.forget = f"delete from {c} where at = ?"
        self.past_box = f"insert into {c}_past_box select ?, x0, x1, y0, y1, t0, t1 from {c}_box where rid = ?"
        self.drop_box = f"delete from {c}_box where rid = ?"
        self.drop_owners = f"delete from {c}_owners where rid = ?"


@dataclass(frozen=True, slots=True)
class Keep:
    """How long the past is kept. *history* is at most what compaction leaves alone in every topic's log (7 days for
    plans), so that a file that was made anew answers like one that never was; *alerts* as long as their topic."""

    history: timedelta = timedelta(days=7)
    alerts: timedelta = timedelta(days=30)


@dataclass(slots=True)
class _Told:
    """One record of a collection: a version, or *gone* without one."""

    record: Record
    envelope: Envelope
    version: Version | None
    gone: int = 0


class Writer:
    """Writes the file. Called from one thread."""

    def __init__(self, path: Path, codec: Codec, source: str, metric_crs: str, keep: Keep) -> None:
        self._db = open_writer(path)
        self._codec, self._source, self._crs, self._keep = codec, source, metric_crs, keep
        self._statements = {topic: _Statements(collection) for topic, collection in _COLLECTION_OF.items()}

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def positions(self) -> dict[Partition, tuple[str, int]]:
        """Return epoch and position of each partition as they were last written."""
        found = self._db.execute("select topic, partition, epoch, position from positions")
        return {(topic, partition): (epoch, position) for topic, partition, epoch, position in found}

    def fact(self, name: str, default: float = 0.0) -> float:
        """Return a number that was kept by name."""
        found = self._db.execute("select value from facts where name = ?", (name,)).fetchone()
        return default if found is None else float(found[0])

    def begin(self, epochs: Mapping[Partition, str], starts: Mapping[Partition, int], now: float) -> None:
        """Start an empty file: positions at *starts*, and from when on its past is whole (*now* in seconds).

        What lay before *starts* is no longer in the log, so a cursor that stands there is of no use.
        """
        with self._transaction():
            self._db.executemany(
                "insert into positions values(?, ?, ?, ?, ?)",
                [(topic, number, epochs[topic, number], start, start) for (topic, number), start in starts.items()],
            )
            self._db.execute("insert or replace into facts values('begun', ?)", (now,))

    def apply(self, records: Sequence[Record], positions: Mapping[Partition, int], now: float) -> int:
        """Write what *records* say, and *positions*; *now* is in seconds since 1970. Returns how many they are.

        A record that cannot be read takes what was known under its key out of sight; the rest goes on.
        """
        told = [self._told(record) for record in records if record.topic in _COLLECTION_OF]
        place([one.version for one in told if one.version is not None], self._crs)
        oldest = int((now - self._keep.history.total_seconds()) * 1_000_000)
        behind: dict[Partition, int] = {}
        with self._transaction():
            for one in told:
                self._put(one, oldest, behind)
            self._db.executemany(_HORIZON, [(offset, *partition) for partition, offset in behind.items()])
            for record in records:
                if record.topic == ALERTS:
                    self._alert(record)
                elif record.topic == "subscriptions":
                    self._subscription(record)
            self._db.executemany(
                "update positions set position = ? where topic = ? and partition = ?",
                [(position, topic, number) for (topic, number), position in positions.items()],
            )
            self._db.execute("insert or replace into facts values('written', ?)", (now,))
        return len(records)

    def prune(self, now: float) -> bool:
        """Forget some of what is older than it is kept for; True when there may be more."""
        oldest = int((now - self._keep.history.total_seconds()) * 1_000_000)
        more = False
        with self._transaction():
            for collection in COLLECTIONS:
                more |= self._prune(collection, oldest)
            last = int((now - self._keep.alerts.total_seconds()) * 1_000_000)
            gone = self._db.execute(
                "delete from alerts where at in (select at from alerts where written < ? limit ?) returning at",
                (last, _PRUNE_AT_ONCE),
            ).fetchall()
            self._horizon(ALERTS, [at for (at,) in gone])
        return more or len(gone) == _PRUNE_AT_ONCE

    def _prune(self, collection: str, oldest: int) -> bool:
        found = [
            at
            for (at,) in self._db.execute(
                f"select at from {collection} where until is not null and until < ? limit ?", (oldest, _PRUNE_AT_ONCE)
            )
        ]
        for table in (collection, f"{collection}_past_box"):
            self._db.executemany(f"delete from {table} where at = ?", [(at,) for at in found])
        self._horizon(TOPIC_OF[collection], found)
        return len(found) == _PRUNE_AT_ONCE

    def _horizon(self, topic: str, ats: Sequence[int]) -> None:
        """A cursor that stands before a version that is forgotten is of no use any more."""
        behind: dict[int, int] = {}
        for partition, offset in map(place_of, ats):
            behind[partition] = max(behind.get(partition, 0), offset + 1)
        self._db.executemany(_HORIZON, [(offset, topic, partition) for partition, offset in behind.items()])

    def _told(self, record: Record) -> _Told:
        try:
            envelope = read_envelope(record.headers)
            if record.value is None:
                return _Told(record, envelope, None, REMOVED)
            value = self._codec.decode(record.topic, record.value, record.headers)
            made = _VERSION_OF[record.topic](value)
            if made.id != record.key:
                raise Reject("record.key", "the key is not the id of the record", field="key")
            return _Told(record, envelope, made)
        except Reject as error:
            if record.value is None:
                return _Told(record, self._stand_in(record), None, REMOVED)
            _passed_over(record, error)
            return _Told(record, self._stand_in(record), None, WITHDRAWN)

    def _stand_in(self, record: Record) -> Envelope:
        """The envelope of a record that has none that can be read: its place in the log names the event."""
        event = f"{record.topic}:{record.partition}:{record.offset}"
        return Envelope(
            id=event,
            source=self._source,
            type="",
            time=datetime.fromtimestamp(record.timestamp_ms / 1000, UTC),
            subject=record.key,
            partitionkey=record.key,
            correlationid=event,
        )

    def _put(self, one: _Told, oldest: int, behind: dict[Partition, int]) -> None:
        """Write one version, or the end of one. Reading a record again changes nothing.

        *behind* takes the offset of what is older than *oldest*: compaction may have eaten what came before it.
        """
        record, version = one.record, one.version
        write = self._statements[record.topic]
        at, rid = at_of(record.partition, record.offset), rid_of(record.key)
        before = self._db.execute(write.now, (rid,)).fetchone()
        since, was = record.timestamp_ms * 1000, _NOBODY
        if before is not None:
            before_at, before_id, before_since, *was = before
            if before_at >= at:
                return
            if before_id != record.key:
                log.error("edge.key_shared", "Two ids have the same key; the later one is not shown.",
                          topic=record.topic, partition=record.partition, offset=record.offset)  # fmt: skip
                return
            since = max(since, before_since)
            self._end(write, before_at, rid, since, oldest)
        if since < oldest:
            behind[record.topic, record.partition] = record.offset
        if version is not None:
            self._insert(write, one, version, since, was)
        elif before is not None and since >= oldest:
            row = (at, rid, record.key, 0, since, since, one.gone, UNREADABLE, "", None, *was)
            self._db.execute(write.version, (*row, one.envelope.id, head_of(one.envelope), "{", *(None,) * 8))

    def _insert(self, write: _Statements, one: _Told, version: Version, since: int, was: Sequence[Any]) -> None:
        geometry, record = version.geometry, one.record
        where = (None, None, None) if geometry is None else (geometry.wkb, geometry.crs, geometry.accuracy_m)
        at = at_of(record.partition, record.offset)
        self._db.execute(write.version, (
            at, version.rid, version.id, version.revision, since, None, 0, version.level, version.owner,
            version.audience, *was, one.envelope.id, head_of(one.envelope), version.body, version.contact,
            version.source_fields, version.mask, version.participants, *where, version.geojson,
        ))  # fmt: skip
        x0, y0, x1, y1 = version.box
        self._db.execute(write.box, (version.rid, x0, x1, y0, y1, *version.days))
        if version.owners:
            self._db.executemany(write.owner, [(owner, version.rid) for owner in version.owners])

    def _end(self, write: _Statements, at: int, rid: int, until: int, oldest: int) -> None:
        """End the current version: it becomes past, or goes at once when that past is not kept any more."""
        if until < oldest:
            self._db.execute(write.forget, (at,))
        else:
            self._db.execute(write.end, (until, at))
            self._db.execute(write.past_box, (at, rid))
        self._db.execute(write.drop_box, (rid,))
        self._db.execute(write.drop_owners, (rid,))

    def _alert(self, record: Record) -> None:
        if record.value is None:
            return
        try:
            alert = self._codec.decode(ALERTS, record.value, record.headers)
            label = read_envelope(record.headers).classification
        except Reject as error:
            _passed_over(record, error)
            return
        self._db.execute(
            "insert or ignore into alerts values(?, ?, ?, ?, ?, ?, ?, ?)",
            (at_of(record.partition, record.offset), str(alert.subscription_id), alert.subject_id, label,
             is_own(alert), record.timestamp_ms * 1000, alert_document(alert, self._source), tells_content(alert)),
        )  # fmt: skip

    def _subscription(self, record: Record) -> None:
        self._db.execute("delete from subscriptions where id = ?", (record.key,))
        if record.value is None:
            return
        try:
            found: Subscription = self._codec.decode("subscriptions", record.value, record.headers)
        except Reject as error:
            _passed_over(record, error)
            return
        if found.status is not SubscriptionStatus.ENDED:
            row = (str(found.id), found.subscriber_oin, found.clearance.value)
            self._db.execute("insert into subscriptions values(?, ?, ?)", row)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("begin immediate")
        try:
            yield
        except BaseException:
            self._db.execute("rollback")
            raise
        self._db.execute("commit")


def _passed_over(record: Record, error: Reject) -> None:
    log.warning("record.rejected", "A record cannot be read and is not shown.", code=error.code,
                topic=record.topic, partition=record.partition, offset=record.offset)  # fmt: skip
