"""Every record is accounted for, by id: what the accounts say of logs where all is well, and where something is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samenloop import consolidate
from samenloop.conservation import (
    Account,
    AlertSeen,
    Change,
    Log,
    Poll,
    Seen,
    consolidate_account,
    deliver_account,
    publish_account,
    read_account,
)
from samenloop.consolidate import Claim, Known, Ruling
from samenloop.errors import Reject
from samenloop.model import ChangeKind, Outcome, Phase, PollOutcome, SourcePoll

NOW = datetime(2027, 1, 4, 9, tzinfo=UTC)
OIN = "00000099000000001001"
SYSTEM = f"urn:nld:oin:{OIN}:systeem:works"


def change(offset: int, plan: int, hour: int, content: int | None) -> Change:
    """Return a change of a plan; content None removes it, a negative one is refused."""
    key = f"{SYSTEM}:plan:{plan}"
    kind = ChangeKind.DELETED if content is None else ChangeKind.UPDATED
    claim = Claim(
        key=key, source=SYSTEM, event_id=f"e{plan}-{hour}-{content}", subject_id=key, change=kind, system=SYSTEM,
        oin=OIN, hops=9 if content == -1 else 0, recorded_at=NOW + timedelta(hours=hour), sequence=0,
        content_hash=None if content is None else bytes([content % 256]), phase=Phase.DESIGN,
        plan_id=None if content is None else key, plan_system=None if content is None else SYSTEM,
        owner_oin=None if content is None else OIN,
    )  # fmt: skip
    return Change(0, offset, key, claim.event_id, claim)


def written(changes: Sequence[Change]) -> tuple[dict[str, list[Seen]], set[str], Counter[str]]:
    """Return what a stage writes for *changes*: states and letters, and how many became what."""
    known: dict[str, Known] = {}
    states: dict[str, list[Seen]] = {}
    letters: set[str] = set()
    became: Counter[str] = Counter()
    for said in changes:
        assert isinstance(said.claim, Claim)
        try:
            consolidate.check(said.claim)
            ruling = consolidate.judge(known.get(said.key), said.claim)
        except Reject:
            letters.add(said.letter_id)
            became["dead letters"] += 1
            continue
        if ruling is Ruling.ACCEPTED:
            known[said.key] = consolidate.accept(known.get(said.key), said.claim)
            states.setdefault(said.key, []).append(Seen(said.state_id, known[said.key]))
            became["revisions"] += 1
        else:
            became["duplicates" if ruling is Ruling.DUPLICATE else "stale"] += 1
    return states, letters, became


stories = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 5), st.one_of(st.none(), st.integers(-1, 3))), min_size=1, max_size=25
).map(lambda rows: [change(2 * offset, *row) for offset, row in enumerate(rows)])


@given(stories, st.data())
def test_every_change_is_accounted_for(story: list[Change], data: st.DataObject) -> None:
    """plan-changes = revisions + duplicates + stale + dead letters, from any offset on, with nothing missing."""
    states, letters, became = written(story)
    first = data.draw(st.integers(0, len(story)))
    account, part = Account("consolidate"), Account("consolidate")
    consolidate_account(account, story, Log(letters, 1000, states))
    consolidate_account(part, story[first:], Log(letters, 1000, states))

    assert (account.missing, account.became, account.went_in) == (0, became, len(story))
    assert part.missing == 0
    assert part.went_in == sum(part.became.values()) == len(story) - first


@given(stories, st.data())
def test_a_state_or_letter_that_vanished_is_missed(story: list[Change], data: st.DataObject) -> None:
    """Whichever single state or dead letter is taken away, exactly its change is named."""
    states, letters, _ = written(story)
    made = [said for said in story if said.letter_id in letters] + [
        said for said in story if any(seen.id == said.state_id for seen in states.get(said.key, ()))
    ]
    if not made:
        return
    lost = data.draw(st.sampled_from(made))
    left = {key: [seen for seen in those if seen.id != lost.state_id] for key, those in states.items()}
    account = Account("consolidate")
    consolidate_account(account, story, Log(letters - {lost.letter_id}, 1000, left))

    assert [difference.place for difference in account.differences] == [lost.place]
    assert account.missing == 1


def test_what_is_not_read_yet_is_not_missing() -> None:
    """A change behind the stage's position waits; before it, it must have led to something."""
    said = [change(4, 1, 0, 1)]
    due, late = Account("consolidate"), Account("consolidate")
    consolidate_account(due, said, Log((), 4))
    consolidate_account(late, said, Log((), 5))

    assert (due.missing, due.became["still to be read"]) == (0, 1)
    assert (late.missing, late.differences[0].what) == (1, "change without a state")


def test_compaction_is_no_loss() -> None:
    """A revision old enough to be compacted may be gone when a later one of its plan is there; the last one may not."""
    story = [change(0, 1, 0, 1), change(1, 1, 1, 2)]
    states, letters, _ = written(story)
    last = {key: those[-1:] for key, those in states.items()}
    account, none = Account("consolidate"), Account("consolidate")
    consolidate_account(account, story, Log(letters, 9, last, lambda _: True))
    consolidate_account(none, story, Log(letters, 9, {}, lambda _: True))

    assert (account.missing, account.became["revisions"]) == (0, 2)
    assert none.missing == 2


def poll(number: int, *, hour: int = 0, outcome: PollOutcome = PollOutcome.OK, **counts: int | None) -> Poll:
    known = {"created": 2, "updated": 1, "removed": 1, "unchanged": 5, "rejected": 1, "read": 10, "published": 3}
    said = SourcePoll(
        id=UUID(int=number), source="town", connector="c", started_at=NOW, duration_ms=1, outcome=outcome,
        snapshot_id=f"s{hour}", **{**known, **counts},
    )  # fmt: skip
    return Poll(said, SYSTEM, f"polls 0@{number}", NOW + timedelta(hours=hour))


def test_a_poll_that_does_not_add_up() -> None:
    """read = created + updated + removed + unchanged + rejected, and how far it is off counts."""
    account = read_account([poll(1), poll(2, read=12)])

    assert (account.went_in, account.missing) == (22, 2)
    assert [(x.id, x.place) for x in account.differences] == [(str(UUID(int=2)), "polls 0@2")]


@pytest.mark.parametrize(
    ("published", "there", "missing"),
    [(3, 3, 0), (3, 2, 1), (3, 5, 2), (None, 3, 0), (None, 4, 0), (None, 2, 1), (None, 5, 1)],
)
def test_polls_and_changes(published: int | None, there: int, missing: int) -> None:
    """The changes of a snapshot are those its poll wrote; a poll of an older version gives bounds."""
    said = poll(1, published=published)
    account = publish_account([said], {(SYSTEM, NOW): there}, {str(UUID(int=1))}, fresh={})

    assert account.missing == missing


def test_changes_without_a_poll() -> None:
    """Changes of a polled system belong to a poll, unless their snapshot is newer than every poll; pushes need none."""
    at = {hour: NOW + timedelta(hours=hour) for hour in range(4)}
    other = "urn:nld:oin:00000099000000001002:systeem:pushed"
    counts = {(SYSTEM, at[0]): 3, (SYSTEM, at[1]): 4, (SYSTEM, at[3]): 7, (other, at[0]): 1}
    polls = [poll(1), poll(2, hour=2, published=0), poll(3, hour=2, outcome=PollOutcome.HELD, published=0)]
    account = publish_account(polls, counts, {str(UUID(int=1))}, fresh=dict.fromkeys(counts, "here"))

    assert [(x.what, x.id) for x in account.differences] == [("changes without a poll", SYSTEM)]
    assert account.missing == 4


ALERT = AlertSeen(UUID(int=5), "alerts 0@1", "letter", passed=True)
AGAIN = replace(ALERT, offered=2)


@pytest.mark.parametrize(
    ("alerts", "ends", "letters", "missing", "became"),
    [
        ([ALERT], [Outcome.DELIVERED], (), 0, {"delivered": 1}),
        ([ALERT], [], (), 1, {}),
        ([ALERT], [], ("letter",), 0, {"dead letters": 1}),
        ([replace(ALERT, passed=False)], [], (), 0, {"still due": 1}),
        ([replace(ALERT, elsewhere=True)], [], (), 0, {"another channel": 1}),
        ([ALERT], [Outcome.DELIVERED, Outcome.DELIVERED], (), 1, {"delivered": 1}),
        ([ALERT, AGAIN], [Outcome.REFUSED, Outcome.DELIVERED], (), 0, {"refused": 1, "delivered": 1}),
        ([ALERT, replace(ALERT, passed=False)], [Outcome.REFUSED], (), 0, {"refused": 1, "still due": 1}),
        ([ALERT, AGAIN], [Outcome.REFUSED], (), 1, {"refused": 1}),
        ([ALERT, AGAIN, AGAIN], [Outcome.REFUSED] * 2, (), 0, {"refused": 2, "the same offer again": 1}),
        ([ALERT, AGAIN, AGAIN], [Outcome.EXPIRED] * 3, (), 0, {"expired": 3}),
        ([ALERT, AGAIN, AGAIN], [Outcome.REFUSED], (), 1, {"refused": 1, "the same offer again": 1}),
    ],
)
def test_every_alert_ends_once_each_time_it_is_sent_out(
    alerts: list[AlertSeen], ends: list[Outcome], letters: tuple[str, ...], missing: int, became: dict[str, int]
) -> None:
    """Delivered, accepted, refused, given up, expired, withheld, still due: one of them, once per sending."""
    account = deliver_account(alerts, {ALERT.id: ends}, letters)

    assert (account.missing, account.became, account.went_in) == (missing, became, len(alerts))
