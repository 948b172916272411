"""A real hub under a real Prometheus, with everything on it that a drill can break."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml
from confluent_kafka import Producer

from samenloop import clock
from samenloop.contract import Codec
from samenloop.contract.registry import register_schemas
from samenloop.handshake import AGREED
from samenloop.kafka import apply_topics
from samenloop.kafka.names import topic_on_wire
from samenloop.localstack import LocalStack
from samenloop.localstack.prometheus import Prometheus
from samenloop.model import PollOutcome, SourcePoll
from samenloop.partners import add_partner
from samenloop.receiver import Receiver
from samenloop.settings import Hub, load_hub
from samenloop.subscription_life import begin
from samenloop.subscriptions import wish_of
from tests.deploy.promql import ask

PARTNER = "00000099000000001001"
PROFILE = """
system: {name}
organisation: {owner}
oin: "{oin}"
files: exports
id: nr
title: naam
period: [van, tot]
visibility: PUBLIC
work_kinds: {{field: soort, map: {{riolering: sewer}}}}
certainty: {{field: status, map: {{vast: FIXED}}}}
"""
OWNERS = {
    "town": ("Gemeente Beekrode", "00000099000000001001"),
    "village": ("Waterschap Rode Beek", "00000099000000001002"),
}
"""Sources and whose works they hold: the same places and days, so that each is in the other's way."""
_READY = re.compile(r'^([a-z -]+?) *\| .*"event":"process.ready".*"address":"([^"]+)"', re.MULTILINE)


@dataclass
class HubOnFire:
    """The hub, its sources' folders, the partner's receiver, and what watches it."""

    folder: Path
    hub: Hub
    receiver: Receiver
    prometheus: Prometheus
    producer: Producer
    process: subprocess.Popen[bytes]
    exports: int = 0
    heard: dict[str, str] = field(default_factory=dict)

    def said(self) -> str:
        """Return what the hub has said so far, and let Prometheus follow the parts to where they serve now."""
        text = (self.folder / "up.log").read_text(encoding="utf-8")
        self.prometheus.watch(dict(_READY.findall(text)))
        return text

    def alerts(self, state: str = "firing") -> list[dict[str, Any]]:
        """Return the alerts in *state*, with their labels and words."""
        assert self.process.poll() is None, self.said()
        self.said()
        return [alert for alert in ask(self.prometheus.url, "alerts")["alerts"] if alert["state"] == state]

    def firing(self, name: str, **labels: str) -> list[dict[str, Any]]:
        """Return the alerts of this name that fire, for these labels."""
        wanted = {"alertname": name, **labels}.items()
        return [alert for alert in self.alerts() if wanted <= alert["labels"].items()]

    def until(self, true: Callable[[], object], seconds: float = 120) -> Any:
        """Wait until something is true and return it."""
        deadline = time.monotonic() + seconds
        while not (found := true()):
            assert time.monotonic() < deadline, [alert["labels"] for alert in self.alerts()]
            time.sleep(0.3)
        return found

    def deliver(self, source: str) -> None:
        """Let *source* have a new export: the works of the last one, and another."""
        self.exports += 1
        features = [_works(number) for number in range(2 + self.exports)]
        there = self.folder / source / "exports"
        unfinished = there / ".unfinished"
        unfinished.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
        unfinished.rename(there / f"works-{self.exports:03}.geojson")

    def produce(self, topic: str, value: bytes, key: str, **more: Any) -> None:
        """Write a record past the hub."""
        self.producer.produce(topic_on_wire(self.hub.kafka.prefix, topic), value, key, **more)
        assert self.producer.flush(20) == 0

    def pid_of(self, part: str) -> int:
        """Return the process of a part, such as `stream consolidate`."""
        listing = subprocess.run(["ps", "-wweo", "pid,args"], capture_output=True, text=True, check=True).stdout
        (row,) = [row for row in listing.splitlines() if f"run {part} " in row and str(self.folder) in row]
        return int(row.split()[0])


def _works(number: int) -> dict[str, Any]:
    west, south = 5.1 + number * 0.005, 51.7
    ring = [[west, south], [west + 0.001, south], [west + 0.001, south + 0.001], [west, south + 0.001], [west, south]]
    day = clock.now().date() + timedelta(days=30)
    properties = {
        "nr": f"W{number}", "naam": f"Works {number}", "van": f"{day}", "tot": f"{day + timedelta(days=20)}",
        "soort": "riolering", "status": "vast",
    }  # fmt: skip
    return {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": properties}


@contextmanager
def burning(stack: LocalStack, folder: Path, binary: Path, rules: Path) -> Iterator[HubOnFire]:
    """Run a hub with two sources and a subscribed partner; one of its polls of two hours ago does not add up."""
    (folder / "master.key").write_bytes(secrets.token_bytes(32))
    for source, (owner, oin) in OWNERS.items():
        (folder / source / "exports").mkdir(parents=True)
        profile = PROFILE.format(name=source, owner=owner, oin=oin)
        (folder / source / "profile.yaml").write_text(profile, encoding="utf-8")
    (folder / "hub.yaml").write_text(yaml.safe_dump(_settings(stack)), encoding="utf-8")
    hub = load_hub(folder / "hub.yaml", {})
    register_schemas(hub.registry.url, hub.kafka.prefix)
    apply_topics(hub.kafka)
    codec = Codec.from_registry(hub.registry.url, hub.kafka.prefix, host=hub.hub.schema_host)
    add_partner(hub, codec, PARTNER, "Gemeente Beekrode", now=clock.now())
    command = [sys.executable, "-m", "samenloop.cli", "up", "--config", str(folder / "hub.yaml")]
    with Receiver() as receiver, Prometheus(binary, folder / "prometheus", rules=rules, every_seconds=1) as prometheus:
        wish = wish_of({"subscriber": PARTNER, "sink": receiver.url})
        _, receiver.secret = begin(hub, codec, wish, AGREED, now=clock.now())
        producer = Producer({"bootstrap.servers": hub.kafka.bootstrap_servers})
        with (folder / "up.log").open("wb") as out:
            fire = HubOnFire(folder, hub, receiver, prometheus, producer, None)  # type: ignore[arg-type]
            _forge(fire, codec)
            fire.deliver("town")
            fire.deliver("village")
            fire.process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        try:
            yield fire
        finally:
            fire.process.terminate()
            fire.process.wait(60)


def _forge(fire: HubOnFire, codec: Codec) -> None:
    """Write a poll whose records do not add up, as if two hours ago: first in its partition, before all others."""
    then = clock.now() - timedelta(hours=2)
    poll = SourcePoll(
        id=uuid4(),
        source="forged",
        connector="file-snapshots",
        started_at=then,
        duration_ms=1,
        outcome=PollOutcome.OK,
        read=10,
        created=3,
    )
    fire.produce("polls", codec.encode("polls", poll), "forged", partition=0, timestamp=int(then.timestamp() * 1000))


def _settings(stack: LocalStack) -> dict[str, object]:
    return {
        "kafka": {"bootstrap_servers": stack.bootstrap, "prefix": f"fire-{secrets.token_hex(4)}."},
        "registry": {"url": stack.registry_url},
        "delivery": {
            "master_key_file": "master.key",
            "allow_http": True,  # the receiver is on this machine
            "allow_destinations": ["127.0.0.0/8"],
            "retry_seconds": [0, 0.5, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 5, 5, 5, 5, 5, 5, 5, 5],
            "first_load_quiet_seconds": 1,
        },
        "lag_exporter": {"refresh_seconds": 1},
        "probe": {"enabled": False},
        "sources": {
            name: {
                "connector": "file-snapshots",
                "profile": f"{name}/profile.yaml",
                "poll_every_seconds": 0.5,
                "freshness_seconds": 3,
            }
            for name in OWNERS
        },
        "logs": {"form": "json"},
        "data_dir": "data",
    }
