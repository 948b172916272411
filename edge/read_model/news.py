"""Tells those who wait that something new can be read: threads by `wait`, an event loop by `listen`."""

from __future__ import annotations

import threading
from collections.abc import Callable


class News:
    """A number that rises with every batch that was written."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._number = 0
        self._listeners: set[Callable[[], object]] = set()

    @property
    def number(self) -> int:
        """Take it before reading, and hand it to `wait`: what is written meanwhile is not missed."""
        return self._number

    def tell(self) -> None:
        """Say that something new was written."""
        with self._condition:
            self._number += 1
            self._condition.notify_all()
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener()

    def wait(self, seen: int, timeout_seconds: float) -> int:
        """Wait until there is more than when the number was *seen*; returns the number there is then."""
        with self._condition:
            self._condition.wait_for(lambda: self._number > seen, timeout_seconds)
            return self._number

    def listen(self, listener: Callable[[], object]) -> Callable[[], None]:
        """Call *listener*, in the writer's thread, at every batch; returns what ends that.

        An event loop passes ``lambda: loop.call_soon_threadsafe(event.set)``.
        """
        with self._condition:
            self._listeners.add(listener)

        def end() -> None:
            with self._condition:
                self._listeners.discard(listener)

        return end
