"""Readers and writers of our own schemas, compiled once to straight Python: a good deal faster than the general ones.

They go from bytes to the frozen values without dicts between. Only bytes that are laid out exactly as our own schema
may be read here; all others take the way through `avro.py`, and a test holds that both give the same. Source text is
generated and executed, as `dataclasses` does; nothing of it comes from outside the schema files.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any

from samenloop import model
from samenloop.contract import numbers
from samenloop.contract.files import Schema

Read = Callable[[bytes, int], tuple[Any, int]]
"""Reads a value that starts at an offset, and returns it with the offset behind it."""
Made = tuple[Any, Collection[str]]
"""What makes a record, and the fields it is given by name."""
Write = Callable[[Any, Callable[[bytes], None]], None]
"""Writes a value as pieces of bytes, in order."""

BROKEN = (IndexError, KeyError, ValueError, OverflowError, struct.error, MemoryError)
"""What a compiled reader raises on bytes that do not fit (UnicodeDecodeError is a ValueError)."""

SECOND_BRANCH = 2
"""The byte that says: not null."""


class _Source:
    """Source text of functions, one for each named type, and the objects it refers to."""

    def __init__(self, schema: Schema) -> None:
        self.text: list[str] = []
        self.names = dict(numbers.NAMES)
        self.types: dict[str, Schema] = {}
        self.count = 0
        self._collect(schema)

    def _collect(self, schema: Any) -> None:
        if isinstance(schema, list):
            for part in schema:
                self._collect(part)
        elif isinstance(schema, dict):
            if "name" in schema and schema["type"] in ("record", "enum", "fixed"):
                self.types[schema["name"]] = schema
            for part in (schema.get("fields") or [], schema.get("items"), schema.get("values")):
                self._collect([field["type"] for field in part] if isinstance(part, list) else part)

    def resolve(self, schema: Any) -> Schema:
        """Return a schema in its long form, whether named, primitive or spelled out."""
        if isinstance(schema, str):
            return self.types.get(schema, {"type": schema})
        return {"type": schema} if isinstance(schema, list) else schema

    def new(self, stem: str) -> str:
        """Return a name that is not in use."""
        self.count += 1
        return f"{stem}{self.count}"

    def put(self, value: Any) -> str:
        """Make *value* known to the source and return its name."""
        name = self.new("K")
        self.names[name] = value
        return name

    def function(self, name: str) -> Any:
        """Run the source and return the function *name* of it."""
        exec("\n".join(self.text), self.names)
        return self.names[name]


def indent(lines: list[str]) -> list[str]:
    """Return *lines* one step deeper."""
    return [f"    {line}" for line in lines]


class _Reader(_Source):
    def __init__(self, schema: Schema, parts: Mapping[str, Made]) -> None:
        super().__init__(schema)
        self.parts = parts

    def record(self, schema: Schema, make: Any, keep: Collection[str], stop: str | None) -> str:
        """Emit the function of one record: passes the fields in *keep* to *make*, checks the others."""
        name = self.new("read")
        self.text += [
            f"def {name}(b, p):",
            *indent([*self.fields(schema, "made", (make, keep), stop), "return made, p"]),
        ]
        return name

    def fields(self, schema: Schema, v: str, made: Made, stop: str | None = None) -> list[str]:
        """Return lines that read a record into *v*, or only check it when no field is kept."""
        make, keep = made
        lines, given = [], []
        for field in schema["fields"]:
            if field["name"] == stop:
                break
            wanted = field["name"] in keep
            target = self.new("v") if wanted else "_"
            lines += self.value(field["type"], target, build=wanted)
            if wanted:
                given.append(f"{field['name']}={target}")
        return [*lines, f"{v} = {self.put(make)}({', '.join(given)})"] if given else lines

    def nested(self, schema: Schema, v: str, *, build: bool) -> list[str]:
        """Return lines for a record inside another."""
        every = (getattr(model, schema["name"]), [field["name"] for field in schema["fields"]])
        make, keep = self.parts.get(schema["name"], every)
        return self.fields(schema, v, (make, keep if build else ()))

    def value(self, schema: Any, v: str, *, build: bool) -> list[str]:
        """Return lines that read a value into the variable *v*; without *build* it is only checked."""
        schema = self.resolve(schema)
        kind = schema["type"]
        if kind in ("int", "long"):
            return self.number(schema, v, build=build)
        if isinstance(kind, list):
            inner = self.value(kind[1], v, build=build)
            return ["if b[p] == 0:", f"    p += 1; {v} = None", "else:",
                    "    if b[p] != 2: raise ValueError('no such branch')", "    p += 1", *indent(inner)]  # fmt: skip
        if kind == "enum":
            members = [getattr(model, schema["name"])(symbol) for symbol in schema["symbols"]]
            table = self.put({number << 1: member for number, member in enumerate(members)})
            return [f"{v} = {table}[b[p]]; p += 1"]
        if kind == "record":
            return self.nested(schema, v, build=build)
        if kind in ("array", "map"):
            return ["if b[p] == 0:", f"    p += 1; {v} = {'()' if kind == 'array' else 'EMPTY'}", "else:",
                    f"    {v}, p = {self.many(schema, build=build)}(b, p)"]  # fmt: skip
        return self.scalar(schema, v, build=build)

    def number(self, schema: Schema, v: str, *, build: bool) -> list[str]:
        """Return lines for an integer, a day or an instant."""
        if schema.get("logicalType") == "timestamp-micros":
            return [f"{v}, p = INSTANT(b, p)"]
        form = f"DAY({v})" if build and schema.get("logicalType") == "date" else v
        return [
            f"{v} = S[b[p]]",
            f"if {v} < 0: {v}, p = LONG(b, p)",
            "else: p += 1",
            *([] if form == v else [f"{v} = {form}"]),
        ]

    def scalar(self, schema: Schema, v: str, *, build: bool) -> list[str]:
        """Return lines for what is a run of bytes."""
        kind = schema["type"]
        if kind == "boolean":
            return [f"{v} = BOOL[b[p]]; p += 1"]
        if kind == "double":
            return [f"{v} = DOUBLE(b, p)[0]; p += 8"]
        if kind == "fixed":
            return [f"q = p + {schema['size']}; {v} = b[p:q]; p = q"]
        form = "b[p:q]" if kind == "bytes" else "b[p:q].decode()"
        if schema.get("logicalType") == "uuid" and build:
            form = f"UUID({form})"
        return ["n = S[b[p]]", "if n < 0: n, p = LENGTH(b, p)", "else: p += 1", f"q = p + n; {v} = {form}; p = q"]

    def many(self, schema: Schema, *, build: bool) -> str:
        """Emit the function of an array or map that is not empty, and return its name."""
        name, item = self.new("many"), self.new("v")
        keyed = schema["type"] == "map"
        read = self.scalar({"type": "string"}, "key", build=True) if keyed else []
        read += self.value(schema["values" if keyed else "items"], item, build=build)
        if build:
            read.append(f"found[key] = {item}" if keyed else f"found.append({item})")
        self.text += [
            f"def {name}(b, p):",
            f"    found = {'{}' if keyed else '[]'}",
            "    while True:",
            "        count = S[b[p]]",
            "        if count < 0: count, p = BLOCK(b, p)",
            "        else: p += 1",
            f"        if count == 0: return {'found' if keyed else 'tuple(found)'}, p",
            "        for _ in range(count):",
            *indent(indent(indent(read))),
        ]
        return name


class _Writer(_Source):
    def record(self, schema: Schema, leave_out: Collection[str]) -> str:
        """Emit the function of one record, without the fields in *leave_out*."""
        name = self.new("write")
        self.text += [f"def {name}(o, w):", *indent(self.fields(schema, "o", leave_out))]
        return name

    def fields(self, schema: Schema, v: str, leave_out: Collection[str] = ()) -> list[str]:
        """Return lines that write the fields of the record in the variable *v*."""
        kept = [field for field in schema["fields"] if field["name"] not in leave_out]
        return [line for field in kept for line in self.value(field["type"], f"{v}.{field['name']}")]

    def value(self, schema: Any, v: str) -> list[str]:
        """Return lines that write the value of the expression *v*."""
        schema = self.resolve(schema)
        kind = schema["type"]
        if kind in ("int", "long"):
            return self.number(schema, v)
        if isinstance(kind, list):
            x = self.new("v")
            return [f"{x} = {v}", f"if {x} is None: w(b'\\x00')", "else:",
                    "    w(b'\\x02')", *indent(self.value(kind[1], x))]  # fmt: skip
        if kind == "enum":
            table = {symbol: numbers.long_bytes(number) for number, symbol in enumerate(schema["symbols"])}
            return [f"w({self.put(table)}[{v}])"]
        if kind == "record":
            x = self.new("v")
            return [f"{x} = {v}", *self.fields(schema, x)]
        if kind in ("array", "map"):
            return self.many(schema, v)
        return self.scalar(schema, v)

    def number(self, schema: Schema, v: str) -> list[str]:
        """Return lines for an integer, a day or an instant."""
        if schema.get("logicalType") == "timestamp-micros":
            return [f"w(INSTANTB({v}))"]
        form = f"DAYS({v})" if schema.get("logicalType") == "date" else v
        return [f"n = {form}", f"w(N[n] if 0 <= n < COMMON else {'INTB' if schema['type'] == 'int' else 'LONGB'}(n))"]

    def scalar(self, schema: Schema, v: str) -> list[str]:
        """Return lines for what is a run of bytes."""
        kind = schema["type"]
        if kind == "boolean":
            return [f"w(BOOLB[{v}])"]
        if kind == "double":
            return [f"w(DOUBLEB(FINITE({v})))"]
        if kind == "fixed":
            size = schema["size"]
            return [f"if len({v}) != {size}: raise ValueError('expected {size} bytes')", f"w({v})"]
        text = v if kind == "bytes" else f"{v}.encode()"
        if schema.get("logicalType") == "uuid":
            text = f"str({v}).encode()"
        return [f"s = {text}; n = len(s); w(N[n] if n < COMMON else LONGB(n)); w(s)"]

    def many(self, schema: Schema, v: str) -> list[str]:
        """Return lines for an array or a map."""
        x, item = self.new("v"), self.new("v")
        if schema["type"] == "map":
            key = self.new("v")
            loop = [f"for {key}, {item} in {x}.items():",
                    *indent([*self.scalar({"type": "string"}, key), *self.value(schema["values"], item)])]  # fmt: skip
        else:
            loop = [f"for {item} in {x}:", *indent(self.value(schema["items"], item))]
        return [f"{x} = {v}", f"if {x}:", f"    w(LONGB(len({x})))", *indent(loop), "w(b'\\x00')"]


def reader(
    schema: Schema,
    make: Any,
    *,
    keep: Collection[str] | None = None,
    stop: str | None = None,
    within: Schema | None = None,
    parts: Mapping[str, Made] = MappingProxyType({}),
) -> Read:
    """Return the reader of a record.

    It calls *make* with the fields in *keep* (default: all) by name and only checks the rest. *stop* ends before the
    field of that name. *within* is the schema in which *schema*'s types are spelled out, *parts* says of records
    inside how to make them. Raises one of BROKEN; that all bytes were used is for the caller to check.
    """
    source = _Reader(within or schema, parts)
    wanted = [field["name"] for field in schema["fields"]] if keep is None else keep
    function: Read = source.function(source.record(schema, make, wanted, stop))
    return function


def writer(schema: Schema, *, leave_out: Collection[str] = (), within: Schema | None = None) -> Write:
    """Return the writer of a record, without the fields in *leave_out*; *within* as in `reader`.

    Raises Reject("record.…") as `records.to_plain` does; what else goes wrong is a value of another type.
    """
    source = _Writer(within or schema)
    function: Write = source.function(source.record(schema, leave_out))
    return function


def named_types(schema: Schema) -> Mapping[str, Schema]:
    """Return the named types that are spelled out in *schema*, by name."""
    return _Source(schema).types
