"""From rows to works: rows of one id belong together."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.sources.file_snapshots.documents import Document
from connectors.sources.file_snapshots.fields import Row
from connectors.sources.file_snapshots.profile import IdProfile
from samenloop.errors import Reject
from samenloop.texts import shape_of

LONGEST_ID = 120


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """The rows of one id, in an order that does not depend on the file's; or one row that cannot be read."""

    rows: tuple[Row, ...]
    local_id: str | None
    document: Document
    problem: Reject | None = None

    @property
    def position(self) -> int:
        """Place of the first row in the file, from 1."""
        return min(row.position for row in self.rows)

    def original(self) -> bytes:
        """Return the rows as they stood in the file."""
        return b"\n".join(self.document.original(position) for position in sorted(row.position for row in self.rows))

    @property
    def merged(self) -> Row:
        """The first row, with its empty fields filled from the others."""
        first = self.rows[0]
        if len(self.rows) == 1:
            return first
        properties: dict[str, Any] = {}
        for row in self.rows:
            properties |= {n: v for n, v in row.properties.items() if properties.get(n) in (None, "")}
        return Row(first.position, properties, first.geometry, first.feature_id, first.nulls)


def read_works(profile: IdProfile, document: Document) -> list[Work]:
    """Group the rows of *document* by id, in the order of the file.

    Rows without a readable id, and broken rows, stand alone with their problem.
    """
    groups: dict[str, list[Row]] = {}
    alone: list[Work] = []
    for row in document.rows:
        problem = document.broken.get(row.position)
        local_id = None
        try:
            local_id = read_id(profile, row)
        except Reject as error:
            problem = problem or error
        if local_id is not None and problem is None and profile.duplicates == "reject" and local_id in groups:
            problem = Reject("id.duplicate", "the id stands in an earlier row too", field=profile.field[0])
        if problem or local_id is None:
            alone.append(Work((row,), local_id, document, problem))
        else:
            groups.setdefault(local_id, []).append(row)
    works = [Work(_ordered(rows), local_id, document) for local_id, rows in groups.items()]
    return sorted([*works, *alone], key=lambda work: work.position)


def read_id(profile: IdProfile, row: Row) -> str:
    """Return the id of *row* as text. Raises Reject: `id.missing`, `id.unexpected`."""
    text = row.first(profile.field)
    names = " or ".join(profile.field)
    if text is None:
        raise Reject("id.missing", f"{names}: found nothing, expected the id of the work", field=profile.field[0])
    if len(text) > LONGEST_ID:
        raise Reject("id.unexpected", f"{names}: found {len(text)} characters, expected {LONGEST_ID} at most")
    if profile.pattern and not re.fullmatch(profile.pattern, text):
        found = f"{names}: found {shape_of(text)}, expected the form of `id.pattern`"
        raise Reject("id.unexpected", found, field=profile.field[0])
    return text


def _ordered(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Rows in the order of their content; identical rows once."""
    if len(rows) == 1:
        return tuple(rows)
    by_text = {_canonical(row.properties, row.geometry): row for row in reversed(rows)}
    return tuple(by_text[text] for text in sorted(by_text))


def _canonical(properties: Mapping[str, Any], geometry: Any) -> str:
    return json.dumps([properties, geometry], sort_keys=True, ensure_ascii=False)
