"""CloudEvents over HTTP: one event in binary or structured mode, or a batch. From a request to events that are not yet
judged.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

import numpy as np
import orjson
from fastapi import Request

from edge.problems import KINDS, Fault, Problem
from samenloop.settings import Edge

JSON, GEO_JSON = "application/json", "application/geo+json"
STRUCTURED, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"
TAKEN = (STRUCTURED, BATCH, JSON, GEO_JSON)
"""Content types of a request; the last two in binary mode, with the attributes in headers."""
_NAME = re.compile(r"[a-z0-9]{1,20}")
_PATIENCE_SECONDS = 30.0
_ONCE = ("content-type", "content-encoding", "authorization")

RawHeaders = Sequence[tuple[bytes, bytes]]


@dataclass(slots=True)
class Incoming:
    """One event as it came. *pointer* is its place in the body, *faults* what is wrong with its outer form.

    *raw* are its bytes where it was alone in the request.
    """

    attributes: dict[str, Any]
    data: Any
    pointer: str = ""
    data_pointer: str = "/data"
    in_headers: bool = False
    raw: bytes | None = None
    faults: list[Fault] = field(default_factory=list)

    @property
    def content_type(self) -> str:
        """What the data is."""
        return media_type(str(self.attributes.get("datacontenttype") or JSON))

    def bytes(self) -> bytes:
        """Return the event's bytes; of an event in a batch, its JSON text written anew."""
        if self.raw is not None:
            return self.raw
        return orjson.dumps({**self.attributes, "data": self.data})

    def at(self, attribute: str, code: str, detail: str) -> Fault:
        """Return a finding about an attribute."""
        if self.in_headers:
            return Fault("", code, detail, header=f"ce-{attribute}")
        return Fault(f"{self.pointer}/{attribute}", code, detail)


def media_type(text: str) -> str:
    """Return a content type without its parameters, in lower case."""
    return text.partition(";")[0].strip().lower()


async def read_body(request: Request, limit_bytes: int) -> bytes:
    """Return the body, never more than *limit_bytes*. Raises Problem: `too-large`, `too-slow`."""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return await _read(request, limit_bytes)
    except TimeoutError as error:
        raise Problem("too-slow", KINDS["too-slow"].meaning, headers={"Connection": "close"}) from error


async def read_json(request: Request, settings: Edge, limit_bytes: int) -> Any:
    """Return the JSON value of a body that is no event; None when there is none.

    Raises Problem: `malformed`, `too-large`, `too-slow`, `unsupported-media-type`.
    """
    _once(request.headers.raw)
    found = request.headers
    body = await read_body(request, min(limit_bytes, int(settings.max_body_megabytes * 1_000_000)))
    if not body:
        return None
    encoded = found.get("content-encoding", "identity").lower() != "identity"
    if encoded or media_type(found.get("content-type", "")) != JSON:
        raise Problem("unsupported-media-type", f"Taken here, in UTF-8 and uncompressed: {JSON}.")
    return parsed(body, settings)


async def _read(request: Request, limit_bytes: int) -> bytes:
    announced = request.headers.get("content-length", "0")
    parts: list[bytes] = []
    size = int(announced) if announced.isdecimal() and len(announced) < 16 else 0
    if size <= limit_bytes:
        size = 0
        async for part in request.stream():
            size += len(part)
            if size > limit_bytes:
                break
            parts.append(part)
    if size > limit_bytes:
        detail = f"The body has more than {limit_bytes:,} bytes."
        raise Problem("too-large", detail, headers={"Connection": "close"})
    return b"".join(parts)


def read_events(headers: RawHeaders, body: bytes, settings: Edge) -> list[Incoming]:
    """Return the events of a request.

    Raises Problem: `malformed` for repeated headers, a body that is no JSON or is nested too deeply, `too-large` for
    too many events, `unsupported-media-type`.
    """
    _once(headers)
    found = dict(headers)
    content_type = media_type(found.get(b"content-type", b"").decode("latin-1"))
    _taken(found, content_type)
    if content_type == BATCH:
        return _batch(parsed(body, settings), settings)
    if content_type == STRUCTURED:
        event = _structured(parsed(body, settings), "")
        event.raw = body
        return [event]
    return [_binary(headers, content_type, body, settings)]


def _once(headers: RawHeaders) -> None:
    names = [
        name.decode("latin-1") for name, _ in headers if name.startswith(b"ce-") or name.decode("latin-1") in _ONCE
    ]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        faults = [Fault("", "envelope.repeated-header", "the header is there twice", header=name) for name in twice]
        raise Problem("malformed", "A header that may stand once stands there several times.", faults)


def _taken(found: dict[bytes, bytes], content_type: str) -> None:
    charset = re.search(rb"charset\s*=\s*\"?([^\s;\"]+)", found.get(b"content-type", b"").lower())
    encoded = found.get(b"content-encoding", b"identity").lower() != b"identity"
    if content_type not in TAKEN or encoded or (charset is not None and charset[1] not in (b"utf-8", b"utf8")):
        detail = f"Taken here, in UTF-8 and uncompressed: {', '.join(TAKEN)}."
        raise Problem("unsupported-media-type", detail, headers={"Accept-Post": ", ".join(TAKEN)})
    if content_type in (JSON, GEO_JSON) and b"ce-specversion" not in found:
        fault = Fault("", "envelope.missing", "the header is missing", header="ce-specversion")
        detail = f"No CloudEvent: neither {STRUCTURED}, {BATCH} nor headers ce-…"
        raise Problem("malformed", detail, [fault])


def parsed(body: bytes, settings: Edge) -> Any:
    """Return the JSON value in *body*. Raises Problem("malformed")."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        fault = Fault("", "json.unreadable", f"no JSON text (RFC 8259) in UTF-8, at character {error.pos}")
        raise Problem("malformed", "The body is no JSON.", [fault]) from error
    if _may_be_deeper(body, settings.max_nesting) and _deeper(value, settings.max_nesting):
        fault = Fault("", "json.too-deep", f"lists and objects are nested more than {settings.max_nesting} deep")
        raise Problem("malformed", "The body is nested too deeply.", [fault])
    return value


_DEPTH = np.zeros(256, dtype=np.int8)
_DEPTH[[ord("["), ord("{")]] = 1
_DEPTH[[ord("]"), ord("}")]] = -1


def _may_be_deeper(body: bytes, limit: int) -> bool:
    """Say, at the cost of a glance, whether *body* may be nested deeper; brackets in texts count as well."""
    steps = _DEPTH[np.frombuffer(body, dtype=np.uint8)]
    return len(steps) > limit and int(np.cumsum(steps, dtype=np.int32).max()) > limit


def _deeper(value: Any, limit: int) -> bool:
    if isinstance(value, dict):
        return limit == 0 or any(_deeper(part, limit - 1) for part in value.values())
    if isinstance(value, list):
        return limit == 0 or any(_deeper(part, limit - 1) for part in value)
    return False


def _batch(found: Any, settings: Edge) -> list[Incoming]:
    if not isinstance(found, list):
        fault = Fault("", "json.type", "expected a list of events")
        raise Problem("malformed", "The body is no batch of CloudEvents.", [fault])
    if len(found) > settings.max_batch_events:
        detail = f"The batch has {len(found):,} events, at most {settings.max_batch_events:,} are taken at once."
        raise Problem("too-large", detail)
    return [_structured(event, f"/{number}") for number, event in enumerate(found)]


def _structured(found: Any, pointer: str) -> Incoming:
    if not isinstance(found, dict):
        return Incoming({}, None, pointer, faults=[Fault(pointer, "json.type", "expected an event, an object")])
    data = found.pop("data", None)
    event = Incoming(found, data, pointer, f"{pointer}/data")
    if "data_base64" in found:
        event.data_pointer = f"{pointer}/data_base64"
        _from_base64(event, found.pop("data_base64"))
    event.faults += _names(event, found)
    return event


def _from_base64(event: Incoming, text: Any) -> None:
    try:
        if event.data is not None or not isinstance(text, str):
            raise ValueError
        event.data = orjson.loads(base64.b64decode(text, validate=True))
        deep = _deeper(event.data, 32)
    except (ValueError, binascii.Error):
        deep = True
    if deep:
        event.data = None
        event.faults.append(Fault(event.data_pointer, "json.unreadable", "expected JSON in base64, and no data beside"))


def _names(event: Incoming, attributes: Iterable[str]) -> list[Fault]:
    if all(_NAME.fullmatch(name) for name in attributes):
        return []
    return [Fault(event.pointer, "envelope.name", "an attribute's name has more than a-z and 0-9, or 20 characters")]


def _binary(headers: RawHeaders, content_type: str, body: bytes, settings: Edge) -> Incoming:
    attributes: dict[str, Any] = {}
    faults = []
    for name, value in headers:
        if name.startswith(b"ce-"):
            try:
                attributes[name[3:].decode("ascii")] = unquote_to_bytes(value).decode()
            except UnicodeDecodeError:
                header = name.decode("ascii", "replace")
                faults.append(Fault("", "envelope.text", "expected UTF-8, percent-encoded", header=header))
    attributes["datacontenttype"] = content_type
    data = parsed(body, settings) if body else None
    event = Incoming(attributes, data, "", "", in_headers=True, raw=body, faults=faults)
    event.faults += _names(event, attributes)
    return event
