"""Writes the Strimzi resources that follow from declarations in the code: ``python -m deploy.kubernetes``.

`base/topics.yaml` has a KafkaTopic for each topic of the catalogue, `base/users.yaml` a KafkaUser for each principal
with its rights. A test compares them with what is committed, so a cluster cannot differ from what the hub's own tools
make. With names of sources (``python -m deploy.kubernetes town water-board``) it prints their users, for an overlay.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

from samenloop.contract.topics import INTERNAL, TOPICS, Topic
from samenloop.credentials import principal_on_wire, source_principal
from samenloop.kafka.access import Access, Resource, Right, accesses, rights
from samenloop.kafka.topics import settings_of
from samenloop.settings import Kafka

BASE = Path(__file__).parent / "base"
EXAMPLE = Path(__file__).parent / "overlays" / "example"
NOTE = "# Written by `python -m deploy.kubernetes`: change the code, then run it.\n"
PREFIX = Kafka().prefix
REPLICAS = 3
CLUSTER = {"strimzi.io/cluster": "samenloop"}
AT_NEED = ("restore",)
"""Principals that are made for one occasion: they may write everything, so none of them waits with a password."""


def topics() -> list[dict[str, Any]]:
    """Return a KafkaTopic for each topic of the hub, in the order of the catalogue."""
    return [_topic(topic) for topic in {**TOPICS, **INTERNAL}.values()]


def users() -> list[dict[str, Any]]:
    """Return a KafkaUser for each principal of the hub, sources excepted."""
    return [_user(access) for access in accesses([]).values() if access.principal not in AT_NEED]


def source_users(sources: Iterable[str]) -> list[dict[str, Any]]:
    """Return a KafkaUser for each of *sources*, by their names in the settings."""
    known = accesses(sources := list(sources))
    return [_user(known[source_principal(source)]) for source in sources]


def _resource(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "labels": CLUSTER}
    return {"apiVersion": "kafka.strimzi.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


def _topic(topic: Topic) -> dict[str, Any]:
    config = {key: int(text) if text.isdecimal() else text for key, text in sorted(settings_of(topic).items())}
    spec = {"partitions": topic.partitions, "replicas": REPLICAS, "config": {**config, "min.insync.replicas": 2}}
    return _resource("KafkaTopic", topic.full_name(PREFIX), spec)


def _user(access: Access) -> dict[str, Any]:
    spec = {
        "authentication": {"type": "scram-sha-512"},
        "authorization": {"type": "simple", "acls": list(_acls(rights(access, PREFIX)))},
    }
    return _resource("KafkaUser", principal_on_wire(PREFIX, access.principal), spec)


def _acls(granted: Iterable[Right]) -> Iterator[dict[str, Any]]:
    """Yield one rule for each resource with all that may be done with it."""

    def resource(right: Right) -> tuple[str, str, bool]:
        return right.resource.value, right.name, right.prefixed

    for (kind, name, prefixed), same in groupby(sorted(granted, key=resource), key=resource):
        named = {"name": name, "patternType": "prefix" if prefixed else "literal"}
        operations = sorted(right.operation.value for right in same)
        yield {"resource": {"type": kind, **({} if kind == Resource.CLUSTER else named)}, "operations": operations}


def text(resources: Iterable[dict[str, Any]]) -> str:
    """Return *resources* as one file."""
    documents = [
        yaml.dump(one, Dumper=_Plain, sort_keys=False, width=120, default_flow_style=None) for one in resources
    ]
    return NOTE + "---\n".join(documents)


class _Plain(yaml.SafeDumper):
    """Writes without anchors, lists indented below their key, and short mappings on one line."""

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> yaml.MappingNode:
        node = super().represent_mapping(tag, mapping, flow_style)
        node.flow_style = node.flow_style and len(node.value) <= 3
        return node

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def pages() -> dict[Path, str]:
    """Return every file that is written here, with its content."""
    return {
        BASE / "topics.yaml": text(topics()),
        BASE / "users.yaml": text(users()),
        EXAMPLE / "source-users.yaml": text(source_users(["town"])),
    }


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.stdout.write(text(source_users(sys.argv[1:])))
    else:
        for path, content in pages().items():
            path.write_text(content, encoding="utf-8")
