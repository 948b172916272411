"""Visibility of what is stored: rows of the file under the one function that decides (`samenloop.visibility`).

What is superseded is shown only to those who may see it as it is now as well: a plan that was narrowed takes its past
with it. A finding is judged by its plans and restrictions as they are now, and by its own record where one of them lags
behind it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import orjson

from edge.read_model.documents import LEVELS, Participant
from edge.read_model.layout import OWNED, REMOVED
from samenloop.visibility import FindingSight, Guarded, Sight, Viewer, finding_sight, levels, sight

AT_ONCE = 1001
"""Rows that are read at a time: a full page, and one to see that there is more."""


@dataclass(frozen=True, slots=True)
class OwnedNow:
    """What decides about a plan or restriction as it is now, its revision, and its contact in JSON."""

    guard: Guarded
    revision: int
    contact: str | None


def guard_of(level: int, owner: str, audience: str | None) -> Guarded:
    """Return what decides, from the columns of a row."""
    return Guarded(LEVELS[level], owner, tuple(orjson.loads(audience)) if audience else ())


def worth_reading(collection: str, viewer: Viewer) -> tuple[str, list[Any]]:
    """Return a condition that leaves out what *viewer* can see nothing of, and its parameters. It decides nothing."""
    seen = [LEVELS.index(level) for level in levels(viewer)]
    owners = sorted({viewer.oin, *viewer.mandated} - {""})
    owned = f"owner in ({_marks(owners)})"
    if collection not in OWNED:
        owned = f"rid in (select rid from {collection}_owners where {owned})"
    terms = [f"level in ({_marks(seen)})"] if seen else []
    return f"({' or '.join([*terms, owned] if owners else terms) or '0'})", [*seen, *owners]


def owned_now(db: sqlite3.Connection, rids: Iterable[int], collections: Sequence[str] = OWNED) -> dict[int, OwnedNow]:
    """Return the plans and restrictions that there are now, by key."""
    wanted = sorted(set(rids))
    found: dict[int, OwnedNow] = {}
    for collection, start in product(collections, range(0, len(wanted), AT_ONCE)):
        rows = db.execute(
            f"select rid, revision, level, owner, audience, contact from {collection} "
            "where until is null and rid in (select value from json_each(?))",
            (orjson.dumps(wanted[start : start + AT_ONCE]).decode(),),
        ).fetchall()
        for rid, revision, level, owner, audience, contact in rows:
            found[rid] = OwnedNow(guard_of(level, owner, audience), revision, contact)
    return found


def last_guard(db: sqlite3.Connection, collection: str, rid: int) -> Guarded | None:
    """Return what decided about a thing that was removed, just before; None where that is not known."""
    row = db.execute(
        f"select gone, was_level, was_owner, was_audience from {collection} "
        "where rid = ? and until is not null order by at desc limit 1",
        (rid,),
    ).fetchone()
    if row is None or row[0] != REMOVED or row[1] is None:
        return None
    return guard_of(*row[1:])


def now_visible(
    db: sqlite3.Connection, collection: str, rids: Collection[int], viewer: Viewer, *, removed: bool
) -> set[int]:
    """Return which of these plans or restrictions *viewer* may see as they are now.

    *removed*: also as they were when they ended.
    """
    now = owned_now(db, rids, (collection,))
    seen = {rid for rid, one in now.items() if sight(one.guard, viewer)}
    if removed:
        for rid in set(rids) - now.keys():
            last = last_guard(db, collection, rid)
            if last is not None and sight(last, viewer):
                seen.add(rid)
    return seen


class OwnedEyes:
    """What a viewer may see of plans and restrictions; a page asks the same of many rows, so answers are remembered."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._known: dict[tuple[int, str, str | None], Sight] = {}

    def sight(self, level: int, owner: str, audience: str | None) -> Sight:
        """Return what is seen of one with these columns."""
        key = (level, owner, audience)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = sight(guard_of(*key), self._viewer)
        return found


class FindingEyes:
    """What a viewer may see of findings; looks up what they are about many at a time."""

    def __init__(self, db: sqlite3.Connection, viewer: Viewer, participants: Sequence[str]) -> None:
        self._viewer = viewer
        self._of = {text: [Participant(*p) for p in orjson.loads(text)] for text in participants}
        self._now = owned_now(db, (p.rid for those in self._of.values() for p in those))

    def sight(self, participants: str, record: Guarded) -> FindingSight:
        """Return what is seen of a finding with these *participants*; *record* is what its own record says.

        Where one of them is gone or older than what was judged, the finding's own record stands in for it.
        """
        sides: list[Guarded] = []
        owns = False
        for side in self._of[participants]:
            owns |= self._viewer.owns(side.owner)
            now = self._now.get(side.rid)
            if now is not None:
                sides.append(now.guard)
            if now is None or now.revision < side.revision:
                sides.append(Guarded(record.visibility, side.owner, record.audience))
        if not owns:
            sides.append(record)
        return finding_sight(sides, self._viewer)

    def contacts(self, participants: str) -> list[str]:
        """Return the contacts, in JSON, of the plans in a finding that are not seen."""
        sides = (self._now.get(side.rid) for side in self._of[participants])
        hidden = (one.contact for one in sides if one is not None and not sight(one.guard, self._viewer))
        return list(dict.fromkeys(contact for contact in hidden if contact))


def whole(feature: bytes, contact: str | None, source_fields: str | None, seen: Sight) -> bytes:
    """Return a GeoJSON Feature, which is stored without its last braces, with what is *seen* besides."""
    tail = "}}"
    if source_fields is not None and seen is Sight.ALL:
        tail = f',"source_fields":{source_fields}}}}}'
    if contact is not None and seen >= Sight.SHARED:
        tail = f',"contact":{contact}{tail}'
    return feature + tail.encode()


def replaced(feature: bytes, geometry: str | None, accuracy: float | None) -> bytes:
    """Return a stored feature in another CRS: with another geometry, and another accuracy where it has one.

    No text in JSON holds a quote that is not escaped, so the names are found for sure.
    """
    start = feature.index(b',"geometry":')
    properties = feature[feature.index(b',"properties":{', start) :]
    if accuracy is not None:
        properties = properties[: properties.rindex(b',"accuracy_m":')] + f',"accuracy_m":{accuracy!r}'.encode()
    return b"".join((feature[:start], b',"geometry":', (geometry or "null").encode(), properties))


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))
