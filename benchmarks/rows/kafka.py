"""Through Kafka: how many changes a second become findings, and how long one takes to become a finding or a webhook.

Broker, load, stages and receiver share the cores of this machine. Rules: within 25 m and 90 days, other owners.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.hub import Measured, Register, event_id_of, in_turn, running_hub
from benchmarks.load import Nation
from benchmarks.row import Row
from benchmarks.sights import Findings, Webhooks, send
from samenloop import clock
from samenloop.handshake import AGREED
from samenloop.kafka.clients import plain_producer
from samenloop.kafka.names import topic_on_wire
from samenloop.model import ChangeKind
from samenloop.partners import add_partner
from samenloop.receiver import Receiver
from samenloop.settings import Kafka
from samenloop.stage import Output
from samenloop.subscription_life import begin
from samenloop.subscriptions import wish_of

PLANS, CHANGES = 200_000, 50_000
THROUGHPUT = "kafka.changes_to_findings.200k"
TO_FINDING, TO_WEBHOOK = "latency.change_to_finding", "latency.change_to_webhook"
NAMES = (THROUGHPUT, *(f"{name}.{part}" for name in (TO_FINDING, TO_WEBHOOK) for part in ("p50", "p99")))
STAGES = (("consolidate", "plan-changes"), ("detect", "plan-regions"))
LATENCY_SECONDS = 30
PARTNER = "00000099000000007001"


def run(wanted: set[str]) -> Iterator[Row]:
    """Yield the rows that go through Kafka."""
    if wanted & {THROUGHPUT, f"{TO_FINDING}.p50", f"{TO_FINDING}.p99"}:
        yield from (row for row in _to_findings(wanted) if row.name in wanted)
    if any(name.startswith(TO_WEBHOOK) for name in wanted):
        yield from (row for row in _to_webhook() if row.name in wanted)


def _to_findings(wanted: set[str]) -> Iterator[Row]:
    nation = Nation(PLANS)
    with running_hub() as measured:
        register = Register(measured.codec)
        _load(measured, register, nation)
        if any(name.startswith(TO_FINDING) for name in wanted):
            changes = in_turn(nation.changes(500 * LATENCY_SECONDS), register)
            waited = _paced(measured.hub.kafka, changes, 500, Findings(measured.hub.kafka))
            yield from _percentiles(TO_FINDING, waited, f"at 500 changes a second on {PLANS:,} plans")
        if THROUGHPUT in wanted:  # last: copying leaves nothing behind that a stage could read
            yield _throughput(measured, in_turn(nation.changes(CHANGES), register))


def _load(measured: Measured, register: Register, nation: Nation) -> None:
    for stage, _ in STAGES:
        measured.start("stream", stage)
    send(measured.hub.kafka, register.outputs(nation.everything(), ChangeKind.SNAPSHOT))
    measured.drained(STAGES)


def _throughput(measured: Measured, changes: Sequence[Output]) -> Row:
    """Everything at once; the peer moves as many records through the same loops and does nothing with them."""
    ours, used = _drive(measured, changes)
    for stage, _ in STAGES:
        measured.replace_by_copying(stage)
    floor, least = _drive(measured, changes)
    note = f"{len(changes):,} changes on {PLANS:,} plans, two transactional stages; µs of CPU a change: {used}"
    return Row(THROUGHPUT, ours, "changes/s", f"copying only, {floor:,.0f}: {least}", ours / floor, note)


def _drive(measured: Measured, changes: Sequence[Output]) -> tuple[float, str]:
    """Return changes a second until the last stage is done, and the microseconds of CPU a change by process."""
    before, began = measured.cpu_seconds(), time.perf_counter()
    send(measured.hub.kafka, changes)
    measured.drained(STAGES)
    rate = len(changes) / (time.perf_counter() - began)
    micros = {name: (spent - before[name]) / len(changes) * 1e6 for name, spent in measured.cpu_seconds().items()}
    return rate, ", ".join(f"{name} {micro:.0f}" for name, micro in micros.items())


def _paced(kafka: Kafka, changes: Sequence[Output], rate: int, sight: Findings | Webhooks) -> list[float]:
    """Send *changes* at *rate* a second and return the milliseconds until each was seen, but for the first 2 s."""
    producer, topic = plain_producer(kafka), topic_on_wire(kafka.prefix, "plan-changes")
    sent: dict[str, float] = {}
    waited: list[float] = []
    began = time.perf_counter()
    end = began + len(changes) / rate + 3
    number = 0
    while (now := time.perf_counter()) < end:
        while number < len(changes) and now >= began + number / rate:
            output = changes[number]
            producer.produce(topic, output.value, output.key, headers=list(output.headers))
            sent[event_id_of(output)] = now
            number += 1
        producer.poll(0)
        for event_id, at in sight.seen():
            if (when := sent.pop(event_id, None)) is not None and when > began + 2:
                waited.append((at - when) * 1000)
        time.sleep(0.001)
    return waited


def _percentiles(name: str, waited: Sequence[float], note: str) -> Iterator[Row]:
    for percent in (50, 99):
        value = float(np.percentile(waited, percent)) if waited else None
        yield Row(f"{name}.p{percent}", value, "ms", note=f"{note}; {len(waited):,} seen")


def _to_webhook() -> Iterator[Row]:
    nation = Nation(20_000)
    delivery = {"allow_http": True, "allow_destinations": ["127.0.0.0/8"], "first_load_quiet_seconds": 1}
    with running_hub(**delivery) as measured, Receiver() as receiver:
        hub, register = measured.hub, Register(measured.codec)
        add_partner(hub, measured.codec, PARTNER, "Partner", now=clock.now())
        area = {"bbox": (0, 300_000, 300_000, 620_000), "crs": "EPSG:28992"}
        wish = wish_of({"subscriber": PARTNER, "sink": receiver.url, "area": area, "about": ["plans"]})
        _, receiver.secret = begin(hub, measured.codec, wish, AGREED, now=clock.now())
        _load(measured, register, nation)
        measured.start("stream", "notify")
        measured.start("sink", "webhook")
        measured.drained((("notify", "plan-regions"),))
        time.sleep(3)
        changes = in_turn(nation.changes(100 * LATENCY_SECONDS), register)
        waited = _paced(hub.kafka, changes, 100, Webhooks(receiver))
        yield from _percentiles(TO_WEBHOOK, waited, "at 100 changes a second on loopback")
