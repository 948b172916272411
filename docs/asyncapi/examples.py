"""The examples: golden records of the contract, and alerts as the hub's own code words and signs them."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from samenloop import identity, model, webhooks
from samenloop.contract import from_json, to_json
from samenloop.contract.alert_events import alert_event
from samenloop.contract.files import version
from samenloop.notify import FIRST_LOAD, PLAN_CHANGED, PLAN_REMOVED, PLAN_WITHDRAWN, content
from samenloop.notify.interest import SUBSCRIPTION_TEST, interest_of
from samenloop.rules import load_rules
from samenloop.visibility import MaskedFinding

GOLDEN = Path(__file__).parents[2] / "tests/samenloop/contract/golden"
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
HUB = "urn:nld:oin:00000099000000000001:systeem:samenloop"
OTHER_OIN = "00000099123456780001"
_NOW = datetime(2026, 11, 23, 9, 15, tzinfo=UTC)
Example = dict[str, Any]


def golden(record: str) -> Example:
    """Return the golden file of what the hub writes as *record* now."""
    found: Example = json.loads((GOLDEN / f"{record}-{version(record)}.json").read_text(encoding="utf-8"))
    return found


def on_kafka(record: str, *, enveloped: bool) -> Example:
    """Return the example of a message on Kafka: headers, and the value in the contract's JSON form."""
    found = golden(record)
    example: Example = {"name": record, "payload": found["json"]}
    return {**example, "headers": dict(found["headers"])} if enveloped else example


def tombstone(event_type: str) -> Example:
    """Return the example of a plan that is gone: the headers of its state, and no value."""
    headers = dict(golden("PlanState")["headers"]) | {"ce_type": event_type}
    headers.pop("content-type")
    return {"name": "removed", "headers": headers, "payload": None}


def webhook(name: str) -> Example:
    """Return the example of one alert by its *name*: signed headers, and the body."""
    event_type, subject, reason, data = _said()[name]
    finding = "conflict" in event_type
    role = model.SubscriberRole.OWNER if finding else model.SubscriberRole.OBSERVER
    alert = model.Alert(
        id=identity.uuid_of("alert", name), subscription_id=identity.uuid_of("subscription"), sequence=17,
        event_id=str(identity.uuid_of("event", name)), event_type=event_type, subject_id=subject, subject_revision=1,
        accepted_at=_NOW, created_at=_NOW, due_at=_NOW, reason=reason, role=role,
        severity=model.Severity.WARNING if finding else model.Severity.UNKNOWN, data=data,
    )  # fmt: skip
    body = alert_event(alert, HUB)
    headers = webhooks.sign([SECRET], str(alert.id), _NOW, body)
    return {"name": name, "headers": headers, "payload": json.loads(body)}


def _said() -> dict[str, tuple[str, str, model.AlertReason, str | None]]:
    """Return what each alert says: type, subject, reason, data."""
    plan = from_json(model.Plan, golden("PlanState")["json"]["plan"])
    conflict = from_json(model.Conflict, golden("Conflict")["json"])
    asked = from_json(model.Subscription, golden("Subscription")["json"])
    partner = replace(from_json(model.Partner, golden("Partner")["json"]), mandate=())
    interest = interest_of(replace(asked, clearance=model.Clearance.PARTNERS), partner, "EPSG:28992", HUB)
    assert interest is not None
    mine, yours = conflict.participants
    owner = model.Organisation(oin=OTHER_OIN, name="Netbeheer Voorbeeld")
    theirs = replace(plan, id=yours.id, title="Stroomkabel Havenweg", owner=owner, parties=())
    conflict = replace(conflict, participants=(mine, replace(yours, owner_oin=OTHER_OIN)))
    words, finding_id = content.Words(load_rules(), to_json), str(conflict.id)
    by_id = {plan.id: plan, theirs.id: theirs}
    contacts = (plan.contact,) if plan.contact else ()
    hidden = MaskedFinding(conflict.id, conflict.kind, conflict.status, conflict.severity, contacts)
    opened, closed = (f"nl.samenloop.conflict-{step}.v1" for step in ("opened", "closed"))
    new, ended = model.AlertReason.NEW, model.AlertReason.ENDED
    role = model.SubscriberRole.OWNER
    return {
        "finding": (opened, finding_id, new, words.finding(interest, conflict, by_id, role=role, changes=())),
        "masked": (opened, finding_id, new, words.masked(interest, hidden, ())),
        "withheld": (closed, finding_id, ended, content.withheld(conflict)),
        "thin": (opened, finding_id, new, None),
        "plan": (PLAN_CHANGED, theirs.id, new, words.plan(interest, theirs, model.SubscriberRole.OBSERVER, ())),
        "plan-removed": (PLAN_REMOVED, theirs.id, ended, words.removed(interest, theirs)),
        "plan-withdrawn": (PLAN_WITHDRAWN, theirs.id, ended, None),
        "summary": (FIRST_LOAD, str(asked.id), new, words.summary(interest, [(conflict, by_id)], plans=3, masked=1)),
        "test": (SUBSCRIPTION_TEST, str(asked.id), model.AlertReason.TEST, content.TEST),
    }
