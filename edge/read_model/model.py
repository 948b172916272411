"""What routes ask: collections, one thing, changes and alerts, each for a viewer, from the file that a follower fills.

Safe to share between threads: each has a connection of its own. Each question sees one state of the file.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from edge.read_model import feed, items
from edge.read_model.areas import area_of, offered
from edge.read_model.cursors import HistoryExpired, read_page
from edge.read_model.feed import Events, Since
from edge.read_model.items import Ask, Asked, Collection, Item, Page
from edge.read_model.layout import ALERTS, TOPIC_OF, open_reader
from edge.read_model.news import News
from edge.read_model.writing import Keep
from samenloop import clock
from samenloop.contract import TOPICS
from samenloop.errors import Reject, Retry
from samenloop.geometry import CRS84
from samenloop.visibility import Viewer

MOST_PER_PAGE = 1000
_EPOCH = date(1970, 1, 1)
_LAG = "min.compaction.lag.ms"

Period = tuple[date | None, date | None]
"""First and last day, both inclusive; None is open."""


class SystemSeen(NamedTuple):
    """A system as its plans and restrictions show it: when the hub last took something of it, how many plans it has."""

    system: str
    newest_at: datetime
    plans: int


class ReadModel:
    """Answers from the file at *path*. *metric_crs* is the hub's; *keep* is what its follower keeps."""

    def __init__(self, path: Path, *, metric_crs: str, keep: Keep | None = None, news: News | None = None) -> None:
        self._path, self._crs = path, metric_crs
        self._keep, self.news = keep or Keep(), news or News()
        self._local = threading.local()
        self._lock = threading.Lock()
        self._open: list[sqlite3.Connection] = []

    def items(
        self,
        collection: Collection,
        viewer: Viewer,
        *,
        bbox: Sequence[float] | None = None,
        bbox_crs: str = CRS84,
        period: Period | None = None,
        limit: int = 100,
        after: str | None = None,
        crs: str = CRS84,
        as_of: datetime | None = None,
    ) -> Page:
        """Return a page of a collection, in the same order from every process.

        *bbox* has the axes of *bbox_crs*; *period* is compared with the planned period; *after* is the `next` of the
        page before; *as_of* asks for what was known then. Raises Reject("query.…"), HistoryExpired, Retry.
        """
        _check_limit(limit)
        start = read_page(after)
        area = None if bbox is None else area_of(bbox, bbox_crs, self._crs)
        wanted = Ask(area, None if period is None else _days(period), limit, start, offered(crs), None)
        with self._reading() as db:
            if bbox is not None and area is None:
                return Page([], None)
            ask = wanted if as_of is None else self._then(db, collection, wanted, as_of)
            return items.page_of(db, collection, viewer, ask, self._crs)

    def item(
        self, collection: Collection, viewer: Viewer, item_id: str, *, crs: str = CRS84, as_of: datetime | None = None
    ) -> Item | None:
        """Return one thing; None where there is none, and where *viewer* may not see it.

        Raises Reject("query.crs-not-offered"), HistoryExpired, Retry.
        """
        crs = offered(crs)
        with self._reading() as db:
            then = None if as_of is None else self._instant(db, collection, as_of)
            return items.item_of(db, collection, viewer, item_id, Asked(crs, then))

    def systems(self) -> list[SystemSeen]:
        """Return every system that plans or restrictions came from. Raises Retry."""
        with self._reading() as db:
            found = db.execute("select system, newest, plans from systems").fetchall()
        return [
            SystemSeen(system, datetime.fromtimestamp(newest / 1_000_000, UTC), plans)
            for system, newest, plans in found
        ]

    def cursor(self, viewer: Viewer) -> str:
        """Return the cursor of changes behind all there is now: take it, read the collection, go on from it."""
        with self._reading() as db:
            return feed.newest_cursor(db, TOPIC_OF["plans"], viewer)

    def changes(self, viewer: Viewer, *, after: str | None = None, limit: int = MOST_PER_PAGE) -> Events:
        """Return the changes of plans since *after*, from the start without one, as CloudEvents in JSON.

        Raises CursorExpired (410), Reject("query.…"), Retry.
        """
        _check_limit(limit)
        with self._reading() as db:
            return feed.changes_of(db, viewer, Since(after, limit, _now(), self._keep.history.total_seconds()))

    def alerts_cursor(self, viewer: Viewer) -> str:
        """Return the cursor of alerts behind all there is now."""
        with self._reading() as db:
            return feed.newest_cursor(db, ALERTS, viewer)

    def alerts(
        self,
        viewer: Viewer,
        *,
        subscription: UUID | None = None,
        after: str | None = None,
        limit: int = MOST_PER_PAGE,
    ) -> Events | None:
        """Return the alerts since *after* of one subscription of *viewer*, or of all of them, as CloudEvents in JSON.

        None where *subscription* is not one of its own. Raises CursorExpired (410), Reject("query.…"), Retry.
        """
        _check_limit(limit)
        name = None if subscription is None else str(subscription)
        with self._reading() as db:
            since = Since(after, limit, _now(), self._keep.alerts.total_seconds())
            return feed.alerts_of(db, viewer, name, since)

    def close(self) -> None:
        """Close every connection; nobody may be asking any more."""
        with self._lock:
            for connection in self._open:
                connection.close()
            self._open.clear()
            self._local = threading.local()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """One state of the file. Raises Retry("edge.not-ready") while there is none yet."""
        db = self._connection()
        db.execute("begin")
        try:
            yield db
        finally:
            db.execute("commit")

    def _connection(self) -> sqlite3.Connection:
        """Return this thread's connection to the file; a file that was made anew is another one."""
        try:
            file = self._path.stat().st_ino
            if getattr(self._local, "file", None) != file:
                fresh, old = open_reader(self._path), getattr(self._local, "db", None)
                self._local.db, self._local.file = fresh, file
                with self._lock:
                    self._open = [*(one for one in self._open if one is not old), fresh]
                if old is not None:
                    old.close()
        except (OSError, sqlite3.OperationalError) as error:
            raise Retry("edge.not-ready", "the read model has not begun yet", after_seconds=1.0) from error
        db: sqlite3.Connection = self._local.db
        return db

    def _then(self, db: sqlite3.Connection, collection: Collection, ask: Ask, as_of: datetime) -> Ask:
        return Ask(ask.area, ask.days, ask.limit, ask.after, ask.crs, self._instant(db, collection, as_of))

    def _instant(self, db: sqlite3.Connection, collection: Collection, as_of: datetime) -> int:
        """Return *as_of* in microseconds. Raises Reject("query.as-of"), HistoryExpired before what is whole."""
        if as_of.tzinfo is None:
            raise Reject(
                "query.as-of", "expected an instant with a time zone, such as 2027-03-01T12:00:00Z", field="asOf"
            )
        row = db.execute("select value from facts where name = 'begun'").fetchone()
        lag = timedelta(milliseconds=int(TOPICS[TOPIC_OF[collection]].config[_LAG]))
        whole = datetime.fromtimestamp(row[0] if row else _now(), UTC) - lag
        oldest = max(whole, clock.now() - self._keep.history)
        if as_of < oldest:
            raise HistoryExpired(oldest)
        return round(as_of.timestamp() * 1_000_000)


def _days(period: Period) -> tuple[float, float]:
    first, last = period
    if first is not None and last is not None and first > last:
        raise Reject("query.period", "the period ends before it starts", field="datetime")
    return (
        -3e38 if first is None else float((first - _EPOCH).days),
        3e38 if last is None else float((last - _EPOCH).days),
    )


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= MOST_PER_PAGE:
        raise Reject("query.limit", f"expected 1 to {MOST_PER_PAGE}", field="limit")


def _now() -> float:
    return clock.now().timestamp()
