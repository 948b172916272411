"""Has the source's record changed? A hash of the compared fields, whatever their way of writing.

Dates count as days, texts trimmed, "" as nothing. It decides what is counted; the plan's content hash decides what is
published.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import orjson

from connectors.sources.file_snapshots.fields import Row, fields_of
from connectors.sources.file_snapshots.periods import comparable
from connectors.sources.file_snapshots.profile import ExportProfile
from connectors.sources.file_snapshots.works import Work

GEOMETRY = "geometry"


def fingerprint(profile: ExportProfile, work: Work) -> bytes:
    """Return SHA-256 (32 bytes) of the compared fields of a work; the order of its rows and fields plays no part."""
    rows = sorted(orjson.dumps(list(_compared(profile, row)), option=orjson.OPT_SORT_KEYS) for row in work.rows)
    return sha256(b"\n".join(dict.fromkeys(rows))).digest()


def _compared(profile: ExportProfile, row: Row) -> Iterator[tuple[str, Any]]:
    dates = fields_of(profile.period.names) if profile.period else ()
    dropped = {drop.field for drop in profile.drop if drop.when is None}
    names = sorted(profile.compare or [*(n for n in row.properties if n not in dropped), GEOMETRY])
    for name in names:
        value = row.geometry if name == GEOMETRY and name not in row.properties else row.value(name)
        if value is not None and name in dates and profile.period:
            value = comparable(value, profile.period, profile.tz)
        if value is not None:
            yield name, value
