"""The schema files: one place for shared types, docs, safe defaults, and the same fields as the domain's values."""

import dataclasses
import json
import re
from collections.abc import Iterator
from datetime import date, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, get_type_hints

import avro.schema
import fastavro
import pytest

from samenloop import model
from samenloop.contract import TOPICS, files, inline
from samenloop.contract import avro as framing
from samenloop.contract.gate import lint
from samenloop.contract.records import optional

RECORDS = files.records()
# A maker's convenience; a reader that lacks the field gets the safe default of the schema.
OWN_DEFAULTS = {
    ("PlanChanged", "reason"), ("Subscription", "payload"), ("Subscription", "protocol"), ("Alert", "mode"),
    ("Partner", "clearance"), ("Partner", "status"), ("RestrictionReport", "reason"),
}  # fmt: skip


def types_in(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield every named type that is spelled out in *schema*."""
    if isinstance(schema, list):
        for part in schema:
            yield from types_in(part)
    elif isinstance(schema, dict):
        if "name" in schema:
            yield schema
        for field in schema.get("fields", ()):
            yield from types_in(field["type"])
        yield from types_in(schema.get("items"))
        yield from types_in(schema.get("values"))


def test_files_are_generated() -> None:
    """Shared types live in types.yaml and are inlined: every file equals what the generator writes."""
    written = {path.stem: path.read_text(encoding="utf-8") for path in (files.SCHEMAS / "avro").glob("*.avsc")}

    assert written == inline.schema_files()


def test_every_record_has_a_topic() -> None:
    """Each schema file is the record of exactly one topic."""
    assert sorted(topic.record.__name__ for topic in TOPICS.values()) == list(RECORDS)


@pytest.mark.parametrize("record", RECORDS)
def test_parse_in_two_libraries(record: str) -> None:
    """Each file alone parses in fastavro and in avro, without references to other files."""
    text = json.dumps(files.current(record))

    assert avro.schema.parse(text).fullname == f"samenloop.v1.{record}"
    assert fastavro.parse_schema(json.loads(text))["name"] == f"samenloop.v1.{record}"


@pytest.mark.parametrize("record", RECORDS)
def test_fingerprints_agree(record: str) -> None:
    """The SHA-256 in ce_dataschema is that of the parsing canonical form, in another library as well.

    The other library leaves `{"type":"long"}` where the specification says `"long"`, and spells a fixed out whenever it
    occurs; that much is mended here.
    """
    other = avro.schema.parse(json.dumps(files.current(record))).canonical_form
    canonical = re.sub(r'\{"type":"(string|long|int)"\}', r'"\1"', other)
    for name in re.findall(r'\{"name":"([^"]+)","type":"fixed"', canonical)[:1]:
        first, spelled, rest = canonical.partition(f'{{"name":"{name}","type":"fixed","size":32}}')
        canonical = first + spelled + rest.replace(spelled, f'"{name}"')

    assert framing.sha256(files.current(record)) == sha256(canonical.encode()).hexdigest()


@pytest.mark.parametrize("record", RECORDS)
def test_house_rules(record: str) -> None:
    """Every type and field has a doc with the Dutch term; defaults are safe; unions are nullable types."""
    assert lint(files.current(record)) == []


@pytest.mark.parametrize("record", RECORDS)
def test_same_names_as_the_domain(record: str) -> None:
    """Avro field = Python attribute, in the same order; enums have the same symbols."""
    for found in types_in(files.current(record)):
        if found["type"] == "fixed":
            continue
        value = getattr(model, found["name"])
        if found["type"] == "enum":
            assert [member.value for member in value] == found["symbols"]
        else:
            assert [item.name for item in dataclasses.fields(value)] == [item["name"] for item in found["fields"]]


@pytest.mark.parametrize("record", RECORDS)
def test_same_nullability_and_defaults(record: str) -> None:
    """What may be None is nullable; the default of a value equals the schema's, but for listed conveniences."""
    for found in types_in(files.current(record)):
        if found["type"] != "record":
            continue
        value = getattr(model, found["name"])
        hints = get_type_hints(value)
        for item, field in zip(dataclasses.fields(value), found["fields"], strict=True):
            assert optional(hints[item.name])[1] == isinstance(field["type"], list), field["name"]
            if item.default is not dataclasses.MISSING and (found["name"], item.name) not in OWN_DEFAULTS:
                assert _plain(item.default) == field["default"], (found["name"], item.name)


def _plain(value: Any) -> Any:
    if isinstance(value, StrEnum):
        return value.value
    if dataclasses.is_dataclass(value):
        return {item.name: _plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    assert not isinstance(value, date | datetime)
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize("record", ["PlanChanged", "PlanState", "PlanRegion"])
def test_plan_comes_last(record: str) -> None:
    """The plan is the last field, so that its bytes can be copied from record to record."""
    assert files.current(record)["fields"][-1]["name"] == "plan"
