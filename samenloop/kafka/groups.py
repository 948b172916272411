"""Where groups begin, how far they are, and whether a transaction hangs in the broker."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from confluent_kafka import (
    Consumer,
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from samenloop.contract.topics import TOPICS, Topic
from samenloop.errors import Retry
from samenloop.kafka import clients
from samenloop.kafka.names import group_on_wire, topic_on_wire
from samenloop.kafka.reader import log_ends
from samenloop.settings import Kafka

_ASK_SECONDS = 2.0
_PATIENCE_SECONDS = 30.0
_IDLE = (ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD)
_SOON = {
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._TIMED_OUT,
    KafkaError._TRANSPORT,
}
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
            known = committed_offsets(kafka, full_group, partitions)
            ends = log_ends(admin, partitions)
            for number, end in ends.items():
                offset = known.get((topic_on_wire(kafka.prefix, name), number), -1)
                lags.append(Lag(group, name, number, offset if offset >= 0 else None, end))
    except (KafkaException, TimeoutError) as error:
        raise Retry("kafka.unavailable", f"positions could not be read: {error}") from error
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


def begin_at_zero(admin: AdminClient, kafka: Kafka, group: str, inputs: Sequence[Topic]) -> list[str]:
    """Commit offset 0 wherever *group* has no position in its *inputs*; one line when there was any.

    Raises Retry when the group has workers: they must be stopped first; KafkaException otherwise.
    """
    full_group = group_on_wire(kafka.prefix, group)
    partitions = [partition for topic in inputs for partition in _partitions(kafka, topic)]
    known = committed_offsets(kafka, full_group, partitions)
    unknown = [p for p in partitions if known.get((p.topic, p.partition), -1) < 0]
    if not unknown:
        return []
    begin = [TopicPartition(p.topic, p.partition, 0) for p in unknown]
    request = ConsumerGroupTopicPartitions(full_group, begin)
    _asked(lambda: _all_altered(admin, request))
    topics = sorted({p.topic for p in unknown})
    return [f"{full_group}: starts at offset 0 of {', '.join(topics)}"]


def groups_at_work(kafka: Kafka, groups: Collection[str]) -> list[str]:
    """Return those of *groups* (names of stages and sinks) that have workers. Raises Retry."""
    admin: Any = clients.administrator(kafka)
    names = {group_on_wire(kafka.prefix, group): group for group in groups}
    try:
        asked = admin.describe_consumer_groups(list(names), request_timeout=_PATIENCE_SECONDS) if names else {}
        return [names[name] for name, future in asked.items() if future.result(_PATIENCE_SECONDS).state not in _IDLE]
    except (KafkaException, TimeoutError) as error:
        raise Retry("kafka.unavailable", f"groups could not be read: {error}") from error


def set_positions(kafka: Kafka, group: str, positions: Mapping[tuple[str, int], int]) -> None:
    """Let *group* go on at these offsets, by topic (catalogue name) and partition.

    Raises Retry when the group has workers, or Kafka does not take it.
    """
    admin = clients.administrator(kafka)
    places = [TopicPartition(topic_on_wire(kafka.prefix, topic), n, at) for (topic, n), at in positions.items()]
    request = ConsumerGroupTopicPartitions(group_on_wire(kafka.prefix, group), places)
    try:
        _asked(lambda: _all_altered(admin, request))
    except (KafkaException, TimeoutError) as error:
        raise Retry("kafka.unavailable", f"positions of {group} could not be set: {error}") from error


def committed_offsets(kafka: Kafka, group: str, partitions: Sequence[TopicPartition]) -> dict[tuple[str, int], int]:
    """Return the committed offset by topic and partition, negative where there is none. Raises KafkaException.

    Asked by a consumer of the group that never joins it. The administrator's own call ends the process with a
    segmentation fault when the group's coordinator is still loading, as it is on a broker that has just started:
    librdkafka 2.16 then looks for the coordinator of a consumer that is not there.
    """
    consumer: Consumer = clients.onlooker(kafka, group)
    try:
        return _asked(lambda: _committed(consumer, partitions))
    finally:
        consumer.close()


def _committed(consumer: Consumer, partitions: Sequence[TopicPartition]) -> dict[tuple[str, int], int]:
    answered: list[TopicPartition] = consumer.committed(list(partitions), _ASK_SECONDS)
    for partition in answered:
        if partition.error is not None:
            raise KafkaException(partition.error)
    return {(p.topic, p.partition): p.offset for p in answered}


def _all_altered(admin: AdminClient, request: ConsumerGroupTopicPartitions) -> None:
    answered = admin.alter_consumer_group_offsets([request], request_timeout=_ASK_SECONDS)[request.group_id]
    for partition in answered.result(_ASK_SECONDS).topic_partitions or []:
        error: KafkaError | None = partition.error
        if error is not None and error.code() == KafkaError.UNKNOWN_MEMBER_ID:
            raise Retry("kafka.group-busy", f"{request.group_id}: it has workers; stop them, then again")
        if error is not None:
            raise KafkaException(error)


T = TypeVar("T")


def _asked(ask: Callable[[], T]) -> T:
    """Ask again what a broker that has just started, or a topic that was just made, cannot answer for a second."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return ask()
        except (KafkaException, TimeoutError) as error:
            waits = isinstance(error, TimeoutError) or error.args[0].code() in _SOON
            if not waits or time.monotonic() > deadline:
                raise
        time.sleep(0.2)


def _partitions(kafka: Kafka, topic: Topic) -> list[TopicPartition]:
    name = topic_on_wire(kafka.prefix, topic.name)
    return [TopicPartition(name, number) for number in range(topic.partitions)]
