"""One thing that was looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warn", "fail"]
MOST = 10
"""Lines of one kind; what is beyond is counted."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: *found* says what is there, *mend* is the line that helps when it is not ok."""

    name: str
    state: State
    found: str
    mend: str = ""


def bounded(checks: Sequence[Check]) -> list[Check]:
    """Return *checks* of one kind, so many at most; the last line then counts the others."""
    if len(checks) <= MOST:
        return list(checks)
    kept, last = checks[: MOST - 1], checks[-1]
    return [*kept, Check(last.name, last.state, f"and {len(checks) - len(kept)} more of that kind", last.mend)]
