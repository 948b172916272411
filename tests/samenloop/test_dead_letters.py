"""What may be done about dead letters: which are meant, whose they are, what offering one again means."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samenloop import dead_letters
from samenloop.contract import attempt_of, dead_letter
from samenloop.dead_letters import Entry, Wanted, Way
from samenloop.errors import Reject
from samenloop.model import DeadLetter, DeadLetterState, DeadLetterStatus, DeadReason, Header
from samenloop.stage import Record

NOW = datetime(2027, 1, 4, 9, tzinfo=UTC)
OIN, OTHER = "00000099000000001001", "00000099000000001002"
SYSTEM, THEIRS = f"urn:nld:oin:{OIN}:systeem:works", f"urn:nld:oin:{OTHER}:systeem:works"


def letter(number: int = 1, **other: Any) -> DeadLetter:
    given: dict[str, Any] = {
        "id": UUID(int=number), "code": "schema.unreadable", "detail": "d", "stage": "consolidate", "retryable": False,
        "failed_at": NOW, "reason": DeadReason.SCHEMA, "topic": "plan-changes", "partition": 0, "offset": number,
        "key": f"{SYSTEM}:plan:1".encode(), "value": b"v", "headers": (Header("ce_source", SYSTEM.encode()),),
    }  # fmt: skip
    return DeadLetter(**given | other)


def done(number: int, status: DeadLetterStatus, minute: int = 0) -> DeadLetterState:
    return DeadLetterState(letter_id=UUID(int=number), status=status, at=NOW + timedelta(minutes=minute), by="me")


def test_what_was_done_last_counts() -> None:
    """A letter is open until something was done; a repeat of it is the same letter."""
    states = [done(1, DeadLetterStatus.REPLAYED), done(1, DeadLetterStatus.TAKEN), done(2, DeadLetterStatus.DISCARDED)]
    found = dead_letters.entries([letter(1), letter(2), letter(3), letter(3)], states)

    assert [(entry.letter.id.int, entry.status, entry.open) for entry in found] == [
        (1, DeadLetterStatus.TAKEN, False), (2, DeadLetterStatus.DISCARDED, False), (3, None, True),
    ]  # fmt: skip


headers = st.lists(
    st.tuples(st.sampled_from(["ce_id", "ce_hubmode", "ce_replayof", "ce_attempt", "x"]), st.binary(max_size=6)),
    max_size=6,
)


@given(headers, st.binary(max_size=9), st.integers(1, 5))
def test_a_replay_is_the_original_and_says_what_it_is(given: list[tuple[str, bytes]], value: bytes, times: int) -> None:
    """Key, value and foreign headers stay as they were, in order, however often it fails; each attempt counts one."""
    record = Record("plan-changes", 3, 17, "k\udcff", value, tuple(given), 0)
    first = dead_letter(record, reason=DeadReason.SCHEMA, code="c.d", detail="d", stage="consolidate", now=NOW)
    first = replace(first, attempts=1, headers=tuple(h for h in first.headers if h.name != "ce_attempt"))
    last, chain = first, [first.id]
    for time in range(times):
        out = dead_letters.replay(last)
        again = Record(out.topic, 3, 100 + time, out.key, out.value, out.headers, 0)
        before, last = last, dead_letter(
            again, reason=DeadReason.SCHEMA, code="c.d", detail="d", stage="consolidate", now=NOW
        )  # fmt: skip
        assert dead_letters.predecessor(last) == before.id
        chain.append(last.id)
    ours = ("ce_hubmode", "ce_replayof", "ce_attempt")

    assert (out.topic, out.key, out.value, out.partition) == ("plan-changes", record.key, value, None)
    assert [h for h in out.headers if h[0] not in ours] == [h for h in given if h[0] not in ours]
    assert [name for name, _ in out.headers if name in ours] == list(ours)
    assert dict(out.headers)["ce_hubmode"] == b"replay"
    assert last.attempts == times + 1 == attempt_of(out.headers)
    assert len(set(chain)) == times + 1


def test_a_failed_replay_is_known_by_its_successor() -> None:
    """Whatever was noted, a letter whose replay became a letter failed again, and only the newer one is open."""
    out = dead_letters.replay(letter(1))
    second = letter(2, headers=tuple(Header(*header) for header in out.headers), attempts=2)
    old, new = dead_letters.entries([letter(1), second], [done(1, DeadLetterStatus.REPLAYED)])

    assert (old.status, old.successor, old.open) == (DeadLetterStatus.FAILED_AGAIN, second.id, False)
    assert new.open


@pytest.mark.parametrize(
    ("other", "way", "code"),
    [
        ({}, Way.AGAIN, None),
        ({"value": None}, Way.AGAIN, None),
        ({"topic": None, "stage": "source.town"}, Way.AT_SOURCE, "replay.at-source"),
        ({"value": None, "value_sha256": bytes(32)}, Way.NOT_KEPT, "replay.not-kept"),
    ],
)
def test_what_cannot_be_offered_again_says_so(other: dict[str, Any], way: Way, code: str | None) -> None:
    """A record that never was on Kafka is mended at its source; one too large to keep is sent again by its sender."""
    assert dead_letters.way(letter(**other)) is way
    if code is None:
        assert dead_letters.replay(letter(**other)).topic == "plan-changes"
    else:
        with pytest.raises(Reject) as caught:
            dead_letters.replay(letter(**other))
        assert caught.value.code == code


@pytest.mark.parametrize(
    ("wanted", "taken"),
    [
        ({}, [1, 3]),
        ({"whatever_was_done": True}, [1, 2, 3]),
        ({"code": "schema"}, [1]),
        ({"code": "schema.unreadable"}, [1]),
        ({"code": "schem"}, []),
        ({"reason": DeadReason.DELIVERY}, [3]),
        ({"source": "webhook"}, [3]),
        ({"source": "plan-changes"}, [1]),
        ({"topic": "alerts"}, [3]),
        ({"since": NOW + timedelta(hours=1)}, [3]),
    ],
)
def test_which_are_meant(wanted: dict[str, Any], taken: list[int]) -> None:
    """Each option narrows; those that were dealt with are left out unless asked for."""
    third = letter(3, code="delivery.410", reason=DeadReason.DELIVERY, stage="webhook", topic="alerts",
                   failed_at=NOW + timedelta(hours=2))  # fmt: skip
    found = dead_letters.entries([letter(1), letter(2), third], [done(2, DeadLetterStatus.DISCARDED)])

    assert [entry.letter.id.int for entry in found if Wanted(**wanted).takes(entry)] == taken


@pytest.mark.parametrize(
    ("other", "owner"),
    [
        ({}, OIN),
        ({"key": b"\xff"}, OIN),
        ({"headers": ()}, None),
        ({"headers": (), "key": None}, None),
        ({"key": f"{THEIRS}:plan:1".encode()}, None),
        ({"system": THEIRS}, None),
        ({"headers": (), "key": b"42", "system": SYSTEM, "topic": None}, OIN),
        ({"headers": (Header("ce_source", b"urn:nld:oin:00000099000000000001:systeem:samenloop"),)}, None),
    ],
)
def test_whose_it_is(other: dict[str, Any], owner: str | None) -> None:
    """The owner sees its own records only; one that speaks for another's plan is shown to neither."""
    entry = Entry(letter(**other))

    assert dead_letters.owner_of(entry.letter) == owner
    assert dead_letters.letters_of([entry], OIN) == ([entry] if owner == OIN else [])
    assert dead_letters.letters_of([entry], OTHER) == []


def test_an_old_row_never_undoes_a_newer_one() -> None:
    """In a topic that keeps the last per key a record is not written again once a newer one is there."""
    row = letter(5, topic="plan-regions", key=b"k")

    assert dead_letters.superseded(row, {("plan-regions", "k"): 6})
    assert not dead_letters.superseded(row, {("plan-regions", "k"): 5})
    assert not dead_letters.superseded(letter(5, key=b"k"), {("plan-changes", "k"): 6})


def test_ids_by_their_first_characters() -> None:
    """An id that names none, or more than one, is a sentence; named twice it is one entry."""
    found = dead_letters.entries([letter(1), letter(2)], [])
    picked, problems = dead_letters.chosen(found, [str(UUID(int=1)), str(UUID(int=1)), "0000", "f", ""])

    assert [entry.letter.id.int for entry in picked] == [1]
    assert [problem.partition(":")[0] for problem in problems] == ["0000", "f", ""]
