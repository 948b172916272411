"""Patience: how many requests a partner may make, by a token bucket in each process."""

from __future__ import annotations

import math
import time
from collections.abc import Callable


class Buckets:
    """One bucket per partner; it holds *at_once* tokens and fills at *per_minute*. Used from the event loop only."""

    def __init__(self, per_minute: float, at_once: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._size, self._clock = per_minute / 60, float(at_once), clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, partner: str) -> int:
        """Take a token; returns 0, or the whole seconds to wait when there is none. Partners bound their number."""
        now = self._clock()
        tokens, at = self._buckets.get(partner, (self._size, now))
        tokens = min(self._size, tokens + (now - at) * self._rate)
        if tokens < 1:
            self._buckets[partner] = (tokens, now)
            return max(1, math.ceil((1 - tokens) / self._rate))
        self._buckets[partner] = (tokens - 1, now)
        return 0
