"""What only a broker itself knows: its clock, and the room on its disks.

librdkafka has no call for either, aiokafka (Faust's client) speaks any request: `DescribeQuorum`, whose leader says
what time it is, and `DescribeLogDirs`, which tells the size of each volume. Both only read, and need Describe on the
cluster.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

from samenloop import clock
from samenloop.errors import Retry
from samenloop.settings import Kafka

_ASK_MS = 5000
_METADATA = "__cluster_metadata"
_TAGS = ("tags", TaggedFields)
_REPLICA = Schema(
    ("replica_id", Int32), ("log_end", Int64), ("last_fetch_ms", Int64), ("last_caught_up_ms", Int64), _TAGS
)
_QUORUM = Schema(
    ("partition", Int32), ("error", Int16), ("leader", Int32), ("epoch", Int32), ("high_watermark", Int64),
    ("voters", CompactArray(_REPLICA)), ("observers", CompactArray(_REPLICA)), _TAGS,
)  # fmt: skip
_SIZE = Schema(("partition", Int32), ("size", Int64), ("lag", Int64), ("future", Boolean), _TAGS)
_FOLDER = Schema(
    ("error", Int16), ("path", CompactString("utf-8")),
    ("topics", CompactArray(Schema(("name", CompactString("utf-8")), ("partitions", CompactArray(_SIZE)), _TAGS))),
    ("total", Int64), ("usable", Int64), _TAGS,
)  # fmt: skip


class _QuorumAnswer(Response):
    API_KEY = 55
    API_VERSION = 1
    SCHEMA = Schema(
        ("error", Int16),
        (
            "topics",
            CompactArray(Schema(("name", CompactString("utf-8")), ("partitions", CompactArray(_QUORUM)), _TAGS)),
        ),
        _TAGS,
    )


class _QuorumQuestion(RequestStruct):
    FLEXIBLE_VERSION = True
    API_KEY = 55
    API_VERSION = 1
    RESPONSE_TYPE = _QuorumAnswer
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(
                Schema(
                    ("name", CompactString("utf-8")), ("partitions", CompactArray(Schema(("n", Int32), _TAGS))), _TAGS
                )
            ),
        ),
        _TAGS,
    )


class _DescribeQuorum(Request[_QuorumQuestion]):
    API_KEY = 55

    def build(self, request_struct_class: type[_QuorumQuestion]) -> _QuorumQuestion:
        return request_struct_class([(_METADATA, [(0, {})], {})], {})


class _FoldersAnswer(Response):
    API_KEY = 35
    API_VERSION = 4
    SCHEMA = Schema(("throttle_ms", Int32), ("error", Int16), ("folders", CompactArray(_FOLDER)), _TAGS)


class _FoldersQuestion(RequestStruct):
    FLEXIBLE_VERSION = True
    API_KEY = 35
    API_VERSION = 4
    RESPONSE_TYPE = _FoldersAnswer
    SCHEMA = Schema(
        ("topics", CompactArray(Schema(("name", CompactString("utf-8")), ("partitions", CompactArray(Int32)), _TAGS))),
        _TAGS,
    )


class _DescribeFolders(Request[_FoldersQuestion]):
    API_KEY = 35

    def build(self, request_struct_class: type[_FoldersQuestion]) -> _FoldersQuestion:
        return request_struct_class([], {})


@dataclass(frozen=True, slots=True)
class Volume:
    """A folder of a broker's logs, and the bytes of the volume it is on."""

    broker: int
    path: str
    total: int
    usable: int


@dataclass(frozen=True, slots=True)
class Said:
    """What the brokers said. *ahead*: by how much their clock is ahead of ours, None where it was not told."""

    ahead: timedelta | None
    volumes: Sequence[Volume]


def ask_brokers(kafka: Kafka) -> Said:
    """Ask the leader of the controllers for its clock and every broker for its volumes. Raises Retry."""
    try:
        return asyncio.run(_ask(kafka))
    except (KafkaError, OSError, NotImplementedError, TimeoutError) as error:
        raise Retry("kafka.unavailable", f"the brokers could not be asked: {error or type(error).__name__}") from error


async def _ask(kafka: Kafka) -> Said:
    client = AIOKafkaClient(**_connection(kafka))
    try:
        await client.bootstrap()
        nodes = sorted(broker.nodeId for broker in client.cluster.brokers())
        before = clock.now()
        told = await client.send(nodes[0], _DescribeQuorum())
        ahead = _ahead(told, before, clock.now())
        volumes = [volume for node in nodes for volume in _volumes(node, await client.send(node, _DescribeFolders()))]
        return Said(ahead, volumes)
    finally:
        await client.close()


def _ahead(told: Any, before: datetime, after: datetime) -> timedelta | None:
    """Compare with the middle of asking; Kafka refuses with a code in place of partitions."""
    for partition in (partition for topic in told.topics for partition in topic[1]):
        error, leader, voters = partition[1], partition[2], partition[5]
        theirs = next((replica[2] for replica in voters if replica[0] == leader), -1)
        if not error and theirs > 0:
            return datetime.fromtimestamp(theirs / 1000, UTC) - (before + (after - before) / 2)
    return None


def _volumes(broker: int, told: Any) -> list[Volume]:
    return [
        Volume(broker, path, total, usable)
        for error, path, _, total, usable, *_ in told.folders
        if not error and total > 0
    ]


def _connection(kafka: Kafka) -> dict[str, Any]:
    password = kafka.sasl_password.get_secret_value() if kafka.sasl_password else None
    secure = kafka.security_protocol.endswith("SSL")
    return {
        "bootstrap_servers": kafka.bootstrap_servers,
        "client_id": f"{kafka.prefix}doctor",
        "request_timeout_ms": _ASK_MS,
        "security_protocol": kafka.security_protocol,
        "ssl_context": _context(kafka) if secure else None,
        "sasl_mechanism": kafka.sasl_mechanism or "PLAIN",
        "sasl_plain_username": kafka.sasl_username,
        "sasl_plain_password": password,
    }


def _context(kafka: Kafka) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(kafka.ssl_ca_location) if kafka.ssl_ca_location else None)
    if kafka.ssl_certificate_location is not None:
        context.load_cert_chain(kafka.ssl_certificate_location, kafka.ssl_key_location)
    return context
