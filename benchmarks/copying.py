"""What moving the records costs when nothing is done with them: the floor under every figure through Kafka.

    python -m benchmarks.copying consolidate|detect HUB_YAML

The same loop, clients, topics, headers and transactions as the hub's own stages, and records of the same size; only
reading, judging and writing what is inside is left out. It takes the place of the stage of that name in its group.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from samenloop.kafka import run_stage
from samenloop.settings import load_hub
from samenloop.stage import Assignment, Headers, Output, Partition, Record

FINDINGS_A_CHANGE = 0.57
"""As measured with the load of the benchmark."""
_FINDING = b"\x00" * 880
_HEADERS: Headers = tuple((f"ce_attribute{number}", b"u" * 45) for number in range(12))
_KEPT = ("ce_correlationid", "ce_dataschema")


class Copying:
    """Stands where the stage *name* stands, and copies."""

    follows: Sequence[str] = ()

    def __init__(self, name: str) -> None:
        self.name = name
        self.lead = {"consolidate": "plan-changes", "detect": "plan-regions"}[name]
        self._owed = 0.0

    def assign(self, _: Assignment) -> Sequence[Output]:
        """Nothing is rebuilt."""
        return ()

    def revoke(self, _: Collection[int]) -> None:
        """Nothing is forgotten."""

    def process(self, batch: Sequence[Record], _: datetime) -> Sequence[Output]:
        """Copy."""
        return self._changes(batch) if self.name == "consolidate" else self._rows(batch)

    def idle(self, _: datetime) -> Sequence[Output]:
        """Nothing comes with time."""
        return ()

    def held(self) -> Mapping[Partition, int]:
        """Nothing waits."""
        return {}

    def _changes(self, batch: Sequence[Record]) -> list[Output]:
        made = []
        for record in batch:
            few = tuple(header for header in record.headers if header[0] in _KEPT)
            made.append(Output("plan-states", record.key, record.value, record.headers, record.partition))
            made.append(Output("plan-regions", record.key, record.value, few, 0))
        return made

    def _rows(self, batch: Sequence[Record]) -> list[Output]:
        made = []
        for record in batch:
            self._owed += FINDINGS_A_CHANGE
            if self._owed >= 1:
                self._owed -= 1
                made.append(Output("conflicts", record.key, _FINDING, _HEADERS))
        return made


def main(name: str, hub: Path) -> None:
    """Copy until a signal comes."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    kafka = load_hub(hub, {}).kafka
    run_stage(Copying(name), kafka, slot="0", stop=stop, on_ready=lambda: print("process.ready", flush=True))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
