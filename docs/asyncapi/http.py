"""The part of the document about HTTP: alerts that the hub posts, and plans that partners push."""

from __future__ import annotations

from typing import Any

from docs.asyncapi import examples
from docs.asyncapi.forms import json_schema
from edge.documented import EVENT, REMOVAL
from edge.messages import GEO_JSON, JSON, STRUCTURED
from samenloop.contract.event_types import EVENT_TYPES, Way
from samenloop.contract.files import current

Part = dict[str, Any]

BINDING = {"bindingVersion": "0.3.0"}
SERVERS: Part = {
    "partner": {
        "host": "{partner}",
        "protocol": "https",
        "description": "Your system: the host of your subscription's `sink`. Public, https, without redirects.",
        "variables": {"partner": {"default": "planning.partner.example", "description": "Host of the sink."}},
    },
    "hub": {
        "host": "hub.example",
        "protocol": "https",
        "description": "The hub's HTTP side. `/openapi.json` describes it in full.",
        "security": [{"$ref": "#/components/securitySchemes/apiKey"}],
    },
}
SECURITY: Part = {
    "apiKey": {"type": "http", "scheme": "bearer", "description": "An API key with the scope `plans:write`."},
}
_ANSWERS = """\
The hub sends, you receive: one POST per alert. Answer with 2xx within 20 seconds, as soon as you have stored it.

* At least once: deduplicate on `webhook-id`. Alerts on one subject come in order.
* Verify `webhook-signature` (Standard Webhooks) over the bytes of the body as they came, and refuse a
  `webhook-timestamp` that is more than five minutes off.
* 202 is taken but not processed; 3xx is never followed; other 4xx is tried three times; 409 and 412 are final; 410 ends
  your subscription; `Retry-After` of 429 and 503 is obeyed; all else is tried again for about 76 hours.
* Before the first one your sink is asked by `OPTIONS` with `WebHook-Request-Origin`, and must consent with
  `WebHook-Allowed-Origin`.
"""
_TEXT: Part = {"type": "string"}
_TEXTS: Part = {"type": "object", "description": "By language: nl, en.", "additionalProperties": _TEXT}
_CHANGES: Part = {"type": "array", "items": _TEXT, "description": "What changed enough to tell you again."}
_ROLE: Part = {"type": "string", "description": "Your part in it: OWNER, PARTICIPANT, AUTHORITY, OBSERVER."}


def _ref(name: str) -> Part:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(required: str, **properties: Part) -> Part:
    return {"type": "object", "required": required.split(), "properties": properties}


_PARTICIPANT = _object(
    "id", id={**_TEXT, "description": "Plan."}, title=_TEXT, owner=_ref("Organisation"), period=_ref("Period"),
    own={"type": "boolean", "description": "Whether it is yours."}, contact=_ref("Contact"),
)  # fmt: skip
_COUNT: Part = {"type": "integer", "minimum": 0}
_WITHHELD = _object(
    "id", id=_TEXT, status={"enum": ["WITHDRAWN"], "description": "You may no longer see it: delete it."}
)
_MASKED = _object("id kind status severity", id=_TEXT, kind=_TEXT, status=_TEXT, severity=_TEXT,
                  contacts={"type": "array", "items": _ref("Contact")})  # fmt: skip
_FINDING = {"anyOf": [_ref("Conflict"), _ref("Opportunity"), _MASKED, _WITHHELD]}
_DATA: dict[str, Part | None] = {
    "FindingAlert": _object(
        "finding changes", finding=_FINDING, role=_ROLE, changes=_CHANGES, sentences=_TEXTS,
        remedies={"type": "object", "additionalProperties": {"type": "array", "items": _TEXT}},
        participants={"type": "array", "items": _PARTICIPANT},
        masked={"const": True, "description": "One of the plans may not be seen by you: contact its owner."},
    ),
    "PlanAlert": _object("plan role changes", plan=_ref("Plan"), role=_ROLE, changes=_CHANGES),
    "PlanRemovedAlert": _object("plan changes", plan=_PARTICIPANT, changes=_CHANGES),
    "PlanWithdrawnAlert": None,
    "SummaryAlert": _object(
        "conflicts opportunities plans masked sentences findings",
        conflicts=_COUNT, conflicts_by_severity={"type": "object", "additionalProperties": _COUNT},
        opportunities=_COUNT, plans=_COUNT,
        masked={**_COUNT, "description": "Findings with a plan that you may not see; in no other count."},
        sentences=_TEXTS,
        findings={"type": "array", "items": _object("id kind severity sentences", id=_TEXT, kind=_TEXT, severity=_TEXT,
                                                    sentences=_TEXTS)},
    ),
    "TestAlert": _object("sentences", sentences=_TEXTS),
}  # fmt: skip
"""What stands in `data` of each message; None: there is no data."""
_ALERTS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "FindingAlert": (
        "A conflict or an opportunity opened, changed or closed",
        tuple(f"{record}-{step}" for record in ("conflict", "opportunity") for step in ("opened", "changed", "closed")),
        ("finding", "masked", "withheld", "thin"),
    ),
    "PlanAlert": ("A plan of another in your area is new or differs", ("plan-state-changed",), ("plan",)),
    "PlanRemovedAlert": ("A plan of another is gone", ("plan-removed",), ("plan-removed",)),
    "PlanWithdrawnAlert": ("You may no longer see a plan", ("plan-withdrawn",), ("plan-withdrawn",)),
    "SummaryAlert": ("How things stand, to begin with", ("first-load-summary",), ("summary",)),
    "TestAlert": ("A test alert that somebody asked for", ("subscription-test",), ("test",)),
}
"""Title of each message, what its types are called, its examples."""
_PUSHED = {
    "PlanChangedEvent": ("nl.samenloop.plan-changed.v1", "One of your plans is new or differs", EVENT),
    "PlanRemovedEvent": ("nl.samenloop.plan-removed.v1", "One of your plans is gone", REMOVAL),
}
"""Type, title and example of each event that partners push."""


def types_by(way: Way) -> list[str]:
    """Return the types that travel this *way*."""
    return [event.type for event in EVENT_TYPES.values() if way in event.ways]


def schemas() -> Part:
    """Return the schemas of alerts, the records in them included."""
    records: Part = {}
    for record in ("Conflict", "Opportunity", "PlanState"):
        json_schema(current(record), records)
    for state in ("PlanState", "FieldOrigin", "Validity"):
        del records[state]  # alerts carry the plan itself
    return {"WebhookHeaders": _webhook_headers(), "AlertAttributes": _attributes(), **dict(sorted(records.items()))}


def channels() -> Part:
    """Return the channels of both directions."""
    return {
        "webhook": {
            "address": None,
            "title": "Your sink",
            "description": "The address that you subscribe: its path is yours to choose.",
            "servers": [{"$ref": "#/servers/partner"}],
            "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _ALERTS},
            "tags": [{"name": "subscribers"}],
        },
        "push": {
            "address": "/v1/events",
            "title": "Push",
            "description": "Plans that you send.",
            "servers": [{"$ref": "#/servers/hub"}],
            "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _PUSHED},
            "tags": [{"name": "plans"}],
        },
    }


def operations() -> Part:
    """Return what the hub does over HTTP."""
    post = {"bindings": {"http": {"method": "POST", **BINDING}}}
    return {
        "send-webhooks": {
            "action": "send",
            "channel": {"$ref": "#/channels/webhook"},
            "summary": "The hub sends, you receive.",
            "description": _ANSWERS,
            "tags": [{"name": "subscribers"}],
            **post,
            "messages": [{"$ref": f"#/channels/webhook/messages/{name}"} for name in _ALERTS],
        },
        "receive-push": {
            "action": "receive",
            "channel": {"$ref": "#/channels/push"},
            "summary": "You send, the hub takes.",
            "description": "Single or in batches, in structured or binary mode; 202 only when Kafka has every event. "
            "A repeat of an `id` has no second effect. `/openapi.json` tells every field and answer.",
            "tags": [{"name": "plans"}],
            **post,
            "messages": [{"$ref": f"#/channels/push/messages/{name}"} for name in _PUSHED],
        },
    }


def messages() -> Part:
    """Return the messages of both directions. Raises ValueError for a type that has none."""
    alerts = {name: _alert(name) for name in _ALERTS}
    told = {f"nl.samenloop.{name}.v1" for _, names, _ in _ALERTS.values() for name in names}
    pushed = {event_type for event_type, _, _ in _PUSHED.values()}
    for way, found in (("webhook", told), ("push", pushed)):
        if found != set(types_by(way)):
            raise ValueError(f"{way}: the messages and the catalogue differ in {sorted(found ^ set(types_by(way)))}")
    return {**alerts, **{name: _pushed(name) for name in _PUSHED}}


def _alert(name: str) -> Part:
    title, names, shown = _ALERTS[name]
    types = [f"nl.samenloop.{one}.v1" for one in names]
    properties: Part = {"type": {"enum": types}}
    data = _DATA[name]
    if data is not None:
        properties["data"] = {**data, "description": "Left out of a thin alert, and above 20 kB."}
    return {
        "name": name,
        "title": title,
        "summary": "; ".join(EVENT_TYPES[one].meaning.rstrip(".") for one in types),
        "contentType": f"{STRUCTURED}; charset=utf-8",
        "headers": _ref("WebhookHeaders"),
        "payload": {"type": "object", "allOf": [_ref("AlertAttributes")], "properties": properties},
        "bindings": {"http": {"headers": _ref("WebhookHeaders"), **BINDING}},
        "examples": [examples.webhook(one) for one in shown],
    }


def _pushed(name: str) -> Part:
    event_type, title, example = _PUSHED[name]
    must = ["specversion", "id", "source", "type", "time"]
    properties: Part = {
        "specversion": {"const": "1.0"},
        "id": {**_TEXT, "minLength": 1, "maxLength": 255, "description": "Unique within `source`."},
        "source": {**_TEXT, "description": "Your system: `urn:nld:oin:<OIN>:systeem:<name>`."},
        "type": {"const": event_type},
        "time": {**_TEXT, "format": "date-time", "description": "When your system recorded it."},
        "subject": {**_TEXT, "description": "The plan: `<source>:plan:<local id, percent-encoded>`."},
    }
    if "data" in example:
        must.append("data")
        properties["datacontenttype"] = {"enum": [JSON, GEO_JSON]}
        properties["data"] = {"type": "object", "description": "The plan: `FeatureForm` or `ChangeForm` in OpenAPI."}
    return {
        "name": name,
        "title": title,
        "summary": EVENT_TYPES[event_type].meaning,
        "contentType": STRUCTURED,
        "payload": {"type": "object", "required": must, "properties": properties},
        "examples": [{"name": "pushed", "payload": example}],
    }


def _webhook_headers() -> Part:
    return _object(
        "webhook-id webhook-timestamp webhook-signature",
        **{
            "webhook-id": {**_TEXT, "format": "uuid", "description": "The alert: the same in every attempt."},
            "webhook-timestamp": {
                **_TEXT, "pattern": "^[0-9]+$", "description": "Seconds since 1970 of this attempt.",
            },
            "webhook-signature": {
                **_TEXT, "pattern": "^v1,[A-Za-z0-9+/]+=*( v1,[A-Za-z0-9+/]+=*)*$",
                "description": "`v1,` and the HMAC-SHA256 of `<id>.<timestamp>.<body>` in base64; two after a "
                "rotation, separated by a space.",
            },
        },
    )  # fmt: skip


def _attributes() -> Part:
    """Return what every alert says, whatever it is about."""
    return _object(
        "specversion id source type subject time alertsequence alertreason alertrole",
        specversion={"const": "1.0"},
        id={**_TEXT, "description": "The event that is told of."},
        source={**_TEXT, "format": "uri", "description": "The hub."},
        type=_TEXT,
        subject={**_TEXT, "description": "The finding or plan; of a summary or a test the subscription."},
        time={**_TEXT, "format": "date-time", "description": "When the hub took the change that caused it."},
        alertsequence={
            "type": "integer",
            "description": "Within your subscription. A hole: a newer alert replaced an older one, or one was missed.",
        },
        alertreason={**_TEXT, "description": "NEW, CHANGED, ENDED, TEST."},
        alertrole=_ROLE,
        alertseverity={**_TEXT, "description": "Of a conflict: INFO, WARNING, BLOCKING."},
        datacontenttype={"const": JSON},
    )
