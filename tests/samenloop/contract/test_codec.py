"""Values to bytes and back: the compiled way, the general way, foreign schemas, bytes that mean nothing."""

import copy
import dataclasses
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from functools import partial
from io import BytesIO
from typing import Any
from uuid import UUID

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samenloop import model
from samenloop.contract import TOPICS, Codec, Envelope, avro, files, records
from samenloop.contract import codec as codecs
from samenloop.contract.files import Schema
from samenloop.errors import Reject, Retry

OFFLINE = Codec.offline()
NOW = datetime(2026, 11, 23, 9, 15, tzinfo=UTC)
NAIVE = NOW.replace(tzinfo=None)
PLAN_ID = "urn:nld:oin:00000099123456780000:systeem:works-register:plan:2027%2F0042%20B"
ChangeMaker = Callable[..., model.PlanChanged]
Drawn = st.SearchStrategy[tuple[str, Any]]


class Books:
    """A registry that knows the schemas it is given, by id, and is away when told so."""

    def __init__(self, known: dict[int, Schema], *, away: bool = False) -> None:
        self.known, self.away, self.asked = known, away, 0

    def schema(self, schema_id: int) -> Schema:
        self.asked += 1
        if self.away:
            raise Retry("registry.away", "no answer")
        if schema_id not in self.known:
            raise Reject("schema.unknown-id", "no such schema")
        return self.known[schema_id]


def reading(known: dict[int, Schema], *, away: bool = False) -> tuple[Codec, Books]:
    books = Books(known, away=away)
    return Codec({name: number for number, name in enumerate(TOPICS, start=1)}, books), books


def general_body(topic: str, value: Any) -> bytes:
    """Encode by fastavro, without anything compiled."""
    wire, body = OFFLINE.wires[topic], BytesIO()
    avro.encode(wire.parsed, records.to_plain(wire.topic.record)(value), body)
    return body.getvalue()


def newer(record: str) -> Schema:
    """Return a later version of a schema: one field more, and one symbol more for phases."""
    schema = copy.deepcopy(files.current(record))
    schema["fields"].insert(0, {"name": "later", "type": "string", "doc": "(nl: later)", "default": ""})
    return schema


@settings(max_examples=100)
@given(data=st.data())
def test_compiled_equals_general(any_record: Drawn, data: st.DataObject) -> None:
    """Our own writer gives the bytes that fastavro gives, and our reader the values that it gives."""
    topic, value = data.draw(any_record)
    wire = OFFLINE.wires[topic]

    encoded = OFFLINE.encode(topic, value)

    assert encoded[5:] == general_body(topic, value)
    general = records.from_plain(wire.topic.record)(avro.decode(wire.parsed, BytesIO(encoded[5:])))
    assert OFFLINE.decode(topic, encoded) == general == value


@settings(max_examples=100)
@given(data=st.data())
def test_broken_bytes_are_refused(any_record: Drawn, data: st.DataObject) -> None:
    """Cut or altered bytes give a value or Reject("schema.…"), never anything else."""
    topic, value = data.draw(any_record)
    encoded = bytearray(OFFLINE.encode(topic, value))
    place = data.draw(st.integers(0, len(encoded) - 1))
    encoded[place] ^= data.draw(st.integers(1, 255))

    for broken in (bytes(encoded), bytes(encoded[:place]), bytes(encoded) + b"\x00"):
        try:
            OFFLINE.decode(topic, broken)
        except Reject as error:
            assert error.code.startswith("schema.")


@pytest.mark.parametrize("value", [b"", b"\x00", b"{}", b"\x01\x00\x00\x00\x01", b"\x00\x00\x00\x00\x01"])
def test_no_frame_or_no_body(value: bytes) -> None:
    """What has no frame, or nothing behind it, is refused."""
    with pytest.raises(Reject, match=r"^schema\."):
        OFFLINE.decode("plan-changes", value)


def test_frame(make_change: ChangeMaker) -> None:
    """A value is 00, the id as four big-endian bytes, and the Avro body that any library reads."""
    change = make_change()

    value = OFFLINE.encode("plan-changes", change)

    assert value[:5] == struct.pack(">bI", 0, 1)
    body = fastavro.schemaless_reader(BytesIO(value[5:]), files.current("PlanChanged"), None)
    assert body["plan"]["title"] == "Caféplein"


@pytest.mark.parametrize(
    ("change", "plan", "code", "field"),
    [
        ({"recorded_at": NAIVE}, {}, "record.naive-time", "recorded_at"),
        ({}, {"confirmed_at": NAIVE}, "record.naive-time", "plan.confirmed_at"),
        ({}, {"permit_submission": NOW}, "record.time-for-date", "plan.permit_submission"),
        ({}, {"period": model.Period(NOW)}, "record.time-for-date", "plan.period.start"),
        ({}, {"max_depth_m": float("nan")}, "record.not-a-number", "plan.max_depth_m"),
        ({}, {"max_depth_m": float("inf")}, "record.not-a-number", "plan.max_depth_m"),
        ({"sequence": 2**64}, {}, "record.number", None),
        ({}, {"title": "\ud800"}, "record.text", None),
    ],
)
def test_refused_at_the_edge(
    make_change: ChangeMaker, change: dict[str, Any], plan: dict[str, Any], code: str, field: str | None
) -> None:
    """A naive instant, a time for a day, NaN, infinity, numbers too large and half characters are refused."""
    value = make_change(content_hash=None, **change)
    value = dataclasses.replace(value, plan=dataclasses.replace(value.plan, **plan))

    with pytest.raises(Reject) as caught:
        OFFLINE.encode("plan-changes", value)

    assert caught.value.code == code
    assert caught.value.field == field


def test_newer_writer() -> None:
    """A symbol or field of a newer writer is read with our own schema: the safe default, and the field is skipped."""
    schema = newer("Conflict")
    severity = next(field["type"] for field in schema["fields"] if field["name"] == "severity")
    visibility = next(field["type"] for field in schema["fields"] if field["name"] == "visibility")
    severity["symbols"].append("CATASTROPHIC")
    visibility["symbols"].append("FRIENDS")
    conflict = a_conflict()
    plain = records.to_plain(model.Conflict)(conflict) | {
        "severity": "CATASTROPHIC", "visibility": "FRIENDS", "later": "x",
    }  # fmt: skip
    body = BytesIO(avro.frame(700))
    body.seek(0, 2)
    fastavro.schemaless_writer(body, fastavro.parse_schema(schema), plain)
    reader, _ = reading({700: schema})

    read = reader.decode("conflicts", body.getvalue())

    assert read == dataclasses.replace(
        conflict, severity=model.Severity.UNKNOWN, visibility=model.Visibility.RESTRICTED
    )


def test_older_writer() -> None:
    """A field that an older writer did not know gets its default."""
    schema = copy.deepcopy(files.current("Partner"))
    schema["fields"] = [field for field in schema["fields"] if field["name"] not in ("clearance", "key_hashes")]
    partner = model.Partner(oin="x", name="y", created_at=NOW, updated_at=NOW, clearance=model.Clearance.GROUP)
    body = BytesIO(avro.frame(700))
    body.seek(0, 2)
    fastavro.schemaless_writer(body, fastavro.parse_schema(schema), records.to_plain(model.Partner)(partner))
    reader, books = reading({700: schema})

    read = [reader.decode("partners", body.getvalue()) for _ in range(3)]

    assert read == [dataclasses.replace(partner, clearance=model.Clearance.PUBLIC)] * 3
    assert books.asked == 1


def test_docs_do_not_make_a_schema_foreign() -> None:
    """A writer whose schema differs in words alone is read the fast way."""
    schema = copy.deepcopy(files.current("Partner"))
    schema["doc"] = "Another sentence"

    assert codecs.bare(schema) == codecs.bare(files.current("Partner"))


def test_threads_share_a_codec(make_change: ChangeMaker) -> None:
    """Many threads meet unknown schemas at once: each is asked for once, and everyone reads what it was given."""
    schema = newer("PlanChanged")
    codec, books = reading(dict.fromkeys(range(900, 910), schema))
    body = BytesIO()
    avro.encode(avro.parse(schema), {"later": "", **records.to_plain(model.PlanChanged)(make_change())}, body)
    values = [avro.frame(number) + body.getvalue() for number in range(900, 910)] * 20
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(partial(codec.decode, "plan-changes"), values))

    assert len({change.plan_id for change in read}) == 1
    assert books.asked == 10


def test_unknown_id(make_change: ChangeMaker) -> None:
    """An id that neither the registry nor the header explains is refused; a registry that is away is asked again."""
    value = avro.frame(999) + OFFLINE.encode("plan-changes", make_change())[5:]

    with pytest.raises(Reject, match=r"schema.unknown-id"):
        reading({})[0].decode("plan-changes", value)
    with pytest.raises(Retry, match=r"registry.away"):
        reading({}, away=True)[0].decode("plan-changes", value)


def test_dataschema_is_the_portable_identity(make_change: ChangeMaker) -> None:
    """With another registry's id the header ce_dataschema names the schema, even when the registry is away."""
    change = make_change()
    value = avro.frame(999) + OFFLINE.encode("plan-changes", change)[5:]
    envelope = Envelope(
        id="1", source="urn:s", type="t", time=NOW, subject=PLAN_ID, partitionkey=PLAN_ID, correlationid="1"
    )

    headers = OFFLINE.headers("plan-changes", envelope)

    assert reading({}, away=True)[0].decode("plan-changes", value, headers) == change
    with pytest.raises(Retry):
        reading({}, away=True)[0].decode("plan-changes", value, (("ce_dataschema", b"https://x/other"),))


def test_other_record() -> None:
    """A record of another topic, or of no topic of ours, is refused."""
    value = OFFLINE.encode("partners", model.Partner(oin="x", name="y", created_at=NOW, updated_at=NOW))
    stranger = {"type": "record", "name": "Other", "namespace": "else.v1", "fields": []}

    with pytest.raises(Reject, match=r"schema.other-record"):
        OFFLINE.decode("plan-changes", value)
    with pytest.raises(Reject, match=r"schema.other-record"):
        reading({700: stranger})[0].decode("plan-changes", avro.frame(700))


def a_conflict() -> model.Conflict:
    """A small finding."""
    return model.Conflict(
        id=UUID(int=1),
        revision=2,
        kind="urn:samenloop:finding-kind:clash-works",
        status=model.FindingStatus.OPEN,
        participants=(model.Participant("a", 1, "x"), model.Participant("b", 2, "y")),
        evidence=model.Evidence(
            rule_id="CLASH.WORKS", rule_version="v@1", metric_crs="EPSG:28992", judged_on=date(2027, 1, 4)
        ),
        detected_at=NOW,
        updated_at=datetime(2026, 11, 24, tzinfo=UTC),
        cause_id="e",
        severity=model.Severity.WARNING,
        visibility=model.Visibility.PUBLIC,
    )
