"""JSON Schemas of the contract's JSON form, from the Avro schemas: what a webhook carries.

What has a default in Avro is not required here, and enumerations are open: a newer hub may leave out the one and add
to the other.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

_PLAIN: dict[str, Schema] = {
    "boolean": {"type": "boolean"},
    "int": {"type": "integer"},
    "long": {"type": ["integer", "string"], "description": "text where it is beyond 2⁵³"},
    "float": {"type": "number"},
    "double": {"type": "number"},
    "string": {"type": "string"},
    "bytes": {"type": "string", "pattern": "^([0-9a-f]{2})*$"},
}
_LOGICAL: dict[str, Schema] = {
    "uuid": {"type": "string", "format": "uuid"},
    "date": {"type": "string", "format": "date"},
    "timestamp-micros": {"type": "string", "format": "date-time"},
}
_GEOMETRY: Schema = {
    "type": "object",
    "description": "Where: GeoJSON in its own coordinate reference system (nl: geometrie)",
    "required": ["type", "coordinates", "crs"],
    "properties": {
        "type": {"type": "string"},
        "coordinates": {"type": "array"},
        "crs": {"type": "string", "description": "URI of the coordinate reference system (nl: coordinatenstelsel)"},
        "accuracy_m": {"type": "number", "description": "Positional accuracy in metres (nl: nauwkeurigheid)"},
    },
}


def json_schema(avro: Any, into: dict[str, Schema]) -> Schema:
    """Return the JSON Schema of *avro*, a reference where it has a name; named types are put *into* a table."""
    if isinstance(avro, list):
        (kind,) = (kind for kind in avro if kind != "null")
        return json_schema(kind, into)
    if isinstance(avro, str):
        return dict(_PLAIN[avro]) if avro in _PLAIN else _reference(avro.rpartition(".")[2])
    if avro.get("logicalType") in _LOGICAL:
        return dict(_LOGICAL[avro["logicalType"]])
    return _named(avro, into) if "name" in avro else _CONTAINERS[avro["type"]](avro, into)


def _named(avro: Schema, into: dict[str, Schema]) -> Schema:
    name = avro["name"]
    if name not in into:
        into[name] = {}  # holds its place before the types inside it
        into[name] |= _GEOMETRY if name == "Geometry" else _MAKERS[avro["type"]](avro, into)
    return _reference(name)


def _record(avro: Schema, into: dict[str, Schema]) -> Schema:
    required = [field["name"] for field in avro["fields"] if "default" not in field]
    made: Schema = {"type": "object", "description": avro["doc"]}
    if required:
        made["required"] = required
    made["properties"] = {field["name"]: _field(field, into) for field in avro["fields"]}
    return made


def _field(field: Schema, into: dict[str, Schema]) -> Schema:
    form = json_schema(field["type"], into)
    if "$ref" in form:
        return {"allOf": [form], "description": field["doc"]}
    return {**form, "description": field["doc"]}


def _enum(avro: Schema, _: dict[str, Schema]) -> Schema:
    """Newer hubs may say more: what a reader does not know is read as the default."""
    description = f"{avro.get('doc', avro['name'])}. Read one that you do not know as {avro['default']}"
    return {"description": description, "anyOf": [{"type": "string", "enum": avro["symbols"]}, {"type": "string"}]}


def _fixed(avro: Schema, _: dict[str, Schema]) -> Schema:
    digits = 2 * avro["size"]
    return {"type": "string", "pattern": f"^[0-9a-f]{{{digits}}}$", "description": avro.get("doc", avro["name"])}


def _array(avro: Schema, into: dict[str, Schema]) -> Schema:
    return {"type": "array", "items": json_schema(avro["items"], into)}


def _map(avro: Schema, into: dict[str, Schema]) -> Schema:
    return {"type": "object", "additionalProperties": json_schema(avro["values"], into)}


_CONTAINERS = {"array": _array, "map": _map}
_MAKERS = {"record": _record, "enum": _enum, "fixed": _fixed}


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}
