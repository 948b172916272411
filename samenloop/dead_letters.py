"""What may be done about records that were set aside: select, offer again, discard. Pure.

A letter is open until something was done about it (`dead-letter-states`). Offering again writes the original key,
value and headers to the original topic, marked as a replay with the letter's id and the number of the attempt, so that
a letter that comes of it is linked to this one. Nothing downstream changes when it is offered twice: plans are judged
by the pure rules, alerts by the number of times they ended. What never was a Kafka record cannot be written again.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from samenloop.contract import TOPICS, Codec, Envelope
from samenloop.contract.dead_letters import ATTEMPT, REPLAY_OF
from samenloop.errors import Reject
from samenloop.identity import system_oin, uuid_of
from samenloop.model import DeadLetter, DeadLetterState, DeadLetterStatus, DeadReason
from samenloop.stage import Headers, Output

TOPIC = "dead-letter-states"
_OURS = ("ce_hubmode", REPLAY_OF, ATTEMPT)


class Way(StrEnum):
    """What offering a letter again means."""

    AGAIN = "AGAIN"
    """The record is written to its topic again."""
    AT_SOURCE = "AT_SOURCE"
    """It never was on Kafka: the source's next delivery is read with the profile as it is then."""
    NOT_KEPT = "NOT_KEPT"
    """It was too large to keep: only its digest is known."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A letter and what was done about it, oldest first. *successor* is the letter that a replay of it became."""

    letter: DeadLetter
    done: tuple[DeadLetterState, ...] = ()
    successor: UUID | None = None

    @property
    def status(self) -> DeadLetterStatus | None:
        """What was done last; None while nothing was. A replay that failed again is known by its successor."""
        last = self.done[-1].status if self.done else None
        failed = self.successor is not None and last is not DeadLetterStatus.DISCARDED
        return DeadLetterStatus.FAILED_AGAIN if failed else last

    @property
    def open(self) -> bool:
        """Whether somebody should look at it."""
        return self.status is None


def predecessor(letter: DeadLetter) -> UUID | None:
    """Return the letter whose replay this one comes of."""
    text = next((header.value for header in letter.headers if header.name == REPLAY_OF), None)
    try:
        return UUID(text.decode()) if text else None
    except ValueError:
        return None


def entries(letters: Iterable[DeadLetter], states: Iterable[DeadLetterState]) -> list[Entry]:
    """Return every letter once, in the order in which they were set aside first, with what was done about it."""
    done: dict[UUID, list[DeadLetterState]] = {}
    for state in states:
        done.setdefault(state.letter_id, []).append(state)
    first: dict[UUID, DeadLetter] = {}
    successors: dict[UUID, UUID] = {}
    for letter in letters:
        first.setdefault(letter.id, letter)
        if (before := predecessor(letter)) is not None:
            successors[before] = letter.id
    found = [Entry(letter, tuple(done.get(key, ())), successors.get(key)) for key, letter in first.items()]
    return sorted(found, key=lambda entry: entry.letter.failed_at)


def way(letter: DeadLetter) -> Way:
    """Say what offering *letter* again means."""
    if letter.topic is None or letter.topic not in TOPICS:
        return Way.AT_SOURCE
    return Way.NOT_KEPT if letter.value is None and letter.value_sha256 is not None else Way.AGAIN


def origin(letter: DeadLetter) -> str:
    """Return the topic that a letter was read from, else the name of its source: the label of metrics."""
    kind, _, name = letter.stage.partition(".")
    return letter.topic or (name if kind == "source" else letter.stage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which letters are meant; what is None does not matter. *code* takes also all that begin with it and a dot."""

    reason: DeadReason | None = None
    code: str | None = None
    source: str | None = None
    topic: str | None = None
    since: datetime | None = None
    whatever_was_done: bool = False

    @property
    def all_open(self) -> bool:
        """Whether no letter is left out but those that were dealt with."""
        return not (self.reason or self.code or self.source or self.topic or self.since)

    def takes(self, entry: Entry) -> bool:
        """Say whether *entry* is one of them."""
        letter, code = entry.letter, self.code
        return (
            (entry.open or self.whatever_was_done)
            and self.reason in (None, letter.reason)
            and (code is None or letter.code == code or letter.code.startswith(f"{code}."))
            and self.source in (None, letter.stage, letter.system, origin(letter))
            and self.topic in (None, letter.topic)
            and (self.since is None or letter.failed_at >= self.since)
        )


def owner_of(letter: DeadLetter) -> str | None:
    """Return the OIN of the one organisation whose record this is; None: for the hub's operator only.

    What the letter says of the system, the envelope's source and the system in the key must all name the same
    organisation. A record that speaks for another's plan holds the words of one and the name of the other: neither may
    see it here.
    """
    source = next((header.value for header in letter.headers if header.name == "ce_source"), None)
    key = (letter.key or b"").decode("utf-8", "replace") if letter.topic else ""
    said = [letter.system or "", (source or b"").decode("utf-8", "replace")]
    found = {oin for oin in map(_oin, said) if oin}
    named = _oin(re.split(":(?:plan|restriction):", key, maxsplit=1)[0])
    return found.pop() if len(found) == 1 and named in (None, *found) else None


def _oin(system: str) -> str | None:
    try:
        return system_oin(system)
    except Reject:
        return None


def letters_of(found: Iterable[Entry], owner: str) -> list[Entry]:
    """Return the entries that are the records of *owner*, an OIN."""
    return [entry for entry in found if owner_of(entry.letter) == owner]


def superseded(letter: DeadLetter, newest: Mapping[tuple[str, str], int]) -> bool:
    """Say whether a newer record took the place of this one, in a topic that keeps the last per key.

    *newest* offset by topic and key. Writing the old one again would undo the newer.
    """
    if letter.topic is None or TOPICS[letter.topic].cleanup != "compact" or letter.offset is None:
        return False
    return newest.get((letter.topic, _key(letter)), -1) > letter.offset


def in_order(chosen: Iterable[Entry]) -> list[Entry]:
    """Return entries in the order in which their records stood in their topics."""
    return sorted(chosen, key=lambda e: (e.letter.topic or "", e.letter.partition or 0, e.letter.offset or 0))


def replay(letter: DeadLetter) -> Output:
    """Return the record to write again. Raises Reject("replay.…") for what cannot be."""
    if way(letter) is Way.AT_SOURCE or letter.topic is None:
        raise Reject("replay.at-source", "it never was a record on Kafka; the next delivery of its source is read anew")
    if way(letter) is Way.NOT_KEPT:
        raise Reject("replay.not-kept", "it was too large to keep; its sender must send it again")
    headers: list[tuple[str, bytes]] = [(h.name, h.value or b"") for h in letter.headers if h.name not in _OURS]
    headers += [
        ("ce_hubmode", b"replay"),
        (REPLAY_OF, str(letter.id).encode()),
        (ATTEMPT, b"%d" % (letter.attempts + 1)),
    ]
    return Output(letter.topic, _key(letter), letter.value, tuple(headers))


def replay_of(headers: Headers) -> str | None:
    """Return the id of the letter that a record is a replay of."""
    return next((value.decode("utf-8", "replace") for name, value in headers if name == REPLAY_OF), None)


def state_of(
    entry: Entry,
    status: DeadLetterStatus,
    *,
    by: str,
    now: datetime,
    reason: str | None = None,
    successor: UUID | None = None,
) -> DeadLetterState:
    """Return what is to be remembered of something that was done about a letter."""
    letter = entry.letter
    replayed = status is not DeadLetterStatus.DISCARDED
    return DeadLetterState(
        letter_id=letter.id,
        status=status,
        at=now,
        by=by,
        reason=reason,
        attempt=letter.attempts + replayed,
        topic=letter.topic if replayed else None,
        successor=successor,
    )


def state_output(codec: Codec, source: str, state: DeadLetterState) -> Output:
    """Return the record of *state*; *source* is the hub's own URN."""
    key = str(state.letter_id)
    event_id = str(uuid_of("dead-letter-state", key, state.status, str(state.attempt), state.at.isoformat()))
    envelope = Envelope(
        id=event_id,
        source=source,
        type="nl.samenloop.dead-letter-state.v1",
        time=state.at,
        subject=key,
        partitionkey=key,
        correlationid=key,
    )
    return Output(TOPIC, key, codec.encode(TOPIC, state), codec.headers(TOPIC, envelope))


def chosen(found: Sequence[Entry], ids: Collection[str]) -> tuple[list[Entry], list[str]]:
    """Return the entries that *ids* (or their first characters) name, and a sentence for each that names not one."""
    picked: dict[UUID, Entry] = {}
    problems = []
    for text in ids:
        those = [entry for entry in found if text and str(entry.letter.id).startswith(text.lower())]
        if len(those) == 1:
            picked[those[0].letter.id] = those[0]
        else:
            problems.append(f"{text}: {len(those) or 'no'} records that were set aside have an id that begins so")
    return list(picked.values()), problems


def _key(letter: DeadLetter) -> str:
    return (letter.key or b"").decode("utf-8", "surrogateescape")
