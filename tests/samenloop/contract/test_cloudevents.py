"""The envelope: headers as the profile has them, read by a second library, refused when they are not."""

import dataclasses
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary
from cloudevents.core.formats.json import JSONFormat

from samenloop.contract import CLASSIFICATION, Codec, Envelope, read_envelope
from samenloop.errors import Reject
from samenloop.model import PlanChanged, Visibility

NOW = datetime(2026, 11, 23, 9, 15, tzinfo=UTC)
PLAN_ID = "urn:nld:oin:00000099123456780000:systeem:works-register:plan:2027%2F0042%20B"
ENVELOPE = Envelope(
    id="47e318db-d346-554e-bd1b-36aced2903ca",
    source="urn:nld:oin:00000099123456780000:systeem:works-register",
    type="nl.samenloop.plan-changed.v1",
    time=NOW,
    subject=PLAN_ID,
    partitionkey=PLAN_ID,
    correlationid="c",
    causationid="d",
    classification="internal",
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
)


def test_headers(codec: Codec) -> None:
    """Every attribute of the profile is there once, as UTF-8 text with a name that CloudEvents allows."""
    headers = codec.headers("plan-changes", ENVELOPE)

    assert {name: value.decode() for name, value in headers} == {
        "ce_specversion": "1.0",
        "ce_id": ENVELOPE.id,
        "ce_source": ENVELOPE.source,
        "ce_type": "nl.samenloop.plan-changed.v1",
        "ce_time": "2026-11-23T09:15:00.000000Z",
        "ce_subject": PLAN_ID,
        "ce_partitionkey": PLAN_ID,
        "ce_dataschema": codec.wires["plan-changes"].dataschema[1].decode(),
        "ce_correlationid": "c",
        "ce_causationid": "d",
        "ce_dataclassification": "internal",
        "ce_hubmode": "live",
        "ce_traceparent": ENVELOPE.traceparent,
        "content-type": "application/avro",
    }
    assert len({name for name, _ in headers}) == len(headers)
    assert all(re.fullmatch(r"ce_[a-z0-9]{1,20}|content-type", name) for name, _ in headers)
    assert read_envelope(headers) == ENVELOPE


def test_dataschema(codec: Codec) -> None:
    """The schema's portable identity is a version and the SHA-256 of its parsing canonical form."""
    text = codec.wires["plan-changes"].dataschema[1].decode()

    assert re.fullmatch(
        r"https://samenloop\.example/schemas/samenloop\.v1\.PlanChanged/\d+\.\d+\.\d+#sha256-[0-9a-f]{64}", text
    )


def test_second_reader(codec: Codec, make_change: Callable[[], PlanChanged]) -> None:
    """The CloudEvents library reads our headers and hands out our bytes unchanged."""
    value = codec.encode("plan-changes", make_change())
    message = KafkaMessage(headers=dict(codec.headers("plan-changes", ENVELOPE)), key=b"k", value=value)

    event = from_binary(message, JSONFormat())

    assert event.get_id() == ENVELOPE.id
    assert event.get_source() == ENVELOPE.source
    assert event.get_time() == NOW
    assert event.get_extension("correlationid") == "c"
    assert event.get_data() == value


def test_tombstone(codec: Codec) -> None:
    """A null value has an envelope without content type."""
    names = [name for name, _ in codec.headers("plan-states", ENVELOPE, tombstone=True)]

    assert "content-type" not in names
    assert "ce_dataschema" in names


def test_empty_value_is_no_tombstone(codec: Codec) -> None:
    """`b""` is not a removal: it is a value that cannot be read."""
    with pytest.raises(Reject, match=r"schema\.framing"):
        codec.decode("plan-states", b"")


def test_repeated_header(codec: Codec) -> None:
    """Kafka lets a header stand twice; one of ours twice is refused, another's is none of our business."""
    headers = codec.headers("plan-changes", ENVELOPE)

    with pytest.raises(Reject, match=r"envelope\.repeated-header"):
        read_envelope((*headers, ("ce_id", b"other")))
    assert read_envelope((*headers, ("traceparent", b"a"), ("traceparent", b"b"))) == ENVELOPE


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("ce_id", None, "envelope.missing"),
        ("ce_subject", b"", "envelope.missing"),
        ("ce_dataschema", None, "envelope.missing"),
        ("ce_specversion", b"0.3", "envelope.specversion"),
        ("ce_dataclassification", b"cosmic", "envelope.label"),
        ("ce_hubmode", b"test", "envelope.label"),
        ("ce_time", b"2026-11-23T09:15:00", "envelope.time"),
        ("ce_time", b"2026-11-23T09:15:00-00:00", "envelope.time"),
        ("ce_time", b"yesterday", "envelope.time"),
        ("ce_source", b"\xff", "envelope.text"),
    ],
)
def test_refused(codec: Codec, name: str, value: bytes | None, code: str) -> None:
    """A missing, empty or unknown header is refused, and so is a time without a zone."""
    headers = [item for item in codec.headers("plan-changes", ENVELOPE) if item[0] != name]
    if value is not None:
        headers.append((name, value))

    with pytest.raises(Reject) as caught:
        read_envelope(tuple(headers))

    assert caught.value.code == code


def test_times(codec: Codec) -> None:
    """Any zone is written in UTC; a naive time and an unknown label are refused."""
    local = dataclasses.replace(ENVELOPE, time=NOW.astimezone(timezone(timedelta(hours=1))))

    assert ("ce_time", b"2026-11-23T09:15:00.000000Z") in codec.headers("plan-changes", local)
    with pytest.raises(Reject, match=r"envelope\.time"):
        codec.headers("plan-changes", dataclasses.replace(ENVELOPE, time=NOW.replace(tzinfo=None)))
    with pytest.raises(Reject, match=r"envelope\.label"):
        codec.headers("plan-changes", dataclasses.replace(ENVELOPE, classification="cosmic"))


def test_classification() -> None:
    """Each visibility has its label; nothing less strict than it."""
    assert CLASSIFICATION == {
        Visibility.RESTRICTED: "restricted",
        Visibility.GROUP: "confidential",
        Visibility.PARTNERS: "internal",
        Visibility.PUBLIC: "public",
    }
