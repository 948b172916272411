"""Pages of a list that is in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from edge.problems import Fault, Problem

T = TypeVar("T")


def page_of(found: Sequence[tuple[str, T]], after: str | None, limit: int) -> tuple[list[T], bool]:
    """Return what follows the one named *after*, at most *limit*, and whether more does. Raises Problem("malformed").

    A name that is another's is as unknown as one that never was.
    """
    start = 0
    if after is not None:
        start = next((number for number, (name, _) in enumerate(found, 1) if name == after), 0)
        if not start:
            fault = Fault("/query/after", "request.parameter", "expected what `next` said; begin again without it")
            raise Problem("malformed", "The place to go on from is not known.", [fault])
    return [one for _, one in found[start : start + limit]], len(found) > start + limit
