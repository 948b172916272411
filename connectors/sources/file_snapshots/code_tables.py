"""Code tables: from the words of a source to the words of the hub, as data.

A table looks at one field, or at several joined by " + ". Rules are tried first, in order; then the table; then the
default. A code that is in neither gives the default, keeps its text in `source_fields` and is reported as unmapped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

from connectors.sources.file_snapshots.fields import Names, Row, as_text, fields_of
from samenloop.model import (
    Certainty,
    Force,
    Phase,
    PlanKind,
    RestrictionKind,
    RestrictionStatus,
    TrafficImpact,
    Visibility,
)
from samenloop.source import Note
from samenloop.source_settings import Kinds
from samenloop.yamlfile import Model

V = TypeVar("V")
AND = " + "


def _regex(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    return text


def _text(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, (int, float)) else value


def _texts(value: Any) -> Any:
    return [_text(item) for item in value] if isinstance(value, list) else [_text(value)]


def _text_keys(value: Any) -> Any:
    return {"" if k is None else _text(k): v for k, v in value.items()} if isinstance(value, dict) else value


def _upper(value: Any) -> Any:
    return value.strip().upper() if isinstance(value, str) else value


Pattern = Annotated[str, AfterValidator(_regex)]
Text = Annotated[str, BeforeValidator(_text)]


class Condition(Model):
    """What a field must hold; several keys must all hold, and `and` adds another field."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    field: str | None = Field(None, description="default: the field of the table")
    equals: Annotated[tuple[str, ...], BeforeValidator(_texts)] = Field((), description="one text or several")
    starts_with: Text | None = Field(None, description="text")
    ends_with: Text | None = Field(None, description="text")
    contains: Text | None = Field(None, description="text")
    matches: Pattern | None = Field(None, description="regular expression somewhere in the text")
    filled: bool | None = Field(None, description="true: says something; false: is empty")
    and_: Condition | None = Field(None, alias="and", description="a second condition")

    def holds(self, row: Row, fields: tuple[str, ...] = ()) -> bool:
        """Say whether *row* meets it; *fields* are those of the table around it."""
        text = row.text(self.field) if self.field else joined(row, fields)
        if self.filled is not None and (text is not None) != self.filled:
            return False
        wanted = (self.equals, self.starts_with, self.ends_with, self.contains, self.matches)
        if any(wanted) and (text is None or not self._fits(text)):
            return False
        return self.and_ is None or self.and_.holds(row, fields)

    def _fits(self, text: str) -> bool:
        return (
            (not self.equals or text in self.equals)
            and (not self.starts_with or text.startswith(self.starts_with))
            and (not self.ends_with or text.endswith(self.ends_with))
            and (not self.contains or self.contains in text)
            and (not self.matches or re.search(self.matches, text) is not None)
        )

    @property
    def names(self) -> Iterator[str]:
        """The fields it names."""
        if self.field:
            yield self.field
        if self.and_:
            yield from self.and_.names


class Rule(Condition, Generic[V]):
    """A condition and the word it leads to (`is`)."""

    is_: V = Field(alias="is", description="what it means")


class CodeTable(Model, Generic[V]):
    """A field, rules, a table and a default; a bare word in the profile is the default of an empty table."""

    field: Names = Field((), description="one field, or several that are joined by ' + '")
    when: tuple[Rule[V], ...] = Field((), max_length=200, description="rules, tried in order before the map")
    split: str | None = Field(None, min_length=1, description="text between several codes in one field")
    ignore_suffix: str | None = Field(None, description="text cut off before the map is asked")
    map: Annotated[dict[str, V], BeforeValidator(_text_keys)] = Field(
        {}, max_length=2000, description="source code: word of the hub; * stands for anything"
    )
    default: V | None = Field(None, description="for what is missing or not listed")

    @property
    def names(self) -> tuple[str, ...]:
        """The fields it looks at."""
        return (*fields_of(self.field), *fields_of([name for rule in self.when for name in rule.names]))


@dataclass(frozen=True, slots=True)
class Looked(Generic[V]):
    """What a table gave: None where it has no answer and no default."""

    value: V | None
    notes: tuple[Note, ...] = ()


def look_up(table: CodeTable[V], row: Row, key: str = "") -> Looked[V]:
    """Return the word of the hub for *row*; an unlisted code is noted as `code.unmapped` of the table *key*.

    Of several codes in one field the first that is listed counts; where a code means several words, all of them.
    """
    for rule in table.when:
        if rule.holds(row, table.field):
            return Looked(rule.is_)
    codes = _codes(table, row)
    if not codes:
        return Looked(table.map.get("", table.default))
    listed = {code: _listed(table, code) for code in codes}
    notes = tuple(Note("code.unmapped", AND.join(table.field), c, key) for c, word in listed.items() if word is None)
    words: list[Any] = [word for word in listed.values() if word is not None]
    if not words:
        return Looked(table.default, notes)
    return Looked(sum(words[1:], words[0]) if isinstance(words[0], tuple) else words[0], notes)


def _codes(table: CodeTable[V], row: Row) -> list[str]:
    """Return the codes of a row: the elements of a list, the parts of a text that is split, or the one there is."""
    value = row.value(table.field[0]) if len(table.field) == 1 else None
    if isinstance(value, list):
        return [text for item in value if (text := as_text(item))]
    code = joined(row, table.field)
    if code is None:
        return []
    return [part for text in code.split(table.split) if (part := text.strip())] if table.split else [code]


def joined(row: Row, fields: tuple[str, ...]) -> str | None:
    """Return the fields as one code; a missing one of several is "-", all missing is None."""
    texts = [row.text(name) for name in fields]
    if not any(texts):
        return None
    return AND.join(text or "-" for text in texts)


def _listed(table: CodeTable[V], code: str) -> V | None:
    bare = code.removesuffix(table.ignore_suffix).strip() if table.ignore_suffix else code
    for candidate in (code, bare):
        if candidate in table.map:
            return table.map[candidate]
    folded = bare.casefold()
    for key, value in table.map.items():
        if key.strip().casefold() == folded or ("*" in key and fnmatchcase(folded, key.casefold())):
            return value
    return None


def _short(value: Any) -> Any:
    """A bare word is a constant."""
    return value if isinstance(value, dict) else {"default": value}


PhaseTable = Annotated[CodeTable[Annotated[Phase, BeforeValidator(_upper)]], BeforeValidator(_short)]
CertaintyTable = Annotated[CodeTable[Annotated[Certainty, BeforeValidator(_upper)]], BeforeValidator(_short)]
VisibilityTable = Annotated[CodeTable[Annotated[Visibility, BeforeValidator(_upper)]], BeforeValidator(_short)]
KindTable = Annotated[CodeTable[Annotated[PlanKind, BeforeValidator(_upper)]], BeforeValidator(_short)]
TrafficTable = Annotated[CodeTable[Annotated[TrafficImpact, BeforeValidator(_upper)]], BeforeValidator(_short)]
WorkKindTable = Annotated[CodeTable[Kinds], BeforeValidator(_short)]
BooleanTable = Annotated[CodeTable[bool], BeforeValidator(_short)]
RestrictionKindTable = Annotated[
    CodeTable[Annotated[RestrictionKind, BeforeValidator(_upper)]], BeforeValidator(_short)
]
StatusTable = Annotated[CodeTable[Annotated[RestrictionStatus, BeforeValidator(_upper)]], BeforeValidator(_short)]
ForceTable = Annotated[CodeTable[Annotated[Force, BeforeValidator(_upper)]], BeforeValidator(_short)]
