"""What every source connector must pass, in one line of its test: `check_source(source, dead_source, nonsense)`.

The rules stand in `samenloop.source`; a connector's own tests only say what is special about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from samenloop.contract import Codec
from samenloop.errors import Held, Reject, Retry
from samenloop.identity import plan_id, restriction_id, system_oin
from samenloop.model import ChangeKind, Plan
from samenloop.reported import hash_of
from samenloop.snapshots import Memory, Speaker, diff
from samenloop.source import Page, Raw, Source, read_snapshot, taken_at
from samenloop.source_account import change_output

RawT = TypeVar("RawT", bound=Raw)


def check_source(source: Source[RawT], dead_source: Source[RawT], nonsense: Sequence[bytes]) -> None:
    """Assert every rule. *source* has something to fetch, *dead_source*'s partner is down, *nonsense* is no answer."""
    pages = list(source.fetch(None))
    assert pages, "the source of the contract must have something to fetch"
    _cursor_ends_the_story(source, pages)
    for page in pages:
        _page_is_named_by_its_bytes(page)
        _parse_is_a_function(source, page)
        _plans_fit_the_contract(source, page)
    _replay_repeats_ids(source, pages[0])
    _nonsense_is_refused(source, pages[0], nonsense)
    _outage_is_retried(dead_source)


def _cursor_ends_the_story(source: Source[RawT], pages: Sequence[Page]) -> None:
    """Nothing is delivered on both sides of a cursor, and pages come oldest first."""
    assert list(source.fetch(pages[-1].cursor)) == []
    assert [page.taken_at for page in pages] == sorted(page.taken_at for page in pages)


def _page_is_named_by_its_bytes(page: Page) -> None:
    """The snapshot id carries the moment, so that order needs no memory."""
    assert taken_at(page.snapshot_id) == page.taken_at
    assert page.taken_at.tzinfo is not None


def _parse_is_a_function(source: Source[RawT], page: Page) -> None:
    """The same record gives the same plan each time, and one bad record never loses a page."""
    first, second = read_snapshot(source, page), read_snapshot(source, page)
    assert first == second
    assert len({record.local_id for record in first.records}) == len(first.records)
    for rejected in first.rejected:
        assert rejected.raw, "a rejected record keeps its original bytes"
        assert "." in rejected.code, "a rejected record has a stable code"


def _plans_fit_the_contract(source: Source[RawT], page: Page) -> None:
    """Every plan or restriction can be written and hashed, is named after its system, and has a known owner."""
    codec = Codec.offline()
    speaker = Speaker("contract", source.system, source.oin)
    snapshot = read_snapshot(source, page)
    assert system_oin(source.system) == source.oin
    for record in snapshot.records:
        plan = record.plan
        named = plan_id if isinstance(plan, Plan) else restriction_id
        assert plan.id == named(source.system, record.local_id)
        assert plan.system == source.system
        assert plan.owner.oin and plan.title
        assert len(hash_of(plan)) == len(record.fingerprint) == 32
    found = diff(Memory(), snapshot, speaker=speaker, guards=source.guards, now=page.taken_at, released=True)
    assert {change.change for change in found.changes} <= {ChangeKind.SNAPSHOT}
    assert found.counts.read == len(snapshot.records) + len(snapshot.rejected)
    for change in found.changes:
        output = change_output(codec, change)
        assert codec.decode(output.topic, output.value or b"", output.headers) == change


def _replay_repeats_ids(source: Source[RawT], page: Page) -> None:
    """Repeating a page is harmless: the same events under the same ids."""
    speaker = Speaker("contract", source.system, source.oin)
    twice = [
        diff(
            Memory(),
            read_snapshot(source, page),
            speaker=speaker,
            guards=source.guards,
            now=page.taken_at,
            released=True,
        )
        for _ in range(2)
    ]
    first, second = ([change.origin.event_id for change in found.changes] for found in twice)
    assert first == second
    assert len(set(first)) == len(first)


def _nonsense_is_refused(source: Source[RawT], page: Page, nonsense: Sequence[bytes]) -> None:
    """What is not an answer of this source is refused as a whole: it can never look like an empty one."""
    for body in nonsense:
        broken = Page(page.snapshot_id, page.taken_at, page.cursor, page.name, body)
        try:
            list(source.unpack(broken))
        except (Reject, Held) as error:
            assert error.code.startswith(("envelope.", "snapshot.")), error.code
        else:
            raise AssertionError(f"{body[:30]!r} was taken for a page")


def _outage_is_retried(dead_source: Source[RawT]) -> None:
    """A partner that is down loses nothing."""
    try:
        list(dead_source.fetch(None))
    except Retry:
        return
    raise AssertionError("an outage did not raise Retry")
