"""Processes of the hub on a real Kafka, and a partner that sends to them."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from edge.documented import OIN
from samenloop.cli.tree import run
from samenloop.contract import Codec
from samenloop.kafka import read_topic
from samenloop.localstack import LocalStack
from samenloop.settings import Hub, load_hub
from tests.edge.scenes import BATCH, STRUCTURED


@dataclass
class Process:
    """One process of the hub as a container runs it, and what it has said."""

    process: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        return self.log.read_text()

    @property
    def url(self) -> str:
        found = re.search(r'"edge.listening".*?"url":"([^"]+)"', self.said())
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
    def process(self, *words: str, env: Mapping[str, str] | None = None) -> Iterator[Process]:
        """Run a process until it is ready; it is gone at the end."""
        log = self.path.with_name(f"{'-'.join(words)}-{secrets.token_hex(2)}.log")
        command = [sys.executable, "-m", "samenloop.cli", "run", *words, "--config", str(self.path)]
        with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out, env=env) as process:
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


def make_play(stack: LocalStack, folder: Path, settings: str) -> Play:
    """Return a hub with topics and schemas of its own; *settings* are further lines of its YAML."""
    path = folder / "hub.yaml"
    path.write_text(
        f"kafka: {{bootstrap_servers: '{stack.bootstrap}', prefix: 'edge-{secrets.token_hex(4)}.'}}\n"
        f"registry: {{url: '{stack.registry_url}'}}\n{settings}"
    )
    assert run(["schemas", "register", "--config", str(path)]) == 0
    assert run(["topics", "apply", "--config", str(path)]) == 0
    hub = load_hub(path, {})
    return Play(path, hub, Codec.from_registry(hub.registry.url, hub.kafka.prefix))


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


def run_example(command: list[str], folder: Path, env: dict[str, str]) -> str:
    """Return what an example of a page printed; it must have ended well."""
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
