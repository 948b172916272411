"""A worker for the tests: counts the records of each key, so that one lost or doubled shows in what it wrote.

Run as a script: ``ledger.py KAFKA_SETTINGS_JSON STAGE SLOT [TROUBLE]``. What it does is told on stdout, a word a line.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from samenloop.contract.topics import Topic
from samenloop.kafka import clients, run_stage
from samenloop.model import PlanState
from samenloop.settings import Kafka
from samenloop.stage import Assignment, Output, Partition, Record

COMPACT = {"cleanup.policy": "compact", "min.compaction.lag.ms": "604800000"}
TOPICS = {
    topic.name: topic
    for topic in (
        Topic("shared", PlanState, "key", "delete", 4, {"cleanup.policy": "delete"}),
        Topic("single", PlanState, "key", "delete", 1, {"cleanup.policy": "delete"}),
        Topic("followed", PlanState, "key", "delete", 3, {"cleanup.policy": "delete"}),
        Topic("counts", PlanState, "key", "compact", 4, COMPACT),
    )
}
GROUPS = {"many": ["shared"], "one": ["single", "followed"], "holding": ["single"]}


class Ledger:
    """Writes each key with its count so far; the state is rebuilt from what was written."""

    def __init__(self, name: str, trouble: str = "") -> None:
        self.name = name
        self.lead, *self.follows = GROUPS.get(name, ["shared"])
        self.counts: dict[str, int] = {}
        self.partition_of: dict[str, int] = {}
        self.waiting: list[Record] = []
        self.trouble = trouble

    def assign(self, assignment: Assignment) -> Sequence[Output]:
        if self.trouble == "refuses":
            raise RuntimeError("cannot rebuild")
        wanted = assignment.partitions if self.lead == "shared" else None
        for record in assignment.read("counts", wanted, until="end"):
            self.counts[record.key] = int(record.value or b"0")
            self.partition_of[record.key] = record.partition
        say("assigned", *sorted(assignment.partitions))
        return [Output("counts", f"started-{len(self.counts)}", b"1", partition=min(assignment.partitions))]

    def revoke(self, partitions: Collection[int]) -> None:
        say("revoked", *sorted(partitions))
        for key in [key for key, number in self.partition_of.items() if number in partitions]:
            del self.counts[key], self.partition_of[key]

    def process(self, batch: Sequence[Record], now: datetime) -> Sequence[Output]:
        say("batch", len(batch))
        if self.trouble == "freezes":
            os.kill(os.getpid(), signal.SIGSTOP)
            time.sleep(2)  # the client learns meanwhile that the group has gone on
        if self.trouble == "sleeps":
            time.sleep(600)
        if self.trouble == "keeps-the-gil":
            ctypes.PyDLL(None).sleep(600)
        if self.name == "holding":
            self.waiting += batch
            return []
        outputs = []
        for record in batch:
            partition = record.partition if record.topic == "shared" else None
            self.counts[record.key] = self.counts.get(record.key, 0) + 1
            self.partition_of[record.key] = record.partition
            outputs.append(Output("counts", record.key, b"%d" % self.counts[record.key], partition=partition))
        return outputs

    def idle(self, now: datetime) -> Sequence[Output]:
        """Let go of one record at a time, and of the last two never."""
        if len(self.waiting) <= 2:
            return []
        record = self.waiting.pop(0)
        return [Output("counts", record.key, b"%d" % (record.offset + 1))]

    def held(self) -> Mapping[Partition, int]:
        return {(self.waiting[0].topic, 0): self.waiting[0].offset} if self.waiting else {}


class DyingProducer:
    """A producer that kills its process in the third transaction, before the call named *where*."""

    def __init__(self, producer: object, where: str) -> None:
        self._producer, self._where, self._begun = producer, where, 0

    def __getattr__(self, name: str) -> object:
        self._begun += name == "begin_transaction"
        if name == self._where and self._begun == 3:
            self._producer.poll(0.5)  # what was produced is on its way
            os.kill(os.getpid(), signal.SIGKILL)
        return getattr(self._producer, name)


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def main(settings: str, name: str, slot: str, trouble: str = "") -> None:
    if trouble.startswith("dies-before-"):
        make = clients.transactional_producer
        where = trouble.removeprefix("dies-before-")
        clients.transactional_producer = lambda *arguments: DyingProducer(make(*arguments), where)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    stage = Ledger(name, trouble)
    run_stage(stage, Kafka.model_validate_json(settings), slot=slot, stop=stop, on_ready=lambda: say("ready"))
    say("stopped")


if __name__ == "__main__":
    main(*sys.argv[1:])
