"""What happened since: changes of plans, and the alerts of a subscription, from a cursor on.

Order holds per plan and per subscription, which each live in one partition. A page reads at most so many records, and
may be empty and still move on. A plan that was narrowed is withdrawn, by its id alone, from those who could see it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from edge.read_model.cursors import Cursor, CursorExpired, epoch_of, read_cursor, rights_of
from edge.read_model.documents import LEVELS
from edge.read_model.layout import ALERTS, REMOVED, TOPIC_OF, at_of, place_of, rid_of
from edge.read_model.sights import (
    FindingEyes,
    OwnedEyes,
    guard_of,
    now_visible,
    owned_now,
    whole,
)
from samenloop.errors import Retry
from samenloop.model import Clearance
from samenloop.visibility import FindingSight, Viewer, classification, lower, may_receive, sight

CHANGED = "nl.samenloop.plan-state-changed.v1"
PLAN_REMOVED = "nl.samenloop.plan-removed.v1"
PLAN_WITHDRAWN = "nl.samenloop.plan-withdrawn.v1"
_COLUMNS = ("at, rid, id, until, gone, level, owner, audience, was_level, was_owner, was_audience, event, head, "
            "feature, contact, source_fields")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Events:
    """CloudEvents as JSON, the cursor behind them, and whether that is the end for now."""

    events: list[bytes]
    next: str
    at_end: bool


@dataclass(frozen=True, slots=True)
class Since:
    """From where to read on, and how much; *now* and *keep* in seconds: of the clock, and how long things are kept."""

    after: str | None
    limit: int
    now: float
    keep: float


@dataclass(frozen=True, slots=True)
class _Stand:
    """Where a topic stands: *positions* and *horizons* by partition."""

    epoch: bytes
    positions: tuple[int, ...]
    horizons: tuple[int, ...]


def newest_cursor(db: sqlite3.Connection, topic: str, viewer: Viewer) -> str:
    """Return the cursor behind all there is now."""
    stand = _stand(db, topic)
    return Cursor(stand.epoch, rights_of(viewer), 0, stand.positions).text()


def changes_of(db: sqlite3.Connection, viewer: Viewer, since: Since) -> Events:
    """Return what happened to plans as far as *viewer* may see it; from the start without a cursor."""
    stand = _stand(db, TOPIC_OF["plans"])
    cursor = _cursor(stand, viewer, since)
    sql = f"select {_COLUMNS} from plans where at >= ? and at < ? order by at limit ?"
    rows, offsets = _read(
        stand, cursor, since.limit, lambda low, high, most: db.execute(sql, (low, high, most)).fetchall()
    )
    superseded = {row[1] for row in rows if row[3] is not None and not row[4]}
    allowed = now_visible(db, "plans", superseded, viewer, removed=False) if superseded else set()
    eyes = OwnedEyes(viewer)
    events = [event for row in rows if (event := _change(row, eyes, allowed)) is not None]
    return _answer(events, stand, cursor, offsets)


def alerts_of(db: sqlite3.Connection, viewer: Viewer, subscription: str | None, since: Since) -> Events | None:
    """Return the alerts of one subscription of *viewer*, or of all; None where that one is not its own."""
    found = db.execute("select id, clearance from subscriptions where subscriber = ?", (viewer.oin,)).fetchall()
    clearances = {key: lower(Clearance(clearance), viewer.clearance) for key, clearance in found if viewer.oin}
    if subscription is not None:
        if subscription not in clearances:
            return None
        clearances = {subscription: clearances[subscription]}
    stand = _stand(db, ALERTS)
    cursor = _cursor(stand, viewer, since)
    sql = (
        "select at, subscription, subject, label, own, has_data, event from alerts where subscription in "
        "(select value from json_each(?)) and at >= ? and at < ? order by at limit ?"
    )
    wanted = orjson.dumps(sorted(clearances)).decode()
    rows, offsets = _read(
        stand, cursor, since.limit, lambda low, high, most: db.execute(sql, (wanted, low, high, most)).fetchall()
    )
    hidden = _hidden(db, viewer, {row[2] for row in rows if row[5]})
    events = [
        event.encode()
        for _, key, subject, label, own, has_data, event in rows
        if may_receive(label, clearances[key], own=bool(own)) and not (has_data and subject in hidden)
    ]
    return _answer(events, stand, cursor, offsets)


def _stand(db: sqlite3.Connection, topic: str) -> _Stand:
    rows = db.execute(
        "select epoch, position, horizon from positions where topic = ? order by partition", (topic,)
    ).fetchall()
    if not rows:
        raise Retry("edge.not-ready", "the read model has not begun yet", after_seconds=1.0)
    epochs, positions, horizons = zip(*rows, strict=True)
    return _Stand(epoch_of(epochs), positions, horizons)


def _cursor(stand: _Stand, viewer: Viewer, since: Since) -> Cursor:
    """Return the cursor to go on from. Raises CursorExpired, Reject("query.cursor")."""
    rights = rights_of(viewer)
    if since.after is None:
        return Cursor(stand.epoch, rights, int(since.now), (0,) * len(stand.positions))
    cursor = read_cursor(since.after)
    if cursor.epoch != stand.epoch or len(cursor.offsets) != len(stand.positions):
        raise CursorExpired("the log was made anew since")
    if cursor.rights != rights:
        raise CursorExpired("it was given to another viewer, or what this one may see has changed since")
    behind = any(offset < horizon for offset, horizon in zip(cursor.offsets, stand.horizons, strict=True))
    if behind and cursor.started + since.keep < since.now:
        raise CursorExpired("it is older than what is kept")
    return cursor


def _read(
    stand: _Stand, cursor: Cursor, limit: int, fetch: Callable[[int, int, int], list[Any]]
) -> tuple[list[Any], list[int]]:
    """Return at most *limit* rows, and the offsets behind them.

    Every partition gets its share; which one comes first turns with the cursor, so that a busy one starves no other.
    """
    count = len(stand.positions)
    offsets = list(cursor.offsets)
    rows: list[Any] = []
    first = sum(offsets) % count
    order = [(first + step) % count for step in range(count)]
    waiting = [p for p in order if offsets[p] < stand.positions[p]]
    while waiting and len(rows) < limit:
        again = []
        for number, partition in enumerate(waiting):
            share = -(-(limit - len(rows)) // (len(waiting) - number))
            if not share:
                break
            low, high = at_of(partition, offsets[partition]), at_of(partition, stand.positions[partition])
            found = fetch(low, high, share)
            rows += found
            if len(found) < share:
                offsets[partition] = stand.positions[partition]
            else:
                offsets[partition] = place_of(found[-1][0])[1] + 1
                again.append(partition)
        waiting = again
    return rows, offsets


def _answer(events: list[bytes], stand: _Stand, cursor: Cursor, offsets: Sequence[int]) -> Events:
    behind = any(offset < horizon for offset, horizon in zip(offsets, stand.horizons, strict=True))
    following = Cursor(cursor.epoch, cursor.rights, cursor.started if behind else 0, tuple(offsets))
    at_end = all(offset >= position for offset, position in zip(offsets, stand.positions, strict=True))
    return Events(events, following.text(), at_end)


def _change(row: Sequence[Any], eyes: OwnedEyes, allowed: set[int]) -> bytes | None:
    """Return the event that a version means to a viewer; None where it means nothing to it."""
    (_, rid, _, until, gone, level, owner, audience, was_level, was_owner, was_audience, event, head,
     feature, contact, source_fields) = row  # fmt: skip
    if not gone and (seen := eyes.sight(level, owner, audience)):
        if until is not None and rid not in allowed:
            return None  # what came later says that it is gone
        label = classification(LEVELS[level])
        return b"".join(
            (
                _attributes(head, event, CHANGED, label).encode(),
                b',"datacontenttype":"application/geo+json","data":',
                whole(feature, contact, source_fields, seen),
                b"}",
            )
        )
    if was_level is None or not eyes.sight(was_level, was_owner, was_audience):
        return None
    if gone == REMOVED:
        return (_attributes(head, event, PLAN_REMOVED, "public") + "}").encode()
    return (_attributes(head, f"{event}#withdrawn", PLAN_WITHDRAWN, "public") + "}").encode()


def _attributes(head: str, event: str, kind: str, label: str) -> str:
    name = orjson.dumps(event).decode()
    return f'{head},"id":{name},"type":"{kind}","dataclassification":"{label}"'


def _hidden(db: sqlite3.Connection, viewer: Viewer, subjects: set[str]) -> set[str]:
    """Return which plans, restrictions and findings *viewer* may no longer see: no alert tells of them again."""
    by_rid = {rid_of(subject): subject for subject in subjects}
    owned = owned_now(db, by_rid)
    hidden = {by_rid[rid] for rid, one in owned.items() if not sight(one.guard, viewer)}
    wanted = orjson.dumps(sorted(by_rid.keys() - owned.keys())).decode()
    for collection in ("conflicts", "opportunities"):
        rows = db.execute(
            f"select id, level, owner, audience, participants from {collection} "
            "where until is null and rid in (select value from json_each(?))",
            (wanted,),
        ).fetchall()
        eyes = FindingEyes(db, viewer, [row[4] for row in rows])
        for finding_id, level, owner, audience, participants in rows:
            if eyes.sight(participants, guard_of(level, owner, audience)) is not FindingSight.WHOLE:
                hidden.add(finding_id)
    return hidden
