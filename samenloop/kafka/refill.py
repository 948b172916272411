"""Writes the records of a topic to where they were; the topic must be new."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from samenloop.contract.topics import Topic
from samenloop.errors import BadSettings, Retry
from samenloop.kafka import clients
from samenloop.kafka.layout import Run, portions
from samenloop.kafka.names import topic_on_wire, transactional_id
from samenloop.kafka.reader import log_ends
from samenloop.settings import Kafka

_SECONDS: Final = 60
_PAUSE_SECONDS: Final = 0.005
_FILLER: Final = b"filler"
_LONG_AGO_MS: Final = 1
"""Time of fillers: no search by time finds one, and none keeps a segment longer."""


class Refill:
    """Two producers: one for runs that end nothing, one for what ends with a transaction. Raises Retry."""

    def __init__(self, kafka: Kafka) -> None:
        patient = kafka.model_copy(update={"transaction_timeout_seconds": _SECONDS})
        self._kafka = kafka
        self._plain: Producer = clients.plain_producer(kafka)
        self._bound: Producer = clients.transactional_producer(patient, transactional_id(kafka.prefix, "restore", "0"))
        self._admin: Any = clients.administrator(kafka)
        self._wrong: list[str] = []
        self._next: dict[int, int] = {}
        with _told("a transaction could not be begun"):
            self._bound.init_transactions(_SECONDS)

    def refill(self, topic: Topic, partitions: Mapping[int, Iterator[Run]], ends: Mapping[int, int]) -> None:
        """Write all runs of *topic*, one of each partition at a time, so that few transactions serve many."""
        name = topic_on_wire(self._kafka.prefix, topic.name)
        self._next = dict.fromkeys(partitions, 0)
        starts: dict[int, int] = {}
        left = dict(partitions)
        while left:
            now = {number: run for number, runs in left.items() if (run := next(runs, None)) is not None}
            left = {number: left[number] for number in now}
            starts |= {number: run.gap for number, run in now.items() if not run.records}
            with _told(f"{name} could not be written"):
                self._round(name, now)
        if topic.cleanup == "delete":
            self._forget(name, starts)
        self._check(name, ends)

    def _round(self, name: str, now: Mapping[int, Run]) -> None:
        """Write what ends nothing, then what ends with a transaction, then gaps: each where the last one ended."""
        ending = {number: run for number, run in now.items() if run.gap == 1 and run.records}
        for number, run in now.items():
            if number not in ending:
                self._write(self._plain, name, number, run)
                if run.gap == 1:  # the very start of a topic, whose start is moved behind it afterwards
                    self._fill(self._plain, name, number, 1)
        self._flush(self._plain)
        if ending:
            self._bound.begin_transaction()
            for number, run in ending.items():
                self._write(self._bound, name, number, run)
            self._flush(self._bound)
            self._bound.commit_transaction(_SECONDS)
            self._ended(name, ending)
        for number, run in now.items():
            for portion in portions(run.gap) if run.gap > 1 else ():
                self._bound.begin_transaction()
                self._fill(self._bound, name, number, portion - 1)
                self._flush(self._bound)  # aborting would drop what was not sent
                self._bound.abort_transaction(_SECONDS)
                self._ended(name, [number])

    def _ended(self, name: str, numbers: Collection[int]) -> None:
        """Wait for the end of a transaction in its partitions: the coordinator writes it after it has answered."""
        for number in numbers:
            self._next[number] += 1
        until = time.monotonic() + _SECONDS
        asked = [TopicPartition(name, number) for number in numbers]
        while any(end < self._next[number] for number, end in log_ends(self._admin, asked).items()):
            if time.monotonic() > until:
                raise Retry("restore.failed", f"{name}: a transaction did not end in {_SECONDS} s")
            time.sleep(_PAUSE_SECONDS)

    def _write(self, producer: Producer, name: str, number: int, run: Run) -> None:
        for record in run.records:

            def told(error: KafkaError | None, message: Any, wanted: int = record.offset) -> None:
                if error is not None or message.offset() != wanted:
                    found = error.str() if error is not None else f"it came to {message.offset()}"
                    self._wrong.append(f"{name}/{number}: the record of offset {wanted}: {found}")

            settings: dict[str, Any] = {
                "key": record.key.encode("utf-8", "surrogateescape"),
                "headers": list(record.headers),
                "timestamp": record.timestamp_ms,
                "on_delivery": told,
            }
            _patiently(producer, name, number, record.value, settings)
        self._next[number] += len(run.records)

    def _fill(self, producer: Producer, name: str, number: int, count: int) -> None:
        for _ in range(count):
            _patiently(producer, name, number, b"", {"key": _FILLER, "timestamp": _LONG_AGO_MS})
        self._next[number] += count

    def _flush(self, producer: Producer) -> None:
        if left := producer.flush(_SECONDS):
            raise Retry("restore.failed", f"{left} records were not taken in {_SECONDS} s")
        if self._wrong:
            raise BadSettings(
                [*self._wrong[:5], "the restore stopped: somebody else writes to these topics; stop them"]
            )

    def _forget(self, name: str, starts: Mapping[int, int]) -> None:
        """Move the start of the log to where it was: what lies before it was no record of the backup."""
        if not starts:
            return
        asked = self._admin.delete_records([TopicPartition(name, n, offset) for n, offset in starts.items()])
        with _told(f"the start of {name} could not be moved"):
            for future in asked.values():
                future.result(_SECONDS)

    def _check(self, name: str, wanted: Mapping[int, int]) -> None:
        found = log_ends(self._admin, [TopicPartition(name, number) for number in wanted])
        late = {number: int(end == 1) for number, end in wanted.items()}  # see `runs`
        wrong = [
            f"{name}/{number}: ends at {found[number]}, expected {end}"
            for number, end in wanted.items()
            if not end <= found[number] <= end + late[number]
        ]
        if wrong:
            raise BadSettings(wrong)


def _patiently(producer: Producer, name: str, number: int, value: bytes | None, settings: Mapping[str, Any]) -> None:
    """Hand a record over, waiting for room."""
    while True:
        try:
            producer.produce(name, value, partition=number, **settings)
            return
        except BufferError:
            producer.poll(0.05)


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Let what Kafka says be told with what it was about."""
    try:
        yield
    except (KafkaException, TimeoutError) as error:
        raise Retry("restore.failed", f"{what}: {error}") from error
