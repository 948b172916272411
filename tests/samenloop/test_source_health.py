"""How sources are doing: each poll and each dead letter counts once, and nothing is said that is not so."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samenloop.model import DeadLetter, Header, Organisation, PollOutcome, SourcePoll, SourceStatus, SystemState
from samenloop.source_health import (
    SILENT,
    UNREADABLE,
    Account,
    Letters,
    System,
    from_plain,
    merged,
    recount,
    statuses,
    to_plain,
    with_poll,
)

NOW = datetime(2027, 1, 4, 12, 30, tzinfo=UTC)
OIN = "00000099000000001001"
TOWN = f"urn:nld:oin:{OIN}:systeem:town"
OTHER = f"urn:nld:oin:{OIN}:systeem:other"


def system(**other: Any) -> System:
    given_: dict[str, Any] = {
        "source": "town", "system": TOWN, "owner": Organisation(OIN, "Gemeente Aalburg"), "name": "Werkenregister",
        "connector": "file-snapshots", "protocol": "HTTPS", "freshness_objective_s": 3600, "silent_seconds": 900.0,
    }  # fmt: skip
    return System(**given_ | other)


def poll(minutes_ago: float, outcome: PollOutcome = PollOutcome.OK, **other: Any) -> SourcePoll:
    at = NOW - timedelta(minutes=minutes_ago)
    counts = {"read": 10, "created": 2, "updated": 1, "removed": 1, "unchanged": 5, "rejected": 1}
    given_: dict[str, Any] = {
        "id": UUID(int=1), "source": "town", "connector": "file-snapshots", "started_at": at, "duration_ms": 1000,
        "outcome": outcome, **(counts if outcome is PollOutcome.OK else {}),
        "newest_record_at": at if outcome is PollOutcome.OK else None,
    }  # fmt: skip
    return SourcePoll(**given_ | other)


def letter(number: int, hours_ago: float = 1, **other: Any) -> DeadLetter:
    given_: dict[str, Any] = {
        "id": UUID(int=number), "code": "period.unparseable", "detail": "a date", "stage": "source.town",
        "retryable": False, "failed_at": NOW - timedelta(hours=hours_ago), "system": TOWN,
    }  # fmt: skip
    return DeadLetter(**given_ | other)


def status(
    *polls: SourcePoll, letters: tuple[DeadLetter, ...] = (), before: SourceStatus | None = None, **other: Any
) -> SourceStatus:
    """The status of the town after *polls*."""
    accounts, counted = recount([(each, TOWN, offset) for offset, each in enumerate(polls)], letters)
    found = statuses([system(**other)], accounts, counted, {TOWN: before} if before else {}, NOW)[TOWN]
    assert found is not None
    return found


def test_a_poll_that_succeeded() -> None:
    """Running; success is when the poll ended, plans are those in use, counts are by outcome and by what became."""
    found = status(poll(90), poll(5))

    assert (found.state, found.error_code) == (SystemState.RUNNING, None)
    assert found.last_success_at == NOW - timedelta(minutes=5) + timedelta(seconds=1)
    assert found.newest_record_at == NOW - timedelta(minutes=5)
    assert found.plans == 8
    assert found.polls_24h == {"ok": 2}
    assert found.records_24h == {"read": 20, "created": 4, "updated": 2, "removed": 2, "unchanged": 10, "rejected": 2}


@pytest.mark.parametrize(
    ("outcome", "code", "state"),
    [
        (PollOutcome.UNCHANGED, None, SystemState.RUNNING),
        (PollOutcome.HELD, "snapshot.shrunk", SystemState.PAUSED),
        (PollOutcome.TIMEOUT, "timeout", SystemState.FAILED),
        (PollOutcome.AUTH, "auth", SystemState.FAILED),
        (PollOutcome.PARSE_ERROR, "envelope.count", SystemState.FAILED),
    ],
)
def test_the_last_poll_gives_the_state(outcome: PollOutcome, code: str | None, state: SystemState) -> None:
    """And what was read before stays known."""
    found = status(poll(10), poll(5, outcome, error_code=code))

    assert (found.state, found.error_code) == (state, code)
    assert (found.plans, found.newest_record_at) == (8, NOW - timedelta(minutes=10))


def test_why_a_snapshot_is_held_is_kept() -> None:
    """Later polls say only that it is still held."""
    found = status(poll(5, PollOutcome.HELD, error_code="snapshot.shrunk"), poll(4, PollOutcome.HELD))

    assert (found.state, found.error_code) == (SystemState.PAUSED, "snapshot.shrunk")


def test_never_polled_silent_and_unreadable_are_told_apart() -> None:
    """A source nobody reads is not called running."""
    assert status().state is SystemState.UNKNOWN
    assert (status(poll(16)).state, status(poll(16)).error_code) == (SystemState.FAILED, SILENT)
    assert status(unreadable=True).error_code == UNREADABLE


def test_the_window_is_24_whole_hours_and_the_running_one() -> None:
    """At 12:30 that begins yesterday at 12:00."""
    assert status(poll(24 * 60 + 30), poll(5)).polls_24h == {"ok": 2}
    assert status(poll(24 * 60 + 31), poll(5)).polls_24h == {"ok": 1}
    assert status(letters=(letter(1, 24.5), letter(2, 24.6))).rejected_24h == 1


def test_a_dead_letter_counts_once_and_for_its_system() -> None:
    """However often it is written; one from a later stage belongs to the system that its headers name."""
    later = letter(3, system=None, headers=(Header("ce_source", TOWN.encode()),))
    nobodys = letter(4, system=None)

    assert status(letters=(letter(1), letter(1), letter(2), later, nobodys)).rejected_24h == 3


def test_what_left_the_settings_is_retired_and_keeps_its_facts() -> None:
    """Also when its polls are gone from the topic; what was never read leaves no trace."""
    accounts, letters = recount([(poll(5), TOWN, 0)], ())
    before = replace(status(poll(5)), product="Voorbeeldpakket")
    never = replace(before, system=OTHER, last_success_at=None, state=SystemState.UNKNOWN, polls_24h={})

    found = statuses([], accounts, letters, {TOWN: before, OTHER: never}, NOW)
    later = statuses([], {}, Letters(), {TOWN: found[TOWN]}, NOW)  # type: ignore[dict-item]
    unknown = statuses([], accounts, letters, {}, NOW)[TOWN]

    assert found[OTHER] is None
    assert found[TOWN] is not None and later[TOWN] is not None and unknown is not None
    assert (found[TOWN].state, found[TOWN].product) == (SystemState.RETIRED, "Voorbeeldpakket")
    assert (later[TOWN].state, later[TOWN].plans) == (SystemState.RETIRED, 8)
    assert (unknown.state, unknown.owner.oin, unknown.connector) == (SystemState.RETIRED, OIN, "file-snapshots")


def test_a_source_that_moves_to_another_system_begins_anew() -> None:
    """Its former system is retired, the new one has not been read."""
    accounts, letters = recount([(poll(5), TOWN, 0)], ())
    before = status(poll(5))

    found = statuses([system(system=OTHER)], accounts, letters, {TOWN: before}, NOW)

    assert found[OTHER] is not None and found[TOWN] is not None
    assert (found[OTHER].state, found[TOWN].state) == (SystemState.UNKNOWN, SystemState.RETIRED)


def test_an_unreadable_profile_is_no_obstacle_once_polls_name_the_system() -> None:
    """The stand-in is taken back."""
    stand_in = replace(status(unreadable=True), system="urn:samenloop:source:town")
    accounts, letters = recount([(poll(5), TOWN, 0)], ())
    known = system(system=stand_in.system, unreadable=True)

    found = statuses([known], accounts, letters, {stand_in.system: stand_in}, NOW)

    assert found[stand_in.system] is None
    assert found[TOWN] is not None and found[TOWN].state is SystemState.RUNNING


def test_two_sources_of_one_system_are_one_status() -> None:
    """Counts are added, the worse one gives the state, the older success is told."""
    failed = poll(1, PollOutcome.AUTH, error_code="auth", source="annex")
    polls = [
        (poll(9), TOWN, 0),
        (poll(5, source="annex"), TOWN, 0),
        (failed, TOWN, 1),
    ]
    accounts, letters = recount(polls, ())

    found = statuses([system(), system(source="annex")], accounts, letters, {}, NOW)[TOWN]

    assert found is not None
    assert (found.sources, found.state, found.error_code) == (("town", "annex"), SystemState.FAILED, "auth")
    assert (found.plans, found.polls_24h) == (16, {"ok": 2, "auth": 1})
    assert found.last_success_at == NOW - timedelta(minutes=9) + timedelta(seconds=1)


def test_what_lies_before_the_retention_is_remembered() -> None:
    """A source that fails for weeks still says when it last succeeded."""
    before = status(poll(5))

    found = status(poll(1, PollOutcome.AUTH, error_code="auth"), before=before)

    assert (found.last_success_at, found.plans) == (before.last_success_at, 8)
    assert found.polls_24h == {"auth": 1}


any_poll = st.builds(
    poll,
    minutes_ago=st.integers(0, 60 * 60).map(float),
    outcome=st.sampled_from([each for each in PollOutcome if each is not PollOutcome.UNKNOWN]),
    error_code=st.sampled_from([None, "some.code"]),
)


@given(st.lists(any_poll, max_size=12), st.lists(st.integers(0, 11), max_size=6))
def test_hearing_again_changes_nothing(polls: list[SourcePoll], again_from: list[int]) -> None:
    """Told in order with any tail repeated from any point, an account equals the recount."""
    told = list(enumerate(polls))
    for start in again_from:
        told[start:start] = [item for item in told[:start]]
    heard: Account | None = None
    for offset, each in told:
        heard = with_poll(heard, each, system=TOWN, offset=offset)

    accounts, _ = recount([(each, TOWN, offset) for offset, each in enumerate(polls)], ())

    assert heard == accounts.get("town")


@given(st.lists(any_poll, min_size=1, max_size=12), st.integers(0, 11))
def test_a_recount_of_the_window_equals_one_of_everything(polls: list[SourcePoll], cut: int) -> None:
    """What is older comes from the account that is known already."""
    polls.sort(key=lambda each: each.started_at)
    recent = [item for item in enumerate(polls) if item[1].started_at >= NOW - timedelta(hours=26)]
    whole = recount([(each, TOWN, offset) for offset, each in enumerate(polls)], ())[0]["town"]
    known = recount([(each, TOWN, offset) for offset, each in list(enumerate(polls))[: cut + 1]], ())[0].get("town")
    if not recent or cut + 1 < len(polls) - len(recent):
        return

    window = recount([(each, TOWN, offset) for offset, each in recent], ())[0]["town"]
    mended = merged(known, window, NOW)
    found, expected = (
        statuses([system(silent_seconds=1e9)], {"town": account}, Letters(), {}, NOW) for account in (mended, whole)
    )

    assert found == expected


@given(st.lists(any_poll, min_size=1, max_size=5))
def test_an_account_survives_its_table(polls: list[SourcePoll]) -> None:
    """What the table holds is read back the same."""
    account = recount([(each, TOWN, offset) for offset, each in enumerate(polls)], ())[0]["town"]

    assert from_plain(to_plain(account)) == account
