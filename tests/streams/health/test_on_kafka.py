"""The view on a real broker: whatever happens to its workers and its tables, `sources` comes to equal a recount."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from samenloop.contract import INTERNAL, TOPICS, Codec
from samenloop.contract.registry import register_schemas
from samenloop.identity import system_urn
from samenloop.kafka import Writer, apply_topics, clients, publish
from samenloop.kafka.names import topic_on_wire
from samenloop.kafka.topics import inputs_of_groups
from samenloop.letters import letter_output
from samenloop.localstack import LocalStack
from samenloop.model import DeadLetter, DeadReason, Organisation, PollOutcome, SourcePoll, SourceStatus, SystemState
from samenloop.settings import Hub, Kafka, Registry, Views
from samenloop.source_account import poll_output
from samenloop.source_health import System, statuses
from samenloop.stage import Output
from samenloop.systems import published
from streams.health.topics import count_again

SCRIPT = Path(__file__).with_name("worker_process.py")
NOW = datetime(2027, 1, 4, 12, 30, tzinfo=UTC)
OIN = "00000099000000001001"
SOURCES = ("aalburg", "beekdal", "cranendonck", "dinkel", "eemland")
HUB_URN = system_urn("00000099000000000001", "samenloop")


def urn(source: str) -> str:
    return system_urn(OIN, source)


def system(source: str, **other: Any) -> System:
    given: dict[str, Any] = {
        "source": source, "system": urn(source), "owner": Organisation(OIN, "Gemeente Aalburg"), "name": source,
        "connector": "file-snapshots", "protocol": "HTTPS", "freshness_objective_s": 86400, "silent_seconds": 1e9,
    }  # fmt: skip
    return System(**given | other)


class Worker:
    """One worker, and what it said."""

    def __init__(self, hub: Hub, systems: list[System]) -> None:
        described = json.dumps([asdict(item) for item in systems], default=str)
        command = [sys.executable, str(SCRIPT), hub.model_dump_json(), described, NOW.isoformat()]
        environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parents[3])}
        self.process = subprocess.Popen(
            command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self.said: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.rstrip("\n"))

    def wait_ready(self, seconds: float = 60) -> None:
        wait_until(lambda: "ready" in self.said or self.process.poll() is not None, seconds, self.told)
        assert "ready" in self.said, self.told()

    def told(self) -> str:
        return "\n".join(self.said[-40:])

    def kill(self) -> None:
        self.process.kill()
        self.end()

    def end(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        code = self.process.wait(20)
        self._reader.join(5)
        if self.process.stdout:
            self.process.stdout.close()
        return code


def wait_until(done: Callable[[], object], seconds: float, told: Callable[[], str] = str) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"it did not happen within {seconds} s\n{told()}"
        time.sleep(0.2)


class World:
    """Topics under a prefix of their own, workers, and what a recount makes of the topics."""

    def __init__(self, stack: LocalStack, folder: Path) -> None:
        kafka = Kafka(bootstrap_servers=stack.bootstrap, prefix=f"h{uuid4().hex[:8]}.", session_timeout_seconds=6)
        views = Views(recount_every_seconds=2)
        self.hub = Hub(kafka=kafka, registry=Registry(url=stack.registry_url), views=views, data_dir=folder)
        register_schemas(stack.registry_url, kafka.prefix)
        self.groups = {"health": inputs_of_groups()["health"]}
        apply_topics(kafka, {**TOPICS, **INTERNAL}, self.groups)
        self.codec = Codec.from_registry(stack.registry_url, kafka.prefix)
        self.systems = [system(source) for source in SOURCES]
        self.workers: list[Worker] = []
        self.polls = 0

    def worker(self) -> Worker:
        self.workers.append(Worker(self.hub, self.systems))
        return self.workers[-1]

    def poll(self, source: str, outcome: PollOutcome = PollOutcome.OK, **other: Any) -> SourcePoll:
        """Make the next poll; each is a second after the one before."""
        self.polls += 1
        counts = {"read": 10, "unchanged": 8, "updated": 1, "rejected": 1} if outcome is PollOutcome.OK else {}
        at = NOW - timedelta(hours=2) + timedelta(seconds=self.polls)
        given = {
            "id": UUID(int=self.polls), "source": source, "connector": "file-snapshots", "started_at": at,
            "duration_ms": 5, "outcome": outcome, "newest_record_at": at if counts else None, **counts, **other,
        }  # fmt: skip
        return SourcePoll(**given)

    def output(self, poll: SourcePoll) -> Output:
        return poll_output(self.codec, poll, hub_urn=HUB_URN, system=urn(poll.source))

    def letter(self, source: str, number: int, key: bytes | None = None) -> Output:
        letter = DeadLetter(
            id=UUID(int=number), code="period.unparseable", detail="a date", stage=f"source.{source}",
            retryable=False, failed_at=NOW - timedelta(hours=1), reason=DeadReason.MALFORMED, system=urn(source),
            key=key, value=b"x" * 100,
        )  # fmt: skip
        return letter_output(self.codec, HUB_URN, letter)

    def write(self, *outputs: Output) -> None:
        publish(self.hub.kafka, outputs)

    def published(self) -> dict[str, SourceStatus]:
        return published(self.hub.kafka, self.codec)

    def recounted(self) -> dict[str, SourceStatus | None]:
        """What `sources` ought to hold by the topics alone."""
        counted = count_again(self.hub.kafka, self.codec, NOW)
        return statuses(self.systems, counted.accounts, counted.letters, counted.published, NOW)

    def settles(self, seconds: float = 60) -> Mapping[str, SourceStatus]:
        """Wait until `sources` equals the recount, and return it."""
        wait_until(lambda: same(self.published()) == same(self.recounted()), seconds, self.told)
        return self.published()

    def told(self) -> str:
        found, expected = same(self.published()), same(self.recounted())
        differs = [
            (found.get(key), expected.get(key)) for key in {**found, **expected} if found.get(key) != expected.get(key)
        ]
        return "\n--\n".join([*("\n".join(worker.said[-30:]) for worker in self.workers), str(differs)])


def same(found: Mapping[str, SourceStatus | None]) -> dict[str, SourceStatus]:
    """Leave out when it was observed, and what is taken back."""
    return {key: replace(status, observed_at=NOW) for key, status in sorted(found.items()) if status is not None}


@pytest.fixture
def world(local_stack: LocalStack, tmp_path: Path) -> Iterator[World]:
    """A fresh world; its workers are gone when the test is."""
    made = World(local_stack, tmp_path)
    yield made
    for worker in made.workers:
        worker.end()


def _state_of(world: World, name: str) -> SystemState | None:
    """Return the published state of a system; None while nothing is told of it yet."""
    status = world.published().get(urn(name))
    return None if status is None else status.state


def test_from_polls_to_statuses(world: World) -> None:
    """Polls and dead letters become statuses; a source that never polled and one no longer in the settings are told
    as what they are; an aborted poll is not seen; SIGTERM ends the worker with 0."""
    world.write(*(world.output(world.poll(source)) for source in SOURCES[:3] for _ in range(5)))
    world.write(world.letter("aalburg", 1), world.letter("aalburg", 1), world.letter("aalburg", 2, b"W2"))
    world.write(world.output(world.poll("zundert")))
    worker = world.worker()
    worker.wait_ready()
    writer = Writer(world.hub.kafka, "aalburg")
    with pytest.raises(ZeroDivisionError), writer.transaction():
        writer.write(world.output(world.poll("aalburg", PollOutcome.AUTH, error_code="auth")))
        raise ZeroDivisionError
    abort(world, world.output(world.poll("aalburg", PollOutcome.AUTH, error_code="auth")))
    with writer.transaction():
        writer.write(world.output(world.poll("beekdal", PollOutcome.TIMEOUT, error_code="timeout")))

    wait_until(lambda: _state_of(world, "beekdal") is SystemState.FAILED, 60, world.told)
    found = world.settles()

    assert found[urn("aalburg")].state is SystemState.RUNNING
    assert found[urn("aalburg")].polls_24h == {"ok": 5}
    assert found[urn("aalburg")].records_24h == {"read": 50, "updated": 5, "unchanged": 40, "rejected": 5}
    assert (found[urn("aalburg")].rejected_24h, found[urn("aalburg")].plans) == (2, 9)
    assert found[urn("beekdal")].error_code == "timeout"
    assert found[urn("eemland")].state is SystemState.UNKNOWN
    assert found[urn("zundert")].state is SystemState.RETIRED
    assert [line for line in worker.said if "view.mended" in line] == []
    worker.process.send_signal(signal.SIGTERM)
    assert worker.process.wait(20) == 0


def test_equals_a_recount_after_any_trouble(world: World, local_stack: LocalStack) -> None:
    """Two workers are killed and frozen while polls and letters arrive, the broker restarts, their tables are wiped:
    in the end `sources` equals a recount, no poll counts twice, and no aborted one at all."""
    dice = random.Random(7)
    outcomes = (PollOutcome.OK, PollOutcome.OK, PollOutcome.UNCHANGED, PollOutcome.TIMEOUT, PollOutcome.HELD)
    workers = [world.worker(), world.worker()]
    for worker in workers:
        worker.wait_ready()
    trouble = ("kill", "freeze", "broker", "kill", "wipe")
    for number, kind in enumerate(trouble):
        outputs = []
        for _ in range(40):
            source = dice.choice(SOURCES[:4])
            outcome = dice.choice(outcomes)
            code = None if outcome in (PollOutcome.OK, PollOutcome.UNCHANGED) else "some.code"
            outputs.append(world.output(world.poll(source, outcome, error_code=code)))
            outputs.append(world.letter(source, dice.randrange(60)))
        world.write(*outputs)
        abort(world, world.output(world.poll(SOURCES[0], PollOutcome.AUTH, error_code="auth")))
        victim = workers[number % 2]
        if kind == "freeze":
            victim.process.send_signal(signal.SIGSTOP)
            time.sleep(8)  # longer than the session
            victim.process.send_signal(signal.SIGCONT)
            continue
        if kind == "broker":
            local_stack.stop_broker()
            local_stack.start_broker()
            workers = [worker if worker.process.poll() is None else world.worker() for worker in workers]
            continue
        victim.kill()
        if kind == "wipe":
            workers[(number + 1) % 2].kill()
            wipe(world, "health-accounts-table", "health-letters-table")
        workers[number % 2] = world.worker()
    found = world.settles(120)

    assert sum(sum(status.polls_24h.values()) for status in found.values()) == 200
    assert "auth" not in {status.error_code for status in found.values()}
    assert found[urn(SOURCES[4])].state is SystemState.UNKNOWN


def wipe(world: World, *topics: str) -> None:
    """Delete topics and make them again, empty."""
    admin = clients.administrator(world.hub.kafka)
    names = [topic_on_wire(world.hub.kafka.prefix, topic) for topic in topics]
    for future in admin.delete_topics(names, operation_timeout=20).values():
        future.result(20)
    wait_until(lambda: not {*names} & {*admin.list_topics(timeout=10).topics}, 20)
    apply_topics(world.hub.kafka, {**TOPICS, **INTERNAL}, {})


def abort(world: World, output: Output) -> None:
    """Let the broker have a record and then abort its transaction."""
    producer = clients.transactional_producer(world.hub.kafka, f"{world.hub.kafka.prefix}aborting")
    producer.init_transactions(20)
    producer.begin_transaction()
    headers: Any = list(output.headers)
    producer.produce(topic_on_wire(world.hub.kafka.prefix, output.topic), output.value, output.key, headers=headers)
    producer.flush(10)
    producer.abort_transaction(10)
