"""Reading a topic whole: to its very end, tombstones included, and never past an open transaction unseen."""

import threading
import time
from typing import Any

import pytest

from samenloop.errors import Retry
from samenloop.kafka import Writer, publish, read_topic
from samenloop.kafka.reader import TopicReader
from samenloop.settings import Kafka
from samenloop.stage import Output

Hub = Any


def test_every_record_is_read_tombstones_and_empty_values_too(hub: Hub) -> None:
    """A tombstone is None, an empty value is not one; a key that is no text keeps its bytes."""
    written = [
        Output("single", "a", b"1", (("ce_id", b"7"), ("ce_id", b"8"))),
        Output("single", "a", None),
        Output("single", "", b""),
        Output("single", b"\xff".decode("utf-8", "surrogateescape"), b"2"),
    ]

    publish(hub.kafka, written)

    read = list(read_topic(hub.kafka, "single"))
    assert [(r.topic, r.offset, r.key, r.value, r.headers) for r in read] == [
        ("single", number, output.key, output.value, output.headers) for number, output in enumerate(written)
    ]


def test_the_end_includes_what_is_being_committed(hub: Hub) -> None:
    """A reader that starts while a transaction is open waits for its end, and then has its records."""
    writer = Writer(hub.kafka, "w")
    with writer.transaction():
        writer.write(Output("single", "first", b"1"))
    producer = writer._transactions._producer  # an open transaction cannot be had otherwise
    producer.begin_transaction()
    producer.produce(f"{hub.kafka.prefix}single.v1", b"2", "second")
    producer.flush(5)
    closing = threading.Timer(1.0, producer.commit_transaction)
    closing.start()
    began = time.monotonic()

    keys = [record.key for record in read_topic(hub.kafka, "single")]

    closing.join()
    assert keys == ["first", "second"]
    assert time.monotonic() - began > 0.9


def test_an_aborted_transaction_is_not_read(hub: Hub) -> None:
    """Records of a transaction that was given up are skipped, and the end is reached although none follows."""
    writer = Writer(hub.kafka, "w")
    with writer.transaction():
        writer.write(Output("single", "kept", b"1"))
    producer = writer._transactions._producer
    producer.begin_transaction()
    producer.produce(f"{hub.kafka.prefix}single.v1", b"2", "dropped")
    producer.flush(5)
    producer.abort_transaction()

    assert [record.key for record in read_topic(hub.kafka, "single")] == ["kept"]
    assert [record.key for record in read_topic(hub.kafka, "single", committed_only=False)] == ["kept", "dropped"]


def test_reading_stops_at_the_offset_asked_for(hub: Hub) -> None:
    """`until="committed"` reads below an offset although more records follow."""
    hub.write("single", ["a", "b", "c"])

    with TopicReader(hub.kafka) as reader:
        assert [record.key for record in reader.read("single", ends={0: 2})] == ["a", "b"]
        assert list(reader.read("single", ends={0: 0})) == []


def test_a_transaction_that_stays_open_is_told(hub: Hub) -> None:
    """A reader that cannot reach the end says so instead of waiting for ever or leaving something out."""
    writer = Writer(hub.kafka, "w")
    producer = writer._transactions._producer
    producer.begin_transaction()
    producer.produce(f"{hub.kafka.prefix}single.v1", b"1", "a")
    producer.flush(5)

    with TopicReader(hub.kafka, patience_seconds=1.0) as reader, pytest.raises(Retry, match="open transaction"):
        list(reader.read("single"))
    producer.abort_transaction()


def test_a_topic_that_is_missing_is_named(hub: Hub) -> None:
    """The message says which topic, and the command that makes it."""
    with pytest.raises(Retry, match=r"t\w+\.absent\.v1: .*samenloop topics apply"):
        list(read_topic(hub.kafka, "absent"))


def test_a_broker_that_is_away_is_told() -> None:
    """Nobody listens: Retry, not a hang."""
    kafka = Kafka(bootstrap_servers="127.0.0.1:1")

    with pytest.raises(Retry, match=r"kafka\.unavailable"):
        list(read_topic(kafka, "single"))
