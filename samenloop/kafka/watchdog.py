"""Ends the process when one of its loops no longer turns. Needs no GIL.

Two guards watch each other's blind spot. A Python thread looks at every loop's heartbeat once a second and ends the
process when one is overdue: that catches a call that blocks in C without the GIL. The same thread re-arms a timer of
`faulthandler`, which is a plain C thread: when a native call keeps the GIL, nobody re-arms it, and it ends the process.
The timer exists once per process, so all loops of a process share one watchdog.
"""

from __future__ import annotations

import faulthandler
import sys
import threading
import time
from types import TracebackType

from samenloop.kafka.exits import Exit, leave

_LOOK_EVERY_SECONDS = 1.0


class Heart:
    """The heartbeat of one loop; a context manager, so that a loop that ends is no longer watched."""

    def __init__(self, name: str, seconds: float) -> None:
        self.name = name
        self.seconds = seconds
        self.due = float("inf")

    def beat(self, allowance_seconds: float | None = None) -> None:
        """Promise the next beat within *allowance_seconds* (default: this loop's own limit)."""
        self.due = time.monotonic() + (allowance_seconds or self.seconds)

    def __enter__(self) -> Heart:
        self.beat()
        _watchdog.add(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        _watchdog.remove(self)


class _Watchdog:
    def __init__(self) -> None:
        self._hearts: set[Heart] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, heart: Heart) -> None:
        with self._changed:
            self._hearts.add(heart)
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
                self._thread.start()

    def remove(self, heart: Heart) -> None:
        with self._changed:
            self._hearts.discard(heart)
            self._changed.notify()

    def _watch(self) -> None:
        while True:
            with self._changed:
                if not self._hearts:
                    faulthandler.cancel_dump_traceback_later()
                    self._thread = None
                    return
                hearts = tuple(self._hearts)
                faulthandler.dump_traceback_later(min(heart.seconds for heart in hearts), exit=True)
            now = time.monotonic()
            for heart in hearts:
                if now > heart.due:
                    faulthandler.dump_traceback(sys.stderr)
                    leave(Exit.CRASHED, loop=heart.name, overdue_seconds=round(now - heart.due, 1))
            with self._changed:
                self._changed.wait(_LOOK_EVERY_SECONDS)


_watchdog = _Watchdog()
