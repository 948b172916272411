"""The gate: may these schema files be released? Old and new readers and writers must understand each other in any mix.

Every current file is held against every released one in both directions (FULL_TRANSITIVE), and linted for what a
registry lets through: a changed logical type, namespace or default, a missing doc, an unsafe enum default. A field that
was removed stays burnt, because its release is still compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from samenloop.contract import files, inline
from samenloop.contract.files import NAMESPACE, SCHEMAS, Schema

_PROMOTED = {
    "int": {"long", "float", "double"},
    "long": {"float", "double"},
    "float": {"double"},
    "string": {"bytes"},
    "bytes": {"string"},
}
"""What a reader may use for a writer's type."""
_NAMED = ("record", "enum", "fixed")


def check_schemas() -> list[str]:
    """Return what is wrong with the schema files of this version, one sentence each; none when all is well."""
    problems = []
    for record, text in inline.schema_files().items():
        path = SCHEMAS / "avro" / f"{record}.avsc"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            problems.append(f"{record}: the file differs from types.yaml, run python -m samenloop.contract.inline")
    for record in files.records():
        current = files.current(record)
        problems += [f"{record}: {problem}" for problem in lint(current)]
        for version, old in files.released(record).items():
            problems += [f"{record} against {version}: {problem}" for problem in compare(current, old)]
    return problems


def compare(new: Schema, old: Schema) -> list[str]:
    """Return why *new* may not stand beside *old*, one sentence each."""
    problems = [f"old cannot read new: {problem}" for problem in unreadable(old, new)]
    problems += [f"new cannot read old: {problem}" for problem in unreadable(new, old)]
    before = dict(_places(old))
    for place, part in _places(new):
        problems += [f"{place}: {problem}" for problem in _drift(part, before[place])] if place in before else []
    return problems


def unreadable(reader: Schema, writer: Schema) -> list[str]:
    """Return where *reader* cannot resolve what *writer* wrote (Avro 1.12, schema resolution), one sentence each."""
    return list(_Resolution(reader, writer).check(reader, writer, "", ()))


def lint(schema: Schema) -> list[str]:
    """Return what breaks the house rules in one schema, one sentence each."""
    problems = [] if schema.get("namespace") == NAMESPACE else [f"the namespace is not {NAMESPACE}"]
    for place, part in _places(schema):
        problems += [f"{place}: {problem}" for problem in _flaws(part)]
    return problems


class _Resolution:
    """One reader against one writer."""

    def __init__(self, reader: Schema, writer: Schema) -> None:
        self._reader, self._writer = _named(reader), _named(writer)

    def check(self, reader: Any, writer: Any, place: str, inside: tuple[str, ...]) -> Iterator[str]:
        reader, writer = _long_form(reader, self._reader), _long_form(writer, self._writer)
        if isinstance(writer, list):
            for branch in writer:
                yield from self.check(reader, branch, place, inside)
        elif isinstance(reader, list):
            if not any(next(self.check(branch, writer, place, inside), None) is None for branch in reader):
                yield f"{place}: no branch for {_title(writer)}"
        elif reader["type"] != writer["type"]:
            if reader["type"] not in _PROMOTED.get(writer["type"], ()):
                yield f"{place}: {_title(writer)} cannot be read as {_title(reader)}"
        elif reader["type"] in _NAMED and _short(reader) != _short(writer):
            yield f"{place}: {_title(writer)} cannot be read as {_title(reader)}"
        elif _short(reader) not in inside:
            yield from self._same_type(reader, writer, place, (*inside, _short(reader)))

    def _same_type(self, reader: Schema, writer: Schema, place: str, inside: tuple[str, ...]) -> Iterator[str]:
        kind = reader["type"]
        if kind == "record":
            written = {field["name"]: field for field in writer["fields"]}
            for field in reader["fields"]:
                here = f"{place}/{field['name']}"
                if field["name"] in written:
                    yield from self.check(field["type"], written[field["name"]]["type"], here, inside)
                elif "default" not in field:
                    yield f"{here}: is not written and has no default"
        elif kind == "enum" and "default" not in reader:
            for symbol in writer["symbols"]:
                if symbol not in reader["symbols"]:
                    yield f"{place}: {symbol} is unknown and {_title(reader)} has no default"
        elif kind == "fixed" and reader["size"] != writer["size"]:
            yield f"{place}: {writer['size']} bytes cannot be read as {reader['size']}"
        elif kind in ("array", "map"):
            part = "items" if kind == "array" else "values"
            yield from self.check(reader[part], writer[part], f"{place}[]", inside)


def _named(schema: Any) -> dict[str, Schema]:
    found: dict[str, Schema] = {}
    for _, part in _places(schema):
        if part.get("type") in _NAMED:
            found[part["name"]] = part
    return found


def _long_form(schema: Any, named: dict[str, Schema]) -> Any:
    if isinstance(schema, str):
        return named.get(schema.rpartition(".")[2], {"type": schema})
    return (
        _long_form(schema["type"], named) if isinstance(schema, dict) and isinstance(schema["type"], list) else schema
    )


def _short(schema: Schema) -> str:
    return str(schema.get("name", ""))


def _title(schema: Any) -> str:
    return f"{schema['type']} {_short(schema)}".strip() if isinstance(schema, dict) else "a union"


def _places(schema: Any, place: str = "") -> Iterator[tuple[str, Schema]]:
    """Yield every type and field of *schema* with its place; a field's place ends in its name."""
    if isinstance(schema, list):
        for branch in schema:
            yield from _places(branch, place)
    elif isinstance(schema, dict):
        yield f"{place}:{_short(schema) or schema['type']}", schema
        for field in schema.get("fields", ()):
            here = f"{place}/{field['name']}"
            yield here, field
            yield from _places(field["type"], here)
        for part in ("items", "values"):
            if part in schema:
                yield from _places(schema[part], f"{place}[]")


def _drift(new: Schema, old: Schema) -> Iterator[str]:
    """Yield what a registry does not see between two versions of the same place."""
    for key in ("logicalType", "namespace"):
        if new.get(key) != old.get(key):
            yield f"{key} changed from {old.get(key)} to {new.get(key)}"
    if "default" in new and "default" in old and new["default"] != old["default"]:
        yield f"the default changed from {old['default']!r} to {new['default']!r}"


def _flaws(part: Schema) -> Iterator[str]:
    """Yield what breaks the house rules in one type or field."""
    if ("name" in part) and "(nl: " not in part.get("doc", ""):
        yield "has no doc with the Dutch term, (nl: …)"
    if part["type"] == "enum" and part.get("default") != part["symbols"][0]:
        yield "the default of an enum is its first symbol"
    if isinstance(part["type"], list):
        if len(part["type"]) != 2 or part["type"][0] != "null":
            yield 'a union is ["null", T]'
        elif part.get("default", "none") is not None:
            yield "the default of a nullable field is null"


def main() -> None:
    """Keep every current schema that equals no release as its next version in `schemas/released/`."""
    problems = check_schemas()
    if problems:
        raise SystemExit("\n".join(problems))
    folder = SCHEMAS / "released"
    folder.mkdir(exist_ok=True)
    for record in files.records():
        version = files.version(record)
        if version not in files.released(record):
            text = (SCHEMAS / "avro" / f"{record}.avsc").read_text(encoding="utf-8")
            (folder / f"{record}-{version}.avsc").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
