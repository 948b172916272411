"""Kafka clients and their settings, in one table.

Everything that was learnt the hard way stands here: a partitioner that agrees with the Java clients, dynamic members
only (static ones orphan partitions), no reset of positions (nothing may be skipped), committed records only.
"""

from __future__ import annotations

import logging
from typing import Any
from weakref import WeakValueDictionary

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

from samenloop import metrics
from samenloop.settings import Kafka

MAX_RECORD_BYTES = 1_000_000
"""Of one record with key and headers: what topics accept."""

_COMMON: dict[str, Any] = {
    "log_level": 4,  # warnings; each lost connection is told once, by the client that lost it
    "reconnect.backoff.max.ms": 1000,
    "socket.connection.setup.timeout.ms": 5000,
    "topic.metadata.refresh.interval.ms": 30_000,
}
_QUEUE_RECORDS = 100_000
_PRODUCER: dict[str, Any] = {
    "partitioner": "murmur2_random",  # the default agrees with Java's on a fifth of the keys
    "enable.idempotence": True,
    "acks": "all",
    "compression.type": "lz4",
    "linger.ms": 5,
    "message.max.bytes": MAX_RECORD_BYTES,
    "queue.buffering.max.messages": _QUEUE_RECORDS,
    "queue.buffering.max.kbytes": 131_072,
    "delivery.timeout.ms": 120_000,
}
_READER: dict[str, Any] = {
    "isolation.level": "read_committed",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "fetch.wait.max.ms": 100,
    "queued.max.messages.kbytes": 32_768,
}
_MEMBER: dict[str, Any] = {
    "auto.offset.reset": "error",  # `topics apply` commits offset 0 for each group that has none
    "partition.assignment.strategy": "cooperative-sticky",
    "heartbeat.interval.ms": 1000,
    "max.poll.interval.ms": 300_000,  # a loop that hangs is the watchdog's business, a long rebuild is nobody's
    "topic.metadata.refresh.interval.ms": 5_000,
}


def transactional_producer(kafka: Kafka, transactional_id: str) -> Producer:
    """Return a producer with a stable id: its successor ends what it left open."""
    timeout_ms = kafka.transaction_timeout_seconds * 1000
    settings = {
        **_PRODUCER,
        "delivery.timeout.ms": timeout_ms,
        "transactional.id": transactional_id,
        "transaction.timeout.ms": timeout_ms,
    }
    return _producer(kafka, transactional_id, settings)


def plain_producer(kafka: Kafka, *, give_up_seconds: float = 120.0) -> Producer:
    """Return an idempotent producer without transactions, which gives a record up after so long."""
    settings = {**_PRODUCER, "delivery.timeout.ms": int(give_up_seconds * 1000)}
    return _producer(kafka, f"{kafka.prefix}publish", settings)


def member(kafka: Kafka, group: str, client_id: str) -> Consumer:
    """Return a dynamic member of *group* (its full name) that reads committed records and commits nothing itself."""
    session = {"session.timeout.ms": kafka.session_timeout_seconds * 1000}
    settings = {**_connection(kafka, client_id), **_READER, **_MEMBER, **session, "group.id": group}
    return Consumer(settings, logger=_logger())


def reader(
    kafka: Kafka, *, committed_only: bool = True, fetch_wait_ms: int = 10, fetch_bytes: int = 1_048_576
) -> Consumer:
    """Return a consumer that joins no group, starts at the beginning and says when it is at the end.

    The end of a partition is told when a fetch comes back empty, after *fetch_wait_ms*. A fetch brings *fetch_bytes*
    of a partition at most, and one batch at least.
    """
    settings = {
        **_connection(kafka, f"{kafka.prefix}reader"),
        **_READER,
        "group.id": f"{kafka.prefix}reader",  # librdkafka wants one; nothing is ever joined or committed with it
        "auto.offset.reset": "earliest",
        "enable.partition.eof": True,
        "fetch.wait.max.ms": fetch_wait_ms,
        "fetch.message.max.bytes": fetch_bytes,
        "queued.max.messages.kbytes": 65_536,
    }
    if not committed_only:
        settings["isolation.level"] = "read_uncommitted"
    return Consumer(settings, logger=_logger())


def onlooker(kafka: Kafka, group: str) -> Consumer:
    """Return a consumer that never joins *group* (its full name) and only asks for its committed positions."""
    settings = {
        **_connection(kafka, f"{kafka.prefix}onlooker"),
        "group.id": group,
        "enable.auto.commit": False,
        "isolation.level": "read_uncommitted",  # does not wait for the transaction that is moving the positions
    }
    return Consumer(settings, logger=_logger())


def administrator(kafka: Kafka) -> AdminClient:
    """Return a client for topics, groups and log ends."""
    return AdminClient(_connection(kafka, f"{kafka.prefix}admin"), logger=_logger())


class _Producer(Producer):
    """A producer that can be referred to weakly."""


_producers: WeakValueDictionary[str, _Producer] = WeakValueDictionary()


def _producer(kafka: Kafka, client_id: str, settings: dict[str, Any]) -> Producer:
    producer = _Producer({**_connection(kafka, client_id), **settings}, logger=_logger())
    _producers[client_id.removeprefix(kafka.prefix)] = producer
    return producer


def _show_queues() -> None:
    for client, producer in list(_producers.items()):
        metrics.PRODUCER_QUEUE_RATIO.labels(client=client).set(len(producer) / _QUEUE_RECORDS)


metrics.at_scrape(_show_queues)


def _connection(kafka: Kafka, client_id: str) -> dict[str, Any]:
    password = kafka.sasl_password.get_secret_value() if kafka.sasl_password else None
    optional = {
        "ssl.ca.location": str(kafka.ssl_ca_location) if kafka.ssl_ca_location else None,
        "sasl.mechanism": kafka.sasl_mechanism,
        "sasl.username": kafka.sasl_username,
        "sasl.password": password,
    }
    return {
        **_COMMON,
        "bootstrap.servers": kafka.bootstrap_servers,
        "client.id": client_id,
        "security.protocol": kafka.security_protocol,
        **{name: value for name, value in optional.items() if value is not None},
    }


def _logger() -> logging.Logger:
    return logging.getLogger("librdkafka")
