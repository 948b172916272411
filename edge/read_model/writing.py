"""The writing half: a batch of records and the positions behind them, in one transaction of SQLite.

What a newer record replaces stays for as long as `Keep` says: as an entry of the feed, and for questions about the
past. A feed tells a reader who may no longer see a plan that it was withdrawn, so each version carries who could see
the one before it.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from edge.read_model.documents import (
    UNREADABLE,
    Version,
    alert_document,
    finding_version,
    head_of,
    is_own,
    place,
    restriction_version,
    tells_content,
)
from edge.read_model.layout import (
    ALERTS,
    COLLECTIONS,
    LARGEST_LOG,
    OWNED,
    REMOVED,
    TOPIC_OF,
    WITHDRAWN,
    at_of,
    log_of,
    open_writer,
    place_of,
    rid_of,
)
from edge.read_model.reading import PlanReader
from samenloop.contract import Codec, Envelope, read_envelope
from samenloop.errors import Reject
from samenloop.identity import system_of
from samenloop.logs import get_logger
from samenloop.model import Subscription, SubscriptionStatus
from samenloop.stage import Partition, Record

log = get_logger("edge")

_COLLECTION_OF = {topic: collection for collection, topic in TOPIC_OF.items()}
_VERSION_OF: dict[str, Callable[[Any], Version]] = {
    "restrictions": restriction_version,
    "conflicts": finding_version,
    "opportunities": finding_version,
}
_OF_SYSTEMS = frozenset(TOPIC_OF[collection] for collection in OWNED)
_PRUNE_AT_ONCE = 2000
_NOBODY = (None, None, None)
"""Who could see the version before, where there was none: level, owner, audience."""
_BOX = struct.Struct("=4d")
_SYSTEM = (
    "insert into systems values(?, ?, ?) on conflict(system) do update set "
    "newest = max(newest, excluded.newest), plans = plans + excluded.plans"
)
_HORIZON = "update positions set horizon = max(horizon, ?) where topic = ? and partition = ?"


class _Told(NamedTuple):
    """One record of a collection: a version, or *gone* without one."""

    record: Record
    envelope: Envelope
    version: Version | None
    gone: int = 0


class _Now(NamedTuple):
    """What is known of the present version of a thing."""

    at: int
    id: str
    since: int
    level: int
    owner: str
    audience: str | None


class _Table:
    """Writes one collection: what is new waits until it is flushed, many rows at once, which is a good deal quicker."""

    def __init__(self, db: sqlite3.Connection, c: str) -> None:
        self._db = db
        self._rows: list[tuple[Any, ...]] = []
        self._boxes: list[tuple[Any, ...]] = []
        self._owners: list[tuple[str, int]] = []
        self.now: dict[int, _Now] = {}
        """The present versions of what is written about in this transaction, by key."""
        self._known = (
            f"select rid, at, id, since, level, owner, audience from {c} "
            "where until is null and rid in (select value from json_each(?))"
        )
        self.version = f"insert into {c} values({', '.join('?' * 24)})"
        self.boxes = [f"insert into {c}_{part} values(?, ?, ?, ?, ?, ?, ?)" for part in ("box", "places")]
        self.owner = f"insert into {c}_owners values(?, ?)"
        self.ended = f"update {c} set until = ? where at = ?"
        self.forget = f"delete from {c} where at = ?"
        self.past_box = f"insert into {c}_past_box select ?, x0, x1, y0, y1, t0, t1 from {c}_places where rid = ?"
        self.drop = [f"delete from {c}_{part} where rid = ?" for part in ("box", "places", "owners")]

    def begin(self, rids: Iterable[int]) -> None:
        """Look up what is known of these things."""
        wanted = orjson.dumps(sorted(set(rids))).decode()
        self.now = {rid: _Now(*row) for rid, *row in self._db.execute(self._known, (wanted,))}

    def add(self, row: tuple[Any, ...]) -> None:
        """Write one row of a version or of an end."""
        self._rows.append(row)

    def place(self, version: Version) -> None:
        """Write where and when a version is, and whose it is."""
        x0, y0, x1, y1 = version.box
        self._boxes.append((version.rid, x0, x1, y0, y1, *version.days))
        self._owners += [(owner, version.rid) for owner in version.owners]

    def end(self, rid: int, until: int, oldest: int) -> None:
        """End the present version: it becomes past, or goes at once when that past is not kept any more."""
        self.flush()
        at = self.now.pop(rid).at
        if until < oldest:
            self._db.execute(self.forget, (at,))
        else:
            self._db.execute(self.ended, (until, at))
            self._db.execute(self.past_box, (at, rid))
        for statement in self.drop:
            self._db.execute(statement, (rid,))

    def flush(self) -> None:
        """Write what waits."""
        statements = ([self.version], self.boxes, [self.owner])
        for each, rows in zip(statements, (self._rows, self._boxes, self._owners), strict=True):
            if rows:
                for statement in each:
                    self._db.executemany(statement, rows)
                rows.clear()


@dataclass(frozen=True, slots=True)
class Keep:
    """How long the past is kept. *history* is at most what compaction leaves alone in every topic's log (7 days for
    plans), so that a file that was made anew answers like one that never was; *alerts* as long as their topic."""

    history: timedelta = timedelta(days=7)
    alerts: timedelta = timedelta(days=30)


class Writer:
    """Writes the file. Called from one thread."""

    def __init__(self, path: Path, codec: Codec, source: str, metric_crs: str, keep: Keep) -> None:
        self._db = open_writer(path)
        self._log = log_of(path)
        self._codec, self._source, self._crs, self._keep = codec, source, metric_crs, keep
        self._tables = {topic: _Table(self._db, collection) for topic, collection in _COLLECTION_OF.items()}
        self._plans = PlanReader(codec)
        self._systems: dict[str, tuple[int, int]] = {}
        """Of what is being written: when each system last said something, and by how many plans it has more."""

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
            self._write(told, oldest, behind)
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
            made = self._version(record, record.value)
            if made.id != record.key:
                raise Reject("record.key", "the key is not the id of the record", field="key")
            return _Told(record, envelope, made)
        except Reject as error:
            if record.value is None:
                return _Told(record, self._stand_in(record), None, REMOVED)
            _passed_over(record, error)
            return _Told(record, self._stand_in(record), None, WITHDRAWN)

    def _version(self, record: Record, value: bytes) -> Version:
        if record.topic == "plan-states":
            return self._plans.read(record)
        return _VERSION_OF[record.topic](self._codec.decode(record.topic, value, record.headers))

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

    def _write(self, told: Sequence[_Told], oldest: int, behind: dict[Partition, int]) -> None:
        keyed = [(one, one.version.rid if one.version is not None else rid_of(one.record.key)) for one in told]
        for topic, table in self._tables.items():
            table.begin(rid for one, rid in keyed if one.record.topic == topic)
        for one, rid in keyed:
            self._put(one, rid, oldest, behind)
        for table in self._tables.values():
            table.flush()
        self._db.executemany(_SYSTEM, [(system, *said) for system, said in self._systems.items()])
        self._systems.clear()

    def _put(self, one: _Told, rid: int, oldest: int, behind: dict[Partition, int]) -> None:
        """Write one version, or the end of one. Reading a record again changes nothing.

        *behind* takes the offset of what is older than *oldest*: compaction may have eaten what came before it.
        """
        record, version = one.record, one.version
        table = self._tables[record.topic]
        at, before = at_of(record.partition, record.offset), table.now.get(rid)
        since = record.timestamp_ms * 1000
        was: tuple[int | str | None, ...] = _NOBODY
        if before is not None:
            if before.at >= at:
                return
            if before.id != record.key:
                log.error("edge.key_shared", "Two ids have the same key; the later one is not shown.",
                          topic=record.topic, partition=record.partition, offset=record.offset)  # fmt: skip
                return
            since, was = max(since, before.since), before[3:]
            table.end(rid, since, oldest)
        if record.topic in _OF_SYSTEMS and (version is not None or before is not None):
            self._note_system(record, since, (version is not None) - (before is not None))
        if since < oldest:
            behind[record.topic, record.partition] = record.offset
        if version is not None:
            self._insert(table, one, version, since, was)
        elif before is not None and since >= oldest:
            row = (at, rid, record.key, 0, since, since, one.gone, UNREADABLE, "", None, *was)
            table.add((*row, one.envelope.id, head_of(one.envelope), *(None,) * 9))

    def _note_system(self, record: Record, since: int, more: int) -> None:
        system = system_of(record.key)
        newest, plans = self._systems.get(system, (0, 0))
        self._systems[system] = max(newest, since), plans + (more if record.topic == TOPIC_OF["plans"] else 0)

    def _insert(
        self, table: _Table, one: _Told, version: Version, since: int, was: tuple[int | str | None, ...]
    ) -> None:
        geometry, record = version.geometry, one.record
        crs, accuracy, wkb = (None,) * 3 if geometry is None else (geometry.crs, geometry.accuracy_m, geometry.wkb)
        at = at_of(record.partition, record.offset)
        table.add((
            at, version.rid, version.id, version.revision, since, None, 0, version.level, version.owner,
            version.audience, *was, one.envelope.id, head_of(one.envelope), version.mask, version.participants, crs,
            accuracy, _BOX.pack(*version.box), version.feature, version.contact, version.source_fields, wkb,
        ))  # fmt: skip
        table.place(version)
        table.now[version.rid] = _Now(at, version.id, since, version.level, version.owner, version.audience)

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
        if self._log.stat().st_size > LARGEST_LOG:
            # Where somebody always reads there is no moment at which the log would begin anew by itself: it would grow,
            # and every page that is read would be looked for in all of it.
            self._db.execute("pragma wal_checkpoint(truncate)")


def _passed_over(record: Record, error: Reject) -> None:
    log.warning("record.rejected", "A record cannot be read and is not shown.", code=error.code,
                topic=record.topic, partition=record.partition, offset=record.offset)  # fmt: skip
