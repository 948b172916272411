"""Patience: how many requests a partner may make, how many wrong keys an address; token buckets in each process."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

WRONG_KEYS_AT_ONCE = 10


class Buckets:
    """One bucket per name; it holds *at_once* tokens and fills at *per_minute*. Used from the event loop only.

    No more than *most* are remembered: the one that was asked least lately is forgotten, and is full when it returns.
    """

    def __init__(
        self, per_minute: float, at_once: int, *, most: int = 10_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate, self._size, self._most, self._clock = per_minute / 60, float(at_once), most, clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, name: str) -> int:
        """Take a token; returns 0, or the whole seconds to wait when there is none."""
        now = self._clock()
        tokens, at = self._buckets.pop(name, (self._size, now))  # in again at the end: the first is the oldest
        tokens = min(self._size, tokens + (now - at) * self._rate)
        if len(self._buckets) >= self._most:
            del self._buckets[next(iter(self._buckets))]
        self._buckets[name] = (tokens - 1 if tokens >= 1 else tokens, now)
        return 0 if tokens >= 1 else max(1, math.ceil((1 - tokens) / self._rate))
