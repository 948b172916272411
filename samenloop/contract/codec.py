"""Values to bytes and back: framing, schema ids, and the schema that the writer used.

The id in front of a value means something in one registry only; the header `ce_dataschema` names the schema anywhere.
A value is always read with the schema of the reader, so a symbol of a newer writer becomes the safe default.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from io import BytesIO
from typing import Any, Protocol, Self

from samenloop import metrics
from samenloop.contract import avro, cloudevents, compiled, files, records
from samenloop.contract.cloudevents import Envelope
from samenloop.contract.compiled import Read, Write
from samenloop.contract.files import NAMESPACE, Schema
from samenloop.contract.records import Convert
from samenloop.contract.topics import TOPICS, Topic
from samenloop.errors import Reject, Retry
from samenloop.logs import get_logger
from samenloop.stage import Headers
from samenloop.value import value

_log = get_logger("contract")
DEFAULT_HOST = "samenloop.example"
_DATASCHEMA = re.compile(rf"https?://[^/]+/schemas/{re.escape(NAMESPACE)}\.(\w+)/[0-9.]+#sha256-([0-9a-f]{{64}})")


class Schemas(Protocol):
    """Where the schema of an unknown id can be asked for: a registry."""

    def schema(self, schema_id: int) -> Schema:
        """Return it. Raises Reject("schema.unknown-id"), Retry when there is no answer."""
        ...


class NoRegistry:
    """Stands in for a registry where there is none."""

    def schema(self, schema_id: int) -> Schema:
        """Raises Reject("schema.unknown-id")."""
        raise Reject("schema.unknown-id", f"no schema has the id {schema_id}, and its header names none we have")


@value
class Wire:
    """One topic's record as this hub writes it. *dataschema* is the header with its portable identity."""

    topic: Topic
    record: str
    parsed: Any
    frame: bytes
    dataschema: tuple[str, bytes]
    to_plain: Convert
    from_plain: Convert
    read: Read
    write: Write


@value
class Writer:
    """A schema met in the wild. *ours* says that its bytes are laid out exactly as ours."""

    record: str
    parsed: Any
    ours: bool


def bare(schema: Any) -> Any:
    """Return *schema* without what does not touch the bytes: docs, defaults, aliases."""
    if isinstance(schema, dict):
        return {key: bare(part) for key, part in schema.items() if key not in ("doc", "default", "aliases")}
    return [bare(part) for part in schema] if isinstance(schema, list) else schema


def dataschema(record: str, *, host: str = DEFAULT_HOST) -> str:
    """Return the address of the current schema of *record*: version and SHA-256 of the parsing canonical form."""
    sha = avro.sha256(files.current(record))
    return f"https://{host}/schemas/{NAMESPACE}.{record}/{files.version(record)}#sha256-{sha}"


class Codec:
    """Encodes and decodes the records of all topics. Not shared between threads."""

    def __init__(self, ids: Mapping[str, int], schemas: Schemas, *, host: str = DEFAULT_HOST) -> None:
        self.wires: dict[str, Wire] = {}
        self._schemas = schemas
        self._by_id: dict[int, Writer] = {}
        self._by_name: dict[str, Writer] = {}
        for name, topic in TOPICS.items():
            wire = self.wires[name] = _wire(topic, ids[name], host)
            self._by_id[ids[name]] = Writer(wire.record, wire.parsed, True)

    @classmethod
    def offline(cls, *, host: str = DEFAULT_HOST) -> Self:
        """Return a codec that needs no registry; ids are given in the order of the catalogue."""
        return cls({name: number for number, name in enumerate(TOPICS, start=1)}, NoRegistry(), host=host)

    @classmethod
    def from_registry(cls, url: str, prefix: str, *, host: str = DEFAULT_HOST) -> Self:
        """Return a codec with the ids of the registry at *url*, looked up once.

        Raises BadSettings when a schema is not registered, Retry when the registry does not answer.
        """
        from samenloop.contract.registry import Registry  # noqa: PLC0415 - slow to import, and not needed offline

        registry = Registry(url)
        return cls({name: registry.lookup(topic, prefix) for name, topic in TOPICS.items()}, registry, host=host)

    def encode(self, topic: str, value: Any) -> bytes:
        """Return the framed bytes of a domain *value* for *topic*.

        Raises Reject("record.…") for a naive instant, a time where a day is meant, NaN, or text that is not Unicode.
        """
        wire = self.wires[topic]
        parts = [wire.frame]
        try:
            wire.write(value, parts.append)
        except UnicodeEncodeError as error:
            _count(topic, "serialize", "malformed")
            raise Reject("record.text", "a lone surrogate was found, expected Unicode text") from error
        except Reject:
            _count(topic, "serialize", "malformed")
            wire.to_plain(value)  # the same check, but it names the field
            raise
        return b"".join(parts)

    def decode(self, topic: str, value: bytes, headers: Headers = ()) -> Any:
        """Return the domain value in *value*.

        Raises Reject("schema.…") for bytes that can never be read, Retry when the registry would have to be asked
        for an unknown id and does not answer.
        """
        try:
            return self._decode(topic, value, headers)
        except Reject as error:
            tell_unreadable(topic, error)
            raise
        except Retry as error:
            _count(topic, "deserialize", "registry")
            _log.warning("registry.unreachable", "The registry would have to be asked for a schema, and is away.",
                         topic=topic, code=error.code)  # fmt: skip
            raise

    def _decode(self, topic: str, value: bytes, headers: Headers) -> Any:
        wire = self.wires[topic]
        writer = self.writer(topic, value, headers)
        if writer.ours:
            return read_whole(wire.read, value)
        body = BytesIO(value)
        body.seek(avro.HEADER_BYTES)
        plain = avro.decode(writer.parsed, body, wire.parsed)
        avro.end(body)
        return _build(wire, plain)

    def writer(self, topic: str, value: bytes, headers: Headers) -> Writer:
        """Return the schema with which *value* was written. Errors as in `decode`."""
        writer = self.writer_of(topic, value, headers)
        if writer.record != self.wires[topic].record:
            raise Reject("schema.other-record", f"a {writer.record} where {self.wires[topic].record} is expected")
        return writer

    def writer_of(self, topic: str, value: bytes, headers: Headers) -> Writer:
        """Return the schema with which *value* was written, whatever its record. Errors as in `decode`."""
        number = avro.schema_id(value)
        writer = self._by_id.get(number)
        if writer is None and (writer := self._named(headers)) is not None:
            metrics.SCHEMA_FALLBACK_TOTAL.labels(topic=topic).inc()
        if writer is None:
            writer = self._by_id[number] = _writer(self._schemas.schema(number))
        return writer

    def headers(self, topic: str, envelope: Envelope, *, tombstone: bool = False) -> Headers:
        """Return all headers of one event on *topic*; a *tombstone* (null value) has no content type."""
        return (*cloudevents.headers(envelope, tombstone=tombstone), self.wires[topic].dataschema)

    def _named(self, headers: Headers) -> Writer | None:
        """Return the schema that `ce_dataschema` names, when it is among our own files."""
        text = next((value for name, value in headers if name == "ce_dataschema"), b"").decode("utf-8", "replace")
        found = _DATASCHEMA.fullmatch(text)
        if not found:
            return None
        record, sha = found.groups()
        if sha not in self._by_name:
            for schema in _files_of(record):
                self._by_name[avro.sha256(schema)] = _writer(schema)
        return self._by_name.get(sha)


def tell_unreadable(topic: str, error: Reject) -> None:
    """Count a value that can never be read; `Codec.decode` does so itself. Other errors than of schemas are ignored."""
    if not error.code.startswith("schema."):
        return
    unknown = error.code == "schema.unknown-id"
    _count(topic, "deserialize", "unknown_id" if unknown else "malformed")
    if unknown:
        _log.error("schema.unknown", "A record names a schema that nobody knows; it cannot be read.", topic=topic,
                   detail=error.detail)  # fmt: skip


def _count(topic: str, operation: str, reason: str) -> None:
    metrics.SCHEMA_ERRORS_TOTAL.labels(topic=topic, operation=operation, reason=reason).inc()


def _wire(topic: Topic, number: int, host: str) -> Wire:
    cls: Any = topic.record
    return Wire(
        topic=topic,
        record=cls.__name__,
        parsed=avro.parse(files.current(cls.__name__)),
        frame=avro.frame(number),
        dataschema=("ce_dataschema", dataschema(cls.__name__, host=host).encode()),
        to_plain=records.to_plain(cls),
        from_plain=records.from_plain(cls),
        read=compiled.reader(files.current(cls.__name__), cls),
        write=compiled.writer(files.current(cls.__name__)),
    )


def read_whole(read: Read, value: bytes) -> Any:
    """Return what *read* makes of a framed *value*, all of it. Raises Reject("schema.unreadable")."""
    try:
        made, end = read(value, avro.HEADER_BYTES)
    except compiled.BROKEN as error:
        raise Reject("schema.unreadable", "the bytes do not fit the schema they name") from error
    if end != len(value):
        raise Reject("schema.unreadable", "the record ends before or behind its last byte")
    return made


def _files_of(record: str) -> list[Schema]:
    if record not in files.records():
        return []
    return [*files.released(record).values(), files.current(record)]


def _writer(schema: Schema) -> Writer:
    """Return a writer's schema, and whether it is laid out as ours."""
    if not isinstance(schema, dict) or schema.get("namespace") != NAMESPACE:
        raise Reject("schema.other-record", f"the schema is not a record of {NAMESPACE}")
    record = str(schema.get("name"))
    parsed = avro.parse(schema)
    ours = record in files.records() and bare(schema) == bare(files.current(record))
    return Writer(record, parsed, ours)


def _build(wire: Wire, plain: dict[str, Any]) -> Any:
    try:
        return wire.from_plain(plain)
    except (KeyError, ValueError, TypeError) as error:
        raise Reject("schema.unreadable", "a value is outside what its field allows") from error
