"""The document: who sends what to whom, topic by topic and over HTTP."""

from __future__ import annotations

from typing import Any

import yaml

from docs.asyncapi import http, kafka
from samenloop import __version__
from samenloop.contract import TOPICS

PUBLIC = [topic for topic in TOPICS.values() if topic.public]
_NOTE = "# Written by docs/generate.py: change the code, then run it.\n"
_INTRODUCTION = """\
What the hub and its partners tell each other, as events.

**Whose view.** As AsyncAPI has it, the application that is described is the **hub**: `send` means that the hub sends
and you receive, `receive` that you send and the hub takes it. Every operation says so again in words.

**Three ways.**

* **Webhooks** are for everyone who subscribes: the hub posts CloudEvents in JSON, signed, at least once.
* **Push**: you post your plans as CloudEvents to `/v1/events` (`/openapi.json` describes that interface in full).
* **Kafka** is for those whom the operator gives access. Kafka cannot hide single records, so a topic is opened only to
  those who may see all of it; everyone else uses HTTP.

**On Kafka** a value is `00`, four bytes with the id of its schema in the registry, big-endian, and the Avro body. The
id means something in one registry only; the header `ce_dataschema` names the schema anywhere. Headers are CloudEvents
1.0 in binary mode, UTF-8. Keys are plain UTF-8 text. A null value is a deletion, an empty one is an error. Read with
`isolation.level=read_committed`; order holds per key only; a reader of a compacted topic that was away for more than 30
days begins from empty. Examples show values in the JSON form of the contract: days and instants as text, hashes in hex,
a geometry as GeoJSON, nulls left out.

**Compatibility** is FULL_TRANSITIVE: within `v1` old and new readers and writers meet in any mix. Pass your own schema
as the reader's. What breaks that becomes `v2`, on topics of its own.
"""


def document() -> dict[str, Any]:
    """Return the AsyncAPI document as plain data, each part once."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Samenloop",
            "version": __version__,
            "description": _INTRODUCTION,
            "license": {"name": "EUPL-1.2", "url": "https://eupl.eu/1.2/en/"},
            "tags": [
                {"name": "plans"},
                {"name": "restrictions"},
                {"name": "findings"},
                {"name": "subscribers"},
                {"name": "operation"},
            ],
        },
        "defaultContentType": "application/json",
        "servers": {**kafka.SERVERS, **http.SERVERS},
        "channels": {**{topic.name: kafka.channel(topic) for topic in PUBLIC}, **http.channels()},
        "operations": {**kafka.operations(PUBLIC), **http.operations()},
        "components": {
            "messages": {**kafka.messages(PUBLIC), **http.messages()},
            "schemas": {**kafka.schemas(), **http.schemas()},
            "securitySchemes": {**kafka.SECURITY, **http.SECURITY},
        },
    }


def text() -> str:
    """Return the document as YAML."""
    return _NOTE + yaml.dump(document(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


class _Dumper(yaml.SafeDumper):
    """Writes what occurs twice twice, since not every tool follows aliases, and texts of several lines as blocks.

    Texts that look like numbers are quoted: an OIN that begins with zeros is text in YAML 1.1 and a number in 1.2.
    """

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent(dumper: yaml.SafeDumper, data: str) -> yaml.ScalarNode:
    style = "|" if "\n" in data else '"' if data[:1] in set("0123456789+-.") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Dumper.add_representer(str, _represent)
