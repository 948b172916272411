"""What goes into a hub that is measured, and where its effects are seen: by a reader of findings, by a partner."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import islice

from samenloop import clock
from samenloop.contract import read_envelope
from samenloop.kafka.clients import plain_producer
from samenloop.kafka.names import topic_on_wire
from samenloop.kafka.tail import Tail
from samenloop.receiver import Receiver
from samenloop.settings import Kafka
from samenloop.stage import Output


def send(kafka: Kafka, outputs: Iterable[Output], *, per_second: float | None = None) -> None:
    """Write *outputs* as fast as the broker takes them, or so many a second, as a source spreads a bulk load."""
    producer = plain_producer(kafka)
    name: dict[str, str] = {}
    began = time.monotonic()
    for number, output in enumerate(outputs):
        if per_second is not None and (early := began + number / per_second - time.monotonic()) > 0.1:
            producer.flush(60)
            time.sleep(early)
        topic = name.setdefault(output.topic, topic_on_wire(kafka.prefix, output.topic))
        while True:
            try:
                producer.produce(topic, output.value, output.key, headers=list(output.headers))
                break
            except BufferError:
                producer.poll(0.05)
    producer.flush(60)


class Findings:
    """Sees what a reader of findings sees: each finding names the change that caused it."""

    def __init__(self, kafka: Kafka) -> None:
        self._tail = Tail(kafka, ("conflicts", "opportunities"))
        self._tail.catch_up(patience_seconds=120)

    def seen(self) -> Iterator[tuple[str, float]]:
        """Yield the id of each change that led to something since the last call, and when that was seen."""
        records = self._tail.poll()
        now = time.perf_counter()
        for record in records:
            yield read_envelope(record.headers).causationid or "", now


class Webhooks:
    """Sees what a partner receives: an alert about a plan carries the id of the change."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver, self._taken = receiver, len(receiver.messages)
        self._offset = time.perf_counter() - clock.now().timestamp()

    def seen(self) -> Iterator[tuple[str, float]]:
        """Yield the id of each event that was received since the last call, and when."""
        for message in islice(self._receiver.messages, self._taken, None):
            self._taken += 1
            yield str(message.event["id"]), message.at.timestamp() + self._offset
