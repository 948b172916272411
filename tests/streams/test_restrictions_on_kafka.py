"""Restrictions on a real Kafka: from a file to a conflict, and back out of it, over killed processes."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from samenloop.cli.tree import run
from samenloop.contract import Codec
from samenloop.kafka import Writer, read_topic
from samenloop.localstack import LocalStack
from samenloop.model import Conflict, FindingStatus, PollOutcome, Restriction
from samenloop.rules import RESTRICTION
from samenloop.settings import Hub, load_hub
from samenloop.source_memory import load_memory
from samenloop.source_pump import Pump, open_source

SHARED = "id: nr\ntitle: naam\nperiod: [van, tot]\nvisibility: PARTNERS\ncrs: EPSG:28992\n"
PROFILES = {
    "works": """
system: works-register
organisation: Waterschap De Wetering
oin: "00000099000000001002"
files: works
certainty: fixed
work_kinds: sewer
""",
    "zones": """
record: restriction
system: moratorium-register
organisation: Gemeente Havervoort
oin: "00000099000000001001"
files: zones
status: {field: stand, map: {geldig: in_force, vervallen: cancelled}}
""",
}
WORKS = [[121000, 487000], [121020, 487000], [121020, 487010], [121000, 487010], [121000, 487000]]
ZONE = [[121000, 486990], [121200, 486990], [121200, 487005], [121000, 487005], [121000, 486990]]


@dataclass
class Play:
    """A hub of its own topics, with a register of works and one of zones."""

    folder: Path
    hub: Hub
    codec: Codec

    def poll(self, name: str, day: str, ring: list[list[int]], **fields: str) -> PollOutcome:
        """Write an export of one record and let its source take it, as a new process would."""
        feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": fields}
        body = json.dumps({"type": "FeatureCollection", "features": [feature]})
        (self.folder / name / f"{name}_{day}.geojson").write_text(body)
        return self.poll_again(name)

    def poll_again(self, name: str) -> PollOutcome:
        """Let a source look once."""
        opened = open_source(self.hub.sources[name], self.hub)
        known = load_memory(self.hub.kafka, self.codec, name)
        Pump(name, opened, self.hub, self.codec, writer=Writer(self.hub.kafka, name), known=known).poll(
            threading.Event()
        )
        outcomes: list[PollOutcome] = [poll.outcome for poll in self.values("polls") if poll.source == name]
        return outcomes[-1]

    def values(self, topic: str) -> list[Any]:
        """All values of a topic, in the order of each key."""
        records = read_topic(self.hub.kafka, topic)
        return [self.codec.decode(topic, r.value, r.headers) for r in records if r.value is not None]

    def conflict(self) -> Conflict | None:
        """The last version of the conflict, None before there is one."""
        found: list[Conflict] = self.values("conflicts")
        return found[-1] if found else None

    @contextmanager
    def stages(self) -> Iterator[list[subprocess.Popen[bytes]]]:
        """Consolidate and detect as containers would run them; killed at the end without a word."""
        command = [sys.executable, "-m", "samenloop.cli", "run", "stream"]
        end = ["--config", str(self.folder / "hub.yaml")]
        started = [
            subprocess.Popen([*command, name, *end], start_new_session=True) for name in ("consolidate", "detect")
        ]
        try:
            yield started
        finally:
            for process in started:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()


@pytest.fixture
def play(local_stack: LocalStack, tmp_path: Path) -> Play:
    """A hub on 2027-01-04 with topics and schemas of its own."""
    for name, own in PROFILES.items():
        (tmp_path / name).mkdir()
        (tmp_path / f"{name}.yaml").write_text(own + SHARED)
    (tmp_path / "hub.yaml").write_text(
        'hub: {clock: "2027-01-04"}\n'
        f"kafka: {{bootstrap_servers: '{local_stack.bootstrap}', prefix: 'zones-{secrets.token_hex(4)}.',"
        " session_timeout_seconds: 6}\n"
        f"registry: {{url: '{local_stack.registry_url}'}}\n"
        "sources:\n"
        "  works: {connector: file-snapshots, profile: works.yaml, poll_every_seconds: 3600}\n"
        "  zones: {connector: file-snapshots, profile: zones.yaml, poll_every_seconds: 3600}\n"
    )
    for words in (["schemas", "register"], ["topics", "apply"]):
        assert run([*words, "--config", str(tmp_path / "hub.yaml")]) == 0
    hub = load_hub(tmp_path / "hub.yaml", {})
    return Play(tmp_path, hub, Codec.from_registry(hub.registry.url, hub.kafka.prefix))


def wait(condition: Callable[[], object], what: str, *, seconds: float = 90) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not in {seconds} s: {what}"
        time.sleep(0.3)


def test_in_force_killed_and_called_off(play: Play) -> None:
    """A zone in force opens a conflict. Both stages are killed and the zone is called off; theirs that follow close it.

    Nothing is said twice: the state has revisions 1 and 2, and the same export again changes nothing.
    """
    zone = {"nr": "Z", "naam": "Graafrust", "van": "2026-07-01", "tot": "2031-06-30"}
    with play.stages():
        play.poll("works", "2026-01-05", WORKS, nr="A", naam="Riool", van="2027-03-01", tot="2027-03-10")
        play.poll("zones", "2026-01-05", ZONE, stand="geldig", **zone)
        wait(play.conflict, "the conflict")
    opened = play.conflict()
    assert opened is not None
    assert (opened.evidence.rule_id, opened.status) == (RESTRICTION, FindingStatus.OPEN)
    assert (opened.severity.value, opened.evidence.overlap_m2) == ("BLOCKING", 100.0)

    play.poll("zones", "2026-01-12", ZONE, stand="vervallen", **zone)
    assert play.poll_again("zones") is PollOutcome.UNCHANGED
    with play.stages():
        wait(lambda: play.conflict() != opened, "the end of the conflict")

    closed = play.conflict()
    assert closed is not None
    assert (closed.id, closed.status, closed.status_reason) == (
        opened.id,
        FindingStatus.WITHDRAWN,
        "RESTRICTION_CANCELLED",
    )
    states: list[Restriction] = play.values("restrictions")
    assert [(state.revision, state.status.value) for state in states] == [(1, "IN_FORCE"), (2, "CANCELLED")]
    assert play.values("dead-letters") == []
