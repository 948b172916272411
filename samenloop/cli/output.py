"""How commands speak: sentences and tables for people, one JSON document for machines."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import orjson


def say(text: str = "") -> None:
    """Print a line for a person."""
    print(text)


def warn(text: str) -> None:
    """Print a line that must not end up in a machine's input."""
    print(text, file=sys.stderr)


def emit(value: object) -> None:
    """Print one JSON document; dates as ISO, instants in UTC."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS
    print(orjson.dumps(value, default=str, option=options).decode())


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under their heads, columns aligned; an empty cell is shown as a dash."""
    cells = [["-" if cell is None or cell == "" else str(cell) for cell in row] for row in rows]
    widths = [max(len(line[i]) for line in [list(heads), *cells]) for i in range(len(heads))]
    for line in [list(heads), *cells]:
        print("  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())
