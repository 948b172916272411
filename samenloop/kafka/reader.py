"""Reads topics whole, outside any group: to rebuild state, and for commands that list.

The end of a topic is asked for *including* open transactions and then read up to with committed records only. Asking
for the committed end instead would be a race: right after a commit it can lie before the record just written. Positions
skip control records, so the end is known from end-of-partition events, never from "the record before the end".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec

from samenloop.errors import Retry
from samenloop.kafka import clients
from samenloop.kafka.names import topic_on_wire
from samenloop.kafka.records import Message, Topics
from samenloop.settings import Kafka
from samenloop.stage import Record

_OffsetSpec: Any = OffsetSpec  # its methods have no types
_ASK_SECONDS = 10.0
NO_LEADER_YET = {
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.UNKNOWN_LEADER_EPOCH,
}
"""What a topic answers that was made a moment ago, or whose broker has just come back."""
_AT_ONCE = 5000
_WAIT_SECONDS = 0.05
_WHY = "Kafka is away, or an open transaction keeps the end from being reached"


def read_topic(
    kafka: Kafka,
    topic: str,
    partitions: Collection[int] | None = None,
    *,
    committed_only: bool = True,
    since: datetime | None = None,
) -> Iterator[Record]:
    """Yield *topic* (catalogue name) from its start to its end as it is now, tombstones included.

    With *since* each partition begins at its first record that was written then or later. Order holds within a
    partition. Raises Retry when Kafka does not answer, or when an open transaction keeps the end from being reached
    for 30 seconds.
    """
    with TopicReader(kafka, committed_only=committed_only) as reader:
        yield from reader.read(topic, partitions, starts=reader.offsets_since(topic, since) if since else None)


class TopicReader:
    """Reads any number of topics, one after the other, with one connection; a context manager.

    *alive* is called at every sign of progress. *patience_seconds* is how long none is awaited. *remaining* is told how
    many offsets of a topic (catalogue name) are left, at every sign of progress and at the end.
    """

    def __init__(
        self,
        kafka: Kafka,
        *,
        committed_only: bool = True,
        patience_seconds: float = 30.0,
        alive: Callable[[], object] = bool,
        remaining: Callable[[str, int], object] | None = None,
    ) -> None:
        self._kafka = kafka
        self._consumer: Consumer = clients.reader(kafka, committed_only=committed_only)
        self._admin = clients.administrator(kafka)
        self._topics = Topics(kafka.prefix)
        self._patience = patience_seconds
        self._alive = alive
        self._remaining = remaining

    def __enter__(self) -> TopicReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def read(
        self,
        topic: str,
        partitions: Collection[int] | None = None,
        *,
        ends: Mapping[int, int] | None = None,
        starts: Mapping[int, int] | None = None,
    ) -> Iterator[Record]:
        """Yield the records of *topic* below *ends* by partition (default: the log ends as they are now)."""
        full_name = topic_on_wire(self._kafka.prefix, topic)
        there = partitions_of(self._consumer, full_name)  # asking also tells the client where to fetch: 0.5 s sooner
        partitions = there if partitions is None else partitions
        if ends is None:
            ends = log_ends(self._admin, [TopicPartition(full_name, number) for number in partitions])
        left = {number: ends[number] for number in partitions if ends[number] > (starts or {}).get(number, 0)}
        begin = [TopicPartition(full_name, n, (starts or {}).get(n, OFFSET_BEGINNING)) for n in left]
        self._consumer.assign(begin)
        try:
            yield from self._until(left, full_name, topic)
        finally:
            self._consumer.unassign()

    def offsets_since(self, topic: str, instant: datetime) -> dict[int, int]:
        """Return the offset of each partition's first record of *instant* or later, its end where there is none."""
        full_name = topic_on_wire(self._kafka.prefix, topic)
        asked = [TopicPartition(full_name, number) for number in partitions_of(self._consumer, full_name)]
        found = _offsets(
            self._admin, asked, _OffsetSpec.for_timestamp(int(instant.timestamp() * 1000)), committed=False
        )
        ends = log_ends(self._admin, asked)
        return {number: offset if offset >= 0 else ends[number] for number, offset in found.items()}

    def _offsets_left(self, left: Mapping[int, int], full_name: str) -> int:
        at = self._consumer.position([TopicPartition(full_name, number) for number in left]) if left else ()
        return sum(max(left[place.partition] - max(place.offset, 0), 0) for place in at)

    def _until(self, left: dict[int, int], full_name: str, topic: str) -> Iterator[Record]:
        """*left* is emptied as partitions reach their ends."""
        record = self._topics.record
        progress = time.monotonic()
        while left:
            messages: list[Message] = self._consumer.consume(_AT_ONCE, _WAIT_SECONDS)
            now = time.monotonic()
            if messages:
                progress = now
                self._alive()
            elif now - progress > self._patience:
                raise Retry("kafka.unavailable", f"{full_name}: no end for {self._patience:.0f} s; {_WHY}")
            for message in messages:
                number = message.partition()
                if message.error() is not None:
                    _at_end(message, left)
                elif number in left:
                    if message.offset() >= left[number]:
                        del left[number]
                    else:
                        yield record(message)
            if self._remaining is not None and messages:
                self._remaining(topic, self._offsets_left(left, full_name))


def _at_end(message: Message, left: dict[int, int]) -> None:
    error: KafkaError = message.error()
    if error.code() == KafkaError._PARTITION_EOF:
        if message.offset() >= left.get(message.partition(), 0):
            left.pop(message.partition(), None)
    elif not error.retriable() and error.code() not in (KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT):
        raise Retry("kafka.unavailable", error.str())


def log_ends(admin: AdminClient, partitions: Collection[TopicPartition], *, committed: bool = False) -> dict[int, int]:
    """Return the end offset by partition number, open transactions included unless *committed*. One topic at a time."""
    return _offsets(admin, partitions, _OffsetSpec.latest(), committed=committed)


def log_starts(admin: AdminClient, partitions: Collection[TopicPartition]) -> dict[int, int]:
    """Return the first offset still there, by partition number. One topic at a time."""
    return _offsets(admin, partitions, _OffsetSpec.earliest(), committed=False)


def log_offsets_at(admin: AdminClient, partitions: Collection[TopicPartition], timestamp_ms: int) -> dict[int, int]:
    """Return the first offset written at or after an instant, -1 where there is none. One topic at a time."""
    return _offsets(admin, partitions, _OffsetSpec.for_timestamp(timestamp_ms), committed=False)


def _offsets(
    admin: AdminClient, partitions: Collection[TopicPartition], which: Any, *, committed: bool
) -> dict[int, int]:
    if not partitions:
        return {}
    level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
    until = time.monotonic() + _ASK_SECONDS
    while True:
        try:
            asked = admin.list_offsets(
                dict.fromkeys(partitions, which), isolation_level=level, request_timeout=_ASK_SECONDS
            )
            return {partition.partition: future.result(_ASK_SECONDS).offset for partition, future in asked.items()}
        except (KafkaException, TimeoutError) as error:
            young = isinstance(error, KafkaException) and error.args[0].code() in NO_LEADER_YET
            if not young or time.monotonic() > until:
                raise Retry("kafka.unavailable", f"the ends of a topic could not be read: {error}") from error
            time.sleep(0.2)


def partitions_of(client: AdminClient | Consumer, full_name: str) -> list[int]:
    """Return the partition numbers of a topic. Raises Retry when Kafka is away or the topic does not exist (yet)."""
    try:
        found = client.list_topics(full_name, timeout=_ASK_SECONDS).topics[full_name]
    except KafkaException as error:
        raise Retry("kafka.unavailable", str(error.args[0])) from error
    if found.error is not None:
        raise Retry("kafka.topic-missing", f"{full_name}: {found.error.str()}; `samenloop topics apply` creates topics")
    return sorted(found.partitions)
