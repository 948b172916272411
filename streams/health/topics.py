"""Reads the topics of the view themselves, outside Faust: for the recount."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from samenloop import systems
from samenloop.contract import Codec, read_envelope
from samenloop.errors import Reject
from samenloop.kafka import read_topic
from samenloop.logs import get_logger
from samenloop.model import DeadLetter, SourcePoll
from samenloop.settings import Kafka
from samenloop.source_health import recount
from samenloop.stage import Record
from streams.health.view import Counted

log = get_logger("health")


def count_again(kafka: Kafka, codec: Codec, now: datetime, *, since: datetime | None = None) -> Counted:
    """Recount `polls` and `dead-letters`: all of them, or what was written *since*.

    *since* is compared with the time of writing, *now* with the times in the records. What cannot be read is left out,
    as the view leaves it out. Raises Retry when Kafka does not answer.
    """
    published = systems.published(kafka, codec)
    accounts, letters = recount(_polls(kafka, codec, since), _letters(kafka, codec, since))
    letters.forget_before(now)
    return Counted(accounts, letters, published)


def poll_of(codec: Codec, value: bytes, headers: tuple[tuple[str, bytes], ...]) -> tuple[SourcePoll, str]:
    """Return a poll and its system, which the envelope names. Raises Reject."""
    poll: SourcePoll = codec.decode("polls", value, headers)
    return poll, read_envelope(headers).subject


def tell_unreadable(topic: str, partition: int, offset: int, error: Reject) -> None:
    """Log a record that the view cannot count. It stays on its topic; a view sets nothing aside."""
    log.warning(
        "view.unreadable",
        "A record cannot be read and is not counted.",
        topic=topic,
        partition=partition,
        offset=offset,
        code=error.code,
        detail=error.detail,
    )


def _polls(kafka: Kafka, codec: Codec, since: datetime | None) -> Iterator[tuple[SourcePoll, str, int]]:
    for record in read_topic(kafka, "polls", since=since):
        if record.value is not None:
            try:
                yield *poll_of(codec, record.value, record.headers), record.offset
            except Reject as error:
                _pass_over(record, error)


def _letters(kafka: Kafka, codec: Codec, since: datetime | None) -> Iterator[DeadLetter]:
    for record in read_topic(kafka, "dead-letters", since=since):
        if record.value is not None:
            try:
                yield codec.decode("dead-letters", record.value, record.headers)
            except Reject as error:
                _pass_over(record, error)


def _pass_over(record: Record, error: Reject) -> None:
    """Say it to developers only: the agent has told it, and a recount meets it again and again."""
    log.debug("view.unreadable", "A record cannot be read and is not counted.", topic=record.topic, code=error.code)
