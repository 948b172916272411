"""The gate: what may change in a schema, judged like the avro library where that sees it, and by our own lint else."""

import copy
import json
from collections.abc import Callable
from typing import Any

import avro.schema
import pytest
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType

from samenloop.contract import files, gate
from samenloop.contract.files import Schema

Change = Callable[[Schema], Any]
BASE: Schema = {
    "type": "record", "name": "Base", "namespace": "samenloop.v1", "doc": "(nl: basis)",
    "fields": [
        {"name": "id", "type": "string", "doc": "(nl: id)"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}, "doc": "(nl: tijdstip)"},
        {"name": "count", "type": "int", "doc": "(nl: aantal)", "default": 0},
        {"name": "hash", "type": {"type": "fixed", "name": "Hash", "size": 4, "doc": "(nl: h)"}, "doc": "(nl: h)"},
        {"name": "kind", "default": "UNKNOWN", "doc": "(nl: soort)",
         "type": {"type": "enum", "name": "Kind", "symbols": ["UNKNOWN", "A"], "default": "UNKNOWN", "doc": "(nl: s)"}},
        {"name": "strict", "doc": "(nl: streng)",
         "type": {"type": "enum", "name": "Strict", "symbols": ["A", "B"], "doc": "(nl: streng)"}},
        {"name": "parts", "type": {"type": "array", "items": "long"}, "doc": "(nl: delen)", "default": []},
        {"name": "note", "type": ["null", "string"], "doc": "(nl: notitie)", "default": None},
    ],
}  # fmt: skip


def field(schema: Schema, name: str) -> Schema:
    return next(item for item in schema["fields"] if item["name"] == name)


def add(name: str, kind: Any, **more: Any) -> Change:
    return lambda schema: schema["fields"].append({"name": name, "type": kind, "doc": "(nl: nieuw)", **more})


def drop(name: str) -> Change:
    return lambda schema: schema["fields"].remove(field(schema, name))


def alter(name: str, **more: Any) -> Change:
    return lambda schema: field(schema, name).update(more)


def alter_type(name: str, **more: Any) -> Change:
    return lambda schema: field(schema, name)["type"].update(more)


def changed(change: Change) -> Schema:
    schema = copy.deepcopy(BASE)
    change(schema)
    return schema


ALLOWED = {
    "add a nullable field": add("more", ["null", "string"], default=None),
    "add a field with a default": add("more", "long", default=0),
    "remove a field with a default": drop("count"),
    "add a symbol to an enum with a default": alter_type("kind", symbols=["UNKNOWN", "A", "B"]),
    "change a doc": alter("id", doc="other (nl: id)"),
}
BREAKS = {
    "add a field without a default": add("more", "string"),
    "remove a field without a default": drop("id"),
    "add a symbol to an enum without a default": alter_type("strict", symbols=["A", "B", "C"]),
    "int to long": alter("count", type="long"),
    "string to nullable": alter("id", type=["null", "string"]),
    "another fixed size": alter_type("hash", size=8),
    "another item": alter("parts", type={"type": "array", "items": "string"}),
    "rename": lambda schema: field(schema, "id").update(name="key", aliases=["id"]),
}
UNSEEN = {
    "micros to millis": alter_type("at", logicalType="timestamp-millis"),
    "another default": alter("count", default=1),
    "another namespace": lambda schema: schema.update(namespace="samenloop.v2"),
}


def library_says(reader: Schema, writer: Schema) -> bool:
    """Ask the avro library whether *reader* reads what *writer* wrote."""
    checker = ReaderWriterCompatibilityChecker()
    parsed = (avro.schema.parse(json.dumps(schema)) for schema in (reader, writer))
    return bool(checker.get_compatibility(*parsed).compatibility is SchemaCompatibilityType.compatible)


@pytest.mark.parametrize("name", [*ALLOWED, *BREAKS])
def test_matrix(name: str) -> None:
    """The table of the contract: what is allowed, what is not, and the avro library agrees in both directions."""
    new = changed((ALLOWED | BREAKS)[name])

    problems = gate.compare(new, BASE)

    assert (not problems) == (name in ALLOWED), problems
    assert (library_says(new, BASE) and library_says(BASE, new)) == (name in ALLOWED)


@pytest.mark.parametrize("name", UNSEEN)
def test_lint_sees_what_the_library_does_not(name: str) -> None:
    """A changed logical type, default or namespace passes every checker, and not ours."""
    new = changed(UNSEEN[name])

    problems = gate.compare(new, BASE) + gate.lint(new)

    assert problems
    if "namespace" not in name:
        assert library_says(new, BASE)
        assert library_says(BASE, new)


def test_a_removed_name_is_burnt() -> None:
    """A field that was removed cannot come back with another type: its release is still compared."""
    without = changed(drop("count"))
    again = copy.deepcopy(without)
    add("count", "string", default="")(again)

    assert gate.compare(again, without) == []
    assert gate.compare(again, BASE)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (alter("id", doc="no Dutch term"), "Dutch"),
        (alter_type("kind", default="A"), "first symbol"),
        (alter("note", type=["string", "null"]), "union"),
        (lambda schema: field(schema, "note").pop("default"), "null"),
    ],
)
def test_lint(change: Change, said: str) -> None:
    """Docs with the Dutch term, safe enum defaults, unions of null and one type."""
    assert gate.lint(BASE) == ["/strict:Strict: the default of an enum is its first symbol"]
    assert any(said in problem for problem in set(gate.lint(changed(change))) - set(gate.lint(BASE)))


def test_our_files_pass() -> None:
    """The files of this version may be released, and every released file reads them and is read."""
    assert gate.check_schemas() == []


@pytest.mark.parametrize("record", files.records())
def test_releases_agree_with_the_library(record: str) -> None:
    """Each released schema and the current one read each other, says the avro library as well."""
    assert files.released(record)
    for old in files.released(record).values():
        assert library_says(files.current(record), old)
        assert library_says(old, files.current(record))


def test_version() -> None:
    """A record that equals a release has its version; one that differs is the next minor one."""
    assert all(files.version(record) in files.released(record) for record in files.records())
    assert sorted(["1.10.0", "1.2.0"], key=files.number) == ["1.2.0", "1.10.0"]
