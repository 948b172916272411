"""The bytes of an export while they come in: counted, hashed, and kept small where they are large."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

from samenloop.errors import Retry

GZIP = b"\x1f\x8b"
CHUNK = 1 << 18
"""Bytes that are read at once."""


class Body:
    """Takes an export part by part. *packed* keeps it as gzip: 200 MB of XML then take a tenth of that.

    What is gzip already stays as it came. *size* and *digest* (SHA-256, hexadecimal) are of the bytes as they came.
    """

    def __init__(self, *, packed: bool = False) -> None:
        self.size = 0
        self._packed, self._parts = packed, bytearray()
        self._hash = sha256()
        self._engine: zlib._Compress | None = None

    def add(self, part: bytes) -> None:
        """Take the next bytes."""
        if self._packed and not self.size and part and not part.startswith(GZIP):
            self._engine = zlib.compressobj(level=1, wbits=31)
        self.size += len(part)
        self._hash.update(part)
        self._parts += self._engine.compress(part) if self._engine else part

    def close(self) -> bytes:
        """Return what is kept."""
        if self._engine:
            self._parts += self._engine.flush()
            self._engine = None
        return bytes(self._parts)

    @property
    def digest(self) -> str:
        """SHA-256 of what came in."""
        return self._hash.hexdigest()


def read_file(path: Path, *, packed: bool = False) -> tuple[bytes, str]:
    """Return the kept bytes of a file and the hash of its own. Raises Retry(`file-error`)."""
    body = Body(packed=packed)
    try:
        with path.open("rb") as file:
            while part := file.read(CHUNK):
                body.add(part)
    except OSError as error:
        raise Retry("file-error", f"{path.name}: {error.strerror}") from error
    return body.close(), body.digest


def unpacked(body: bytes) -> Iterator[bytes]:
    """Yield *body* in parts, without its gzip, also where it is packed twice; never more than `CHUNK` bytes at once.

    Raises EOFError when it ends early, zlib.error when it is damaged.
    """
    parts: Iterable[bytes] = (body[start : start + CHUNK] for start in range(0, len(body), CHUNK))
    for _ in range(2):
        parts = iter(parts)
        first = next(parts, b"")
        while first and len(first) < len(GZIP) and (more := next(parts, b"")):
            first += more
        parts = _joined(first, parts)
        if not first.startswith(GZIP):
            break
        parts = _gunzipped(parts)
    yield from parts


def _joined(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest


def _gunzipped(parts: Iterator[bytes]) -> Iterator[bytes]:
    engine = zlib.decompressobj(wbits=31)
    begun = False
    for part in parts:
        rest = part
        while rest:
            if engine.eof:  # members may follow one another, and zeros may fill up a tape's block
                rest, engine, begun = rest.lstrip(b"\0"), zlib.decompressobj(wbits=31), False
                continue
            begun = True
            if plain := engine.decompress(rest, CHUNK):
                yield plain
            rest = engine.unconsumed_tail or engine.unused_data
    while begun and not engine.eof and (plain := engine.decompress(b"", CHUNK)):
        yield plain
    if begun and not engine.eof:
        raise EOFError("the gzip file ends early")
