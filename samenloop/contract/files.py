"""Where the schema files lie, and which versions of a record were released.

`schemas/avro/<Record>.avsc` is what this version of the hub writes; `schemas/released/<Record>-<version>.avsc` is what
anyone may still meet. A record whose file equals no release gets the next minor version.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

Schema = dict[str, Any]
"""An Avro schema as JSON gives it."""

_INSTALLED = Path(__file__).parents[1] / "schemas"
SCHEMAS = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[2] / "schemas"
NAMESPACE = "samenloop.v1"


@cache
def current(record: str) -> Schema:
    """Return the schema that this hub writes for *record*, e.g. ``PlanChanged``."""
    return _read(SCHEMAS / "avro" / f"{record}.avsc")


@cache
def records() -> tuple[str, ...]:
    """Return the names of all records that have a file."""
    return tuple(sorted(path.stem for path in (SCHEMAS / "avro").glob("*.avsc")))


@cache
def released(record: str) -> dict[str, Schema]:
    """Return the released schemas of *record* by version, oldest first."""
    found = {}
    for path in (SCHEMAS / "released").glob(f"{record}-*.avsc"):
        found[path.stem.removeprefix(f"{record}-")] = _read(path)
    return dict(sorted(found.items(), key=lambda item: number(item[0])))


def version(record: str) -> str:
    """Return the version of the current schema: that of the equal release, else the next minor one."""
    versions = released(record)
    for name, schema in reversed(versions.items()):
        if without_docs(schema) == without_docs(current(record)):
            return name
    if not versions:
        return "1.0.0"
    major, minor, _ = number(list(versions)[-1])
    return f"{major}.{minor + 1}.0"


def without_docs(schema: Any) -> Any:
    """Return *schema* without its docs, the one thing that may change within a version."""
    if isinstance(schema, dict):
        return {key: without_docs(part) for key, part in schema.items() if key != "doc"}
    return [without_docs(part) for part in schema] if isinstance(schema, list) else schema


def number(text: str) -> tuple[int, int, int]:
    """Return a version ``1.2.3`` as numbers, so that it sorts."""
    major, minor, patch = (int(part) for part in text.split("."))
    return major, minor, patch


def _read(path: Path) -> Schema:
    schema: Schema = json.loads(path.read_text(encoding="utf-8"))
    return schema
