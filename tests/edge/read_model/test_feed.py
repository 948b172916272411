"""Changes and alerts from a cursor: nothing missed, nothing told to those who may not know."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.read_model import CursorExpired, Keep, ReadModel
from edge.read_model.cursors import read_cursor
from edge.read_model.layout import remove
from edge.read_model.writing import Writer
from samenloop.errors import Reject, Retry
from samenloop.model import Clearance, SubscriberRole, SubscriptionStatus, Visibility
from samenloop.visibility import PUBLIC, Viewer
from tests.edge.read_model.conftest import (
    BUILDER,
    HUB,
    MUNICIPALITY,
    NETWORK,
    RD,
    WATER_BOARD,
    Log,
    make_plan,
    partner,
)

FEW = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
VIEWERS = [partner(MUNICIPALITY), partner(NETWORK), partner(BUILDER), PUBLIC, Viewer(NETWORK, Clearance.PUBLIC)]
STEP = st.tuples(
    st.sampled_from(["A", "B", "C", "D"]),
    st.sampled_from([*Visibility, None]),
    st.sampled_from([(), (BUILDER,)]),
    st.booleans(),
)


def kinds(events: list[bytes]) -> list[str]:
    return [json.loads(event)["type"].split(".")[2] for event in events]


class Copy:
    """What a partner's system holds that applies changes."""

    def __init__(self, viewer: Viewer, held: dict[str, Any], cursor: str | None) -> None:
        self.viewer, self.held, self.cursor = viewer, held, cursor

    def catch_up(self, model: ReadModel, limit: int) -> None:
        while True:
            page = model.changes(self.viewer, after=self.cursor, limit=limit)
            self.cursor = page.next
            for event in map(json.loads, page.events):
                if "data" in event:
                    self.held[event["subject"]] = event["data"]
                else:
                    self.held.pop(event["subject"], None)
            if page.at_end:
                return


def collection(model: ReadModel, viewer: Viewer) -> dict[str, Any]:
    return {item.id: json.loads(item.feature) for item in model.items("plans", viewer, limit=1000).items}


@FEW
@given(steps=st.lists(STEP, max_size=30), limit=st.integers(1, 9), late=st.data())
def test_a_copy_kept_by_changes_equals_the_collection(
    make_log: Callable[..., Log],
    model_of: Callable[[Log], ReadModel],
    steps: list[Any],
    limit: int,
    late: st.DataObject,
) -> None:
    """From the start or from any cursor with the collection as it was: afterwards each viewer holds what it may see.

    rule: contract.md 9. Plans come, go, change level, audience and back again, read in batches of any size.
    """
    log = make_log()
    log.write()
    model = model_of(log)
    copies: list[Copy] = [Copy(viewer, {}, None) for viewer in VIEWERS]
    for name, level, audience, ends in steps:
        plan = make_plan(name, visibility=level or Visibility.PUBLIC, audience=audience)
        log.now += 1
        if level is None:
            log.removed(plan.id)
        else:
            log.plan(plan)
        if ends:
            log.write()
            copies += [Copy(viewer, collection(model, viewer), model.cursor(viewer)) for viewer in VIEWERS]
            late.draw(st.sampled_from(copies)).catch_up(model, limit)
    log.write()

    for copy in copies:
        copy.catch_up(model, limit)
        assert copy.held == collection(model, copy.viewer)


def test_narrowing_withdraws_by_id_alone(log: Log, model_of: Callable[[Log], ReadModel]) -> None:
    """Who could see a plan is told once that it is withdrawn; who could not, and later changes, are silent."""
    for level in (Visibility.PARTNERS, Visibility.RESTRICTED, Visibility.RESTRICTED):
        log.plan(make_plan("A", visibility=level, title=f"Title {level}"))
        log.write()
    log.removed(make_plan("A").id)
    log.write()
    model = model_of(log)

    assert kinds(model.changes(PUBLIC).events) == []
    (event,) = model.changes(partner(NETWORK)).events
    assert set(json.loads(event)) == {"specversion", "id", "source", "type", "subject", "time", "dataclassification"}
    assert json.loads(event)["type"] == "nl.samenloop.plan-withdrawn.v1"
    assert kinds(model.changes(partner(MUNICIPALITY)).events) == ["plan-removed"]


def test_past_content_is_not_told_once_the_plan_is_hidden(log: Log, model_of: Callable[[Log], ReadModel]) -> None:
    """A reader that is late gets no title of a plan that was narrowed or removed meanwhile."""
    cursor_before = None
    for level in (Visibility.PUBLIC, Visibility.GROUP):
        log.plan(make_plan("A", visibility=level, title="Not any more"))
    log.plan(make_plan("B", title="Not any more"))
    log.removed(make_plan("B").id)
    log.write()

    page = model_of(log).changes(partner(NETWORK), after=cursor_before)

    assert kinds(page.events) == ["plan-withdrawn", "plan-removed"]
    assert b"Not any more" not in b"".join(page.events)


def test_a_page_may_be_empty_and_still_moves_on(log: Log, model_of: Callable[[Log], ReadModel]) -> None:
    """Hidden records are passed over page by page, each with a cursor further on, until the end."""
    for number in range(20):
        log.plan(make_plan(f"P{number}", visibility=Visibility.RESTRICTED))
    log.write()
    model, cursor, seen = model_of(log), None, set()
    while True:
        page = model.changes(PUBLIC, after=cursor, limit=3)
        assert page.events == []
        assert page.next not in seen
        seen.add(page.next)
        cursor = page.next
        if page.at_end:
            break

    assert len(seen) > 3
    assert model.changes(PUBLIC, after=cursor).next == cursor


def test_a_busy_partition_starves_no_other(log: Log, model_of: Callable[[Log], ReadModel]) -> None:
    """Even a page of two reaches every partition soon."""
    for number in range(60):
        log.plan(make_plan(f"P{number}"))
    quiet = make_plan("Q-quiet")
    log.plan(quiet)
    log.write()
    model, cursor, pages = model_of(log), None, 0
    while True:
        page = model.changes(partner(NETWORK), after=cursor, limit=12)
        cursor, pages = page.next, pages + 1
        if any(json.loads(event)["subject"] == quiet.id for event in page.events):
            break

    assert pages <= 6


def test_an_unreadable_record_hides_the_plan(log: Log, model_of: Callable[[Log], ReadModel]) -> None:
    """What cannot be read counts as RESTRICTED: the version before is not shown on, and the rest goes on."""
    plan = make_plan("A", visibility=Visibility.PUBLIC)
    log.plan(plan)
    log.write()
    cursor = model_of(log).cursor(PUBLIC)
    log.record("plan-states", plan.id, b"\x00nonsense")
    log.plan(make_plan("B", visibility=Visibility.PUBLIC))
    log.write()
    model = model_of(log)

    assert sorted(kinds(model.changes(PUBLIC, after=cursor).events)) == ["plan-state-changed", "plan-withdrawn"]
    assert [item.id for item in model.items("plans", PUBLIC).items] == [make_plan("B").id]
    assert model.item("plans", partner(MUNICIPALITY), plan.id) is None


def test_cursors_that_cannot_be_continued(log: Log, model_of: Callable[[Log], ReadModel]) -> None:
    """Another log, another viewer, other rights, or a text that was never a cursor."""
    log.plan(make_plan("A"))
    log.write()
    model = model_of(log)
    mine = model.cursor(partner(NETWORK))
    other_log = replace(read_cursor(mine), epoch=b"none").text()

    for viewer, cursor in (
        (partner(NETWORK), other_log),
        (partner(BUILDER), mine),
        (Viewer(NETWORK, Clearance.PUBLIC), mine),
        (Viewer(NETWORK, Clearance.PARTNERS, groups=frozenset({"urn:g"})), mine),
    ):
        with pytest.raises(CursorExpired):
            model.changes(viewer, after=cursor)
    for text in ("", "x", "AAAA", mine[:-3] + "é", "/" * 40, "_" * 200):
        with pytest.raises(Reject, match=r"query\.cursor"):
            model.changes(partner(NETWORK), after=text)


def test_a_cursor_expires_with_what_it_would_need(
    make_log: Callable[..., Log], model_of: Callable[[Log], ReadModel]
) -> None:
    """A cursor before forgotten versions is refused, a reading from the start is not, nor one behind them."""
    log = make_log(keep=Keep(history=timedelta(days=2)))
    log.now -= 3 * 86_400
    log.plan(make_plan("A"))
    log.write()
    model = model_of(log)
    early = replace(read_cursor(model.cursor(PUBLIC)), offsets=(0,) * 12).text()
    behind = model.cursor(PUBLIC)
    for level in (Visibility.PUBLIC, Visibility.RESTRICTED):
        log.plan(make_plan("A", visibility=level))
        log.write()
    now = log.now + 3 * 86_400
    while log.writer.prune(now):
        pass

    for cursor in (early, behind):
        with pytest.raises(CursorExpired):
            model.changes(PUBLIC, after=cursor)
    page = model.changes(partner(MUNICIPALITY), limit=1)
    assert kinds(page.events) == ["plan-state-changed"]
    assert model.changes(partner(MUNICIPALITY), after=page.next).at_end
    assert model.changes(PUBLIC, after=model.cursor(PUBLIC)).events == []


def test_a_file_made_anew_knows_how_far_back_it_is_whole(log: Log, model_of: Callable[[Log], ReadModel]) -> None:
    """Records older than what is kept may stand beside ones that compaction ate: a cursor before them is refused."""
    old = log.now - 9 * 86_400
    now, log.now = log.now, old
    log.plan(make_plan("A", visibility=Visibility.RESTRICTED))
    log.plan(make_plan("A", visibility=Visibility.RESTRICTED))
    log.now = now
    log.plan(make_plan("A", visibility=Visibility.RESTRICTED))
    log.write()
    model = model_of(log)
    newest = read_cursor(model.cursor(PUBLIC))
    offset = max(newest.offsets)

    with pytest.raises(CursorExpired):
        model.changes(PUBLIC, after=replace(newest, offsets=tuple(min(o, offset - 6) for o in newest.offsets)).text())
    between = replace(newest, offsets=tuple(min(o, offset - 4) for o in newest.offsets)).text()
    assert model.changes(PUBLIC, after=between).events == []


def test_what_retention_took_expires_a_cursor(log: Log, model_of: Callable[[Log], ReadModel]) -> None:
    """A file that is made when the log no longer starts at 0 refuses cursors from before its start."""
    log.write()
    cursor = model_of(log).alerts_cursor(partner(NETWORK))
    log.writer.close()
    remove(log.path)
    log.offsets = dict.fromkeys(log.offsets, 5)
    log.writer = Writer(log.path, log.codec, HUB, RD, log.keep)
    log.writer.begin(dict.fromkeys(log.offsets, "epoch"), log.offsets, log.now)
    model = model_of(log)

    with pytest.raises(CursorExpired):
        model.alerts(partner(NETWORK), after=cursor)
    assert model.alerts(partner(NETWORK)) is not None


def test_a_model_follows_a_file_that_is_made_anew(log: Log, model_of: Callable[[Log], ReadModel]) -> None:
    """Its connections go on with the new file, not with the one that is gone."""
    model = model_of(log)
    log.plan(make_plan("A"))
    log.write()
    assert len(model.items("plans", partner(NETWORK)).items) == 1
    log.writer.close()
    remove(log.path)
    with pytest.raises(Retry, match=r"edge\.not-ready"):
        model.items("plans", partner(NETWORK))
    log.writer = log.open()

    assert model.items("plans", partner(NETWORK)).items == []


def test_alerts_of_a_subscription(log: Log, model_of: Callable[[Log], ReadModel]) -> None:
    """A partner reads those of its own subscriptions, in sequence, and others' as if they were not there."""
    plan = make_plan("A")
    log.plan(plan)
    log.subscription(1, NETWORK)
    log.subscription(2, NETWORK)
    log.subscription(3, BUILDER)
    for sequence in range(1, 8):
        for number in (1, 2, 3):
            log.alert(number, sequence, plan.id, {"title": "x"})
    log.write()
    model, viewer = model_of(log), partner(NETWORK)

    found, cursor = [], None
    while True:
        page = model.alerts(viewer, subscription=UUID(int=1), after=cursor, limit=3)
        assert page is not None
        found += [json.loads(event)["alertsequence"] for event in page.events]
        cursor = page.next
        if page.at_end:
            break
    everything = model.alerts(viewer)

    assert found == [1, 2, 3, 4, 5, 6, 7]
    assert everything is not None
    assert len(everything.events) == 14
    assert model.alerts(viewer, subscription=UUID(int=3)) is None
    assert model.alerts(PUBLIC).events == []  # type: ignore[union-attr]
    log.subscription(1, NETWORK, status=SubscriptionStatus.ENDED)
    log.write()
    assert model.alerts(viewer, subscription=UUID(int=1)) is None


def test_alerts_are_not_told_again_when_their_subject_is_hidden(log: Log, model_of: Callable[[Log], ReadModel]) -> None:
    """What was told of a plan or finding stays out once it is narrowed; ids, masks and the owner's own do not."""
    plan, other = make_plan("A"), make_plan("B", WATER_BOARD)
    finding = str(UUID(int=9))
    log.subscription(1, NETWORK)
    log.subscription(2, MUNICIPALITY)
    log.plan(plan)
    log.plan(other)
    log.finding([plan, other], number=9)
    log.alert(1, 1, plan.id, {"title": "Works A"})
    log.alert(1, 2, finding, {"sentence": "Works A and B"})
    log.alert(1, 3, plan.id, None, label="public")
    log.alert(1, 4, plan.id, {"title": "x"}, label="restricted")
    log.alert(2, 1, plan.id, {"title": "Works A"}, label="restricted", role=SubscriberRole.OWNER)
    log.alert(2, 2, finding, {"finding": {"id": finding}, "masked": True}, role=SubscriberRole.OWNER)
    log.alert(2, 3, finding, {"sentence": "Works A and B"}, role=SubscriberRole.OWNER)
    log.write()
    model = model_of(log)

    def sequences(oin: str) -> list[int]:
        page = model.alerts(partner(oin))
        assert page is not None
        return [json.loads(event)["alertsequence"] for event in page.events]

    assert sequences(NETWORK) == [1, 2, 3]
    log.plan(make_plan("A", visibility=Visibility.RESTRICTED))
    log.write()
    assert sequences(NETWORK) == [3]
    assert sequences(MUNICIPALITY) == [1, 2, 3]
    log.plan(make_plan("B", WATER_BOARD, visibility=Visibility.RESTRICTED))
    log.write()
    assert sequences(MUNICIPALITY) == [1, 2]
