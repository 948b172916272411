"""Writing for many callers at once, without transactions: each is told when Kafka has all of its records.

One idempotent producer and one thread that hears what became of each record. A record that is not acknowledged in time
is given up by the client itself, so that nothing of a refused call arrives long after.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future

from confluent_kafka import KafkaError, KafkaException, Producer

from samenloop import metrics, tracing
from samenloop.errors import Retry
from samenloop.kafka import clients
from samenloop.kafka.names import topic_on_wire
from samenloop.kafka.records import Message
from samenloop.settings import Kafka
from samenloop.stage import Output

_POLL_SECONDS = 0.2


class Publisher:
    """Writes outputs in the order they are given; safe to call from several threads. Ends with `close`."""

    def __init__(self, kafka: Kafka, *, acknowledge_seconds: float) -> None:
        self._producer: Producer = clients.plain_producer(kafka, give_up_seconds=acknowledge_seconds)
        self._prefix = kafka.prefix
        self._names: dict[str, str] = {}
        self._closed = False
        self._thread = threading.Thread(target=self._hear, name="publisher", daemon=True)
        self._thread.start()

    def send(self, outputs: Sequence[Output]) -> Future[None]:
        """Hand *outputs* to Kafka; the future is done when it has acknowledged all of them.

        It fails with Retry("kafka.unavailable") when one was not taken; others may have been.
        """
        sent = _Sent(outputs)
        for output in tracing.stamped(outputs):
            try:
                self._produce(output, sent)
            except (BufferError, KafkaException) as error:
                sent.told(error, None)
        sent.handed_over()
        return sent.future

    def answers(self, topic: str, timeout_seconds: float) -> bool:
        """Say whether Kafka answers and has *topic* (catalogue name)."""
        name = self._on_wire(topic)
        try:
            found = self._producer.list_topics(name, timeout=timeout_seconds).topics.get(name)
        except KafkaException:
            return False
        return found is not None and found.error is None

    def close(self, timeout_seconds: float = 10.0) -> None:
        """Wait for what is under way, then stop."""
        self._producer.flush(timeout_seconds)
        self._closed = True
        self._thread.join()

    def _produce(self, output: Output, sent: _Sent) -> None:
        partition = -1 if output.partition is None else output.partition
        key, headers = output.key.encode("utf-8", "surrogateescape"), output.headers
        name, told = self._on_wire(output.topic), sent.told
        self._producer.produce(name, output.value, key, partition, headers=list(headers), on_delivery=told)

    def _on_wire(self, topic: str) -> str:
        name = self._names.get(topic)
        if name is None:
            name = self._names[topic] = topic_on_wire(self._prefix, topic)
        return name

    def _hear(self) -> None:
        while not self._closed:
            self._producer.poll(_POLL_SECONDS)


class _Sent:
    """What one call is waiting for; the client's thread counts down."""

    def __init__(self, outputs: Sequence[Output]) -> None:
        self.future: Future[None] = Future()
        self._topics = Counter(output.topic for output in outputs)
        self._left = len(outputs) + 1  # one for the handing over itself
        self._lock = threading.Lock()
        self._refused: str | None = None

    def told(self, error: KafkaError | Exception | None, _: Message) -> None:
        """Hear what became of one record."""
        with self._lock:
            if error is not None:
                self._refused = str(error)
            self._left -= 1
            done = not self._left
        if done:
            self._finish()

    def handed_over(self) -> None:
        """Say that no record follows."""
        self.told(None, None)

    def _finish(self) -> None:
        outcome = "acked" if self._refused is None else "failed"
        for topic, count in self._topics.items():
            metrics.PRODUCER_RECORDS_TOTAL.labels(topic=topic, outcome=outcome).inc(count)
        if self._refused is None:
            self.future.set_result(None)
        else:
            self.future.set_exception(Retry("kafka.unavailable", self._refused))
