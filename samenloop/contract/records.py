"""Domain values to and from the plain values that Avro carries, compiled once per class from its type hints.

Enums travel as their symbols, dates as days and instants as microseconds since 1970, an optional value as
``(branch, value)`` so that the encoder need not guess. A naive instant, a datetime where a day is meant, NaN and
infinity are refused here: the encoder would take all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import cache
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from samenloop.contract.files import NAMESPACE
from samenloop.errors import Reject
from samenloop.model import NOTHING

Convert = Callable[[Any], Any]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_MICROSECOND = timedelta(microseconds=1)
_BRANCH = {str: "string", bytes: "bytes", bool: "boolean", float: "double", date: "int", datetime: "long"}


def micros(instant: datetime) -> int:
    """Return microseconds since 1970 of an aware *instant*. Raises Reject("record.naive-time")."""
    if instant.tzinfo is None:
        raise Reject("record.naive-time", "an instant without a time zone, expected an aware one")
    return (instant - _EPOCH) // _MICROSECOND


def days(day: date) -> int:
    """Return days since 1970 of *day*. Raises Reject("record.time-for-date") for a datetime."""
    if isinstance(day, datetime):
        raise Reject("record.time-for-date", "an instant was found, expected a calendar day")
    return day.toordinal() - _EPOCH_DAY


def finite(number: float) -> float:
    """Return *number*. Raises Reject("record.not-a-number") for NaN and infinity."""
    if not math.isfinite(number):
        raise Reject("record.not-a-number", "NaN or infinity was found, expected a number")
    return number


@cache
def to_plain(cls: type[Any], leave_out: frozenset[str] = frozenset()) -> Convert:
    """Return the function that turns an instance of *cls* into a dict for the encoder, without *leave_out*."""
    hints = get_type_hints(cls)
    names = tuple(item.name for item in fields(cls) if item.name not in leave_out)
    found = ((name, _writes(hints[name])) for name in names)
    special = tuple((name, convert) for name, convert in found if convert is not None)
    take: Convert = attrgetter(*names)

    def convert_record(value: Any) -> dict[str, Any]:
        plain = dict(zip(names, take(value), strict=True))
        for name, convert in special:
            try:
                plain[name] = convert(plain[name])
            except Reject as error:
                path = f"{name}.{error.field}" if error.field else name
                raise Reject(error.code, error.detail, field=path) from error
        return plain

    return convert_record


@cache
def from_plain(cls: type[Any]) -> Convert:
    """Return the function that turns a decoded dict into an instance of *cls*; the dict is used up."""
    hints = get_type_hints(cls)
    found = ((item.name, _reads(hints[item.name])) for item in fields(cls))
    special = tuple((name, convert) for name, convert in found if convert is not None)

    def build(plain: dict[str, Any]) -> Any:
        for name, convert in special:
            value = plain[name]
            if value is not None:
                plain[name] = convert(value)
        return cls(**plain)

    return build


def optional(hint: Any) -> tuple[Any, bool]:
    """Split ``T | None`` into T and whether None is allowed."""
    if get_origin(hint) in (UnionType, Union) and NoneType in get_args(hint):
        rest = [part for part in get_args(hint) if part is not NoneType]
        return rest[0], True
    return hint, False


def _writes(hint: Any) -> Convert | None:
    hint, nullable = optional(hint)
    convert = _writes_value(hint)
    if not nullable:
        return convert
    branch = f"{NAMESPACE}.{hint.__name__}" if isinstance(hint, type) and is_dataclass(hint) else _BRANCH.get(hint)
    if branch is None:  # int is int or long, bytes is bytes or fixed: the encoder looks
        return None if convert is None else lambda value: None if value is None else convert(value)
    if hint is bytes:
        return None
    if convert is None:
        return lambda value: None if value is None else (branch, value)
    return lambda value: None if value is None else (branch, convert(value))


def _writes_value(hint: Any) -> Convert | None:
    if hint is datetime:
        return micros
    if hint is date:
        return days
    if hint is float:
        return finite
    if hint is UUID:
        return str
    if is_dataclass(hint):
        return to_plain(hint)  # type: ignore[arg-type]
    return _writes_many(hint)


def _writes_many(hint: Any) -> Convert | None:
    if get_origin(hint) is tuple:
        return _each(_writes_value(get_args(hint)[0]), list)
    if get_origin(hint) is Mapping:
        return _each_entry(_writes_value(get_args(hint)[1]), dict)
    return None


def _reads(hint: Any) -> Convert | None:
    hint, _ = optional(hint)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        members: dict[str, Any] = {member.value: member for member in hint}
        return members.__getitem__
    if is_dataclass(hint):
        return from_plain(hint)  # type: ignore[arg-type]
    if get_origin(hint) is tuple:
        return _each(_reads(get_args(hint)[0]), tuple)
    if get_origin(hint) is Mapping:
        return _each_entry(_reads(get_args(hint)[1]), lambda values: values or NOTHING)
    return None


def _each(inner: Convert | None, collect: Convert) -> Convert:
    return collect if inner is None else lambda values: collect([inner(value) for value in values])


def _each_entry(inner: Convert | None, collect: Convert) -> Convert:
    return collect if inner is None else lambda values: {key: inner(value) for key, value in values.items()}
