"""Dead letters: byte for byte, with a reason from a bounded set."""

from datetime import UTC, datetime
from hashlib import sha256

import pytest

from samenloop.contract import Codec, dead_letter, rejected
from samenloop.contract.dead_letters import LARGEST_VALUE, reason_of
from samenloop.errors import Reject
from samenloop.model import DeadReason, Header
from samenloop.stage import Record

NOW = datetime(2026, 11, 23, 9, 15, tzinfo=UTC)
HEADERS = (("ce_id", b"1"), ("ce_id", b"\xff"), ("", b""))
RECORD = Record("plan-changes", 3, 17, "k\udcff", b"\x00\x01\xff", HEADERS, 0)


def test_byte_for_byte(codec: Codec) -> None:
    """Key, value and headers are kept as they came, repeats and order too, and survive the way through Kafka."""
    letter = rejected(RECORD, Reject("schema.unreadable", "a sentence"), stage="consolidate", now=NOW)

    assert letter.key == b"k\xff"
    assert letter.value == RECORD.value
    assert letter.headers == tuple(Header(name, value) for name, value in HEADERS)
    assert (letter.topic, letter.partition, letter.offset) == ("plan-changes", 3, 17)
    assert letter.value_sha256 == sha256(b"\x00\x01\xff").digest()
    assert codec.decode("dead-letters", codec.encode("dead-letters", letter)) == letter


def test_same_record_same_letter() -> None:
    """A record that is set aside twice, after a crash, gives the same letter id."""
    first, again = (rejected(RECORD, Reject("a.b", "c"), stage="s", now=NOW) for _ in range(2))

    assert first.id == again.id
    assert first.id != rejected(RECORD, Reject("a.b", "c"), stage="other", now=NOW).id


def test_too_large() -> None:
    """Above 900 kB only the digest is kept."""
    value = bytes(LARGEST_VALUE + 1)
    record = Record("plan-changes", 0, 1, "k", value, (), 0)

    letter = dead_letter(record, reason=DeadReason.OVERSIZE, code="oversize.record", detail="d", stage="s", now=NOW)

    assert letter.value is None
    assert letter.value_sha256 == sha256(value).digest()


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("envelope.missing", DeadReason.MALFORMED),
        ("schema.unknown-id", DeadReason.SCHEMA),
        ("mandate.source", DeadReason.AUTHORISATION),
        ("loop.hops", DeadReason.LOOP),
        ("identity.oin", DeadReason.VALIDATION),
        ("something.else", DeadReason.VALIDATION),
    ],
)
def test_reason(code: str, reason: DeadReason) -> None:
    """Every code has a class."""
    assert reason_of(code) is reason
