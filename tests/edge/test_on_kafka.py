"""The edge as a process on a real Kafka: keys followed live, events to the shared truth, Kafka away, the end."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from edge.documented import EVENT, OIN, REMOVAL
from samenloop.cli.tree import run
from samenloop.contract import Codec
from samenloop.errors import Retry
from samenloop.kafka import Publisher, read_topic
from samenloop.localstack import LocalStack
from samenloop.partners import add_key, add_partner, key_id, revoke_key
from samenloop.settings import Hub, load_hub
from samenloop.stage import Output
from tests.edge.scenes import BATCH, STRUCTURED, event, feature

OTHER = "00000099000000001003"


@dataclass
class Process:
    """One process of the hub as a container runs it, and what it has said."""

    process: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        return self.log.read_text()

    @property
    def url(self) -> str:
        found = re.search(r'"url":"([^"]+)"', self.said())
        assert found is not None, self.said()
        return found[1]

    @property
    def metrics(self) -> str:
        found = re.search(r'"address":"([^"]+)"', self.said())
        assert found is not None
        return httpx.get(f"{found[1]}/metrics").text


@dataclass
class Play:
    """A hub of its own topics, shared by the tests: each speaks as a partner of its own."""

    path: Path
    hub: Hub
    codec: Codec

    @contextmanager
    def process(self, *words: str) -> Iterator[Process]:
        """Run a process until it is ready; it is gone at the end."""
        log = self.path.with_name(f"{'-'.join(words)}-{secrets.token_hex(2)}.log")
        command = [sys.executable, "-m", "samenloop.cli", "run", *words, "--config", str(self.path)]
        with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
            running = Process(process, log)
            try:
                wait(lambda: "process.ready" in running.said() or process.poll() is not None, f"{words} is ready")
                yield running
            finally:
                if process.poll() is None:
                    process.terminate()
                    try:
                        process.wait(20)
                    except subprocess.TimeoutExpired:
                        process.kill()


@dataclass
class Sender:
    """One partner and its key."""

    play: Play
    oin: str
    key: str

    def own(self, sent: Any) -> Any:
        """Return what is documented, as this partner's own."""
        return json.loads(json.dumps(sent).replace(OIN, self.oin))

    def post(self, url: str, body: Any, key: str | None = None) -> httpx.Response:
        """Send an event or a batch of this partner's."""
        content_type = BATCH if isinstance(body, list) else STRUCTURED
        headers = {"authorization": f"Bearer {key or self.key}", "content-type": content_type}
        return httpx.post(f"{url}/v1/events", content=json.dumps(self.own(body)), headers=headers, timeout=30)

    def values(self, topic: str) -> list[Any]:
        """Return what is on *topic* of this partner; None for a null value."""
        found = [record for record in read_topic(self.play.hub.kafka, topic) if self.oin in record.key]
        decode = self.play.codec.decode
        return [None if one.value is None else decode(topic, one.value, one.headers) for one in found]


def wait(condition: Callable[[], object], what: str, *, seconds: float = 60) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not in {seconds} s: {what}"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def play(local_stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Play:
    """A hub with topics and schemas."""
    path = tmp_path_factory.mktemp("hub") / "hub.yaml"
    path.write_text(
        f"kafka: {{bootstrap_servers: '{local_stack.bootstrap}', prefix: 'edge-{secrets.token_hex(4)}.'}}\n"
        f"registry: {{url: '{local_stack.registry_url}'}}\n"
        "edge: {port: 0, acknowledge_seconds: 3, requests_at_once: 1000}\nlogs: {form: json}\n"
    )
    assert run(["schemas", "register", "--config", str(path)]) == 0
    assert run(["topics", "apply", "--config", str(path)]) == 0
    hub = load_hub(path, {})
    return Play(path, hub, Codec.from_registry(hub.registry.url, hub.kafka.prefix))


@pytest.fixture(scope="module")
def edge(play: Play) -> Iterator[Process]:
    """An edge that outlives every test of this file, Kafka's absence included."""
    with play.process("edge") as running:
        yield running


@pytest.fixture
def sender(play: Play, edge: Process) -> Sender:
    """A partner that nobody else is; the edge knows it."""
    oin = f"00000099{secrets.randbelow(10**12):012d}"
    _, key = add_partner(play.hub, play.codec, oin, "Waterschap", now=datetime.now(UTC))
    made = Sender(play, oin, key)
    wait(lambda: made.post(edge.url, {}).status_code == 400, "the edge knows the partner")
    return made


def test_events_become_the_shared_truth(play: Play, edge: Process, sender: Sender) -> None:
    """Repeats, in one request, in another, at another process: the plan has one state, and one revision per change.

    A batch with a bad event yields the good ones and a dead letter; a removal takes the plan away.
    """
    later = event(id="later", time="2026-01-13T09:15:00Z", data=feature(title="Sewer and paving"))
    bad = event(id="bad", data=feature(title=None))
    with play.process("edge") as second, play.process("stream", "consolidate"):
        answers = [sender.post(url, [event(), event(), bad, later]) for url in (edge.url, second.url, edge.url)]
        answers.append(sender.post(second.url, event()))
        answers.append(sender.post(edge.url, REMOVAL))
        wait(lambda: None in sender.values("plan-states"), "the end of the plan")
        counted = edge.metrics

    *states, end = sender.values("plan-states")
    letters = sender.values("dead-letters")
    assert [answer.status_code for answer in answers] == [207, 207, 207, 202, 202]
    assert [(state.revision, state.event_id) for state in states] == [(1, EVENT["id"]), (2, "later")]
    assert end is None
    assert [letter.code for letter in letters] == ["record.missing"] * 3
    assert len({letter.id for letter in letters}) == 1
    assert 'samenloop_http_requests_total{route="/v1/events",status_class="2xx"}' in counted


def test_keys_come_and_go_without_a_restart(play: Play, edge: Process, sender: Sender) -> None:
    """A new key works and a revoked one is refused within seconds; another partner cannot speak for this one."""
    now = datetime.now(UTC)
    made, key = add_key(play.hub, play.codec, sender.oin, scopes=["plans:write"], now=now)
    _, stranger = add_partner(play.hub, play.codec, OTHER, "Gemeente", now=now)
    wait(lambda: sender.post(edge.url, event(), key).status_code == 202, "the new key", seconds=10)
    wait(lambda: sender.post(edge.url, event(), stranger).status_code == 403, "the stranger", seconds=10)
    revoke_key(play.hub, play.codec, sender.oin, key_id(made.hash), now=now)
    wait(lambda: sender.post(edge.url, event(), key).status_code == 401, "the revoked key", seconds=10)

    assert sender.post(edge.url, event()).status_code == 202


PAGE = (Path(__file__).parents[2] / "docs" / "partners" / "send-plans.md").read_text(encoding="utf-8")


def test_the_examples_of_the_page(edge: Process, sender: Sender, tmp_path: Path) -> None:
    """Every example of *Send your plans* runs as it stands, and the hub takes what it sends."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not on this machine")
    env = {"HUB": edge.url, "KEY": sender.key, "PATH": os.environ["PATH"]}
    own = PAGE.replace(OIN, sender.oin)
    shell, python = (re.findall(rf"```{language}\n(.*?)```", own, re.DOTALL) for language in ("sh", "python"))

    said = [_run(["sh", "-ec", text], tmp_path, env) for text in shell]
    printed = [_run([sys.executable, "-c", text], tmp_path, env) for text in python]

    assert [json.loads(text)["refused"] for text in said] == [0, 0, 0]
    assert printed[0].splitlines() == [
        "accepted 2027-0070-1 []",
        "refused 2027-0071-1 ['this key is missing', 'this key is not known; did you mean title?']",
    ]
    assert printed[1] == "202\n"
    assert len(sender.values("plan-changes")) == 6
    assert len(sender.values("dead-letters")) == 1


def _run(command: list[str], folder: Path, env: dict[str, str]) -> str:
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_end_finishes_what_is_under_way(play: Play, sender: Sender) -> None:
    """SIGTERM: a request under way is answered, then the process ends with code 0."""
    batch = [event(id=f"e{n}", subject=f"{EVENT['source']}:plan:{n}") for n in range(1000)]
    answers: list[httpx.Response] = []
    with play.process("edge") as ending:
        url = ending.url
        sending = threading.Thread(target=lambda: answers.append(sender.post(url, batch)))
        sending.start()
        wait(lambda: sender.values("plan-changes"), "the first events of the batch")
        ending.process.send_signal(signal.SIGTERM)
        sending.join(30)
        code = ending.process.wait(30)

    assert (code, [answer.status_code for answer in answers]) == (0, [202]), ending.said()
    assert len(sender.values("plan-changes")) == 1000


def test_a_port_that_is_taken(play: Play, edge: Process) -> None:
    """The process refuses to start and names the setting."""
    port = edge.url.rpartition(":")[2]
    command = [sys.executable, "-m", "samenloop.cli", "run", "edge", "--config", str(play.path)]
    env = {**os.environ, "SAMENLOOP_EDGE__PORT": port}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 2
    assert "edge.port" in done.stderr


def test_a_publisher_tells_what_was_not_taken(play: Play) -> None:
    """The future fails with Retry when one record of a call cannot be taken, and is done when all are."""
    publisher = Publisher(play.hub.kafka, acknowledge_seconds=5)
    try:
        publisher.send([Output("polls", "a", b"x"), Output("polls", "b", b"y")]).result(10)
        publisher.send([]).result(1)
        with pytest.raises(Retry):
            publisher.send([Output("polls", "a", b"x" * 2_000_000), Output("polls", "b", b"z")]).result(10)
        there = (publisher.answers("polls", 5), publisher.answers("nothing", 5))
    finally:
        publisher.close()

    assert there == (True, False)
    assert {record.value for record in read_topic(play.hub.kafka, "polls")} == {b"x", b"y", b"z"}


def test_kafka_away(edge: Process, sender: Sender, local_stack: LocalStack) -> None:
    """503 with Retry-After while the broker is gone, not ready after a while, and the same events work afterwards."""
    both = [event(), event(id="b")]
    local_stack.stop_broker()
    try:
        answer = sender.post(edge.url, both)
        wait(lambda: httpx.get(f"{edge.url}/health/ready").status_code == 503, "not ready", seconds=40)
    finally:
        local_stack.start_broker()
    wait(lambda: httpx.get(f"{edge.url}/health/ready").status_code == 200, "ready again")
    again = sender.post(edge.url, both)

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert again.status_code == 202
    assert [change.origin.event_id for change in sender.values("plan-changes")] == [EVENT["id"], "b"]
