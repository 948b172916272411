"""Golden records: what was released once is read for ever, by id and by name, and written the same way again.

A golden file is never changed. One that is missing is written by a run with SAMENLOOP_GOLDEN=1.
"""

import base64
import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

import avro.io
import avro.schema
import fastavro
import pytest

from samenloop import identity, model
from samenloop.content_hash import content_hash, restriction_hash
from samenloop.contract import TOPICS, Codec, Envelope, files, from_json, read_envelope, to_json
from samenloop.contract import avro as framing

GOLDEN = Path(__file__).parent / "golden"
NOW = datetime(2026, 11, 23, 9, 15, tzinfo=UTC)
OIN = "00000099123456780000"
TYPES = {
    "plan-changes": "plan-changed", "plan-states": "plan-state-changed", "plan-regions": "plan-state-changed",
    "conflicts": "conflict-opened", "opportunities": "opportunity-opened", "subscriptions": "subscription-changed",
    "alerts": "alert", "receipts": "delivery", "dead-letters": "dead-letter", "polls": "source-polled",
    "restriction-reports": "restriction-reported", "restrictions": "restriction-changed",
    "source-states": "source-state", "alert-states": "alert-state", "partners": "partner-changed",
    "dead-letter-states": "dead-letter-state",
    "sources": "source-status",
}  # fmt: skip


def finding(plan: model.Plan) -> dict[str, Any]:
    """Return what a conflict and an opportunity have in common."""
    other = identity.plan_id(plan.system, "2")
    evidence = model.Evidence(
        rule_id="CLASH.WORKS",
        rule_version="samenloop@1.0.0",
        metric_crs="EPSG:28992",
        distance_m=0.0,
        contact_kind=model.ContactKind.OVERLAP,
        overlap_m2=12.5,
        overlap_days=14,
        lead_days=98,
        judged_on=date(2026, 11, 23),
        flags=("assumed_end",),
        zone=plan.geometry,
        period=plan.period,
        remedies=(model.Remedy(model.RemedyKind.SHIFT, other, 15),),
        score_parts=(model.ScorePart("overlap", 0.5, 1.0),),
    )
    return {
        "id": identity.finding_id("CLASH.WORKS", (plan.id, other)),
        "revision": 1,
        "kind": "urn:samenloop:finding-kind:clash-works",
        "status": model.FindingStatus.OPEN,
        "participants": (model.Participant(plan.id, 1, OIN), model.Participant(other, 4, OIN)),
        "evidence": evidence,
        "detected_at": NOW,
        "updated_at": NOW,
        "cause_id": "47e318db-d346-554e-bd1b-36aced2903ca",
        "severity": model.Severity.WARNING,
        "visibility": model.Visibility.PARTNERS,
    }


def restriction(plan: model.Plan) -> model.Restriction:
    """Return a moratorium where *plan* lies."""
    assert plan.geometry is not None
    return model.Restriction(
        id=identity.restriction_id(plan.system, "Z/7"), system=plan.system, local_id="Z/7",
        owner=model.Organisation(OIN, "Gemeente Voorbeeld"), title="Graafrust Caféplein", geometry=plan.geometry,
        kind=model.RestrictionKind.MORATORIUM, status=model.RestrictionStatus.IN_FORCE, force=model.Force.BINDING,
        period=model.Period(date(2027, 6, 1), date(2032, 5, 31), model.Precision.DAY),
        exempt_work_kinds=("urn:samenloop:work-kind:house-connection",), for_plan_id=plan.id,
        legal_basis="https://example.org/besluit/7", visibility=model.Visibility.PARTNERS,
    )  # fmt: skip


def samples(change: model.PlanChanged) -> dict[str, Any]:
    """Return one record for every topic."""
    plan = change.plan
    assert plan is not None
    subscription, event = UUID(int=7), change.origin.event_id
    alert = identity.alert_id(subscription, event, "NEW")
    zone = restriction(plan)
    origin = model.FieldOrigin(system=plan.system, event_id=event, recorded_at=NOW)
    return {
        "plan-changes": change,
        "plan-states": model.PlanState(
            plan_id=plan.id, revision=2, validity=change.validity, registered_at=NOW, sequence=3, event_id=event,
            content_hash=content_hash(plan), provenance={"": origin}, plan=plan,
        ),
        "plan-regions": model.PlanRegion(
            plan_id=plan.id, version=18, revision=2, accepted_at=NOW, cause_id=event, plan=plan
        ),
        "restriction-reports": model.RestrictionReport(
            restriction_id=zone.id, change=model.ChangeKind.UPDATED, recorded_at=NOW, ingested_at=NOW,
            origin=model.Origin(OIN, zone.system, event), changed_fields=("/status",), sequence=3, restriction=zone,
        ),
        "restrictions": replace(zone, revision=2, content_hash=restriction_hash(zone), recorded_at=NOW),
        "conflicts": model.Conflict(**finding(plan), judgements=(model.Judgement(OIN, NOW, model.Verdict.CONFIRMED),)),
        "opportunities": model.Opportunity(
            **finding(plan), score=0.75, saving_eur=12000.0, lead_oin=OIN, answer_by=date(2027, 1, 15),
            replies=(model.Reply(OIN, model.Answer.AGREED, NOW),),
        ),
        "subscriptions": model.Subscription(
            id=subscription, revision=1, subscriber_oin=OIN, sink="https://partner.example/hook", created_at=NOW,
            updated_at=NOW, area=plan.geometry, roles=(model.SubscriberRole.OWNER,),
            materiality=model.Materiality(model.Severity.WARNING, 0.5, 7, 10.0),
            status=model.SubscriptionStatus.ACTIVE,
        ),
        "alerts": model.Alert(
            id=alert, subscription_id=subscription, sequence=1, event_id=event,
            event_type="nl.samenloop.conflict-opened.v1", subject_id=plan.id, subject_revision=1, accepted_at=NOW,
            created_at=NOW, due_at=NOW, reason=model.AlertReason.NEW, data='{"a":1}',
        ),
        "receipts": model.DeliveryReceipt(
            id=identity.receipt_id(alert, 1), alert_id=alert, subscription_id=subscription, subscriber_oin=OIN,
            subject_id=plan.id, attempt=1, attempted_at=NOW, outcome=model.Outcome.RETRY, http_status=503,
            sent_hash=bytes(32), next_attempt_at=NOW + timedelta(seconds=5),
        ),
        "dead-letters": model.DeadLetter(
            id=UUID(int=9), code="schema.unreadable", detail="the bytes do not fit", stage="consolidate",
            retryable=False, failed_at=NOW, reason=model.DeadReason.SCHEMA, topic="plan-changes", partition=3,
            offset=17, key=b"k", value=b"\x00\xff", value_sha256=bytes(32),
            headers=(model.Header("ce_id", b"1"), model.Header("ce_id", b"2"), model.Header("x")),
        ),
        "polls": model.SourcePoll(
            id=UUID(int=10), source="city", connector="file-snapshots", started_at=NOW, duration_ms=120,
            outcome=model.PollOutcome.OK, snapshot_id="s", read=5, created=1, updated=1, removed=1, unchanged=1,
            rejected=1, newest_record_at=NOW, published=2,
        ),
        "source-states": model.SourceState(
            source="city", record=plan.local_id, snapshot_id="s", fingerprint=b"\x01\x02", content_hash=bytes(32),
            sequence=3, last_end=date(2027, 5, 14), phase=model.Phase.DESIGN, plan=plan,
        ),
        "sources": model.SourceStatus(
            system=plan.system, owner=model.Organisation(OIN, "Gemeente Voorbeeld"), name="Werkenregister",
            connector="file-snapshots", protocol="HTTPS", freshness_objective_s=86400, observed_at=NOW,
            sources=("city",), product="Voorbeeldpakket 3", standards=("GeoJSON",), direction=model.Direction.READ,
            licence="CC0-1.0", contact=model.Contact("Projectbureau", "projecten@gemeente.example"),
            state=model.SystemState.PAUSED, error_code="snapshot.shrunk", last_success_at=NOW, newest_record_at=NOW,
            plans=12, rejected_24h=1, polls_24h={"ok": 2, "held": 1}, records_24h={"read": 26, "unchanged": 26},
        ),
        "alert-states": model.AlertState(
            subscription_id=subscription, subject_id=plan.id, sequence=1, told_at=NOW, told="{}", open=True
        ),
        "dead-letter-states": model.DeadLetterState(
            letter_id=UUID(int=9), status=model.DeadLetterStatus.FAILED_AGAIN, at=NOW, by="operator", reason="mended",
            attempt=2, topic="plan-changes", successor=UUID(int=11),
        ),
        "partners": model.Partner(
            oin=OIN, name="Gemeente Voorbeeld", created_at=NOW, updated_at=NOW, key_hashes=(bytes(32),),
            keys=(model.ApiKey(bytes(31) + b"\x01", NOW, ("plans:write", "read"), "planning system"),),
            mandate=("00000099123456780001",),
        ),
    }  # fmt: skip


@pytest.fixture(scope="module")
def sampled(make_change: Callable[[], model.PlanChanged]) -> dict[str, Any]:
    """One record for every topic."""
    return samples(make_change())


def golden_of(codec: Codec, topic: str, value: Any) -> dict[str, Any]:
    """Return what a golden file holds: body, JSON form, headers, id, and the content hash of a plan."""
    form = to_json(value)
    names = ("plan_id", "restriction_id", "id", "source", "oin", "system", "letter_id", "subscription_id")
    key = next(form[name] for name in names if form.get(name))
    envelope = Envelope(
        id=form.get("id", "47e318db-d346-554e-bd1b-36aced2903ca"),
        source="urn:nld:oin:00000099000000000001:systeem:samenloop",
        type=f"nl.samenloop.{TYPES[topic]}.v1", time=NOW, subject=key, partitionkey=key, correlationid="c",
        classification="internal",
    )  # fmt: skip
    plan = getattr(value, "plan", None)
    return {
        "key": key,
        "body": base64.b64encode(codec.encode(topic, value)[framing.HEADER_BYTES :]).decode(),
        "json": form,
        "headers": [[name, content.decode()] for name, content in codec.headers(topic, envelope)],
        "content_hash": content_hash(plan).hex() if plan else None,
    }


def golden(topic: str) -> tuple[str, dict[str, Any]]:
    """Return the version and content of the golden file of the current schema of *topic*."""
    record = TOPICS[topic].record.__name__
    version = files.version(record)
    return version, json.loads((GOLDEN / f"{record}-{version}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("topic", TOPICS)
def test_written_the_same_again(codec: Codec, sampled: dict[str, Any], topic: str) -> None:
    """Body, JSON form, headers, id and content hash of a released record never change."""
    record = TOPICS[topic].record.__name__
    path = GOLDEN / f"{record}-{files.version(record)}.json"
    written = golden_of(codec, topic, sampled[topic])
    if os.environ.get("SAMENLOOP_GOLDEN") and not path.exists():
        path.write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    assert written == golden(topic)[1]


@pytest.mark.parametrize("topic", TOPICS)
def test_read_by_id_and_by_name(codec: Codec, sampled: dict[str, Any], topic: str) -> None:
    """A golden body is read by our own id, and by ce_dataschema where the id is another registry's."""
    _, kept = golden(topic)
    body = base64.b64decode(kept["body"])
    headers = tuple((name, text.encode()) for name, text in kept["headers"])

    by_id = codec.decode(topic, codec.wires[topic].frame + body)
    by_name = codec.decode(topic, framing.frame(4711) + body, headers)

    assert by_id == by_name == sampled[topic]
    assert from_json(TOPICS[topic].record, kept["json"]) == by_id
    assert read_envelope(headers).partitionkey == kept["key"]


@pytest.mark.parametrize("topic", TOPICS)
def test_read_by_two_libraries(topic: str) -> None:
    """A partner without this hub drops five bytes and decodes with the published file, in fastavro or avro."""
    version, kept = golden(topic)
    schema = files.released(TOPICS[topic].record.__name__)[version]
    body = base64.b64decode(kept["body"])

    one = fastavro.schemaless_reader(BytesIO(body), schema, None)
    other = avro.io.DatumReader(avro.schema.parse(json.dumps(schema))).read(avro.io.BinaryDecoder(BytesIO(body)))

    assert {name: one[name] for name in ("revision", "sequence", "title", "name") if name in one} == {
        name: other[name] for name in ("revision", "sequence", "title", "name") if name in other
    }
    assert set(one) == set(other)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_every_release_is_still_read(codec: Codec, path: Path) -> None:
    """Golden bodies of all releases are read by this version."""
    kept = json.loads(path.read_text(encoding="utf-8"))
    record = path.stem.partition("-")[0]
    topic = next(name for name, topic in TOPICS.items() if topic.record.__name__ == record)
    headers = tuple((name, text.encode()) for name, text in kept["headers"])

    read = codec.decode(topic, framing.frame(4711) + base64.b64decode(kept["body"]), headers)

    assert isinstance(read, TOPICS[topic].record)
