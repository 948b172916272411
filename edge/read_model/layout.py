"""The file: tables, their version, and how it is opened. Everything in it can be made again from Kafka.

Each collection keeps every version it was told of for a while. A version's key is where Kafka keeps it (`at`: partition
and offset), so a feed is a range of keys. A thing's key (`rid`) is the hash of its id, so that pages come in the same
order from every process. The boxes are R*Trees: metres of the hub's CRS, and days since 1970; `places` holds the same
of what there is now, in the order of the keys. `feature` is GeoJSON in CRS84 without its two last braces, so that what
a viewer may see besides is put behind it; `box` are four doubles.
"""

from __future__ import annotations

import sqlite3
from hashlib import blake2b
from pathlib import Path

from samenloop.errors import BadSettings

LAYOUT = "5"
"""Rises with every change of the tables or of what is prepared in them: the file is then made anew."""
TOPIC_OF = {
    "plans": "plan-states",
    "restrictions": "restrictions",
    "conflicts": "conflicts",
    "opportunities": "opportunities",
}
COLLECTIONS = tuple(TOPIC_OF)
OWNED = ("plans", "restrictions")
"""What belongs to one owner; a finding is judged by those of these that it is about."""
ALERTS = "alerts"

REMOVED, WITHDRAWN = 1, 2
"""Kinds of versions that are no more than the end of one: a null value, and a record that cannot be read."""

_OFFSET_BITS = 47
_TABLES = """
create table positions(
  topic text not null, partition integer not null, epoch text not null, position integer not null,
  horizon integer not null, primary key(topic, partition)) without rowid;
create table facts(name text primary key, value) without rowid;
create table subscriptions(
  id text primary key, subscriber text not null, clearance text not null) without rowid;
create table systems(system text primary key, newest integer not null, plans integer not null) without rowid;
create table alerts(
  at integer primary key, subscription text not null, subject text not null, label text not null,
  own integer not null, written integer not null, event text not null, has_data integer not null);
create index alerts_of on alerts(subscription, at);
create index alerts_age on alerts(written);
"""
_OF_COLLECTION = """
create table {c}(
  at integer primary key, rid integer not null, id text not null, revision integer not null,
  since integer not null, until integer, gone integer not null,
  level integer not null, owner text not null, audience text,
  was_level integer, was_owner text, was_audience text,
  event text not null, head text not null, mask text, participants text,
  crs text, accuracy real, box blob, feature blob, contact text, source_fields text, wkb blob);
create unique index {c}_now on {c}(rid, level, owner) where until is null;
create index {c}_past on {c}(until) where until is not null;
create index {c}_past_of on {c}(rid) where until is not null;
create virtual table {c}_box using rtree(rid, x0, x1, y0, y1, t0, t1);
create table {c}_places(
  rid integer primary key, x0 real not null, x1 real not null, y0 real not null, y1 real not null,
  t0 real not null, t1 real not null);
create virtual table {c}_past_box using rtree(at, x0, x1, y0, y1, t0, t1);
create table {c}_owners(owner text not null, rid integer not null, primary key(owner, rid)) without rowid;
create index {c}_owners_of on {c}_owners(rid);
"""
LARGEST_LOG = 16 * 2**20
"""Bytes of SQLite's write-ahead log after which it is brought into the file, waiting for who reads."""
_WRITER = ("journal_mode=wal", "synchronous=normal", "cache_size=-131072", "temp_store=memory")
_READER = ("query_only=on", "cache_size=-32768", "mmap_size=2147483648", "temp_store=memory")


def rid_of(thing_id: str) -> int:
    """Return the key of a thing: 63 bits of the BLAKE2b hash of its id."""
    return int.from_bytes(blake2b(thing_id.encode("utf-8", "surrogateescape"), digest_size=8).digest(), "big") >> 1


def at_of(partition: int, offset: int) -> int:
    """Return the key of a version: where Kafka keeps it."""
    return partition << _OFFSET_BITS | offset


def place_of(at: int) -> tuple[int, int]:
    """Return partition and offset of a version."""
    return at >> _OFFSET_BITS, at & (1 << _OFFSET_BITS) - 1


def check_sqlite() -> None:
    """Raises BadSettings when this Python's SQLite lacks what the read model stands on."""
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("create virtual table box using rtree(rid, x0, x1)")
        connection.execute("select json_group_array(value) from json_each('[1]')")
    except sqlite3.OperationalError as error:
        raise BadSettings(
            [
                f"python: its SQLite {sqlite3.sqlite_version} lacks a module that the edge needs ({error}), "
                "expected one with R*Tree and JSON, as in the builds of python.org and Debian"
            ]
        ) from error
    finally:
        connection.close()


def open_writer(path: Path) -> sqlite3.Connection:
    """Open the file to write it; a new one gets its tables. One writer at a time."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    for pragma in _WRITER:
        connection.execute(f"pragma {pragma}")
    if not connection.execute("select 1 from sqlite_master where name = 'facts'").fetchone():
        of_collections = "".join(_OF_COLLECTION.format(c=collection) for collection in COLLECTIONS)
        connection.executescript(
            f"begin; {_TABLES} {of_collections} insert into facts values('layout', '{LAYOUT}'); commit"
        )
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """Open the file to read it, beside its writer. Raises sqlite3.OperationalError when it is not there."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, cached_statements=256,
        check_same_thread=False,
    )  # fmt: skip
    for pragma in _READER:
        connection.execute(f"pragma {pragma}")
    return connection


def log_of(path: Path) -> Path:
    """Return where SQLite keeps its write-ahead log of the file."""
    return path.with_name(path.name + "-wal")


def layout_of(path: Path) -> str | None:
    """Return the version of the tables in the file; None when there is no file or it is not one of ours."""
    if not path.exists():
        return None
    try:
        connection = open_reader(path)
    except sqlite3.DatabaseError:
        return None
    try:
        found = connection.execute("select value from facts where name = 'layout'").fetchone()
    except sqlite3.DatabaseError:
        return None
    finally:
        connection.close()
    return str(found[0]) if found else None


def remove(path: Path) -> None:
    """Remove the file and what SQLite keeps beside it."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
