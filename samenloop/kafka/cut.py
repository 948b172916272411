"""One moment of a hub at work at which nothing is half done: where every log ended and how far every group was.

Positions and outputs of a stage are written in one transaction. So a moment is good when no transaction is open and no
log moved while the positions were asked for; such moments are common between two batches, and are waited for.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from confluent_kafka import Consumer, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec

from samenloop.contract.topics import TOPICS
from samenloop.errors import Retry
from samenloop.kafka import clients
from samenloop.kafka.names import group_on_wire, topic_in_catalogue, topic_on_wire
from samenloop.kafka.records import place
from samenloop.kafka.topics import inputs_of_groups
from samenloop.settings import Kafka
from samenloop.stage import Partition
from samenloop.value import value

_Spec: Any = OffsetSpec  # its methods have no types
_ASK_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 0.1


@value
class Cut:
    """The moment. *ends* by topic and partition; *positions* by group, where it has any."""

    ends: Mapping[Partition, int]
    positions: Mapping[str, Mapping[Partition, int]]


def find_cut(kafka: Kafka, *, patience_seconds: float) -> Cut:
    """Wait for such a moment and return it. Raises Retry when the hub is never at rest for so long."""
    looking = _Looking(kafka)
    until = time.monotonic() + patience_seconds
    try:
        while (found := looking.look()) is None:
            if time.monotonic() > until:
                detail = (
                    f"transactions were under way for {patience_seconds:.0f} s without a pause; "
                    "wait longer, or pause the sources or stop the hub meanwhile"
                )
                raise Retry("backup.busy", detail)
            time.sleep(_PAUSE_SECONDS)
    except (KafkaException, TimeoutError) as error:
        raise Retry("kafka.unavailable", f"positions and ends could not be read: {error}") from error
    finally:
        looking.close()
    return found


class _Looking:
    def __init__(self, kafka: Kafka) -> None:
        self._prefix = kafka.prefix
        self._admin = clients.administrator(kafka)
        self._partitions = [
            TopicPartition(topic_on_wire(kafka.prefix, topic.name), number)
            for topic in TOPICS.values()
            for number in range(topic.partitions)
        ]
        self._inputs = inputs_of_groups()
        self._groups: dict[str, Consumer] = {
            group: clients.onlooker(kafka, group_on_wire(kafka.prefix, group), stable=True) for group in self._inputs
        }

    def look(self) -> Cut | None:
        """Return the moment when this is one."""
        before = self._ends(committed=False)
        positions = {group: self._positions(group, topics) for group, topics in self._inputs.items()}
        if self._ends(committed=True) != before or self._ends(committed=False) != before:
            return None
        return Cut(before, positions)

    def close(self) -> None:
        """Give the connections back."""
        for consumer in self._groups.values():
            consumer.close()

    def _ends(self, *, committed: bool) -> dict[Partition, int]:
        level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        asked = self._admin.list_offsets(
            dict.fromkeys(self._partitions, _Spec.latest()), isolation_level=level, request_timeout=_ASK_SECONDS
        )
        return {
            (topic_in_catalogue(self._prefix, one.topic), one.partition): future.result(_ASK_SECONDS).offset
            for one, future in asked.items()
        }

    def _positions(self, group: str, topics: list[str]) -> dict[Partition, int]:
        names = {topic_on_wire(self._prefix, topic) for topic in topics}
        inputs = [TopicPartition(one.topic, one.partition) for one in self._partitions if one.topic in names]
        found: dict[Partition, int] = {}
        for one in self._groups[group].committed(inputs, _ASK_SECONDS):
            if one.error is not None:
                raise KafkaException(one.error)
            if one.offset >= 0:
                topic, number = place(one)
                found[topic_in_catalogue(self._prefix, topic), number] = one.offset
        return found
