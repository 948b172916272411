"""How records come to lie at the offsets they had: runs of records, and gaps that readers never see. Pure.

An offset can be more than a place: the version of a plan's state is the offset of its change, and a dead letter is
named after the offset of its record. So in a restored log such a record is where it was. What lies between is gone (the
end of a transaction, an aborted one, what compaction took) and is made again as what no reader is shown: one offset by
the end of a transaction that holds the run before it, more by a transaction that is aborted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from samenloop.stage import Record
from samenloop.value import value

RUN_RECORDS, RUN_BYTES = 1000, 2_000_000
"""Most of one run, which is held in memory."""
GAP_AT_ONCE = 100_000
"""Most offsets of one aborted transaction, which must end in time."""


@value
class Run:
    """Records with offsets that follow each other, and how many offsets are free behind them."""

    records: list[Record]
    gap: int


def runs(records: Iterable[Record], end: int, *, compacted: bool) -> Iterator[Run]:
    """Yield the runs of one partition up to its log *end*, a gap before the first record as a run without records.

    A single free offset at the start of a *compacted* topic, where no transaction can end and nothing may be deleted,
    takes the first record a second time: its topic keeps the last of each key.
    """
    run: list[Record] = []
    size, following = 0, 0
    for record in records:
        gap = record.offset - following
        if gap or len(run) >= RUN_RECORDS or size >= RUN_BYTES:
            if run or gap > 1 or (gap and not compacted):
                yield Run(run, gap)
                run, size = [], 0
            elif gap:
                run, size = [replace(record, offset=0)], 0
        run.append(record)
        size += len(record.value or b"")
        following = record.offset + 1
    if not following and end == 1 and compacted:
        yield Run([], 2)  # the one record is gone: as nothing can take its place alone, the log ends one later
    elif run or end > following:
        yield Run(run, end - following)


def packed(records: Iterable[Record], end: int, count: int) -> Iterator[Record]:
    """Yield *count* records moved up to the *end* of their log, so that the only gap is before the first.

    None lies lower than it did, and where the log goes on is the same: for topics whose offsets are places only.
    """
    return (replace(record, offset=packed_offset(end, count, index)) for index, record in enumerate(records))


def packed_end(end: int, count: int) -> int:
    """Return where a packed log ends: one later where a single offset would be free before the first record."""
    return end + (end - count == 1)


def packed_offset(end: int, count: int, index: int) -> int:
    """Return where the record with so many before it lies in a packed log."""
    return end - count + index


def portions(gap: int) -> Iterator[int]:
    """Split a gap of two or more into those of single transactions; each takes two at least, its own end included."""
    while gap:
        taken = min(gap, GAP_AT_ONCE)
        taken -= gap - taken == 1
        yield taken
        gap -= taken
