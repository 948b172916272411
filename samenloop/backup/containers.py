"""Records of one partition as an Avro container: any Avro tool reads it, block by block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import fastavro

from samenloop.errors import BadSettings
from samenloop.stage import Record

_SCHEMA: Final = fastavro.parse_schema(
    {
        "type": "record",
        "name": "Record",
        "namespace": "samenloop.backup",
        "fields": [
            {"name": "offset", "type": "long"},
            {"name": "timestamp", "type": "long"},
            {"name": "key", "type": "bytes"},
            {"name": "value", "type": ["null", "bytes"]},
            {
                "name": "headers",
                "type": {
                    "type": "array",
                    "items": {
                        "type": "record",
                        "name": "Header",
                        "fields": [{"name": "name", "type": "string"}, {"name": "value", "type": "bytes"}],
                    },
                },
            },
        ],
    }
)


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Write *records* as they come; a block is held in memory, no more."""
    with path.open("wb") as file:
        fastavro.writer(file, _SCHEMA, map(_plain, records), codec="deflate")


def read_records(path: Path, topic: str, partition: int) -> Iterator[Record]:
    """Yield what `write_records` wrote. Raises BadSettings when the file is cut off."""
    with path.open("rb") as file:
        try:
            for one in fastavro.reader(file):
                yield _record(one, topic, partition)
        except (EOFError, ValueError, KeyError, TypeError) as error:
            raise BadSettings([f"{path}: cannot be read: {error}"]) from error


def _plain(record: Record) -> dict[str, Any]:
    return {
        "offset": record.offset,
        "timestamp": record.timestamp_ms,
        "key": record.key.encode("utf-8", "surrogateescape"),
        "value": record.value,
        "headers": [{"name": name, "value": content} for name, content in record.headers],
    }


def _record(one: Any, topic: str, partition: int) -> Record:
    return Record(
        topic,
        partition,
        one["offset"],
        one["key"].decode("utf-8", "surrogateescape"),
        one["value"],
        tuple((header["name"], header["value"]) for header in one["headers"]),
        one["timestamp"],
    )
