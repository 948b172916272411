"""Follows whole topics outside any group, from positions that the caller keeps: for views that are stored.

Only committed records are seen. A position may stand behind control records, so it is taken from end-of-partition
events as well as from records; an end that was asked for is then always reached.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition

from samenloop.errors import Retry
from samenloop.kafka import clients
from samenloop.kafka.names import topic_in_catalogue, topic_on_wire
from samenloop.kafka.reader import log_ends, log_starts, partitions_of
from samenloop.kafka.records import Message, Topics
from samenloop.settings import Kafka
from samenloop.stage import Partition, Record

_ASK_SECONDS = 10.0
_AWAY = (KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT)


@dataclass(frozen=True, slots=True)
class Extent:
    """What one partition holds: *epoch* names the incarnation of its topic, *start* is the first offset still there,
    *end* the one behind the last record, open transactions included."""

    epoch: str
    start: int
    end: int


class Follow:
    """Follows *topics* (catalogue names); called from one thread. `begin` comes before `poll`."""

    def __init__(self, kafka: Kafka, topics: Collection[str]) -> None:
        self._kafka, self._topics = kafka, topics
        self._consumer = clients.reader(kafka, fetch_wait_ms=100)
        self._records = Topics(kafka.prefix)
        self.positions: dict[Partition, int] = {}
        """Next offset to be read, by topic and partition."""

    def extents(self) -> dict[Partition, Extent]:
        """Return what every partition holds now. Raises Retry when Kafka is away or a topic is missing."""
        admin = clients.administrator(self._kafka)
        found: dict[Partition, Extent] = {}
        for topic in self._topics:
            name = topic_on_wire(self._kafka.prefix, topic)
            partitions = [TopicPartition(name, number) for number in partitions_of(admin, name)]
            starts, ends = log_starts(admin, partitions), log_ends(admin, partitions)
            epoch = _epoch(admin, name)
            found |= {(topic, number): Extent(epoch, starts[number], ends[number]) for number in starts}
        return found

    def begin(self, positions: Mapping[Partition, int]) -> None:
        """Start reading each partition at its position."""
        self.positions = dict(positions)
        self._consumer.assign(
            [
                TopicPartition(topic_on_wire(self._kafka.prefix, topic), number, offset)
                for (topic, number), offset in positions.items()
            ]
        )

    def poll(self, most: int, wait_seconds: float) -> list[Record]:
        """Return up to *most* records, in order per partition, after waiting for the first; `positions` moves along.

        Raises Retry when a partition was reset under us: what is stored then is of another log.
        """
        found: list[Record] = []
        for message in self._consumer.consume(most, wait_seconds):
            if message.error() is not None:
                self._event(message)
                continue
            record = self._records.record(message)
            place = (record.topic, record.partition)
            if record.offset < self.positions[place]:
                raise Retry(
                    "kafka.position-lost", f"{record.topic}/{record.partition} starts anew; start again as well"
                )
            self.positions[place] = record.offset + 1
            found.append(record)
        return found

    def close(self) -> None:
        """Give the connection back."""
        self._consumer.close()

    def _event(self, message: Message) -> None:
        error: KafkaError = message.error()
        if error.code() == KafkaError._PARTITION_EOF:
            place = (topic_in_catalogue(self._kafka.prefix, message.topic()), message.partition())
            self.positions[place] = max(self.positions[place], message.offset())
        elif not error.retriable() and error.code() not in _AWAY:
            raise Retry("kafka.unavailable", error.str())


def _epoch(admin: Any, name: str) -> str:
    """Return the id that Kafka gave a topic when it was made; empty where a broker gives none."""
    try:
        asked = admin.describe_topics(TopicCollection([name]), request_timeout=_ASK_SECONDS)
        return str(asked[name].result(_ASK_SECONDS).topic_id or "")
    except (KafkaException, TimeoutError) as error:
        raise Retry("kafka.unavailable", f"{name} could not be described: {error}") from error
