"""What a benchmark yields."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple


class Row(NamedTuple):
    """One figure: *peer* is what it is compared with, *ratio* ours to the peer's; *note* says why one is missing."""

    name: str
    value: float | None
    unit: str
    peer: str | None = None
    ratio: float | None = None
    note: str = ""


class Meter:
    """Seconds of this process's CPU inside `running`."""

    def __init__(self) -> None:
        self.cpu_s = 0.0
        self.wall_s = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count what happens inside."""
        cpu, wall = time.process_time(), time.perf_counter()
        try:
            yield
        finally:
            self.cpu_s += time.process_time() - cpu
            self.wall_s += time.perf_counter() - wall
