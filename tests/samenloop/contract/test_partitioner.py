"""A key lies in the same partition for every client: murmur2, as Java, aiokafka and Faust have it."""

from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from samenloop.kafka import clients

VECTORS = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


def murmur2(data: bytes) -> int:
    """Return Kafka's 32-bit murmur2 of *data*, unsigned."""
    magic, mask = 0x5BD1E995, 0xFFFFFFFF
    found = 0x9747B28C ^ len(data)
    whole = len(data) // 4 * 4
    for place in range(0, whole, 4):
        word = int.from_bytes(data[place : place + 4], "little") * magic & mask
        found = (found * magic & mask) ^ ((word ^ word >> 24) * magic & mask)
    if rest := data[whole:]:
        found = (found ^ int.from_bytes(rest, "little")) * magic & mask
    found = (found ^ found >> 13) * magic & mask
    return found ^ found >> 15


@pytest.fixture(scope="module")
def mock_broker() -> Iterator[str]:
    """A cluster inside the client library, which makes topics as they are written."""
    owner = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1, "log_level": 2})
    address = next(iter(owner.list_topics(timeout=10).brokers.values()))
    yield f"{address.host}:{address.port}"


@pytest.mark.parametrize(("key", "hashed"), VECTORS.items())
def test_vectors(key: bytes, hashed: int) -> None:
    """The vectors of Kafka's own tests."""
    assert murmur2(key) == hashed & 0xFFFFFFFF


def test_our_producers_agree(mock_broker: str) -> None:
    """With our settings the client library chooses the partition that murmur2 does, for every key."""
    landed: dict[bytes, int] = {}
    settings = {"partitioner": clients._PRODUCER["partitioner"], "bootstrap.servers": mock_broker}
    producer = Producer(settings)
    keys = [*VECTORS, *(f"urn:nld:oin:00000099123456780000:systeem:x:plan:{number}".encode() for number in range(200))]

    for key in keys:
        producer.produce(
            "t", b"", key, on_delivery=lambda _, message: landed.update({message.key(): message.partition()})
        )
    producer.flush(20)

    partitions = len(producer.list_topics("t", timeout=10).topics["t"].partitions)
    assert partitions > 1
    assert landed == {key: (murmur2(key) & 0x7FFFFFFF) % partitions for key in keys}
