"""What the view says: everything once, nothing before it knows what was said, and the truth in the end."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from samenloop.model import DeadLetter, Organisation, PollOutcome, SourcePoll, SystemState
from samenloop.source_health import Letters, System, recount, statuses
from streams.health.view import SAID_AGAIN_AFTER, Counted, View

NOW = datetime(2027, 1, 4, 12, 30, tzinfo=UTC)
OIN = "00000099000000001001"
TOWN = f"urn:nld:oin:{OIN}:systeem:town"
SYSTEM = System(
    source="town", system=TOWN, owner=Organisation(OIN), name="town", connector="file-snapshots", protocol="HTTPS",
    freshness_objective_s=3600, silent_seconds=1e9,
)  # fmt: skip


def poll(number: int, outcome: PollOutcome = PollOutcome.OK) -> SourcePoll:
    at = NOW - timedelta(hours=1) + timedelta(seconds=number)
    return SourcePoll(
        id=UUID(int=number), source="town", connector="file-snapshots", started_at=at, duration_ms=0, outcome=outcome,
        read=3, unchanged=3, newest_record_at=at,
    )  # fmt: skip


def letter(number: int) -> DeadLetter:
    return DeadLetter(id=UUID(int=number), code="c", detail="d", stage="s", retryable=False, failed_at=NOW, system=TOWN)


def counted(polls: list[SourcePoll], letters: tuple[DeadLetter, ...] = (), **published: Any) -> Counted:
    accounts, found = recount([(each, TOWN, offset) for offset, each in enumerate(polls)], letters)
    return Counted(accounts, found, published.get("published", {}))


def ready(*polls: SourcePoll) -> View:
    """A view that has heard *polls* and a recount of them."""
    view = View([SYSTEM])
    view.begin_recount()
    view.end_recount(counted(list(polls)), NOW)
    return view


def test_nothing_is_said_before_the_first_recount() -> None:
    """It is not known yet what was said before."""
    view = View([SYSTEM])
    view.hear_poll(poll(1), TOWN, 0)

    assert view.due(NOW) == {}


def test_a_status_is_said_once_and_again_after_a_while() -> None:
    """An unchanged one is said again, so that readers see that somebody looks."""
    view = ready(poll(1))
    ((system, status),) = view.due(NOW).items()
    assert status is not None
    view.said(system, status)

    assert view.due(NOW + SAID_AGAIN_AFTER / 2) == {}
    assert list(view.due(NOW + SAID_AGAIN_AFTER)) == [TOWN]
    view.hear_poll(poll(2, PollOutcome.AUTH), TOWN, 1)
    assert view.due(NOW)[TOWN].state is SystemState.FAILED  # type: ignore[union-attr]


def test_a_system_that_is_taken_back_is_said_once() -> None:
    """A null record, and then no more of it."""
    view = View([])
    never = statuses([SYSTEM], {}, Letters(), {}, NOW)
    view.begin_recount()
    view.end_recount(counted([], published=never), NOW)

    assert view.due(NOW) == {TOWN: None}
    view.said(TOWN, None)
    assert view.due(NOW) == {}


def test_a_lost_poll_is_mended_and_told() -> None:
    """The account had passed it: the recount sees it, and names the source."""
    view = View([SYSTEM])
    view.hear_poll(poll(1), TOWN, 0)
    view.hear_poll(poll(3), TOWN, 2)
    view.begin_recount()

    mended = view.end_recount(counted([poll(1), poll(2), poll(3)]), NOW)

    assert mended == {"town"}
    assert view.due(NOW)[TOWN].polls_24h == {"ok": 3}  # type: ignore[union-attr]


def test_hours_that_count_no_more_are_nothing_to_mend() -> None:
    """A source that polled long ago: a recount of a day sees less of it than the account holds, and that is right."""
    view = ready(poll(1), poll(100_000), poll(200_000))
    view.begin_recount()
    accounts, letters = recount([(poll(100_000), TOWN, 1), (poll(200_000), TOWN, 2)], ())

    assert view.end_recount(Counted(accounts, letters, {}), NOW + timedelta(hours=40)) == set()


def test_what_was_said_during_a_recount_is_not_forgotten() -> None:
    """The recount knows the topic as it was when it began."""
    view = ready(poll(1))
    view.begin_recount()
    for system, status in view.due(NOW).items():
        view.said(system, status)
    view.end_recount(counted([poll(1)]), NOW)

    assert view.due(NOW) == {}


steps = st.lists(st.sampled_from(["hear", "lose", "again", "begin", "end", "letter"]), max_size=30)


@given(steps)
def test_in_the_end_it_equals_a_recount(doing: list[str]) -> None:
    """Polls are heard, lost or heard again in any order, recounts begin and end anywhere: after one whole recount at
    the end, what is said is what the topics hold."""
    view, topic, letters = View([SYSTEM]), [], []  # type: ignore[var-annotated]
    found: Counted | None = None
    for number, step in enumerate(doing):
        if step in ("hear", "lose"):
            topic.append(poll(number))
        if step == "hear":
            view.hear_poll(topic[-1], TOWN, len(topic) - 1)
        elif step == "again":
            for offset, each in enumerate(topic):
                view.hear_poll(each, TOWN, offset)
        elif step == "letter":
            letters.append(letter(number % 5))
            view.hear_letter(letters[-1])
        elif step == "begin":
            view.begin_recount()
            found = counted(topic, tuple(letters))
        elif step == "end" and found is not None:
            view.end_recount(found, NOW)
            found = None
    view.begin_recount()
    view.end_recount(counted(topic, tuple(letters)), NOW)

    expected = counted(topic, tuple(letters))
    told = statuses([SYSTEM], expected.accounts, expected.letters, {}, NOW)
    assert view.due(NOW) == {system: replace(status, observed_at=NOW) for system, status in told.items() if status}
