"""Fields of a row as text: looked up by name, path or template, trimmed, with "" and its like as nothing."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

FEATURE_ID = "feature.id"
"""Name by which a profile reaches the `id` member of a GeoJSON feature, outside its properties."""

_SPACES = re.compile(r"\s+")
_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")


def _listed(value: Any) -> Any:
    if isinstance(value, (str, int)):
        value = [value]
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, (str, int)) for item in value):
        raise ValueError("expected a field name or a list of them")
    return [str(item) for item in value]


Names = Annotated[tuple[str, ...], BeforeValidator(_listed), Field(max_length=50)]
"""One field name or a list of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One row of an export: its fields, and for GeoJSON its geometry and feature id. *position* counts from 1."""

    position: int
    properties: Mapping[str, Any]
    geometry: Any = None
    feature_id: Any = None
    nulls: frozenset[str] = frozenset()

    def value(self, name: str) -> Any:
        """Return the value of a field, None where it is absent or says nothing.

        A name that is not a field is read as a template (`{day} {hour}`) or a path (`validity.from`); `feature.id` is
        the feature's own id.
        """
        found: Any = self.properties.get(name)
        if found is None and name not in self.properties:
            found = self._template(name) if "{" in name else self._path(name)
        if isinstance(found, str):
            found = found.strip()
            found = found if found.isascii() else unicodedata.normalize("NFC", found)
            return None if found in self.nulls or not found else found
        return found

    def text(self, name: str) -> str | None:
        """Return the value of a field as text: numbers without a needless .0, true and false in lower case."""
        return as_text(self.value(name))

    def first(self, names: Sequence[str]) -> str | None:
        """Return the first of several fields that says something."""
        return next((text for name in names if (text := self.text(name)) is not None), None)

    def has(self, name: str) -> bool:
        """Say whether the row has the field at all, filled or not; of a template any of its fields."""
        return name in self.properties or any(self._path(field) is not None for field in fields_of([name]))

    def _template(self, name: str) -> str | None:
        """Return a text with `{field}` in it; None when none of its fields says anything."""
        values = {field: self.text(field) for field in _PLACEHOLDER.findall(name)}
        if not any(values.values()):
            return None
        return _SPACES.sub(" ", _PLACEHOLDER.sub(lambda m: values[m[1]] or "", name)).strip(" ,;:-–()/") or None

    def _path(self, name: str) -> Any:
        if name in (FEATURE_ID, "id") and self.feature_id is not None:
            return self.feature_id
        found: Any = self.properties
        for part in name.split("."):
            if not isinstance(found, Mapping):
                return None
            found = found.get(part)
        return found


def as_text(value: Any) -> str | None:
    """Return a scalar as text, a list of scalars as `a, b`; None for null, an object or a list of objects."""
    if isinstance(value, list):
        texts = [as_text(item) for item in value if not isinstance(item, list)]
        return ", ".join(filter(None, texts)) or None
    if value is None or isinstance(value, Mapping):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)


def fields_of(names: Sequence[str]) -> list[str]:
    """Return the field names in a list of names and templates."""
    return [field for name in names for field in (_PLACEHOLDER.findall(name) or [name])]
