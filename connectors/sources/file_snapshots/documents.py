"""From text to rows: GeoJSON, whole or a feature a line, or CSV. What is not a whole export is never half read."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from connectors.sources.file_snapshots.fields import Row
from connectors.sources.file_snapshots.packing import decoded, unpacked
from samenloop.errors import Reject
from samenloop.yamlfile import Model

_AFTER = "found text after the JSON, expected one document or a feature a line"
_DELIMITERS = ";,\t|"
_SCRIPT = re.compile(r"\s*(?:var|let|const)\s+[\w$]+\s*=|\s*(?:window\.)?[A-Za-z_$][\w$.]*\s*[=(]\s*[\[{]")


def _encoding(name: str) -> str:
    try:
        "".encode(name)
    except LookupError:
        raise ValueError(f"{name!r} is not an encoding such as utf-8 or cp1252") from None
    return name


Encoding = Annotated[str, AfterValidator(_encoding)]


class CsvProfile(Model):
    """`csv`: how a CSV is written; all of it can be left out."""

    delimiter: str | None = Field(None, min_length=1, max_length=1, description="default: found in the header")
    skip_lines: int = Field(0, ge=0, le=100, description="lines above the header")
    columns: tuple[str, ...] = Field((), max_length=500, description="names of the columns where there is no header")


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """A whole export: its members beside the rows, the rows, and the reasons why some of them cannot be read.

    *bare* is a list of features without a collection around it; *crs* is the file's own word.
    """

    format: Literal["geojson", "csv"]
    envelope: Mapping[str, Any]
    rows: Sequence[Row]
    bare: bool = False
    broken: Mapping[int, Reject] = field(default_factory=dict)
    original: Callable[[int], bytes] = lambda _: b""
    encoding: str = "utf-8"

    @property
    def crs(self) -> str | None:
        """The CRS that the file names, if it does (GeoJSON of 2008, member `crs`)."""
        member = self.envelope.get("crs")
        properties = member.get("properties") if isinstance(member, Mapping) else None
        name = properties.get("name") if isinstance(properties, Mapping) else None
        return name if isinstance(name, str) else None


@dataclass(frozen=True, slots=True)
class Reading:
    """How a document is to be read: what a profile says of its form."""

    format: Literal["auto", "geojson", "csv"] = "auto"
    encoding: str | None = None
    csv: CsvProfile = field(default_factory=CsvProfile)
    records: str | None = None
    nulls: frozenset[str] = frozenset()
    max_bytes: int = 500_000_000


def read_document(body: bytes, reading: Reading) -> Document:
    """Read a whole export.

    Raises Reject: `envelope.empty`, `envelope.truncated`, `envelope.oversize`, `envelope.encoding`,
    `envelope.unparseable`, `envelope.unexpected` (an error page, a script, an archive, another format).
    """
    plain = unpacked(body, reading.max_bytes)
    if not plain.strip():
        raise Reject("envelope.empty", "the file is empty")
    text, encoding = decoded(plain, reading.encoding)
    kind = _recognised(text, reading.format)
    return (_geojson if kind == "geojson" else _csv)(text, encoding, reading)


def _recognised(text: str, wanted: str) -> str:
    start = text.lstrip()[:300]
    if start.startswith("<"):
        page = "an HTML page" if re.match(r"<(!doctype\s+html|html)", start, re.IGNORECASE) else "XML"
        raise Reject("envelope.unexpected", f"found {page}, expected GeoJSON or CSV")
    if _SCRIPT.match(start):
        raise Reject("envelope.unexpected", "found JavaScript, expected GeoJSON or CSV")
    looks = "geojson" if start[0] in "{[" else "csv"
    if wanted == "geojson" and looks == "csv":
        raise Reject("envelope.unexpected", "found text that is not JSON, expected GeoJSON")
    if wanted == "csv" and looks == "geojson" and start[1:].lstrip()[:1] in '"{]}':
        raise Reject("envelope.unexpected", "found JSON, expected CSV")
    return looks if wanted == "auto" else wanted


def _geojson(text: str, encoding: str, reading: Reading) -> Document:
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" or "\x1e" in text[:3]:
            return _json_lines(text, encoding, reading)
        early = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string")
        code = "envelope.truncated" if early else "envelope.unparseable"
        words = "the JSON ends early" if early else "the JSON is malformed"
        raise Reject(code, f"{words} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise Reject("envelope.unparseable", "the JSON is nested too deeply") from None
    envelope, items = _items(data, reading.records)
    bare = isinstance(data, list)
    plain = bool(reading.records) or bare
    rows, broken = _features(items, reading, plain=plain)
    originals = _Originals(text, items, encoding)
    return Document("geojson", envelope, rows, bare, broken, originals, encoding)


def _json_lines(text: str, encoding: str, reading: Reading) -> Document:
    """Read a feature or an object a line (NDJSON, GeoJSON text sequence); a last line that is cut off refuses all."""
    lines = [line.strip("\x1e \t\r") for line in text.split("\n")]
    lines = [line for line in lines if line]
    items: list[Any] = []
    unread: dict[int, Reject] = {}
    for position, line in enumerate(lines, start=1):
        try:
            items.append(json.loads(line))
        except (json.JSONDecodeError, RecursionError):
            if position == 1:
                raise Reject("envelope.unparseable", _AFTER) from None
            if position == len(lines):
                raise Reject("envelope.truncated", f"the last of {position} lines of JSON is cut off") from None
            items.append({})
            unread[position] = Reject("record.unexpected", "found a line that is not JSON, expected a feature")
    if isinstance(items[0], dict) and "features" in items[0]:
        raise Reject("envelope.unparseable", _AFTER)
    rows, broken = _features(items, reading, plain=True)
    return Document(
        "geojson", {}, rows, True, broken | unread, lambda p: lines[p - 1].encode(encoding, "replace"), encoding
    )


def _features(items: list[Any], reading: Reading, *, plain: bool) -> tuple[list[Row], dict[int, Reject]]:
    """Return the rows of *items* and what is wrong with some; with *plain* a bare object is a row too."""
    rows, broken = [], {}
    for position, item in enumerate(items, start=1):
        row, problem = _feature(item, position, reading, plain=plain)
        rows.append(row)
        if problem:
            broken[position] = problem
    return rows, broken


def _items(data: Any, records: str | None) -> tuple[Mapping[str, Any], list[Any]]:
    """Return the members around the features, and the features."""
    if isinstance(data, list):
        return {}, data
    if not isinstance(data, dict):
        raise Reject("envelope.unexpected", f"found a bare {type(data).__name__}, expected a FeatureCollection")
    if data.get("type") == "Feature" and not records:
        return {}, [data]
    found: Any = data
    for part in records.split(".") if records else ["features"]:
        found = found.get(part) if isinstance(found, dict) else None
    if not isinstance(found, list):
        expected = f"a list in `{records}`" if records else "a FeatureCollection with a list of features"
        hint = ", it is an error message" if "error" in data else ""
        raise Reject("envelope.unexpected", f"found an object{hint}, expected {expected}")
    if "geometryType" in data and any(isinstance(i, dict) and "attributes" in i for i in found[:1]):
        raise Reject("envelope.unexpected", "found Esri JSON, expected GeoJSON (ask the service for f=geojson)")
    return {key: value for key, value in data.items() if value is not found}, found


def _feature(item: Any, position: int, reading: Reading, *, plain: bool) -> tuple[Row, Reject | None]:
    if not isinstance(item, dict):
        return Row(position, {}), Reject("record.unexpected", f"found a {type(item).__name__}, expected a feature")
    if item.get("type") != "Feature" and "properties" not in item:
        if plain:
            return Row(position, item, item.get("geometry"), nulls=reading.nulls), None
        return Row(position, {}), Reject("record.unexpected", "found an object that is not a Feature")
    properties = item.get("properties") or {}
    if not isinstance(properties, dict):
        return Row(position, {}), Reject("record.unexpected", "`properties` is not an object", field="properties")
    return Row(position, properties, item.get("geometry"), item.get("id"), reading.nulls), None


class _Originals:
    """The text of each feature as it stood in the file; found only when one is asked for."""

    def __init__(self, text: str, items: list[Any], encoding: str) -> None:
        self.text, self.items, self.encoding = text, items, encoding
        self.spans: list[tuple[int, int]] | None = None

    def __call__(self, position: int) -> bytes:
        item = self.items[position - 1]
        if self.spans is None:
            self.spans = self._find()
        text = self.text[slice(*self.spans[position - 1])] if self.spans else json.dumps(item, ensure_ascii=False)
        return text.encode(self.encoding.removesuffix("-sig"), "replace")

    def _find(self) -> list[tuple[int, int]]:
        decode, blank = json.JSONDecoder().raw_decode, re.compile(r"[\s,]*")
        for bracket in re.finditer(r"\[", self.text):
            spans: list[tuple[int, int]] = []
            at = bracket.end()
            for item in self.items:
                start = blank.match(self.text, at).end()  # type: ignore[union-attr] # it matches nothing too
                try:
                    found, at = decode(self.text, start)
                except ValueError:
                    break
                if found != item:
                    break
                spans.append((start, at))
            if len(spans) == len(self.items):
                return spans
        return []


def _csv(text: str, encoding: str, reading: Reading) -> Document:
    profile = reading.csv
    lines = io.StringIO(text, newline="").readlines()[profile.skip_lines :]
    if lines and (found := re.fullmatch(r"sep=(.)\s*", lines[0], re.IGNORECASE)):
        lines, profile = lines[1:], profile.model_copy(update={"delimiter": profile.delimiter or found[1]})
    delimiter = profile.delimiter or _delimiter(next((line for line in lines if line.strip()), ""))
    cells = _cells(lines, delimiter)
    header = list(profile.columns) if profile.columns else [name.strip() for name in (cells.pop(0)[1] if cells else [])]
    header = _distinct(header)
    rows, broken, originals = [], {}, []
    for position, (original, values) in enumerate(cells, start=1):
        originals.append(original)
        rows.append(Row(position, dict(zip(header, values, strict=False)), nulls=reading.nulls))
        if len(values) != len(header) and any(values[len(header) :] or [len(values) < len(header)]):
            found_cells = f"found {len(values)} cells, expected {len(header)}"
            if position == len(cells) and len(values) < len(header):
                raise Reject("envelope.truncated", f"the last line is cut off: {found_cells}")
            broken[position] = Reject("row.width", found_cells)
    envelope = {"columns": header}
    return Document(
        "csv", envelope, rows, False, broken, lambda p: originals[p - 1].encode(encoding, "replace"), encoding
    )


def _cells(lines: list[str], delimiter: str) -> list[tuple[str, list[str]]]:
    """Return each row's original text and cells; empty lines are left out."""
    csv.field_size_limit(100_000_000)
    try:
        return _read(lines, delimiter, strict=True)
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            raise Reject("envelope.truncated", "the file ends inside a quoted cell") from None
    try:
        return _read(lines, delimiter, strict=False)
    except csv.Error as error:
        raise Reject("envelope.unparseable", f"the CSV is malformed ({error})") from None


def _read(lines: list[str], delimiter: str, *, strict: bool) -> list[tuple[str, list[str]]]:
    reader = csv.reader(io.StringIO("".join(lines), newline=""), delimiter=delimiter, strict=strict)
    result, before = [], 0
    for values in reader:
        original, before = "".join(lines[before : reader.line_num]), reader.line_num
        if any(value.strip() for value in values):
            result.append((original, values))
    return result


def _delimiter(header: str) -> str:
    bare = re.sub(r'"[^"]*"', "", header)
    return max(_DELIMITERS, key=bare.count)


def _distinct(names: list[str]) -> list[str]:
    """Number the names that occur twice (`naam`, `naam_2`)."""
    seen: dict[str, int] = {}
    result = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        result.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return result
