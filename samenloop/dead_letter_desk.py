"""Dead letters on Kafka: read them with what was done about them, offer them again, discard them.

Records and the notes that they were offered go out in one transaction, so a crash leaves neither alone. Whether it
helped shows in Kafka alone: the stage's position passes the record, and either there is a letter that names this one,
or there is not.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from samenloop import dead_letters
from samenloop.contract import TOPICS, Codec
from samenloop.dead_letters import Entry, Way, in_order, state_of, state_output
from samenloop.errors import Reject
from samenloop.identity import system_urn
from samenloop.kafka import Writer, publish
from samenloop.kafka.window import Offsets, Window
from samenloop.model import DeadLetter, DeadLetterState, DeadLetterStatus
from samenloop.settings import Hub

AT_ONCE = 500
"""Records in one transaction."""
_LOOK_EVERY_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one letter; *status* None: nothing was done, and *detail* says why."""

    entry: Entry
    status: DeadLetterStatus | None
    detail: str
    successor: UUID | None = None


class Desk:
    """The dead letters of one hub. Calls raise Retry when Kafka does not answer."""

    def __init__(self, hub: Hub, codec: Codec, window: Window) -> None:
        self._hub, self._codec, self._window = hub, codec, window
        self._source = system_urn(hub.hub.oin, "samenloop")

    def entries(self) -> list[Entry]:
        """Return every letter that Kafka still has, with what was done about it."""
        return dead_letters.entries(self._letters(None), self._states())

    def discard(self, found: Sequence[Entry], *, by: str, reason: str, now: datetime) -> list[Result]:
        """Note that these letters need nothing more; they stay in the topic until it forgets them."""
        states = [state_of(entry, DeadLetterStatus.DISCARDED, by=by, reason=reason, now=now) for entry in found]
        publish(self._hub.kafka, [state_output(self._codec, self._source, state) for state in states])
        return [Result(entry, DeadLetterStatus.DISCARDED, f"noted, by {by}: {reason}") for entry in found]

    def replay(
        self, found: Sequence[Entry], *, by: str, now: datetime, reason: str | None = None, wait_seconds: float = 30.0
    ) -> list[Result]:
        """Offer letters again, in their order, and wait for what comes of it; one result for each."""
        results: list[Result] = []
        going: list[Entry] = []
        newest = self._newest({entry.letter.topic for entry in found})
        for entry in in_order(found):
            refused = self._refused(entry, newest)
            if refused:
                results.append(Result(entry, None, refused))
            else:
                going.append(entry)
        if going:
            before = {topic: self._window.ends(topic) for topic in _topics(going)}
            letters_before = self._window.ends("dead-letters")
            self._write(going, by=by, reason=reason, now=now)
            results += self._outcomes(going, before, letters_before, wait_seconds)
            self._note(results, by=by, now=now)
        return results

    def _refused(self, entry: Entry, newest: dict[tuple[str, str], int]) -> str | None:
        match dead_letters.way(entry.letter):
            case Way.AT_SOURCE:
                name = dead_letters.origin(entry.letter)
                return (
                    f"it was refused before Kafka: correct the record at the source, or the profile of {name} and "
                    f"start `samenloop run source {name}` again; its next delivery is read anew. Then discard this one"
                )
            case Way.NOT_KEPT:
                return "it was too large to keep; its sender must send it again. Then discard this one"
        if dead_letters.superseded(entry.letter, newest):
            return "a newer record with its key came after it; there is nothing to mend. Discard this one"
        return None

    def _write(self, going: Sequence[Entry], *, by: str, reason: str | None, now: datetime) -> None:
        writer = Writer(self._hub.kafka, f"dead-letters-{secrets.token_hex(4)}")  # two operators never fence each other
        for start in range(0, len(going), AT_ONCE):
            with writer.transaction():
                for entry in going[start : start + AT_ONCE]:
                    writer.write(dead_letters.replay(entry.letter))
                    state = state_of(entry, DeadLetterStatus.REPLAYED, by=by, reason=reason, now=now)
                    writer.write(state_output(self._codec, self._source, state))

    def _outcomes(
        self, going: Sequence[Entry], before: dict[str, Offsets], letters_before: Offsets, wait_seconds: float
    ) -> list[Result]:
        places = self._places(going, before)
        until = time.monotonic() + wait_seconds
        while (unread := self._unread(going, places)) and time.monotonic() < until:
            time.sleep(_LOOK_EVERY_SECONDS)
        failed = {
            earlier: letter for letter in self._letters(letters_before) if (earlier := dead_letters.predecessor(letter))
        }
        return [self._outcome(entry, failed.get(entry.letter.id), entry.letter.id in unread) for entry in going]

    def _outcome(self, entry: Entry, failed: DeadLetter | None, unread: bool) -> Result:
        if failed is not None:
            detail = (
                f"it failed again: {failed.detail} ({failed.code}); it is now {failed.id}, attempt {failed.attempts}"
            )
            return Result(entry, DeadLetterStatus.FAILED_AGAIN, detail, failed.id)
        if unread:
            detail = f"it is on {entry.letter.topic} again, but `{entry.letter.stage}` has not finished with it yet"
            return Result(entry, DeadLetterStatus.REPLAYED, detail)
        return Result(entry, DeadLetterStatus.TAKEN, f"`{entry.letter.stage}` took it")

    def _places(self, going: Sequence[Entry], before: dict[str, Offsets]) -> dict[UUID, tuple[int, int]]:
        """Return partition and offset where each record lies now."""
        ids = {str(entry.letter.id): entry.letter.id for entry in going}
        return {
            ids[name]: (record.partition, record.offset)
            for topic, starts in before.items()
            for record in self._window.read(topic, starts=starts)
            if (name := dead_letters.replay_of(record.headers)) in ids and name is not None
        }

    def _unread(self, going: Sequence[Entry], places: dict[UUID, tuple[int, int]]) -> set[UUID]:
        unread: set[UUID] = set()
        for stage, topic in {(entry.letter.stage, entry.letter.topic) for entry in going}:
            committed = self._window.committed(stage, topic or "")
            for entry in going:
                if (entry.letter.stage, entry.letter.topic) == (stage, topic):
                    partition, offset = places.get(entry.letter.id, (0, 1 << 62))
                    if committed.get(partition, 0) <= offset:
                        unread.add(entry.letter.id)
        return unread

    def _note(self, results: Sequence[Result], *, by: str, now: datetime) -> None:
        """Remember the outcomes that are known."""
        known = (DeadLetterStatus.TAKEN, DeadLetterStatus.FAILED_AGAIN)
        states = [
            state_of(result.entry, result.status, by=by, now=now, successor=result.successor)
            for result in results
            if result.status is not None and result.status in known
        ]
        publish(self._hub.kafka, [state_output(self._codec, self._source, state) for state in states])

    def _newest(self, topics: set[str | None]) -> dict[tuple[str, str], int]:
        """Return the last offset of every key of the topics that keep the last per key."""
        compacted = [topic for topic in topics if topic in TOPICS and TOPICS[topic].cleanup == "compact"]
        return {
            (topic, record.key): record.offset
            for topic in compacted
            if topic is not None
            for record in self._window.read(topic)
        }

    def _letters(self, starts: Offsets | None) -> Iterator[DeadLetter]:
        for record in self._window.read("dead-letters", starts=starts):
            if record.value is not None:
                try:
                    yield self._codec.decode("dead-letters", record.value, record.headers)
                except Reject:
                    continue

    def _states(self) -> Iterator[DeadLetterState]:
        for record in self._window.read(dead_letters.TOPIC):
            if record.value is not None:
                try:
                    yield self._codec.decode(dead_letters.TOPIC, record.value, record.headers)
                except Reject:
                    continue


def _topics(going: Sequence[Entry]) -> set[str]:
    return {entry.letter.topic for entry in going if entry.letter.topic}
