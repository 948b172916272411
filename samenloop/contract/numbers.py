"""Avro's integers, and what stands on them: lengths, days, instants. The pieces of compiled readers and writers.

A reader takes the bytes and an offset, and returns the value with the offset behind it.
"""

from __future__ import annotations

import struct
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from samenloop.contract import records
from samenloop.errors import Reject
from samenloop.model import NOTHING

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_DOUBLE = struct.Struct("<d")
_SHORT = tuple(code >> 1 if code < 128 and not code & 1 else -1 for code in range(256))
"""Length in the first byte where one byte says it all, else -1."""
_LONGEST_VARINT = 70
_MOST_INSTANTS = 4096
_MOST_DAYS = 16_384
_INSTANTS: dict[bytes, datetime] = {}


def _long(b: bytes, p: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        code = b[p]
        p += 1
        number |= (code & 127) << shift
        if code < 128:
            return (number >> 1) ^ -(number & 1), p
        shift += 7
        if shift >= _LONGEST_VARINT:
            raise ValueError("a number of more than ten bytes")


def _length(b: bytes, p: int) -> tuple[int, int]:
    code, second = b[p], b[p + 1]
    if code > 127 > second and not code & 1:  # two bytes: most texts that do not fit one
        return (code & 127 | second << 7) >> 1, p + 2
    number, p = _long(b, p)
    if number < 0:
        raise ValueError("a negative length")
    return number, p


def _block(b: bytes, p: int) -> tuple[int, int]:
    """Return how many items follow; a negative count is followed by the size of the block in bytes."""
    number, p = _long(b, p)
    if number < 0:
        number, (_, p) = -number, _long(b, p)
    return number, p


def long_bytes(number: int) -> bytes:
    """Return an Avro int or long. Raises Reject("record.number") beyond 64 bits."""
    if 0 <= number < _COMMON:
        return _NUMBERS[number]
    return _varint(number)


def _varint(number: int) -> bytes:
    code = (number << 1) ^ (number >> 63)
    if code < 0 or code >> 64:
        raise Reject("record.number", "an integer of more than 64 bits was found")
    out = bytearray()
    while code > 127:
        out.append(code & 127 | 128)
        code >>= 7
    out.append(code)
    return bytes(out)


def int_bytes(number: int) -> bytes:
    """Return an Avro int. Raises Reject("record.number") beyond 32 bits."""
    if not -(2**31) <= number < 2**31:
        raise Reject("record.number", "an integer of more than 32 bits was found")
    return long_bytes(number)


_COMMON = 2048
_NUMBERS = tuple(map(_varint, range(_COMMON)))


def _instant(b: bytes, p: int) -> tuple[datetime, int]:
    """Read an instant. The same one stands in many records, and in this era it always takes eight bytes."""
    short = b[p : p + 8]
    found = _INSTANTS.get(short)
    if found is not None:
        return found, p + 8
    number, end = _long(b, p)
    found = _EPOCH + timedelta(microseconds=number)
    if end == p + 8:
        if len(_INSTANTS) >= _MOST_INSTANTS:
            _INSTANTS.clear()
        _INSTANTS[short] = found
    return found, end


@lru_cache(maxsize=_MOST_INSTANTS)
def _instant_bytes(instant: datetime) -> bytes:
    return long_bytes(records.micros(instant))


@lru_cache(maxsize=_MOST_DAYS)
def _day(number: int) -> date:
    return date.fromordinal(number + _EPOCH_DAY)


NAMES: dict[str, Any] = {
    "S": _SHORT, "LONG": _long, "LENGTH": _length, "BLOCK": _block, "INSTANT": _instant, "DAY": _day, "UUID": UUID,
    "DOUBLE": _DOUBLE.unpack_from, "BOOL": {0: False, 1: True}, "EMPTY": NOTHING,
    "LONGB": long_bytes, "INTB": int_bytes, "INSTANTB": _instant_bytes, "DAYS": records.days,
    "DOUBLEB": _DOUBLE.pack, "FINITE": records.finite, "BOOLB": {False: b"\x00", True: b"\x01"},
    "N": _NUMBERS, "COMMON": _COMMON,
}  # fmt: skip
"""By the names that generated source uses."""
