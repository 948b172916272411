"""Notify and the webhook sink as processes on a real Kafka: killed, replaced, and nothing lost."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from samenloop import identity
from samenloop.cli.tree import run
from samenloop.contract import Codec, Envelope
from samenloop.handshake import AGREED
from samenloop.kafka import publish, read_topic
from samenloop.localstack import LocalStack
from samenloop.model import (
    Conflict,
    Evidence,
    FindingStatus,
    Organisation,
    Outcome,
    Participant,
    Period,
    Plan,
    PlanRegion,
    Severity,
    SubscriptionStatus,
    Visibility,
)
from samenloop.partners import add_partner
from samenloop.receiver import Answer, Receiver
from samenloop.settings import Hub, load_hub
from samenloop.stage import Output
from samenloop.subscription_life import begin
from samenloop.subscriptions import read_subscriptions, wish_of

W, E = "00000099000000001001", "00000099000000001002"
SYSTEM = "urn:nld:oin:00000099000000001001:systeem:register"


@dataclass
class Play:
    """A hub of its own topics, and what is written and read there."""

    path: Path
    hub: Hub
    codec: Codec

    def subscribe(self, url: str) -> tuple[UUID, str]:
        """Admit the partner and subscribe it."""
        now = datetime.now(UTC)
        add_partner(self.hub, self.codec, E, "Waterschap", now=now)
        subscription, secret = begin(
            self.hub, self.codec, wish_of({"subscriber": E, "sink": url, "about": ["conflicts"]}), AGREED, now=now
        )
        return subscription.id, secret

    def pairs(self, numbers: range) -> None:
        """Publish two plans and the conflict between them, for each number."""
        outputs = []
        for number in numbers:
            plans = [_row(f"{number}{side}", owner) for side, owner in (("a", W), ("b", E))]
            outputs += [self._output("plan-regions", row.plan_id, row, partition=0) for row in plans]
            found = _conflict(number, plans)
            outputs.append(self._output("conflicts", str(found.id), found))
        publish(self.hub.kafka, outputs)

    def values(self, topic: str) -> list[Any]:
        """All values of a topic."""
        return [
            self.codec.decode(topic, r.value, r.headers)
            for r in read_topic(self.hub.kafka, topic)
            if r.value is not None
        ]

    @contextmanager
    def process(self, kind: str, name: str, slot: str = "0") -> Iterator[subprocess.Popen[bytes]]:
        """One process as a container would run it; gone at the end."""
        command = [sys.executable, "-m", "samenloop.cli", "run", kind, name, "--slot", slot, "--config", str(self.path)]
        with subprocess.Popen(command, start_new_session=True) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGCONT)
                    process.terminate()
                    try:
                        process.wait(15)
                    except subprocess.TimeoutExpired:
                        os.kill(process.pid, signal.SIGKILL)

    def _output(self, topic: str, key: str, value: Any, partition: int | None = None) -> Output:
        event = str(identity.uuid_of("test", topic, key))
        envelope = Envelope(
            id=event,
            source=SYSTEM,
            type="nl.samenloop.test.v1",
            time=datetime.now(UTC),
            subject=key,
            partitionkey=key,
            correlationid=event,
        )
        return Output(topic, key, self.codec.encode(topic, value), self.codec.headers(topic, envelope), partition)


def _row(name: str, owner: str) -> PlanRegion:
    plan = Plan(
        id=identity.plan_id(SYSTEM, name),
        system=SYSTEM,
        local_id=name,
        owner=Organisation(owner),
        title=f"Works {name}",
        visibility=Visibility.PUBLIC,
        period=Period(start=date(2027, 3, 1), end=date(2027, 4, 30)),
    )
    now = datetime.now(UTC)
    return PlanRegion(plan_id=plan.id, version=1, revision=1, accepted_at=now, cause_id=name, plan=plan)


def _conflict(number: int, plans: list[PlanRegion]) -> Conflict:
    now = datetime.now(UTC)
    return Conflict(
        id=identity.finding_id("CLASH.WORKS", [row.plan_id for row in plans]),
        revision=1,
        kind="urn:samenloop:finding-kind:clash-works",
        status=FindingStatus.OPEN,
        participants=tuple(Participant(r.plan_id, 1, r.plan.owner.oin) for r in plans if r.plan is not None),
        evidence=Evidence(rule_id="CLASH.WORKS", rule_version="x@1", metric_crs="EPSG:28992", overlap_days=19),
        detected_at=now,
        updated_at=now,
        cause_id=f"{number}b",
        severity=Severity.BLOCKING,
    )


@pytest.fixture
def play(local_stack: LocalStack, tmp_path: Path) -> Play:
    """A hub with topics, schemas and a master key of its own."""
    (tmp_path / "master.key").write_bytes(secrets.token_bytes(32))
    path = tmp_path / "hub.yaml"
    path.write_text(
        f"kafka: {{bootstrap_servers: '{local_stack.bootstrap}', prefix: 'deliver-{secrets.token_hex(4)}.',"
        " session_timeout_seconds: 6}\n"
        f"registry: {{url: '{local_stack.registry_url}'}}\n"
        "delivery: {master_key_file: master.key, allow_http: true, allow_destinations: [127.0.0.0/8],"
        " retry_seconds: [0, 0.5, 0.5, 1, 1, 2, 2, 2, 2, 2]}\n"
    )
    assert run(["schemas", "register", "--config", str(path)]) == 0
    assert run(["topics", "apply", "--config", str(path)]) == 0
    hub = load_hub(path, {})
    return Play(path, hub, Codec.from_registry(hub.registry.url, hub.kafka.prefix))


def wait(condition: Callable[[], object], what: str, *, seconds: float = 60) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not in {seconds} s: {what}"
        time.sleep(0.1)


def test_killed_frozen_and_down(play: Play) -> None:
    """Both processes are killed, the sink is frozen past its session, the partner is down for a while.

    At the end every alert has exactly one final receipt, numbers have no holes, and the partner lacks nothing.
    """
    with Receiver() as receiver:
        _, receiver.secret = play.subscribe(receiver.url)
        with play.process("stream", "notify") as notify, play.process("sink", "webhook") as sink:
            play.pairs(range(20))
            wait(lambda: len(receiver.ids) >= 5, "the first alerts")
            receiver.down = True
            os.kill(notify.pid, signal.SIGKILL)
            os.kill(sink.pid, signal.SIGKILL)
        with play.process("stream", "notify"), play.process("sink", "webhook") as frozen:
            play.pairs(range(20, 40))
            wait(lambda: len(play.values("receipts")) >= 22, "attempts on a partner that is down")
            os.kill(frozen.pid, signal.SIGSTOP)
            receiver.down = False
            with play.process("sink", "webhook", "1"):
                wait(lambda: len(receiver.ids) == 40, "all alerts at the partner")
                os.kill(frozen.pid, signal.SIGCONT)
                wait(lambda: len(_final(play)) >= 40, "all final receipts")

    alerts = play.values("alerts")
    assert sorted(alert.sequence for alert in alerts) == list(range(1, 41))
    assert receiver.ids == {str(alert.id) for alert in alerts}
    assert Counter(_final(play)) == Counter({alert.id: 1 for alert in alerts})


def test_gone_ends_the_subscription_on_the_wire(play: Play) -> None:
    """410: the subscription that everybody reads is ended, and a rebuilt sink obeys it."""
    with Receiver() as receiver:
        subscription_id, receiver.secret = play.subscribe(receiver.url)
        receiver.answers.append(Answer(410))
        with play.process("stream", "notify"), play.process("sink", "webhook"):
            play.pairs(range(1))
            wait(lambda: _final(play), "the refusal")

    found = read_subscriptions(play.hub, play.codec)[subscription_id]
    assert (found.status, found.status_reason) == (SubscriptionStatus.ENDED, "gone")
    assert [letter.code for letter in play.values("dead-letters")] == ["delivery.http.410"]


def _final(play: Play) -> list[UUID]:
    return [receipt.alert_id for receipt in play.values("receipts") if receipt.outcome is not Outcome.RETRY]
