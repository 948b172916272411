"""Filters of a subscription over the attributes of an event: the dialects exact, prefix, suffix, all, any, not. Pure.

    [{"prefix": {"type": "nl.samenloop.conflict-"}}, {"not": {"exact": {"subject": "3c78…"}}}]

All filters of the list must take an event. rule: CloudEvents Subscriptions 1.0-rc, filter dialects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from samenloop.errors import Reject

ATTRIBUTES = ("type", "source", "subject")
"""What can be filtered on."""
MOST, DEEPEST, LONGEST_TEXT = 100, 8, 2000
"""Filters in all, how deep they may stand in each other, and the length of a text."""

Filter = Mapping[str, Any]
_TEXT: Mapping[str, Callable[[str, str], bool]] = {
    "exact": str.__eq__,
    "prefix": str.startswith,
    "suffix": str.endswith,
}
_SEVERAL: Mapping[str, Callable[[Iterator[bool]], bool]] = {"all": all, "any": any}
DIALECTS = (*_TEXT, *_SEVERAL, "not")


def takes(filters: Sequence[Filter], attributes: Mapping[str, str]) -> bool:
    """Say whether every one of *filters*, which `check` found in order, takes an event with these *attributes*."""
    return all(_takes(one, attributes) for one in filters)


def _takes(one: Filter, attributes: Mapping[str, str]) -> bool:
    ((dialect, inner),) = one.items()
    if dialect in _TEXT:
        return all(_TEXT[dialect](attributes.get(name, ""), text) for name, text in inner.items())
    if dialect in _SEVERAL:
        return _SEVERAL[dialect](_takes(part, attributes) for part in inner)
    return not _takes(inner, attributes)


def check(found: Any) -> list[Reject]:
    """Return what is wrong with *found* as a list of filters, all of it; `field` of each is a JSON pointer."""
    wrong: list[Reject] = []
    if not isinstance(found, list):
        return [Reject("filter.form", "expected a list of filters", field="")]
    if _count(found, DEEPEST) > MOST:
        return [
            Reject("filter.too-many", f"more than {MOST} filters, or deeper than {DEEPEST} in each other", field="")
        ]
    for number, one in enumerate(found):
        wrong += _wrong(one, f"/{number}")
    return wrong


def to_text(filters: Sequence[Filter]) -> str | None:
    """Return filters as a subscription carries them; None for none."""
    return orjson.dumps(filters).decode() if filters else None


def from_text(text: str | None) -> list[Filter]:
    """Read what `to_text` wrote. Raises Reject("filter.form") for what is no list of filters."""
    try:
        found = orjson.loads(text) if text else []
    except orjson.JSONDecodeError as error:
        raise Reject("filter.form", "the filters are no JSON", field="filters") from error
    if check(found):
        raise Reject("filter.form", "the filters are none of the dialects that are known", field="filters")
    return list(found)


def _count(found: Any, left: int) -> int:
    """Count filters; more than MOST when they stand too deep in each other."""
    if left < 0:
        return MOST + 1
    total = 0
    for one in found if isinstance(found, list) else [found]:
        total += 1
        if isinstance(one, dict):
            total += sum(_count(inner, left - 1) for name, inner in one.items() if name in (*_SEVERAL, "not"))
        if total > MOST:
            break
    return total


def _wrong(one: Any, pointer: str) -> Iterator[Reject]:
    if not isinstance(one, dict) or len(one) != 1 or next(iter(one)) not in DIALECTS:
        detail = f"expected an object with one of the keys {', '.join(DIALECTS)}"
        yield Reject("filter.dialect", detail, field=pointer)
        return
    ((dialect, inner),) = one.items()
    here = f"{pointer}/{dialect}"
    if dialect == "not":
        yield from _wrong(inner, here)
    elif dialect in _SEVERAL:
        if not isinstance(inner, list) or not inner:
            yield Reject("filter.form", "expected a list with at least one filter", field=here)
            return
        for number, part in enumerate(inner):
            yield from _wrong(part, f"{here}/{number}")
    elif not isinstance(inner, dict) or not inner or not all(_is_test(*item) for item in inner.items()):
        detail = f"expected an object of {', '.join(ATTRIBUTES)} with a text of 1 to {LONGEST_TEXT} characters each"
        yield Reject("filter.attribute", detail, field=here)


def _is_test(name: Any, text: Any) -> bool:
    return name in ATTRIBUTES and isinstance(text, str) and 0 < len(text) <= LONGEST_TEXT
