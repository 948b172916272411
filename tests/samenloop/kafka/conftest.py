"""A prefix of its own for each test, topics in it, and workers that are gone when the test is."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from samenloop.kafka import apply_topics, publish, read_topic
from samenloop.localstack import LocalStack
from samenloop.settings import Kafka
from samenloop.stage import Output
from tests.samenloop.kafka import ledger

SCRIPT = Path(ledger.__file__)
PATIENCE_SECONDS = 90.0
"""How long a machine that is busy with other tests may take over what takes a second or two."""


class Worker:
    """A ledger in a process of its own."""

    def __init__(self, kafka: Kafka, stage: str, slot: str = "0", trouble: str = "") -> None:
        command = [sys.executable, str(SCRIPT), kafka.model_dump_json(), stage, slot, trouble]
        environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parents[3])}
        self.process = subprocess.Popen(
            command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.said: list[str] = []
        self.errors: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=(stream, lines), daemon=True)
            for stream, lines in ((self.process.stdout, self.said), (self.process.stderr, self.errors))
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: object, lines: list[str]) -> None:
        for line in stream:  # type: ignore[attr-defined]
            lines.append(line.rstrip("\n"))

    def wait_for(self, word: str, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until it has said a line that begins with *word*."""
        wait_until(lambda: any(line.startswith(word) for line in self.said), seconds, lambda: self.told)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def exit_code(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Wait for its end."""
        code = self.process.wait(seconds)
        for reader in self._readers:
            reader.join(5)
        return code

    def given_up(self, seconds: float = PATIENCE_SECONDS) -> int | None:
        """Wait until it has ended or handed its state back; return its exit code, None while it stands by."""
        wait_until(lambda: self.process.poll() is not None or "revoked 0" in self.said, seconds, lambda: self.told)
        return self.process.poll()

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.exit_code()
        for stream in (self.process.stdout, self.process.stderr):
            stream.close()  # type: ignore[union-attr]

    @property
    def told(self) -> str:
        return "\n".join([*self.said, *self.errors])


def wait_until(done: Callable[[], object], seconds: float, told: Callable[[], str] = str) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"it did not happen within {seconds} s\n{told()}"
        time.sleep(0.05)


class Hub:
    """Topics under a prefix of their own, and what is written to and read from them."""

    def __init__(self, bootstrap: str) -> None:
        self.kafka = Kafka(
            bootstrap_servers=bootstrap,
            prefix=f"t{uuid4().hex[:8]}.",
            session_timeout_seconds=6,
            transaction_timeout_seconds=5,
            watchdog_seconds=5,
        )
        self.workers: list[Worker] = []
        apply_topics(self.kafka, ledger.TOPICS, ledger.GROUPS)

    def worker(self, stage: str, slot: str = "0", trouble: str = "", **settings: object) -> Worker:
        self.workers.append(Worker(self.kafka.model_copy(update=settings), stage, slot, trouble))
        return self.workers[-1]

    def write(self, topic: str, keys: list[str]) -> None:
        publish(self.kafka, [Output(topic, key, b"x") for key in keys])

    def counts(self) -> dict[str, list[int]]:
        """What was committed: the counts of each key in the order in which they were written."""
        written: dict[str, list[int]] = {}
        for record in read_topic(self.kafka, "counts"):
            if not record.key.startswith("started"):
                written.setdefault(record.key, []).append(int(record.value or b"0"))
        return written

    def wait_for_total(self, total: int, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until *total* records were counted."""
        told = lambda: "\n--\n".join(worker.told for worker in self.workers)  # noqa: E731
        wait_until(lambda: sum(map(len, self.counts().values())) >= total, seconds, told)


@pytest.fixture
def make_hub(local_stack: LocalStack) -> Iterator[Callable[[], Hub]]:
    """Return a maker of hubs: fresh topics, positions at 0, no worker yet."""
    hubs: list[Hub] = []

    def make() -> Hub:
        hubs.append(Hub(local_stack.bootstrap))
        return hubs[-1]

    yield make
    for hub in hubs:
        for worker in hub.workers:
            worker.end()


@pytest.fixture
def hub(make_hub: Callable[[], Hub]) -> Hub:
    """One hub."""
    return make_hub()
