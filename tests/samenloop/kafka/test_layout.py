"""How a restored log comes to have every record where it was."""

from hypothesis import given
from hypothesis import strategies as st

from samenloop.kafka.layout import GAP_AT_ONCE, packed, packed_end, packed_offset, portions, runs
from samenloop.stage import Record

GAPS = st.lists(st.integers(0, 4) | st.integers(0, 3 * GAP_AT_ONCE), max_size=12)


def record(offset: int) -> Record:
    return Record("plan-states", 0, offset, f"k{offset}", b"v", (), 1)


@given(gaps=GAPS, tail=st.integers(0, 4), compacted=st.booleans())
def test_every_record_lands_where_it_was(gaps: list[int], tail: int, compacted: bool) -> None:
    """Whatever gaps a log has, before, between and behind: written run by run it has the same offsets and end."""
    offsets: list[int] = []
    for gap in gaps:
        offsets.append((offsets[-1] + 1 if offsets else 0) + gap)
    end = (offsets[-1] + 1 if offsets else 0) + tail

    here, written = 0, []
    for run in runs(map(record, offsets), end, compacted=compacted):
        for one in run.records:
            assert one.offset == here
            written.append(one)
            here += 1
        if run.gap == 1:
            assert run.records or not compacted, "a transaction without records ends nothing"
            here += 1
        elif run.gap:
            for portion in portions(run.gap):
                assert 2 <= portion <= GAP_AT_ONCE, "an aborted transaction takes a record and its own end"
                here += portion

    again = bool(written) and compacted and offsets[0] == 1
    assert [one.offset for one in written[again:]] == offsets
    assert not again or written[0].key == written[1].key, "a compacted topic may say the first record twice"
    lost = compacted and not offsets and end == 1
    assert here == end + lost


def test_a_long_run_is_never_held_whole() -> None:
    """Memory is bounded by records and by bytes."""
    small = list(runs(map(record, range(5000)), 5000, compacted=False))
    large = list(runs((Record("t", 0, n, "", b"x" * 900_000, (), 1) for n in range(10)), 10, compacted=False))

    assert max(len(run.records) for run in small) == 1000
    assert max(len(run.records) for run in large) == 3


@given(gaps=st.lists(st.integers(0, 9), max_size=12), tail=st.integers(0, 4), read=st.integers(0, 20))
def test_a_packed_log_ends_where_it_did(gaps: list[int], tail: int, read: int) -> None:
    """No record lies lower than it did, the log goes on at the same offset, and who had read n records has read n."""
    offsets: list[int] = []
    for gap in gaps:
        offsets.append((offsets[-1] + 1 if offsets else 0) + gap)
    end = (offsets[-1] + 1 if offsets else 0) + tail

    end = packed_end(end, len(offsets))
    moved = [one.offset for one in packed(map(record, offsets), end, len(offsets))]

    assert moved == list(range(end - len(offsets), end))
    assert end - len(offsets) != 1, "a single free offset could be taken by nothing"
    assert all(new >= old for new, old in zip(moved, offsets, strict=True))
    behind = min(read, len(offsets))
    assert [offset for offset in moved if offset < packed_offset(end, len(offsets), behind)] == moved[:behind]
