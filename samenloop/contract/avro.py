"""Avro bodies and their five framing bytes. The only module that imports fastavro.

A framed value is ``00``, the registry's id as four big-endian bytes, and the Avro body.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import fastavro
from fastavro.schema import SchemaParseException, fingerprint, to_parsing_canonical_form
from fastavro.types import Schema as Parsed

from samenloop.contract.files import Schema
from samenloop.errors import Reject

HEADER_BYTES = 5
_FRAME = struct.Struct(">bI")
_UNREADABLE = (
    EOFError, ValueError, TypeError, KeyError, IndexError, OverflowError, MemoryError, AttributeError, struct.error,
)  # fmt: skip


def parse(schema: Schema | str) -> Parsed:
    """Return *schema* ready for use. Raises Reject("schema.unparsable") when it stands on something it lacks."""
    try:
        return fastavro.parse_schema(schema)
    except (SchemaParseException, KeyError, TypeError, ValueError) as error:
        raise Reject("schema.unparsable", "the text is not a self-contained Avro schema") from error


def sha256(schema: Schema) -> str:
    """Return the SHA-256 of the parsing canonical form, 64 lower-case hex digits."""
    return fingerprint(to_parsing_canonical_form(schema), "SHA-256")


def frame(schema_id: int) -> bytes:
    """Return the five bytes in front of a body."""
    return _FRAME.pack(0, schema_id)


def schema_id(value: bytes) -> int:
    """Return the id in a framed *value*. Raises Reject("schema.framing") when there is no frame."""
    if len(value) < HEADER_BYTES or value[0] != 0:
        raise Reject("schema.framing", "the value does not start with 00 and a four-byte schema id")
    number: int = _FRAME.unpack_from(value)[1]
    return number


def encode(parsed: Parsed, plain: Mapping[str, Any], into: BytesIO) -> None:
    """Append the body of *plain* to *into*. Raises Reject("record.text") for text that is not Unicode."""
    try:
        fastavro.schemaless_writer(into, parsed, plain)
    except UnicodeEncodeError as error:
        raise Reject("record.text", "a lone surrogate was found, expected Unicode text") from error


def decode(writer: Parsed, body: BytesIO, reader: Parsed | None = None) -> Any:
    """Return the plain value that starts where *body* stands, and leave *body* behind it.

    With *reader*, the schema of the one who reads: unknown enum symbols become its default, missing fields theirs.
    Raises Reject("schema.unreadable").
    """
    try:
        return fastavro.schemaless_reader(body, writer, reader)
    except _UNREADABLE as error:
        raise Reject("schema.unreadable", "the bytes do not fit the schema they name") from error


def end(body: BytesIO) -> None:
    """Raises Reject("schema.unreadable") unless *body* was read to its end."""
    if body.read(1):
        raise Reject("schema.unreadable", "bytes are left over behind the record")
