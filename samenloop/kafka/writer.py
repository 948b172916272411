"""Writing without a stage: sources in transactions, commands without."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from samenloop import tracing
from samenloop.errors import Retry
from samenloop.kafka import clients
from samenloop.kafka.names import topic_on_wire, transactional_id
from samenloop.kafka.records import Message
from samenloop.kafka.refusals import refused
from samenloop.kafka.transactions import Transactions
from samenloop.kafka.watchdog import Heart
from samenloop.settings import Kafka
from samenloop.stage import Output

_FLUSH_SECONDS = 10.0


class Writer:
    """Writes in transactions under a stable slot; two writers of one slot fence each other.

    Opening it ends what a predecessor left open and waits while Kafka is away. A writer that was fenced ends its
    process with code 4, one whose transaction is in doubt with code 5 (`samenloop.kafka.exits`).
    """

    def __init__(self, kafka: Kafka, slot: str) -> None:
        producer = clients.transactional_producer(kafka, transactional_id(kafka.prefix, "source", slot))
        self._transactions = Transactions(producer, kafka.prefix, timeout_seconds=kafka.transaction_timeout_seconds)
        self._heart = Heart(f"writer of {slot}", kafka.watchdog_seconds)
        self._outputs: list[Output] | None = None
        with self._heart:
            self._transactions.init(self._heart.beat)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit on leaving the block what `write` was given inside it; nothing of it when the block raises."""
        if self._outputs is not None:
            raise RuntimeError("a transaction is open already")
        self._outputs = []
        try:
            yield
            if self._outputs:
                with self._heart:
                    self._transactions.commit(tracing.stamped(self._outputs), [], None)
        finally:
            self._outputs = None

    def write(self, output: Output) -> None:
        """Add *output* to the open transaction."""
        if self._outputs is None:
            raise RuntimeError("write() belongs inside `with writer.transaction()`")
        self._outputs.append(output)


def publish(kafka: Kafka, outputs: Iterable[Output]) -> None:
    """Write *outputs* one after the other, without a transaction; for commands.

    Raises Retry when Kafka did not take them all: some may have been written.
    """
    producer: Producer = clients.plain_producer(kafka)
    failed: dict[str, Retry] = {}

    def told(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            failed[message.topic()] = refused(error, message.topic())

    try:
        for output in outputs:
            partition = -1 if output.partition is None else output.partition
            topic, key = topic_on_wire(kafka.prefix, output.topic), output.key.encode("utf-8", "surrogateescape")
            headers: Any = list(output.headers)
            producer.produce(topic, output.value, key, partition, headers=headers, on_delivery=told)
        left = producer.flush(_FLUSH_SECONDS)
    except (KafkaException, BufferError) as error:
        raise Retry("kafka.unavailable", str(error)) from error
    for problem in failed.values():
        raise problem
    if left:
        raise Retry("kafka.unavailable", f"{left} records were not acknowledged")
