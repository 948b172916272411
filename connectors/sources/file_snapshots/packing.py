"""From the bytes of an export to its text: gzip, zip, encoding."""

from __future__ import annotations

import io
import re
import zipfile
import zlib

from samenloop.errors import Reject

ENDINGS = (".geojson", ".json", ".csv", ".txt", ".tsv", ".geojsonl", ".geojsons", ".ndjson", ".jsonl")
FILES = (*ENDINGS, ".zip")
"""How files of exports end; `.gz` may follow."""
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1d\x1f]")
"""What no text holds. 0x1e may: it begins a record of a GeoJSON text sequence (RFC 8142)."""
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


def unpacked(body: bytes, limit: int) -> bytes:
    """Return the bytes of an export that is gzip, a zip archive with one export in it, or neither.

    Raises Reject: `envelope.truncated`, `envelope.oversize`, `envelope.unexpected`.
    """
    if body[:4] == b"PK\x03\x04":
        return _unzipped(body, limit)
    if body[:2] != b"\x1f\x8b":
        return body
    parts: list[bytes] = []
    try:
        while body:
            engine = zlib.decompressobj(wbits=31)
            parts.append(engine.decompress(body, limit))
            if engine.unconsumed_tail:
                raise Reject("envelope.oversize", f"unpacks to more than {limit} bytes (`max_megabytes`)")
            if not engine.eof:
                raise Reject("envelope.truncated", "the gzip file ends early")
            body = engine.unused_data.lstrip(b"\0")
    except zlib.error:
        raise Reject("envelope.truncated", "the gzip file is damaged or ends early") from None
    return b"".join(parts)


def _unzipped(body: bytes, limit: int) -> bytes:
    """Return the one export in a zip archive; what else lies in it (a licence, a picture) does not matter."""
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            names = [name for name in archive.namelist() if is_export(name.rpartition("/")[2])]
            if len(names) != 1:
                expected = f"expected one with GeoJSON or CSV ({', '.join(ENDINGS)})"
                raise Reject("envelope.unexpected", f"found a zip archive with {len(names)} such files, {expected}")
            with archive.open(names[0]) as file:
                plain = file.read(limit + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError):
        raise Reject("envelope.truncated", "the zip archive is damaged or ends early") from None
    except (RuntimeError, NotImplementedError):
        raise Reject("envelope.unexpected", "the zip archive is encrypted or packed in an unusual way") from None
    if len(plain) > limit:
        raise Reject("envelope.oversize", f"unpacks to more than {limit} bytes (`max_megabytes`)")
    return plain


def is_export(name: str) -> bool:
    """Say by its name whether a file is an export, and not hidden (half written)."""
    return not name.startswith((".", "~")) and name.lower().endswith(ENDINGS)


def decoded(plain: bytes, encoding: str | None) -> tuple[str, str]:
    """Return the text and its encoding: by byte order mark, as *encoding* says, or UTF-8, else cp1252.

    Raises Reject: `envelope.encoding`, `envelope.unexpected` for what is no text.
    """
    marked = next((name for bom, name in _BOMS if plain.startswith(bom)), None)
    if marked is None and _CONTROL.search(plain[:2000]):
        raise Reject("envelope.unexpected", "found binary data, expected GeoJSON or CSV text")
    for name in [marked] if marked else [encoding] if encoding else ["utf-8", "cp1252"]:
        try:
            return plain.decode(name), name
        except UnicodeDecodeError:
            continue
    raise Reject("envelope.encoding", f"the text is not {marked or encoding or 'UTF-8 or cp1252'} (`encoding`)")
