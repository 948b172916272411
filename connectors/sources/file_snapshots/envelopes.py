"""Is it the whole export, and the real one? Judged on what stands around the rows, before any row is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from connectors.sources.file_snapshots.documents import Document
from connectors.sources.file_snapshots.fields import Names, as_text
from samenloop.errors import Held, Reject
from samenloop.yamlfile import Model

TOTALS = ("numberMatched", "totalFeatures")
"""Members by which a paged service says how many there are in all."""
COUNTS = ("count", "numberReturned")
"""Members that announce how many there are in this file."""
PLACEHOLDERS = ("sample", "placeholder", "dummy")


def _counts(value: Any) -> Any:
    return [] if value is False else [value] if isinstance(value, str) else value


class Expectation(Model):
    """`expect`: what the file must say of itself; the defaults fit any GeoJSON."""

    type: Names = Field(("FeatureCollection",), description="member `type` of the collection")
    bare_list: bool = Field(True, description="also take a list of features without a collection around it")
    count: Annotated[tuple[str, ...], BeforeValidator(_counts)] = Field(
        COUNTS, max_length=10, description="members that must equal the number of features; false for none"
    )
    placeholder: tuple[str, ...] = Field(
        PLACEHOLDERS, max_length=20, description="members that mark a sample when they are true"
    )
    members: Mapping[str, str | int | float | bool] = Field({}, description="members and the values they must have")
    columns: tuple[str, ...] = Field((), max_length=200, description="columns that a CSV must have")
    min_records: int = Field(0, ge=0, description="fewer rows are not a whole export")


def check_envelope(expected: Expectation, document: Document, id_fields: tuple[str, ...]) -> None:
    """Refuse what is not a whole export of the expected sort.

    rule: sources.md 0.3, 0.4. Raises Reject: `envelope.unexpected`, `envelope.incomplete`; and
    Held(`snapshot.placeholder`) for a document that says it is a sample.
    """
    if document.format == "csv":
        _check_columns(expected, document, id_fields)
    else:
        _check_collection(expected, document)
    if len(document.rows) < expected.min_records:
        raise Reject(
            "envelope.incomplete", f"found {len(document.rows)} rows, expected {expected.min_records} at least"
        )
    for name, value in expected.members.items():
        if as_text(member(document.envelope, name)) != as_text(value):
            raise Reject("envelope.unexpected", f"member {name!r} is not what the profile expects", field=name)
    marker = next((name for name in expected.placeholder if member(document.envelope, name) is True), None)
    if marker:
        raise Held("snapshot.placeholder", f"the document says that it is a sample (`{marker}: true`)")


def _check_columns(expected: Expectation, document: Document, id_fields: tuple[str, ...]) -> None:
    columns = document.envelope["columns"]
    missing = [name for name in expected.columns if name not in columns]
    if missing or not any(name in columns for name in id_fields):
        wanted = ", ".join(missing) or " or ".join(id_fields)
        raise Reject("envelope.unexpected", f"found {len(columns)} columns, none is {wanted}", field="columns")


def _check_collection(expected: Expectation, document: Document) -> None:
    if document.bare:
        if not expected.bare_list:
            raise Reject("envelope.unexpected", f"found a list, expected a {expected.type[0]}")
        return
    found = document.envelope.get("type")
    if "type" in document.envelope and found not in expected.type:
        raise Reject("envelope.unexpected", f"`type` is not {' or '.join(expected.type)}", field="type")
    for name in expected.count:
        announced = member(document.envelope, name)
        if isinstance(announced, int) and not isinstance(announced, bool) and announced != len(document.rows):
            raise Reject(
                "envelope.incomplete",
                f"`{name}` announces {announced} features, found {len(document.rows)}",
                field=name,
            )
    for name in TOTALS:
        total = member(document.envelope, name)
        if isinstance(total, int) and not isinstance(total, bool) and total > len(document.rows):
            raise Reject("envelope.incomplete", f"`{name}` is {total}, found {len(document.rows)}: one page of several")
    if True in (member(document.envelope, "exceededTransferLimit"), _more(document.envelope)):
        raise Reject("envelope.incomplete", "the service says that there is more (`exceededTransferLimit`)")


def _more(envelope: Mapping[str, Any]) -> Any:
    properties = envelope.get("properties")
    return properties.get("exceededTransferLimit") if isinstance(properties, Mapping) else None


def member(envelope: Mapping[str, Any], name: str) -> Any:
    """Return a member of the document beside its rows, by name or path."""
    if name in envelope:
        return envelope[name]
    found: Any = envelope
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found
