"""Questions about collections: by area, period and instant, page by page, and one thing by its id.

The tree, or the places one after the other, gives keys in order; rows are fetched for as many as a page needs. What
a viewer may not see costs reading, so a page reads at most so many keys and may then be short: `next` goes on there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import orjson

from edge.read_model.areas import NOWHERE, Area, accuracy_in, intersecting, to_geojson
from edge.read_model.cursors import page_text
from edge.read_model.layout import OWNED, rid_of
from edge.read_model.sights import (
    AT_ONCE,
    FindingEyes,
    OwnedEyes,
    guard_of,
    now_visible,
    replaced,
    whole,
    worth_reading,
)
from samenloop.geometry import CRS84
from samenloop.visibility import FindingSight, Sight, Viewer

Collection = Literal["plans", "restrictions", "conflicts", "opportunities"]
MOST_KEYS = 100_000
"""How many keys one page reads at most."""
_SAMPLE = 2000
_TREE_COST, _TREE_COST_THEN = 3.0, 20.0
"""What a key from the tree costs where reading one place costs 1, for now and for an instant of the past, when each
key's version is looked at too. Measured with a million plans."""
_LAST_KEY = float(2**63)
_HIDDEN_BITS = 40
"""A `next` behind what may not be seen is this coarse, so that it tells nothing of it."""
_FOREVER = (-3e38, 3e38)
_NO_BOX = np.array(NOWHERE).tobytes()
_Key = tuple[int, int | None]
"""The key of a thing, and where its version is when the present one is not meant."""
_COLUMNS = ("at, rid, id, revision, until, level, owner, audience, mask, participants, box, feature, contact, "
            "source_fields")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked of a collection: an area, days since 1970 (both ends inclusive), None for any.

    *after* is the key behind which the page begins, *crs* a URI, *as_of* microseconds since 1970.
    """

    area: Area | None
    days: tuple[float, float] | None
    limit: int
    after: int
    crs: str
    as_of: int | None = None


class Item(NamedTuple):
    """One thing as GeoJSON Feature; *revision* is its ETag, None where the thing is masked."""

    id: str
    revision: int | None
    feature: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """Things in the order of their keys, and the `next` that goes on; None at the end."""

    items: list[Item]
    next: str | None


class Asked(NamedTuple):
    """How one thing is asked for: CRS as URI, and microseconds since 1970 or None for now."""

    crs: str
    as_of: int | None


class _Row(NamedTuple):
    at: int
    rid: int
    id: str
    revision: int
    until: int | None
    level: int
    owner: str
    audience: str | None
    mask: str | None
    participants: str | None
    box: bytes | None
    feature: bytes
    contact: str | None
    source_fields: str | None


class _Seen(NamedTuple):
    """A row with what is seen of it; *contacts* of a finding that is masked."""

    row: _Row
    sight: Sight | FindingSight
    contacts: Sequence[str] = ()


def page_of(db: sqlite3.Connection, collection: Collection, viewer: Viewer, ask: Ask, metric_crs: str) -> Page:
    """Return one page of what *viewer* may see."""
    found: list[_Seen] = []
    after, most, read = ask.after, ask.limit + 1, 0
    while True:
        keys = _keys(db, collection, viewer, replace(ask, after=after), most)
        for start in range(0, len(keys), AT_ONCE):
            rows = _rows(db, collection, viewer, ask, keys[start : start + AT_ONCE])
            seen = _seen(db, collection, viewer, rows, located=bool(ask.area or ask.days))
            found += seen if ask.area is None else _within(db, collection, seen, ask.area, metric_crs)
            if len(found) > ask.limit:
                return Page(
                    _items(db, collection, found[: ask.limit], ask.crs), page_text(found[ask.limit - 1].row.rid)
                )
        read += len(keys)
        if len(keys) < most:
            return Page(_items(db, collection, found, ask.crs), None)
        after, most = keys[-1][0], min(most * 4, AT_ONCE * 64)
        if read >= MOST_KEYS:
            return Page(_items(db, collection, found, ask.crs), page_text(_coarse(after, found, ask.after)))


def item_of(db: sqlite3.Connection, collection: Collection, viewer: Viewer, thing_id: str, asked: Asked) -> Item | None:
    """Return one thing as *viewer* may see it; None where there is none, or none it may see."""
    rid = rid_of(thing_id)
    crs, as_of = asked
    if as_of is None:
        found = db.execute(f"select {_COLUMNS} from {collection} where until is null and rid = ?", (rid,)).fetchall()
    else:
        found = db.execute(
            f"select {_COLUMNS} from {collection} where rid = ? and until is null and since <= ? union all "
            f"select {_COLUMNS} from {collection} where rid = ? and until is not null and since <= ? and until > ?",
            (rid, as_of, rid, as_of, as_of),
        ).fetchall()
    rows = [row for row in map(_Row._make, found) if row.id == thing_id]
    items = _items(db, collection, _seen(db, collection, viewer, rows, located=False), crs)
    return items[0] if items else None


def _keys(db: sqlite3.Connection, collection: str, viewer: Viewer, ask: Ask, most: int) -> list[_Key]:
    """Return keys of things, in order, with the place of the version where it is not the present one alone."""
    if ask.as_of is not None:
        return _keys_then(db, collection, ask, most)
    if ask.area is None and ask.days is None:
        where, values = worth_reading(collection, viewer)
        sql = f"select rid from {collection} where until is null and rid > ? and {where} order by rid limit ?"
        found = db.execute(sql, (ask.after, *values, most)).fetchall()
    else:
        where, bounds = _in_box(ask)
        sql = f"select rid from {_way(db, collection, ask, most)} where {where} and rid > ? order by rid limit ?"
        found = db.execute(sql, (*bounds, ask.after, most)).fetchall()
    return [(rid, None) for (rid,) in found]


def _way(db: sqlite3.Connection, collection: str, ask: Ask, most: int) -> str:
    """Return the table that gives *most* keys sooner: the tree finds all that fit before it can put them in order, the
    places have the order and are read until enough fit. Keys are hashes, so the next places are a fair sample of all.
    """
    where, bounds = _in_box(ask)
    sample = f"select rid, {where} as fits from {collection}_places where rid > ? order by rid limit ?"
    read, fit, last = db.execute(
        f"select count(*), total(fits), max(rid) from ({sample})", (*bounds, ask.after, _SAMPLE)
    ).fetchone()
    if read < _SAMPLE:
        return f"{collection}_places"
    share, all_there_are = fit / read, read * (_LAST_KEY / (last - ask.after))
    cost = _TREE_COST if ask.as_of is None else _TREE_COST_THEN
    return f"{collection}_{'places' if share * share * all_there_are * cost >= most else 'box'}"


def _keys_then(db: sqlite3.Connection, collection: str, ask: Ask, most: int) -> list[_Key]:
    c, as_of = collection, ask.as_of
    where, bounds = _in_box(ask)
    sql = (
        f"select b.rid, v.at from {_way(db, c, ask, most)} b cross join {c} v on v.rid = b.rid and v.until is null "
        f"where {where} and b.rid > ? and v.since <= ? union all "
        f"select v.rid, v.at from {c}_past_box b cross join {c} v on v.at = b.at "
        f"where {where} and v.rid > ? and v.since <= ? and v.until > ? order by 1 limit ?"
    )
    return db.execute(sql, (*bounds, ask.after, as_of, *bounds, ask.after, as_of, as_of, most)).fetchall()


def _in_box(ask: Ask) -> tuple[str, tuple[float, ...]]:
    first, last = ask.days or _FOREVER
    if ask.area is None:
        return "t1 >= ? and t0 <= ?", (first, last)
    x0, y0, x1, y1 = ask.area.box
    where = "x1 >= ? and x0 <= ? and y1 >= ? and y0 <= ? and t1 >= ? and t0 <= ?"
    return where, (x0, x1, y0, y1, first, last)


def _rows(db: sqlite3.Connection, collection: str, viewer: Viewer, ask: Ask, keys: Sequence[_Key]) -> list[_Row]:
    if ask.as_of is not None:
        chosen, on, where = [at for _, at in keys], "at = value", "true"
        values: list[Any] = []
    else:
        chosen, on = [rid for rid, _ in keys], "rid = value and until is null"
        where, values = worth_reading(collection, viewer)
    # the join keeps the order of the keys, and looks each up without sorting them again
    sql = f"select {_COLUMNS} from (select value from json_each(?)) cross join {collection} t on {on} where {where}"
    return list(map(_Row._make, db.execute(sql, (orjson.dumps(chosen).decode(), *values)).fetchall()))


def _seen(
    db: sqlite3.Connection, collection: str, viewer: Viewer, rows: Sequence[_Row], *, located: bool
) -> list[_Seen]:
    """Return what *viewer* sees of *rows*. A question about area or period never finds a masked finding: where it
    is and when is what the mask hides."""
    if collection in OWNED:
        superseded = [row.rid for row in rows if row.until is not None]
        allowed = now_visible(db, collection, superseded, viewer, removed=True) if superseded else set()
        look = OwnedEyes(viewer).sight
        seen = ((row, look(row.level, row.owner, row.audience)) for row in rows)
        return [_Seen(row, s) for row, s in seen if s and (row.until is None or row.rid in allowed)]
    eyes = FindingEyes(db, viewer, [row.participants or "[]" for row in rows])
    result = []
    for row in rows:
        participants = row.participants or "[]"
        whole = eyes.sight(participants, guard_of(row.level, row.owner, row.audience))
        if whole is FindingSight.WHOLE:
            result.append(_Seen(row, whole))
        elif whole is FindingSight.MASKED and not located:
            result.append(_Seen(row, whole, eyes.contacts(participants)))
    return result


def _within(db: sqlite3.Connection, collection: str, seen: Sequence[_Seen], area: Area, metric_crs: str) -> list[_Seen]:
    """The tree rounds outwards and knows boxes only: what does not lie well inside is looked at itself."""
    boxes = np.frombuffer(b"".join(s.row.box or _NO_BOX for s in seen)).reshape(-1, 4)
    x0, y0, x1, y1 = area.inner
    inside = (boxes[:, 0] >= x0) & (boxes[:, 1] >= y0) & (boxes[:, 2] <= x1) & (boxes[:, 3] <= y1)
    if not inside.all():
        doubtful = np.flatnonzero(~inside)
        rows = [seen[index].row for index in doubtful.tolist()]
        wkbs, sources, _ = _shapes(db, collection, rows)
        inside[doubtful] = intersecting(wkbs, sources, area, metric_crs)
    return [s for s, hit in zip(seen, inside.tolist(), strict=True) if hit]


class _Shapes(NamedTuple):
    wkbs: Sequence[bytes | None]
    sources: Sequence[str | None]
    accuracies: Sequence[float | None]


def _shapes(db: sqlite3.Connection, collection: str, rows: Sequence[_Row]) -> _Shapes:
    """Return the shapes of *rows*, their CRS and accuracy; they are fetched where they are needed only."""
    if not rows:
        return _Shapes((), (), ())
    sql = f"select wkb, crs, accuracy from (select value from json_each(?)) cross join {collection} t on at = value"
    found = db.execute(sql, (orjson.dumps([row.at for row in rows]).decode(),)).fetchall()
    return _Shapes(*zip(*found, strict=True))


def _items(db: sqlite3.Connection, collection: str, seen: Sequence[_Seen], crs: str) -> list[Item]:
    if crs == CRS84:
        return [_item(s, s.row.feature) for s in seen]
    shapes = _shapes(db, collection, [s.row for s in seen])
    geometries = to_geojson(shapes.wkbs, shapes.sources, crs)
    return [
        _item(s, replaced(s.row.feature, geometry, accuracy_in(accuracy, source, crs)))
        for s, geometry, source, accuracy in zip(seen, geometries, shapes.sources, shapes.accuracies, strict=True)
    ]


def _item(seen: _Seen, feature: bytes) -> Item:
    row = seen.row
    if seen.sight is FindingSight.MASKED:
        mask = f'{{"id":"{row.id}",{(row.mask or "{")[1:]},"contacts":[{",".join(seen.contacts)}]}}'
        masked = f'{{"type":"Feature","id":"{row.id}","geometry":null,"properties":{mask}}}'
        return Item(row.id, None, masked.encode())
    level = seen.sight if isinstance(seen.sight, Sight) else Sight.ALL
    return Item(row.id, row.revision, whole(feature, row.contact, row.source_fields, level))


def _coarse(after: int, found: Sequence[_Seen], began: int) -> int:
    """Return a key to go on behind that does not give away that of a hidden thing."""
    last = found[-1].row.rid if found else -1
    rounded = max(last, after >> _HIDDEN_BITS << _HIDDEN_BITS)
    return rounded if rounded > began else after
