"""From JSON to a form: every finding with its place and what to do, never with what was found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from edge.problems import Fault

M = TypeVar("M", bound=BaseModel)
_Place = Sequence[str | int]
_MOST_TOLD = 100
_ROUNDS = 5
"""How deep a finding may lie: what is left out may be missed by what it stood in."""
_STANDS_FOR: Final[Mapping[str, str]] = {"title": "?", "change": "UPDATED"}
"""What a form must have and nothing else depends on."""
_NOTHING: Final = object()


def checked(form: type[M], data: Any, pointer: str, faults: list[Fault]) -> M | None:
    """Return *data* as a form, or None and all that is wrong with it in *faults*; *pointer* is where it stands."""
    try:
        return form.model_validate(data)
    except ValidationError as error:
        faults += _told(error, form, pointer)
        return None


def checked_in_part(form: type[M], data: Any, pointer: str, faults: list[Fault]) -> M | None:
    """Return the form without what is wrong with it, which is in *faults*, so that the rest can be judged at once.

    What was left out is empty, as if it had not been sent. None where too much is wrong to say anything of the rest.
    """
    try:
        return form.model_validate(data)
    except ValidationError as error:
        faults += _told(error, form, pointer)
        return _rest(form, data, error)


def _rest(form: type[M], data: Any, error: ValidationError) -> M | None:
    for _ in range(_ROUNDS):
        if error.error_count() > _MOST_TOLD:
            return None
        for found in error.errors(include_url=False, include_context=False, include_input=False):
            data = _mended(data, found["loc"], missing=found["type"] == "missing")
        try:
            return form.model_validate(data)
        except ValidationError as still:
            error = still
    return None


def _mended(data: Any, place: _Place, *, missing: bool) -> Any:
    name = str(place[-1]) if place else ""
    if name in _STANDS_FOR:
        return _with(data, place, _STANDS_FOR[name])
    left = _without(data, place[:-1] if missing else place)
    return None if left is _NOTHING else left


def _with(data: Any, place: _Place, value: str) -> Any:
    """Return a copy of *data* with *value* at *place*; where there is no object to hold it, *data* itself."""
    first, rest = place[0], place[1:]
    if not isinstance(data, dict) or (rest and first not in data):
        return data
    return {**data, first: _with(data[first], rest, value) if rest else value}


def _without(data: Any, place: _Place) -> Any:
    """Return a copy of *data* without what stands at *place*. A list loses none of its parts, since those behind would
    stand elsewhere: it goes as a whole."""
    if not place:
        return _NOTHING
    first, rest = place[0], place[1:]
    if isinstance(data, dict) and first in data:
        inner = _without(data[first], rest)
        kept = {key: part for key, part in data.items() if key != first}
        return kept if inner is _NOTHING else {**kept, first: inner}
    if isinstance(data, list) and isinstance(first, int) and first < len(data):
        inner = _without(data[first], rest)
        return _NOTHING if inner is _NOTHING else [*data[:first], inner, *data[first + 1 :]]
    return _NOTHING


def _told(error: ValidationError, form: type[BaseModel], pointer: str) -> Iterator[Fault]:
    for found in error.errors(include_url=False, include_context=False, include_input=False)[:_MOST_TOLD]:
        place = "".join(f"/{str(part)[:100].replace('~', '~0').replace('/', '~1')}" for part in found["loc"])
        yield Fault(pointer + place, *_words(found, form))


def _words(found: Any, form: type[BaseModel]) -> tuple[str, str]:
    """Return code and sentence of a finding of pydantic's, without what was found."""
    kind = found["type"]
    if kind == "extra_forbidden":
        known = [name for model in (form, *_inner(form)) for name in model.model_fields]
        close = get_close_matches(str(found["loc"][-1])[:100], known, n=1)
        return "record.unknown-key", "this key is not known" + (f"; did you mean {close[0]}?" if close else "")
    if kind == "missing":
        return "record.missing", "this key is missing"
    if kind in ("string_too_long", "too_long"):
        return "record.too-long", found["msg"].replace("String should", "text should").split(", not")[0]
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        return "record.value", "expected a JSON object, as it is and not as text"
    if "." in kind:
        return kind, found["msg"]
    words = (
        found["msg"].replace("Input should be", "expected").replace("String should match pattern", "expected text like")
    )
    return "record.value", words.replace("String should", "text should")


def _inner(form: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for field in form.model_fields.values():
        for model in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(model, type) and issubclass(model, BaseModel):
                yield model
                yield from _inner(model)
