"""Yields the state of every source system: topic `sources`, from `polls` and `dead-letters`. A view on Faust.

What it promises: **every status in `sources` comes to equal a recount of the topics** (`samenloop.source_health`), at
the latest one recount (`views.recount_every_seconds`) after the last crash, kill, rebalance, or loss of its tables.
Until then a status may lag; it is never made of records that were not committed, and no poll or dead letter is counted
twice. It is a view: nothing is decided by it, and when it is down `observed_at` stands still and all else goes on.

How:

* Faust can commit a position past a record that is still in flight, so its positions are not trusted. A recount reads
  both topics themselves, whole after each assignment and the window of 24 hours later on, and mends what differs.
* A poll counts once, by its offset in `polls`; a dead letter once, by its id. Hearing anything again changes nothing.
* Only committed records are read: `polls` is written in transactions.
* Agents on `polls` and `dead-letters` (three partitions, any number of workers) hand the records on to the internal
  topic `health-facts`, which has one partition: its one owner holds the tables and is the only writer of `sources`;
  the others stand by. What a worker that was frozen writes late, the next recount of the new owner mends.
* Its topics are made by `samenloop topics apply`. Faust makes none, also no topic for a leader: the owner of the one
  partition leads.

Faust is imported when it runs: whoever only asks for the name or the inputs of the view does not wait for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Self

from samenloop import clock, systems
from samenloop.contract import Codec
from samenloop.settings import Hub
from samenloop.source_health import System


class Health:
    """The view: what it reads, and how it is run. *now* is the clock; *described* are the sources of the settings."""

    name = "health"
    lead = "polls"
    follows: Sequence[str] = ("dead-letters", "health-facts")

    def __init__(
        self,
        hub: Hub,
        codec: Codec,
        described: Sequence[System],
        *,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self.hub, self.codec, self.described, self.now = hub, codec, described, now

    @classmethod
    def from_hub(cls, hub: Hub, codec: Codec) -> Self:
        """Return the view of *hub*. A profile that cannot be read is no obstacle: it is shown."""
        return cls(hub, codec, systems.described(hub))

    def run(
        self, stop: threading.Event, *, on_turn: Callable[[], object] = bool, on_ready: Callable[[], object] = bool
    ) -> None:
        """Run until *stop* is set. Raises BadSettings for a store that is not installed, Retry when Kafka is away."""
        from streams.health.worker import run  # noqa: PLC0415 - Faust is slow to import

        run(self, stop, on_turn=on_turn, on_ready=on_ready)
