"""The differ's guards and laws, on plans made by hand."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samenloop.errors import Held
from samenloop.model import ChangeKind, ChangeReason, Organisation, Period, Phase, Plan, SourceState
from samenloop.snapshots import Diff, Memory, Speaker, apply, check, dead_letter, diff, is_older
from samenloop.source import Guards, Rejected, Snapshot, SourceRecord, snapshot_id

SYSTEM = "urn:nld:oin:00000099000000001001:systeem:works"
SPEAKER = Speaker("town", SYSTEM, "00000099000000001001")
START = datetime(2027, 1, 4, tzinfo=UTC)
USUAL = Guards()


def plan(number: int, **changed: object) -> Plan:
    base = Plan(
        id=f"{SYSTEM}:plan:{number}",
        system=SYSTEM,
        local_id=str(number),
        owner=Organisation(SPEAKER.oin),
        title=f"Werk {number}",
        period=Period(date(2027, 3, 1), date(2027, 4, 30)),
    )
    return replace(base, **changed)  # type: ignore[arg-type]


def snapshot(week: int, plans: dict[int, str], rejected: int = 0, first_rejected: int = 900) -> Snapshot:
    """A snapshot with these works (number: title) and so many refused records behind them."""
    taken = START + timedelta(weeks=week)
    records = [
        SourceRecord(str(n), plan(n, title=title), f"{n} {title}".encode().ljust(32)[:32]) for n, title in plans.items()
    ]
    refused = [
        Rejected("date.unparseable", "van: found x", len(plans) + i, b"raw", str(first_rejected + i))
        for i in range(rejected)
    ]
    return Snapshot(snapshot_id(taken, f"{week:064x}"), taken, taken.date(), records, refused)


def step(memory: Memory, found: Snapshot, guards: Guards = USUAL, *, released: bool = False) -> tuple[Memory, Diff]:
    result = diff(memory, found, speaker=SPEAKER, guards=guards, now=START, released=released)
    cursor = SourceState(source="town", record="", snapshot_id=found.id)
    return apply(memory, result.effects, cursor), result


def works(*numbers: int) -> dict[int, str]:
    return dict.fromkeys(numbers, "x")


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        (range(100), range(79), "snapshot.shrunk"),
        (range(100), range(80), None),
        (range(20), range(1), None),
        (range(5), (), "snapshot.empty"),
        (range(5), range(10, 15), "snapshot.unrelated"),
        ((), range(5), None),
    ],
)
def test_what_cannot_be_true_is_held(before: range, after: range, code: str | None) -> None:
    """More than a fifth and more than twenty ids gone, nothing left, nothing in common."""
    memory, _ = step(Memory(), snapshot(0, works(*before)))
    if code is None:
        check(memory, snapshot(1, works(*after)), Guards())
        return

    with pytest.raises(Held) as found:
        check(memory, snapshot(1, works(*after)), Guards())
    assert found.value.code == code


@pytest.mark.parametrize(
    ("good", "bad", "held"), [(5, 1, False), (0, 1, True), (100, 10, False), (150, 11, True), (2000, 50, True)]
)
def test_a_feed_that_is_mostly_refused_stops(good: int, bad: int, held: bool) -> None:
    """More than 5 % (and more than ten), fifty in a row, or all: held instead of emptied into the dead letters."""
    found = snapshot(0, works(*range(good)), bad)
    if not held:
        assert step(Memory(), found)[1].counts.rejected == bad
        return

    with pytest.raises(Held, match=r"records\.rejected"):
        step(Memory(), found)
    assert step(Memory(), found, released=True)[1].counts.rejected == bad


def test_a_refused_record_is_not_absent() -> None:
    """It is there, only unreadable: its plan stays as it was."""
    memory, _ = step(Memory(), snapshot(0, works(1, 2)))
    memory, result = step(memory, snapshot(1, works(1), rejected=1, first_rejected=2))

    assert (result.counts.rejected, result.counts.removed, result.step.removed) == (1, 0, 0)
    assert memory.records["2"].absences == 0


def test_a_return_within_the_grace_tells_nobody() -> None:
    """A later one re-opens the same plan id."""
    memory, _ = step(Memory(), snapshot(0, works(1, 2)))
    memory, gone = step(memory, snapshot(1, works(1)))
    memory, back = step(memory, snapshot(2, works(1, 2)))

    assert (list(gone.changes), list(back.changes)) == ([], [])
    assert (gone.step.removed, back.step.added) == (1, 1)
    assert memory.records["2"].absences == 0


def test_absence_counts_to_the_grace_and_deletes_once() -> None:
    """Three complete snapshots without it."""
    memory, _ = step(Memory(), snapshot(0, works(1, 2)))
    deleted = []
    for week in range(1, 6):
        memory, found = step(memory, snapshot(week, works(1)))
        deleted.append([(c.change, c.reason) for c in found.changes])

    assert deleted == [[], [], [(ChangeKind.DELETED, ChangeReason.ABSENT)], [], []]
    _, back = step(memory, snapshot(6, works(1, 2)))
    assert [(c.change, c.plan_id[-1], c.sequence) for c in back.changes] == [(ChangeKind.CREATED, "2", 3)]


def test_a_completed_plan_that_returns_is_updated() -> None:
    """It was never deleted: it goes on under the same id with its reported phase."""
    memory, _ = step(Memory(), snapshot(0, works(1, 2)))
    memory, over = step(memory, snapshot(20, works(1)))
    memory, back = step(memory, snapshot(21, works(1, 2)))

    assert [c.plan.phase for c in over.changes if c.plan] == [Phase.COMPLETED]
    assert [(c.change, c.changed_fields) for c in back.changes] == [(ChangeKind.UPDATED, ("/phase",))]


def test_cancelling_is_a_change_of_its_own() -> None:
    """A business fact: the plan stays."""
    memory, _ = step(Memory(), snapshot(0, works(1)))
    cancelled = SourceRecord("1", plan(1, title="x", phase=Phase.CANCELLED), b"f" * 32)
    memory, found = step(memory, replace(snapshot(1, {}), records=[cancelled]))

    assert [c.change for c in found.changes] == [ChangeKind.CANCELLED]


def test_a_fingerprint_alone_publishes_nothing() -> None:
    """The source's record changed, the plan did not."""
    memory, _ = step(Memory(), snapshot(0, works(1)))
    same = SourceRecord("1", plan(1, title="x"), b"f" * 32)
    memory, found = step(memory, replace(snapshot(1, {}), records=[same]))

    assert (found.step.changed, list(found.changes), found.counts.unchanged) == (1, [], 1)
    assert memory.records["1"].fingerprint == b"f" * 32


def test_there_and_back_again_has_three_ids() -> None:
    """A, B, A: the way back is news."""
    memory, ids = Memory(), []
    for week, title in enumerate("aba"):
        memory, found = step(memory, snapshot(week, {1: title}))
        ids += [change.origin.event_id for change in found.changes]

    assert len(set(ids)) == 3


def test_older_and_equal_snapshots_are_known() -> None:
    """By the moment in their name, without a clock."""
    memory, _ = step(Memory(), snapshot(1, works(1)))

    assert is_older(memory, snapshot(0, works(1)).id)
    assert is_older(memory, snapshot(1, works(1)).id)
    assert not is_older(memory, snapshot(2, works(1)).id)
    assert not is_older(Memory(), snapshot(0, works(1)).id)


def test_a_dead_letter_keeps_the_bytes_and_its_id() -> None:
    """The same fault in the same bytes is one letter; above 900 kB only the digest stays."""
    small = Rejected("date.unparseable", "van: found text like 'a'", 3, b"raw", "7")
    large = replace(small, raw=b"x" * 900_001)

    first, second = dead_letter(small, SPEAKER, START), dead_letter(replace(small, position=9), SPEAKER, START)

    assert first.id == second.id
    assert (first.value, first.reason, first.system) == (b"raw", "MALFORMED", SYSTEM)
    assert dead_letter(large, SPEAKER, START).value is None


weeks = st.lists(st.dictionaries(st.integers(0, 8), st.sampled_from("ab"), max_size=9), min_size=1, max_size=8)


@settings(max_examples=200, deadline=None)
@given(weeks)
def test_following_the_changes_gives_the_plans_that_are_there(story: list[dict[int, str]]) -> None:
    """Whoever applies every change holds the last snapshot, and what is only absent for a while beside it."""
    guards = Guards(common_ids=False, absence_grace=2)
    memory, truth = Memory(), {}
    for week, plans in enumerate(story):
        memory, found = step(memory, snapshot(week, plans), guards, released=True)
        for change in found.changes:
            truth[change.plan_id] = change.plan
        assert found.counts.read == len(plans) + found.counts.removed
        assert found.counts.published == len(list(found.changes))
    there = {f"{SYSTEM}:plan:{n}": title for n, title in story[-1].items()}
    shown = {plan_id: found.title for plan_id, found in truth.items() if found is not None}

    assert {plan_id: shown[plan_id] for plan_id in there} == there
    waiting = {s.plan.id for s in memory.records.values() if s.plan and not s.gone and s.absences}
    assert shown.keys() - there.keys() == waiting
    assert memory.present == {str(n) for n in story[-1]}


@settings(max_examples=100, deadline=None)
@given(weeks, st.integers(0, 20))
def test_a_crash_after_any_chunk_ends_in_the_same_place(story: list[dict[int, str]], done: int) -> None:
    """Half of the effects were kept, then the same snapshot is compared again: same states, ids and number read.

    One that had been deleted and was created again before the crash counts as updated after it.
    """
    guards = Guards(common_ids=False, absence_grace=2)
    memory = Memory()
    for week, plans in enumerate(story[:-1]):
        memory, _ = step(memory, snapshot(week, plans), guards, released=True)
    last = snapshot(len(story), story[-1])
    calm, whole = step(memory, last, guards, released=True)
    kept = whole.effects[:done]
    rough, rest = step(apply(memory, kept), last, guards, released=True)

    assert rough == calm
    ids = [e.change.origin.event_id for e in (*kept, *rest.effects) if e.change]
    assert ids == [change.origin.event_id for change in whole.changes]
    assert rest.counts.read == whole.counts.read
    assert rest.counts.removed == whole.counts.removed
    assert rest.counts.published == whole.counts.published
    assert rest.counts.created + rest.counts.updated == whole.counts.created + whole.counts.updated
