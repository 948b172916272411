"""The part of the document about Kafka: a channel for each public topic, its messages, its headers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from docs.asyncapi import examples
from samenloop.contract import CLASSIFICATION, TOPICS, Topic
from samenloop.contract.cloudevents import HUB_MODES, REQUIRED
from samenloop.contract.event_types import EVENT_TYPES, EventType
from samenloop.contract.files import current
from samenloop.kafka.topics import settings_of
from samenloop.settings import Hub

Part = dict[str, Any]

AVRO = "application/vnd.apache.avro+json;version=1.9.0"
PREFIX = Hub().kafka.prefix
BINDING = {"bindingVersion": "0.5.0"}
SERVERS: Part = {
    "kafka": {
        "host": "kafka.hub.example:9093",
        "protocol": "kafka-secure",
        "description": "The hub's Kafka. Partners are let in by client certificate or by SCRAM.",
        "security": [{"$ref": "#/components/securitySchemes/scram"}, {"$ref": "#/components/securitySchemes/mtls"}],
        "bindings": {
            "kafka": {
                "schemaRegistryUrl": "https://registry.hub.example/apis/ccompat/v7",
                "schemaRegistryVendor": "apicurio",
                **BINDING,
            }
        },
    }
}
SECURITY: Part = {
    "scram": {"type": "scramSha512", "description": "User name and password, given by the operator."},
    "mtls": {"type": "X509", "description": "A client certificate with your OIN as serial number of its subject."},
}
_GUARANTEES: dict[str, tuple[str, str]] = {
    "plan-changes": ("plans", "In the order of `sequence` per plan. A repeat carries the same `ce_id`."),
    "plan-states": ("plans", "`revision` only rises per plan. Null: the plan is gone."),
    "conflicts": ("findings", "`revision` only rises per finding. What is closed stays for 30 days, then null."),
    "opportunities": ("findings", "`revision` only rises per finding. What is closed stays for 30 days, then null."),
    "subscriptions": ("subscribers", "`revision` only rises per subscription."),
    "alerts": ("subscribers", "In the order of `sequence` per subscription, without holes."),
    "receipts": ("subscribers", "In the order of `attempt` per alert; each alert ends in exactly one final receipt."),
    "dead-letters": ("operation", "Byte for byte what was set aside; none is dropped."),
    "polls": ("operation", "One for each poll; read = created + updated + removed + unchanged + rejected."),
    "source-states": ("operation", "The hub's own memory, written with `plan-changes` in one transaction. No headers."),
    "alert-states": ("operation", "The hub's own memory of what a subscriber was last told. No headers."),
    "partners": ("subscribers", "The last record per organisation holds."),
    "dead-letter-states": ("operation", "The last record per dead letter counts."),
    "restriction-reports": ("restrictions", "In the order in which a source says it, per restriction."),
    "restrictions": ("restrictions", "`revision` only rises per restriction. Null: the restriction is gone."),
    "sources": ("operation", "The last record per system holds; written by the health view only."),
}
"""Tag and promise of each public topic. A new topic needs its line here."""

_TEXTS: dict[str, Part] = {
    "ce_specversion": {"const": "1.0"},
    "ce_id": {"description": "Unique within `ce_source`: deduplicate on both."},
    "ce_source": {"description": "URN of the system that says so: `urn:nld:oin:<OIN>:systeem:<name>`."},
    "ce_type": {"description": "What happened."},
    "ce_time": {"format": "date-time", "description": "When the source recorded it, not when works take place."},
    "ce_subject": {"description": "Id of the plan, finding, alert or subscription. Never a person."},
    "ce_partitionkey": {"description": "Equals the key."},
    "ce_dataschema": {
        "format": "uri",
        "description": "Record, version and SHA-256 of the parsing canonical form of the schema: the same everywhere.",
    },
    "ce_correlationid": {"description": "Id of the first event of the chain."},
    "ce_causationid": {"description": "Id of the event directly before."},
    "ce_dataclassification": {"enum": list(CLASSIFICATION.values()), "description": "By who may see what is in it."},
    "ce_hubmode": {"enum": list(HUB_MODES), "description": "`replay`: told again on purpose."},
    "ce_traceparent": {"description": "W3C trace context of the span that began it."},
    "traceparent": {"description": "W3C trace context of the span that wrote it, where the hub writes traces."},
    "tracestate": {"description": "Beside `traceparent`, where a sampler hands something on."},
    "content-type": {"const": "application/avro", "description": "Absent where the value is null."},
}  # fmt: skip


def schemas() -> Part:
    """Return the schema of the headers. Raises ValueError for a required one that nothing is said about."""
    if unknown := REQUIRED - _TEXTS.keys():
        raise ValueError(f"nothing is said about {sorted(unknown)}")
    described = {
        "type": "object",
        "description": "CloudEvents 1.0, NL GOV profile 1.1, binary mode. Each header stands once.",
        "required": [name for name in _TEXTS if name in REQUIRED],
        "properties": {name: {"type": "string", **more} for name, more in _TEXTS.items()},
    }
    return {"CloudEventsHeaders": described}


def types_of(topic: Topic) -> list[EventType]:
    """Return the types that stand on *topic*."""
    return [event for event in EVENT_TYPES.values() if event.topic == topic.name]


def channel(topic: Topic) -> Part:
    """Return the channel of *topic*."""
    tag, promise = _GUARANTEES[topic.name]
    config: Part = {key: _number(value) for key, value in sorted(settings_of(topic).items())}
    config["cleanup.policy"] = [topic.cleanup]
    return {
        "address": topic.full_name("{prefix}"),
        "title": topic.name,
        "description": f"Key: {topic.key}. {promise}",
        "servers": [{"$ref": "#/servers/kafka"}],
        "parameters": {"prefix": {"default": PREFIX, "description": "Setting `kafka.prefix` of the hub."}},
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _messages_of(topic)},
        "tags": [{"name": tag}],
        "bindings": {"kafka": {"partitions": topic.partitions, "topicConfiguration": config, **BINDING}},
    }


def messages(topics: Sequence[Topic]) -> Part:
    """Return the messages of *topics* by name."""
    return {name: message for topic in topics for name, message in _messages_of(topic).items()}


def operations(topics: Sequence[Topic]) -> Part:
    """Return what the hub does on Kafka: it sends every topic, and takes changes of plans from others too."""
    found = {f"send-{topic.name}": _operation("send", topic, "The hub sends, you read.") for topic in topics}
    words = "You send, the hub takes: by a connector of your own, for plans of yours or by mandate. Others use push."
    return {**found, "receive-plan-changes": _operation("receive", TOPICS["plan-changes"], words)}


def _operation(action: str, topic: Topic, words: str) -> Part:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{topic.name}"},
        "summary": words,
        "tags": [{"name": _GUARANTEES[topic.name][0]}],
        "messages": [{"$ref": f"#/channels/{topic.name}/messages/{name}"} for name in _messages_of(topic)],
    }


def _messages_of(topic: Topic) -> Part:
    """Return the messages of one topic: its record, and where that has a type of its own, the deletion."""
    schema = current(topic.record.__name__)
    types = types_of(topic)
    written = [event for event in types if not event.tombstone]
    found = {schema["name"]: _message(topic, schema, written)}
    if topic.cleanup == "compact":
        found[f"{schema['name']}Deleted"] = _deletion(topic, [event for event in types if event.tombstone])
    return found


def _message(topic: Topic, schema: Part, types: Sequence[EventType]) -> Part:
    return {
        "name": schema["name"],
        "title": schema["name"],
        "summary": schema["doc"],
        "contentType": "application/avro",
        **_headers(types),
        "payload": {"schemaFormat": AVRO, "schema": schema},
        "bindings": _binding(topic, framed=True),
        "examples": [examples.on_kafka(schema["name"], enveloped=bool(types))],
    }


def _deletion(topic: Topic, types: Sequence[EventType]) -> Part:
    found = {
        "name": f"{topic.record.__name__}Deleted",
        "title": f"{topic.record.__name__}, deleted",
        "summary": "A null value: what has this key is gone.",
        **_headers(types),
        "payload": {"type": "null"},
        "bindings": _binding(topic, framed=False),
    }
    return {**found, "examples": [examples.tombstone(event.type) for event in types]} if types else found


def _headers(types: Sequence[EventType]) -> Part:
    """Return the headers of a message that has one of *types*; nothing without any."""
    if not types:
        return {}
    of_type = {"ce_type": {"enum": [event.type for event in types]}}
    base = {"$ref": "#/components/schemas/CloudEventsHeaders"}
    return {"headers": {"type": "object", "allOf": [base], "properties": of_type}}


def _binding(topic: Topic, *, framed: bool) -> Part:
    found: Part = {"key": {"type": "string", "description": f"UTF-8 text, never empty: {topic.key}"}}
    if framed:
        found |= {
            "schemaIdLocation": "payload",
            "schemaIdPayloadEncoding": "confluent",
            "schemaLookupStrategy": "TopicRecordNameStrategy",
        }
    return {"kafka": {**found, **BINDING}}


def _number(text: str) -> int | float | str:
    """Return a setting as a number where it is one."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
