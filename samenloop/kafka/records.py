"""From a client's message to the hub's record."""

from __future__ import annotations

from typing import Any, TypeAlias

from confluent_kafka import TopicPartition

from samenloop.kafka.names import topic_in_catalogue
from samenloop.stage import Headers, Record

Message: TypeAlias = Any
"""A message that was consumed: topic, partition and offset are there, though the client types them as optional."""


class Topics:
    """Names of the catalogue for names on the wire, remembered."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._names: dict[str, str] = {}

    def record(self, message: Message) -> Record:
        """Return *message* as a record; a key that is not UTF-8 keeps its bytes (surrogateescape)."""
        full_name = message.topic()
        name = self._names.get(full_name)
        if name is None:
            name = self._names[full_name] = topic_in_catalogue(self._prefix, full_name)
        key = message.key()
        return Record(
            name,
            message.partition(),
            message.offset(),
            key.decode("utf-8", "surrogateescape") if key is not None else "",
            message.value(),
            _headers(message),
            message.timestamp()[1],
        )


def _headers(message: Message) -> Headers:
    """Kafka allows a header without a value; here it is an empty one."""
    headers = message.headers()
    if not headers:
        return ()
    for _, content in headers:
        if content is None:
            return tuple((name, content or b"") for name, content in headers)
    return tuple(headers)


def place(partition: TopicPartition) -> tuple[str, int]:
    """Return topic (on the wire) and number of a partition: what a dictionary can hold."""
    return partition.topic, partition.partition
