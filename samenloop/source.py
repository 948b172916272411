"""What a source connector is: two halves, talk and translate.

`fetch` does I/O and returns raw pages; `unpack` and `parse` are functions of their argument. So one bad record never
loses a page, and a corrected parser can run again over pages that were kept. The pump in `samenloop.source_pump`
drives any connector that offers this, and finds its class by entry point (`samenloop.sources`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Protocol, TypeVar

from samenloop.errors import Reject
from samenloop.model import Subject
from samenloop.value import value


def snapshot_id(taken: datetime, digest: str) -> str:
    """Name a snapshot by its moment (UTC, microseconds) and the hash of its bytes."""
    return f"{taken.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}_{digest[:16]}"


def taken_at(snapshot_id: str) -> datetime:
    """Return the moment in a snapshot's name."""
    return datetime.fromisoformat(snapshot_id.partition("_")[0])


def content_of(snapshot_id: str) -> str:
    """Return the hash of the bytes in a snapshot's name."""
    return snapshot_id.partition("_")[2]


@value
class Page:
    """One complete answer of a source, as it came: a whole export, still compressed if it was.

    *snapshot_id* depends on *taken_at* and the bytes alone, so that a replay repeats event ids. *cursor* is what must
    be remembered once the page is safely on Kafka. *name* is for messages: a file name or an address.
    """

    snapshot_id: str
    taken_at: datetime
    cursor: str
    name: str
    body: bytes


@value
class Note:
    """Something odd about a record or a page that refuses nothing: a stable code, the field, the value where safe."""

    code: str
    field: str | None = None
    value: str | None = None
    detail: str = ""


class Raw(Protocol):
    """One record of a page, not yet translated (several rows of one id count as one)."""

    @property
    def position(self) -> int:
        """Place in the page, from 1."""
        ...

    @property
    def local_id(self) -> str | None:
        """Identity in the source; None where it cannot be read."""
        ...

    def original(self) -> bytes:
        """Return the bytes as they came, for the dead letter."""
        ...


RawT = TypeVar("RawT", bound=Raw)


@value
class SourceRecord:
    """A translated record. *plan* is what it says: a plan, or from a source of restrictions a restriction.

    *fingerprint* (32 bytes) is of the compared source fields, not of the plan. *measures* names the traffic measures
    and detours that came with the works, each by its sort.
    """

    local_id: str
    plan: Subject
    fingerprint: bytes
    notes: tuple[Note, ...] = ()
    measures: tuple[str, ...] = ()


@value
class Measures:
    """What `parse` returns for a record that holds traffic measures or detours and no works.

    It is no plan and has no location: it is counted, and that is all. *types* names each measure by its sort.
    """

    types: tuple[str, ...]


@value
class Rejected:
    """A record that will never do: stable *code*, *detail* without payload, and its original bytes."""

    code: str
    detail: str
    position: int
    raw: bytes
    local_id: str | None = None
    field: str | None = None


@value
class Snapshot:
    """One complete state of a source, translated. *day* is the local day of *taken_at* in the source's zone.

    *measures* counts traffic measures and detours, *measures_only* the records that hold nothing else: those are no
    plans and are not counted as read.
    """

    id: str
    taken_at: datetime
    day: date
    records: Sequence[SourceRecord]
    rejected: Sequence[Rejected] = ()
    measures: int = 0
    measures_only: int = 0


@value
class Guards:
    """When a complete snapshot is held for an operator instead of applied, and how long absence is forgiven.

    Held: more than *shrink_percent* of the known ids **and** more than *shrink_count* would vanish; no id in common
    with the last state (*common_ids*); more than *reject_percent* and *reject_count* of the records, *reject_run* in a
    row, or all of them are refused.
    """

    shrink_percent: float = 20.0
    shrink_count: int = 20
    absence_grace: int = 3
    common_ids: bool = True
    reject_percent: float = 5.0
    reject_count: int = 10
    reject_run: int = 50


@value
class Context:
    """What the hub gives a connector at start. *environment* is for secrets that a profile names."""

    environment: Mapping[str, str]


class Source(Protocol[RawT]):
    """A connected source. One instance lives in one pump, called from one thread."""

    connector: str
    system: str
    """URN of the source system."""
    oin: str
    """OIN of the organisation that runs it."""
    guards: Guards

    def fetch(self, cursor: str | None) -> Iterator[Page]:
        """Yield the pages after *cursor*, oldest first; nothing when nothing changed.

        Raises Retry: `auth`, `rate-limited`, `timeout`, `http-error`, `file-error`.
        """
        ...

    def unpack(self, page: Page) -> Iterable[RawT]:
        """Split *page* into records, at once or while they are read: a cut-off page may then show at its end. Pure.

        Raises Reject(`envelope.…`) for what is not a complete export, Held(`snapshot.placeholder`) for a sample.
        """
        ...

    def parse(self, raw: RawT) -> SourceRecord | Measures:
        """Translate one record. Pure. Raises Reject with a stable code."""
        ...

    def day(self, instant: datetime) -> date:
        """Return the local day of *instant* at the source."""
        ...


def read_snapshot(source: Source[RawT], page: Page) -> Snapshot:
    """Unpack and parse *page*; records that will never do are set aside, the others go on. Pure.

    Raises Reject(`envelope.…`) and Held(`snapshot.placeholder`) as `Source.unpack` does.
    """
    records: list[SourceRecord] = []
    rejected: list[Rejected] = []
    measures = measures_only = 0
    for raw in source.unpack(page):
        try:
            found = source.parse(raw)
        except Reject as error:
            rejected.append(Rejected(error.code, error.detail, raw.position, raw.original(), raw.local_id, error.field))
            continue
        if isinstance(found, SourceRecord):
            records.append(found)
            measures += len(found.measures)
        else:
            measures += len(found.types)
            measures_only += 1
    day = source.day(page.taken_at)
    return Snapshot(page.snapshot_id, page.taken_at, day, records, rejected, measures, measures_only)


class Connector(Protocol):
    """What an entry point of the group `samenloop.sources` names: a class that opens a source."""

    name: str

    def open(self, profile: Path, context: Context) -> Source[Raw]:
        """Read *profile* and return the source it describes. Raises BadSettings."""
        ...
