"""Looks at stretches of topics from outside: where they begin and end, where an instant lies, how far a group is.

Never joins a group and never commits, so that it can look at a hub at work.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime

from confluent_kafka import KafkaException, TopicPartition

from samenloop.contract.topics import TOPICS
from samenloop.errors import Retry
from samenloop.kafka import clients
from samenloop.kafka.groups import committed_offsets
from samenloop.kafka.names import group_on_wire, topic_on_wire
from samenloop.kafka.reader import TopicReader, log_ends, log_offsets_at, log_starts
from samenloop.settings import Kafka
from samenloop.stage import Record

Offsets = dict[int, int]
"""An offset by partition."""


class Window:
    """One connection to look with; a context manager. Topics are named as in the catalogue. Calls raise Retry."""

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka
        self._admin = clients.administrator(kafka)
        self._reader = TopicReader(kafka)

    def __enter__(self) -> Window:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.__exit__()

    def starts(self, topic: str) -> Offsets:
        """Return the first offset that is still there, by partition."""
        return log_starts(self._admin, self._partitions(topic))

    def ends(self, topic: str) -> Offsets:
        """Return the end of the log, open transactions included, by partition."""
        return log_ends(self._admin, self._partitions(topic))

    def at(self, topic: str, instant: datetime) -> Offsets:
        """Return the first offset written at or after *instant*, the end where there is none, by partition.

        So the stretches between instants that follow each other cover a log without gap or overlap.
        """
        ends = self.ends(topic)
        found = log_offsets_at(self._admin, self._partitions(topic), int(instant.timestamp() * 1000))
        return {number: offset if offset >= 0 else ends[number] for number, offset in found.items()}

    def committed(self, group: str, topic: str) -> Offsets:
        """Return how far *group* (a stage or sink) is in *topic*, 0 where it has no position."""
        partitions = self._partitions(topic)
        try:
            found = committed_offsets(self._kafka, group_on_wire(self._kafka.prefix, group), partitions)
        except (KafkaException, TimeoutError) as error:
            raise Retry("kafka.unavailable", f"positions could not be read: {error}") from error
        return {number: max(offset, 0) for (_, number), offset in found.items()}

    def read(
        self,
        topic: str,
        partitions: Collection[int] | None = None,
        *,
        starts: Mapping[int, int] | None = None,
        ends: Mapping[int, int] | None = None,
    ) -> Iterator[Record]:
        """Yield committed records from *starts* (default: the beginning) up to *ends* (default: the end as it is now).

        A start that retention has passed by meanwhile begins at what is left.
        """
        if starts is not None:
            first = self.starts(topic)
            starts = {number: max(offset, first[number]) for number, offset in starts.items()}
        yield from self._reader.read(topic, partitions, starts=starts, ends=ends)

    def _partitions(self, topic: str) -> list[TopicPartition]:
        name = topic_on_wire(self._kafka.prefix, topic)
        return [TopicPartition(name, number) for number in range(TOPICS[topic].partitions)]
