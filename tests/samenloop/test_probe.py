"""The probe's plan: nobody sees it, nothing is found by it, every account takes it. That it walks, `test_up` shows."""

from __future__ import annotations

import secrets
import threading
from datetime import UTC, date, datetime, timedelta

import pytest

from samenloop import metrics
from samenloop.consolidate import Known, Ruling, accept, check, claim_of, judge
from samenloop.contract import Codec
from samenloop.kafka import Publisher, apply_topics, read_topic
from samenloop.localstack import LocalStack
from samenloop.model import Clearance, Plan, Visibility
from samenloop.oracle import batch_findings
from samenloop.probe import RECORDED_AT, Walk, probe_change, probe_id
from samenloop.rules import load_rules
from samenloop.settings import Hub, Kafka, Probe
from samenloop.visibility import Sight, Viewer, guarded, sight

HUB = "00000099000000000001"
NOW = datetime(2027, 1, 4, 6, tzinfo=UTC)


def probe(minute: int) -> Plan:
    plan = probe_change(HUB, NOW + timedelta(minutes=minute)).plan
    assert plan is not None
    return plan


def test_every_probe_is_taken_and_none_repeats_another() -> None:
    """By the rules for any change: it is its source's to say, it is news, and it is never too late."""
    known: Known | None = None
    for minute in range(3):
        change = probe_change(HUB, NOW + timedelta(minutes=minute))
        claim = claim_of(
            change,
            change.plan,
            key=change.plan_id,
            source=change.origin.system,
            event_id=change.origin.event_id,
            content_hash=change.content_hash,
        )
        check(claim)
        assert judge(known, claim) is Ruling.ACCEPTED
        known = accept(known, claim)

    assert known is not None
    assert known.revision == 3


def test_it_never_moves_the_clock_of_a_hub_that_lives_by_events() -> None:
    """Its recorded day is older than any other, so it is never the newest."""
    assert {probe_change(HUB, NOW + timedelta(days=days)).recorded_at for days in (0, 400)} == {RECORDED_AT}


def test_state_holds_it_once() -> None:
    """All probes are one plan."""
    assert {probe(minute).id for minute in range(3)} == {probe_id(HUB)}


def test_no_partner_sees_it() -> None:
    """Not even one that has the hub's own organisation number, whatever it is cleared for."""
    plan = probe(0)

    assert plan.visibility is Visibility.RESTRICTED
    for oin in ("", HUB, "00000099000000001001"):
        assert sight(guarded(plan), Viewer(oin, Clearance.RESTRICTED)) is Sight.NOTHING


def test_nothing_is_found_by_it() -> None:
    """It stands in nobody's way and digs with nobody."""
    assert batch_findings({probe(0).id: probe(0)}, load_rules(), date(2027, 1, 4)) == {}


def test_a_probe_that_nobody_takes_is_lost(local_stack: LocalStack, capsys: pytest.CaptureFixture[str]) -> None:
    """Where no stage is at work each is counted once, by name; Kafka took part, so the probe itself is ready."""
    kafka = Kafka(bootstrap_servers=local_stack.bootstrap, prefix=f"p{secrets.token_hex(4)}.")
    hub = Hub(kafka=kafka, probe=Probe(lost_after_seconds=1))
    apply_topics(kafka)
    lost = [metrics.PROBE_LOST_TOTAL.labels(pipeline=stage)._value for stage in metrics.PROBE_PIPELINE]
    before = [value.get() for value in lost]
    publisher = Publisher(kafka, acknowledge_seconds=10)

    answered = Walk(hub, Codec.offline(), publisher).once(threading.Event())
    publisher.close()

    assert answered
    assert [value.get() - was for value, was in zip(lost, before, strict=True)] == [1, 1, 1]
    assert [record.key for record in read_topic(kafka, "plan-changes")] == [probe_id(hub.hub.oin)]
    assert '"probe.lost"' in capsys.readouterr().err
