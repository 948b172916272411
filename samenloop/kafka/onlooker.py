"""Asks again and again how far a group is in one partition, without ever joining it."""

from __future__ import annotations

from confluent_kafka import KafkaException, TopicPartition

from samenloop.errors import Retry
from samenloop.kafka import clients
from samenloop.kafka.names import group_on_wire, topic_on_wire
from samenloop.settings import Kafka
from samenloop.stage import Partition

_ASK_SECONDS = 5.0


class Onlooker:
    """Looks at *group* (name of a stage or sink) in the partition *at*; called from one thread."""

    def __init__(self, kafka: Kafka, group: str, at: Partition) -> None:
        self._consumer = clients.onlooker(kafka, group_on_wire(kafka.prefix, group))
        self._at = TopicPartition(topic_on_wire(kafka.prefix, at[0]), at[1])

    def committed(self) -> int:
        """Return the next offset the group will read, 0 when it has no position. Raises Retry."""
        try:
            (answered,) = self._consumer.committed([self._at], _ASK_SECONDS)
            if answered.error is not None:
                raise KafkaException(answered.error)
        except KafkaException as error:
            raise Retry("kafka.unavailable", f"a position could not be read: {error.args[0]}") from error
        return max(int(answered.offset), 0)

    def close(self) -> None:
        """Give the connection back."""
        self._consumer.close()
