"""Fault drills: what is broken on a real hub raises its own alert, of that part alone; healed, the alert ends."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from samenloop.kafka import read_topic
from samenloop.kafka.names import topic_on_wire
from samenloop.localstack import LocalStack
from samenloop.localstack.prometheus import program
from tests.deploy.prometheus import scaled
from tests.deploy.prometheus.hub_on_fire import PARTNER, HubOnFire, burning
from tests.deploy.promql import ask

pytestmark = pytest.mark.timeout(400)
UNKNOWN_SCHEMA = b"\x00" + (987654).to_bytes(4, "big") + b"\x02\x04"


@pytest.fixture(scope="module")
def fire(local_stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubOnFire]:
    """A hub that runs well, but for one forged poll, under rules whose minutes are seconds."""
    binary = program("prometheus")
    if binary is None:
        pytest.skip("no Prometheus on this machine: `make prometheus` fetches Debian's")
    folder = tmp_path_factory.mktemp("fire")
    with burning(local_stack, folder, binary, scaled.write(folder / "rules.yaml")) as hub:
        hub.until(lambda: '"process.ready"' in hub.said() and hub.receiver.messages)
        yield hub


def labels(alerts: list[dict[str, Any]], name: str) -> set[str | None]:
    """Return the values of one label."""
    return {alert["labels"].get(name) for alert in alerts}


def test_four_faults_at_once_are_told_apart(fire: HubOnFire) -> None:
    """A stale source, a partner that is down, a broken schema and a forged poll: each alert names its own, and ends."""
    stop = threading.Event()

    good = next(read_topic(fire.hub.kafka, "plan-changes"))
    nameless = {"ce_dataschema": re.sub(rb"[0-9a-f]{64}", b"0" * 64, dict(good.headers)["ce_dataschema"])}
    headers = list({**dict(good.headers), **nameless}.items())

    def poison() -> None:
        while not stop.wait(0.5):
            fire.produce("plan-changes", UNKNOWN_SCHEMA, good.key, headers=headers)

    poisoning = threading.Thread(target=poison)
    (fire.folder / "village").rename(fire.folder / "elsewhere")
    fire.receiver.down = True
    fire.deliver("town")
    poisoning.start()
    try:
        stale = fire.until(lambda: fire.firing("SamenloopSourceStale"))
        down = fire.until(lambda: fire.firing("SamenloopWebhookPartnerDown"))
        schema = fire.until(lambda: fire.firing("SamenloopSchemaErrors"))
        growing = fire.until(lambda: fire.firing("SamenloopDeadLetterGrowing"))
        forged = fire.until(lambda: fire.firing("SamenloopRecordsUnaccounted"))
    finally:
        stop.set()
        poisoning.join()
        (fire.folder / "elsewhere").rename(fire.folder / "village")
        fire.receiver.down = False

    assert labels(stale, "source") == {"village"}
    assert labels(down, "partner") == {PARTNER}
    assert labels(schema, "topic") == labels(growing, "topic") == {"plan-changes"}
    assert labels(schema, "reason") == {"unknown_id"}
    assert labels(forged, "pipeline") == {"read"}
    assert [alert["value"] for alert in forged] == ["7e+00"]
    for alert in [*stale, *down, *schema, *growing, *forged]:
        words = " ".join(alert["annotations"].values())
        assert not re.search(r"\{\{|<no value>|<error|%!", words), words
        assert alert["annotations"]["runbook_url"].endswith(f"/{alert['labels']['alertname']}/")

    forget_the_forged_poll(fire)
    for name in (
        "SamenloopSourceStale",
        "SamenloopWebhookPartnerDown",
        "SamenloopSchemaErrors",
        "SamenloopDeadLetterGrowing",
        "SamenloopRecordsUnaccounted",
    ):
        fire.until(lambda name=name: not fire.firing(name))


def forget_the_forged_poll(fire: HubOnFire) -> None:
    """Take the forged poll out of Kafka, and let the watch judge the day anew."""
    place = TopicPartition(topic_on_wire(fire.hub.kafka.prefix, "polls"), 0, 1)
    admin = AdminClient({"bootstrap.servers": fire.hub.kafka.bootstrap_servers})
    for future in admin.delete_records([place]).values():
        future.result(20)
    os.kill(fire.pid_of("conservation"), signal.SIGKILL)


def test_a_frozen_stage_stands_still_and_goes_on(fire: HubOnFire) -> None:
    """SIGSTOP: the stage is named as the one that stands still and does not answer; thawed, it takes what waited."""
    pid = fire.pid_of("stream consolidate")
    os.kill(pid, signal.SIGSTOP)
    try:
        fire.deliver("town")
        stalled = fire.until(lambda: fire.firing("SamenloopConsumerStalled", group="consolidate"))
        fire.until(lambda: fire.firing("SamenloopTargetDown", instance="stream consolidate"))
    finally:
        os.kill(pid, signal.SIGCONT)

    assert labels(stalled, "topic") == {"plan-changes"}
    fire.until(lambda: not fire.firing("SamenloopConsumerStalled", group="consolidate"))
    fire.until(lambda: not fire.firing("SamenloopTargetDown"))


def test_the_delay_of_publication_is_shown(fire: HubOnFire) -> None:
    """The panel that has nothing to show in the demonstration, whose year is its own, shows these sources."""
    expr = "histogram_quantile(0.9, sum by (le, source) (rate(samenloop_source_record_age_seconds_bucket[1h])))"
    found = ask(fire.prometheus.url, "query", query=expr)["result"]

    assert {row["metric"]["source"]: row["value"][1] == "NaN" for row in found}.get("town") is False
