"""Where a reader stands: opaque texts that any process can read, and what is wrong with those that cannot be used.

A cursor names an incarnation of a topic and an offset for each of its partitions. One that stands before what is still
kept is good only within a reading from the start that began not longer ago than things are kept: until then the reader
has nothing yet that could have been withdrawn meanwhile. It belongs to a viewer with certain rights; with others, what
was or was not told before is not what they may see now.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

from samenloop.errors import Reject, SamenloopError
from samenloop.visibility import Viewer

_FORM = 1
_HEAD = struct.Struct(">B4s4sI")
_RID = struct.Struct(">BQ")
_LARGEST_OFFSET = 1 << 47


class CursorExpired(SamenloopError):
    """A cursor can no longer be continued: read the collection, then go on from a new cursor (410 `cursor-expired`)."""

    code = "cursor-expired"

    def __init__(self, detail: str) -> None:
        super().__init__(f"{self.code}: {detail}")
        self.detail = detail


class HistoryExpired(SamenloopError):
    """What was known at an instant is no longer kept; *oldest* is the first instant that can be asked for."""

    code = "history-expired"

    def __init__(self, oldest: datetime) -> None:
        super().__init__(f"{self.code}: what was known is kept from {oldest.isoformat()} on")
        self.oldest = oldest


@dataclass(frozen=True, slots=True)
class Cursor:
    """Next offset of each partition, in order. *started*: seconds since 1970, of a reading from the start, else 0."""

    epoch: bytes
    rights: bytes
    started: int
    offsets: tuple[int, ...]

    def text(self) -> str:
        """Return it as text for an address."""
        head = _HEAD.pack(_FORM, self.epoch, self.rights, self.started)
        return _to_text(head + b"".join(map(_varint, self.offsets)))


def read_cursor(text: str) -> Cursor:
    """Return the cursor in *text*. Raises Reject("query.cursor") for what was never one of ours."""
    raw = _from_text(text, "query.cursor", "after")
    if len(raw) < _HEAD.size or raw[0] != _FORM:
        raise Reject("query.cursor", "this is not a cursor, expected one that an answer gave", field="after")
    _, epoch, rights, started = _HEAD.unpack_from(raw)
    offsets, number, shift = [], 0, 0
    for byte in raw[_HEAD.size :]:
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            offsets.append(number)
            number = shift = 0
        if number > _LARGEST_OFFSET:
            raise Reject("query.cursor", "this is not a cursor, expected one that an answer gave", field="after")
    return Cursor(epoch, rights, started, tuple(offsets))


def epoch_of(names: Sequence[str]) -> bytes:
    """Return four bytes that name an incarnation of a topic."""
    return blake2b("\n".join(names).encode(), digest_size=4).digest()


def rights_of(viewer: Viewer) -> bytes:
    """Return four bytes that name a viewer and its rights."""
    parts = (viewer.oin, viewer.clearance, *sorted(viewer.mandated), "", *sorted(viewer.groups))
    return blake2b("\n".join(parts).encode(), digest_size=4).digest()


def page_text(rid: int) -> str:
    """Return the `next` of a page that ended at the key *rid*."""
    return _to_text(_RID.pack(_FORM, rid))


def read_page(text: str | None) -> int:
    """Return the key behind which the next page begins; -1 for the first. Raises Reject("query.next")."""
    if text is None:
        return -1
    raw = _from_text(text, "query.next", "next")
    if len(raw) != _RID.size or raw[0] != _FORM or raw[1] > 127:
        raise Reject("query.next", "this is not the `next` of a page, expected one that an answer gave", field="next")
    rid: int = _RID.unpack(raw)[1]
    return rid


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def _to_text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _from_text(text: str, code: str, field: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise Reject(code, f"`{field}` is not one that an answer gave", field=field) from error
