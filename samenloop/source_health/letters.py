"""Dead letters of the last 24 hours: each counts once, for the system its record came from."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from samenloop.model import DeadLetter
from samenloop.source_health.accounts import WINDOW_HOURS, hour_of

MOST_LETTERS = 50_000
"""Different dead letters counted for one system; beyond it the count stands still and means *at least*."""


class Letters:
    """Dead letters of the window: by system, the last hour of each letter's id."""

    def __init__(self) -> None:
        self._hours: dict[str, dict[str, int]] = {}

    def add(self, system: str, letter_id: str, hour: int) -> bool:
        """Count a letter; say whether that changed anything."""
        hours = self._hours.setdefault(system, {})
        if hours.get(letter_id, -1) >= hour or (letter_id not in hours and len(hours) >= MOST_LETTERS):
            return False
        hours[letter_id] = hour
        return True

    def forget_before(self, now: datetime) -> list[str]:
        """Drop what left the window; return the ids."""
        first = hour_of(now) - WINDOW_HOURS + 1
        dropped = [key for hours in self._hours.values() for key, hour in hours.items() if hour < first]
        self._hours = {
            system: kept
            for system, hours in self._hours.items()
            if (kept := {key: hour for key, hour in hours.items() if hour >= first})
        }
        return dropped

    def count(self, system: str, now: datetime) -> int:
        """Return how many different records of *system* were set aside in the last 24 hours."""
        first = hour_of(now) - WINDOW_HOURS + 1
        return sum(hour >= first for hour in self._hours.get(system, {}).values())

    def items(self) -> Iterator[tuple[str, tuple[str, int]]]:
        """Yield each letter's id with its system and hour."""
        for system, hours in self._hours.items():
            yield from ((key, (system, hour)) for key, hour in hours.items())


def letter_system(letter: DeadLetter) -> str | None:
    """Return the system from which the record in *letter* came; None when nothing says so."""
    if letter.system:
        return letter.system
    found = next((header.value for header in letter.headers if header.name == "ce_source"), None)
    return found.decode("utf-8", "replace") if found else None
