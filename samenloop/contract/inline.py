"""Writes the self-contained `.avsc` files from `schemas/types.yaml`: shared types inlined at their first use.

`python -m samenloop.contract.inline` rewrites them; a test compares, so a copy cannot drift.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from samenloop.contract.files import SCHEMAS

Json = Any
"""A JSON value as `json` gives it."""

_FIELD_TYPE = re.compile(r"(?:map<(?P<of>\w+)>|(?P<name>\w+))(?P<mark>\?|\[\]!?)?(?:=(?P<default>.*))?")
_LOGICAL: dict[str, Json] = {
    "date": {"type": "int", "logicalType": "date"},
    "ts": {"type": "long", "logicalType": "timestamp-micros"},
    "uuid": {"type": "string", "logicalType": "uuid"},
}
_PRIMITIVE = {"string", "bytes", "boolean", "int", "long", "double"}


class _Inliner:
    """Builds one file; remembers which named types it has spelled out already."""

    def __init__(self, source: Json) -> None:
        self.source = source
        self.seen: set[str] = set()

    def type(self, name: str) -> Json:
        if name in _PRIMITIVE:
            return name
        if name in _LOGICAL:
            return dict(_LOGICAL[name])
        if name in self.seen:
            return name
        self.seen.add(name)
        if name in self.source["enums"]:
            doc, symbols = self.source["enums"][name]
            return {"type": "enum", "name": name, "doc": doc, "symbols": symbols, "default": symbols[0]}
        if name in self.source["fixed"]:
            size, doc = self.source["fixed"][name]
            return {"type": "fixed", "name": name, "doc": doc, "size": size}
        return self.record(name)

    def record(self, name: str) -> Json:
        definition = self.source["records"][name]
        fields = [self.field(key, *given) for key, given in definition["fields"].items() if given]
        return {"type": "record", "name": name, "doc": definition["doc"], "fields": fields}

    def field(self, name: str, text: str, doc: str) -> Json:
        """Return one field; *text* is its type as `types.yaml` writes it."""
        found = _FIELD_TYPE.fullmatch(text)
        if not found:
            raise ValueError(f"types.yaml: {name}: cannot read the type {text!r}")
        inner = self.type(found["of"] or found["name"])
        built: dict[str, Json] = {"name": name, "type": inner, "doc": doc}
        if found["of"]:
            built |= {"type": {"type": "map", "values": inner}, "default": {}}
        elif found["mark"] == "?":
            built |= {"type": ["null", inner], "default": None}
        elif found["mark"]:
            built["type"] = {"type": "array", "items": inner}
            if found["mark"] == "[]":
                built["default"] = []
        elif found["name"] in self.source["enums"]:
            built["default"] = self.source["enums"][found["name"]][1][0]
        elif found["default"] is not None:
            built["default"] = self.default(found["name"], found["default"])
        return built

    def default(self, name: str, text: str) -> Json:
        """Return the default of a scalar, or of a record whose fields all have one, spelled out in full."""
        if name == "string":
            return text
        if text != "{}":
            return float(text) if name == "double" else json.loads(text)
        spelled = {}
        for key, (inner, doc) in self.source["records"][name]["fields"].items():
            field = _Inliner(self.source).field(key, inner, doc)
            spelled[key] = field["default"]
        return spelled


def source(types: Path = SCHEMAS / "types.yaml") -> Json:
    """Return what `types.yaml` says."""
    return yaml.safe_load(types.read_text(encoding="utf-8"))


def alone(name: str, given: Json) -> Json:
    """Return the schema of one named type of *given*, with everything it needs spelled out."""
    return _Inliner(given).type(name)


def schema_files(types: Path = SCHEMAS / "types.yaml") -> dict[str, str]:
    """Return the text of every schema file, by record name."""
    given = source(types)
    texts = {}
    for name in given["files"]:
        built = {"type": "record", "name": name, "namespace": given["namespace"], **alone(name, given)}
        texts[name] = json.dumps(built, indent=2, ensure_ascii=False) + "\n"
    return texts


def main() -> None:
    """Rewrite `schemas/avro/*.avsc`."""
    for name, text in schema_files().items():
        (SCHEMAS / "avro" / f"{name}.avsc").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
