"""A whole hub to be ill-treated: local stack, settings, feeds, a subscribed partner, and what it ought to hold."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import UUID

import yaml

from samenloop import clock
from samenloop.content_hash import content_hash
from samenloop.contract import Codec
from samenloop.contract.registry import register_schemas
from samenloop.errors import Reject
from samenloop.handshake import AGREED
from samenloop.kafka import apply_topics, read_topic
from samenloop.kafka.groups import group_lag
from samenloop.localstack import LocalStack
from samenloop.model import Alert, DeliveryReceipt, Finding, Outcome, Plan
from samenloop.oracle import batch_findings, differences
from samenloop.partners import add_partner
from samenloop.receiver import Receiver
from samenloop.rules import load_rules
from samenloop.settings import Hub, load_hub
from samenloop.subscription_life import begin
from samenloop.subscriptions import wish_of
from tests.chaos.feeds import Feed

PARTNER = "00000099000000004001"
METRIC_CRS = "EPSG:31370"
SHIPPED_RULES = files("samenloop.rules").joinpath("default.yaml").read_text(encoding="utf-8")


_TAKEN = (Outcome.DELIVERED, Outcome.ACCEPTED)


@dataclass
class World:
    """The hub under test."""

    folder: Path
    stack: LocalStack
    hub: Hub
    codec: Codec
    receiver: Receiver
    feeds: list[Feed]

    @property
    def config(self) -> Path:
        """The settings file."""
        return self.folder / "hub.yaml"

    def rules(self, text: str = SHIPPED_RULES) -> None:
        """Put another rule file in place; `detect` reads it when it starts."""
        (self.folder / "rules.yaml").write_text(text, encoding="utf-8")

    def expected_plans(self) -> dict[str, Plan]:
        """Return what the batch differ makes of everything delivered so far."""
        return {plan_id: plan for feed in self.feeds for plan_id, plan in feed.plans().items()}

    def problems(self, expected: dict[str, Plan]) -> list[str]:
        """Return how plan states and findings differ from the batch differ and the batch oracle; nothing: equal."""
        states = {
            record.key: None if record.value is None else self.codec.decode("plan-states", record.value, record.headers)
            for record in read_topic(self.hub.kafka, "plan-states")
        }
        plans = {key: state.plan for key, state in states.items() if state is not None}
        lines = _plan_differences(plans, expected)
        days = [
            row.day
            for record in read_topic(self.hub.kafka, "plan-regions")
            if record.key.startswith("day:") and (row := self.codec.decode("plan-regions", record.value or b"")).day
        ]
        if lines or not days:
            return lines or ["no day was told"]
        revisions = {key: state.revision for key, state in states.items() if state is not None}
        oracle = batch_findings(
            expected, load_rules(self.folder / "rules.yaml"), max(days), metric_crs=METRIC_CRS, revisions=revisions
        )
        return differences(self.findings(), oracle)

    @property
    def behind(self) -> int:
        """Count what `consolidate` and `detect` have not read yet; markers and aborted records are never read."""
        inputs = {"consolidate": "plan-changes", "detect": "plan-regions"}
        lags = [lag for stage, topic in inputs.items() for lag in group_lag(self.hub.kafka, stage, [topic])]
        return sum(lag.behind for lag in lags)

    def findings(self) -> list[Finding]:
        """Return the latest word on every finding."""
        found: dict[str, Finding | None] = {}
        for topic in ("conflicts", "opportunities"):
            for record in read_topic(self.hub.kafka, topic):
                try:
                    value = record.value and self.codec.decode(topic, record.value, record.headers)
                except Reject:
                    continue  # a poisoned record of our own
                found[record.key] = value or None
        return [finding for finding in found.values() if finding is not None]

    def undelivered(self) -> list[str]:
        """Return the alerts without exactly one final receipt, and those that the receiver lacks.

        While it was away an alert may have been replaced by a newer one about the same; that one it must have.
        """
        alerts: dict[UUID, Alert] = {
            alert.id: alert
            for record in read_topic(self.hub.kafka, "alerts")
            if (alert := self._decoded("alerts", record.value, record.headers))
        }
        receipts: list[DeliveryReceipt] = [
            self.codec.decode("receipts", record.value or b"", record.headers)
            for record in read_topic(self.hub.kafka, "receipts")
        ]
        final = Counter(receipt.alert_id for receipt in receipts if receipt.outcome is not Outcome.RETRY)
        odd = [f"alert {alert} has {final[alert]} final receipts" for alert in alerts if final[alert] != 1]
        odd += [f"a receipt names an unknown alert {alert}" for alert in final.keys() - alerts.keys()]
        ends = {receipt.alert_id: receipt.outcome for receipt in receipts if receipt.outcome is not Outcome.RETRY}
        taken = [alert for alert in alerts.values() if ends.get(alert.id) in _TAKEN]
        newest: dict[str, int] = {}
        for alert in taken:
            newest[alert.subject_id] = max(newest.get(alert.subject_id, 0), alert.sequence)
        for alert_id, outcome in ends.items():
            alert = alerts.get(alert_id)
            replaced = alert and outcome is Outcome.EXPIRED and newest.get(alert.subject_id, 0) > alert.sequence
            if outcome not in _TAKEN and not replaced:
                odd.append(f"alert {alert_id} ended as {outcome}")
        arrived = self.receiver.ids
        odd += [f"the receiver lacks alert {alert.id}" for alert in taken if str(alert.id) not in arrived]
        return odd if alerts else ["there is no alert at all"]

    def dead_letters(self) -> Counter[str]:
        """Return how many records each stage set aside."""
        letters = (
            self.codec.decode("dead-letters", record.value or b"", record.headers)
            for record in read_topic(self.hub.kafka, "dead-letters")
        )
        return Counter(f"{letter.stage} {letter.topic}" for letter in letters)

    def _decoded(self, topic: str, value: bytes | None, headers: tuple[tuple[str, bytes], ...]) -> Any:
        try:
            return self.codec.decode(topic, value, headers) if value else None
        except Reject:
            return None


@contextmanager
def world(folder: Path, make_feeds: list[Feed]) -> Iterator[World]:
    """Start the local stack and prepare a hub in *folder*; its processes are the caller's."""
    with LocalStack(folder / "local", brief=True) as stack, Receiver() as receiver:
        (folder / "master.key").write_bytes(secrets.token_bytes(32))
        (folder / "master.key").chmod(0o600)
        (folder / "hub.yaml").write_text(yaml.safe_dump(_settings(stack, make_feeds)), encoding="utf-8")
        (folder / "rules.yaml").write_text(SHIPPED_RULES, encoding="utf-8")
        hub = load_hub(folder / "hub.yaml", {})
        register_schemas(hub.registry.url, hub.kafka.prefix)
        apply_topics(hub.kafka)
        codec = Codec.from_registry(hub.registry.url, hub.kafka.prefix, host=hub.hub.schema_host)
        add_partner(hub, codec, PARTNER, "Partner", now=clock.now())
        area = {"bbox": (4.34, 50.84, 4.38, 50.87), "crs": "OGC:CRS84"}  # all is judged, what lies here is sent
        wish = wish_of({"subscriber": PARTNER, "sink": receiver.url, "area": area})
        _, receiver.secret = begin(hub, codec, wish, AGREED, now=clock.now())
        yield World(folder, stack, hub, codec, receiver, make_feeds)


def _settings(stack: LocalStack, feeds: list[Feed]) -> dict[str, object]:
    return {
        "kafka": {
            "bootstrap_servers": stack.bootstrap,
            "prefix": "chaos.",
            "session_timeout_seconds": 6,
            "batch_records": 200,
        },
        "registry": {"url": stack.registry_url},
        "hub": {"name": "Chaos", "clock": "event", "metric_crs": METRIC_CRS, "rules": "rules.yaml"},
        "delivery": {
            "master_key_file": "master.key",
            "allow_http": True,  # the receiver is on this machine
            "allow_destinations": ["127.0.0.0/8"],
            "retry_seconds": [0, 0.5, 1, 1, 2, 2, 2, 5, 5, 5, 5, 5, 10, 10, 20, 60],
            "first_load_quiet_seconds": 2,
        },
        "sources": {
            feed.name: {
                "connector": "file-snapshots",
                "profile": f"{feed.folder.name}/profile.yaml",
                "poll_every_seconds": 0.5,
            }
            for feed in feeds
        },
        "logs": {"form": "json"},
        "data_dir": "data",
    }


def _plan_differences(found: dict[str, Plan], expected: dict[str, Plan]) -> list[str]:
    lines = [f"{plan_id} is missing" for plan_id in sorted(expected.keys() - found.keys())]
    lines += [f"{plan_id} should be gone" for plan_id in sorted(found.keys() - expected.keys())]
    return lines + [
        f"{plan_id} is not at its last version"
        for plan_id, plan in expected.items()
        if plan_id in found and content_hash(found[plan_id]) != content_hash(plan)
    ]
