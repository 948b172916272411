"""How far groups are, and whether a transaction hangs in the broker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from samenloop.contract.topics import TOPICS, Topic
from samenloop.errors import Retry
from samenloop.kafka import clients
from samenloop.kafka.names import group_on_wire, topic_on_wire
from samenloop.kafka.reader import log_ends
from samenloop.kafka.topics import committed_offsets
from samenloop.settings import Kafka

REPAIR = (
    "`kafka-transactions.sh find-hanging --broker-id N` names the producer, "
    "`kafka-transactions.sh abort --topic T --partition P --start-offset O` ends it"
)
"""What an operator does about a hanging transaction."""


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a group is in one partition. *behind* counts offsets, transaction markers included."""

    group: str
    topic: str
    partition: int
    committed: int | None
    end: int

    @property
    def behind(self) -> int:
        """Offsets between the group's position and the end; all of them when it has none."""
        return max(self.end - (self.committed or 0), 0)


@dataclass(frozen=True, slots=True)
class Hanging:
    """A partition whose committed end is behind its end: an open transaction, or one that will never end."""

    topic: str
    partition: int
    committed_end: int
    end: int


def group_lag(kafka: Kafka, group: str, inputs: Sequence[str], topics: Mapping[str, Topic] = TOPICS) -> list[Lag]:
    """Return the lag of *group* (name of a stage or sink) in every partition of its *inputs*. Raises Retry."""
    admin = clients.administrator(kafka)
    full_group = group_on_wire(kafka.prefix, group)
    lags = []
    try:
        for name in inputs:
            partitions = _partitions(kafka, topics[name])
            known = committed_offsets(admin, full_group, partitions)
            ends = log_ends(admin, partitions)
            for number, end in ends.items():
                offset = known.get((topic_on_wire(kafka.prefix, name), number), -1)
                lags.append(Lag(group, name, number, offset if offset >= 0 else None, end))
    except KafkaException as error:
        raise Retry("kafka.unavailable", str(error.args[0])) from error
    return lags


def open_transactions(kafka: Kafka, topics: Mapping[str, Topic] = TOPICS) -> list[Hanging]:
    """Return the partitions with an open transaction now.

    One that is still there after twice the transaction timeout hangs (`REPAIR` says what to do). Raises Retry.
    """
    admin: AdminClient = clients.administrator(kafka)
    found = []
    for topic in topics.values():
        partitions = _partitions(kafka, topic)
        committed = log_ends(admin, partitions, committed=True)  # first: the end may only move on meanwhile
        ends = log_ends(admin, partitions)
        again = log_ends(admin, partitions, committed=True)
        found += [
            Hanging(topic.name, number, again[number], end)
            for number, end in ends.items()
            if committed[number] < end and again[number] < end
        ]
    return found


def _partitions(kafka: Kafka, topic: Topic) -> list[TopicPartition]:
    name = topic_on_wire(kafka.prefix, topic.name)
    return [TopicPartition(name, number) for number in range(topic.partitions)]
