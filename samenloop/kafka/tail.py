"""Follows whole topics outside any group: what everyone must know at once, such as subscriptions.

Positions are not kept: each tail starts at the beginning and holds the topics' latest state in its caller.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator

from confluent_kafka import OFFSET_BEGINNING, KafkaError, TopicPartition

from samenloop.errors import Retry
from samenloop.kafka import clients
from samenloop.kafka.names import topic_on_wire
from samenloop.kafka.reader import partitions_of
from samenloop.kafka.records import Topics, place
from samenloop.settings import Kafka
from samenloop.stage import Record

_AT_ONCE = 1000


class Tail:
    """Reads *topics* (catalogue names) from their start and on; called from one thread."""

    def __init__(self, kafka: Kafka, topics: Collection[str]) -> None:
        self._consumer = clients.reader(kafka, fetch_wait_ms=100)
        self._records = Topics(kafka.prefix)
        names = [topic_on_wire(kafka.prefix, topic) for topic in topics]
        partitions = [TopicPartition(n, p, OFFSET_BEGINNING) for n in names for p in partitions_of(self._consumer, n)]
        self._behind = {place(partition) for partition in partitions}
        self._consumer.assign(partitions)

    def poll(self) -> list[Record]:
        """Return what arrived since the last call, without waiting."""
        found: list[Record] = []
        for message in self._consumer.consume(_AT_ONCE, 0):
            error = message.error()
            if error is None:
                found.append(self._records.record(message))
            elif error.code() == KafkaError._PARTITION_EOF:
                self._behind.discard((message.topic(), message.partition()))
        return found

    def catch_up(self, *, patience_seconds: float = 30.0) -> list[Record]:
        """Return all up to the end of every partition; raises Retry when that is not reached in time."""
        return [record for batch in self.batches(patience_seconds=patience_seconds) for record in batch]

    def batches(self, *, patience_seconds: float = 30.0) -> Iterator[list[Record]]:
        """Yield the same bit by bit, for who need not have it all at once; patience is with each bit."""
        until = time.monotonic() + patience_seconds
        while self._behind:
            if time.monotonic() > until:
                raise Retry("kafka.unavailable", f"the end of {len(self._behind)} partitions was not reached in time")
            if found := self.poll():
                until = time.monotonic() + patience_seconds
                yield found
            elif self._behind:
                time.sleep(0.01)

    def close(self) -> None:
        """Give the connection back."""
        self._consumer.close()
