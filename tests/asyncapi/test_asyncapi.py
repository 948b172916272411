"""The AsyncAPI document: whole by the catalogues, and valid by the parser of the AsyncAPI project."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from samenloop.contract import TOPICS, files, from_json, to_json
from samenloop.contract.cloudevents import REQUIRED
from samenloop.contract.event_types import EVENT_TYPES

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[1] / "docs/reference/asyncapi.yaml"
TEXT = DOCUMENT.read_text(encoding="utf-8")
FOUND: dict[str, Any] = yaml.safe_load(TEXT)
MESSAGES: dict[str, Any] = FOUND["components"]["messages"]
PUBLIC = [topic for topic in TOPICS.values() if topic.public]


def types_in(part: Any) -> set[str]:
    """Return every event type that a schema allows."""
    return set(re.findall(r"nl\.samenloop\.[a-z-]+\.v\d+", json.dumps(part)))


def test_every_public_topic_has_its_channel() -> None:
    """Address, partitions, settings and operation follow the catalogue; the hub's own topics are not shown."""
    on_kafka = {name for name, one in FOUND["channels"].items() if "kafka" in one.get("bindings", {})}

    assert on_kafka == {topic.name for topic in PUBLIC}
    for topic in PUBLIC:
        channel = FOUND["channels"][topic.name]
        binding = channel["bindings"]["kafka"]
        assert channel["address"].replace("{prefix}", "p.") == topic.full_name("p.")
        assert binding["partitions"] == topic.partitions
        assert binding["topicConfiguration"]["cleanup.policy"] == [topic.cleanup]
        assert {key: str(binding["topicConfiguration"][key]) for key in topic.config if key != "cleanup.policy"} == {
            key: text for key, text in topic.config.items() if key != "cleanup.policy"
        }
        assert FOUND["operations"][f"send-{topic.name}"]["channel"] == {"$ref": f"#/channels/{topic.name}"}


@pytest.mark.parametrize("topic", PUBLIC, ids=lambda topic: topic.name)
def test_messages_are_what_the_hub_writes(topic: Any) -> None:
    """The payload is the file of the schema; the example reads as a record and is written the same way again."""
    record = topic.record.__name__
    message = MESSAGES[record]
    (example,) = message["examples"]

    assert message["payload"]["schema"] == files.current(record)
    assert to_json(from_json(topic.record, example["payload"])) == example["payload"]


def test_headers_are_those_without_which_an_event_is_refused() -> None:
    """Required in the document = required by the reader of envelopes."""
    assert set(FOUND["components"]["schemas"]["CloudEventsHeaders"]["required"]) == REQUIRED


def test_every_type_stands_where_it_is_met() -> None:
    """Each type of the catalogue is allowed by a message of its topic and of its ways over HTTP, and nowhere else."""
    for event in EVENT_TYPES.values():
        at = {
            name
            for name, channel in FOUND["channels"].items()
            if any(event.type in types_in(MESSAGES[message].get("headers", {})) for message in channel["messages"])
            or any(event.type in types_in(MESSAGES[message]["payload"]) for message in channel["messages"])
        }
        topics = {event.topic} & {topic.name for topic in PUBLIC}
        assert at == topics | set(event.ways), event.type


def test_texts_that_look_like_numbers_are_quoted() -> None:
    """An OIN begins with zeros; a reader of YAML 1.2 would take it for a number."""
    oins = re.findall(r"\boin: (.+)$", TEXT, re.MULTILINE)

    assert oins
    assert all(re.fullmatch(r'"\d{20}"', oin) for oin in oins)


# By its own parser.


def excerpt() -> dict[str, Any]:
    """Return a copy of the document with two channels only: quick to parse."""
    found: dict[str, Any] = json.loads(json.dumps(FOUND))
    channels = {name: found["channels"][name] for name in ("polls", "push")}
    kept = {message for channel in channels.values() for message in channel["messages"]}
    parts = found["components"]
    parts["messages"] = {name: message for name, message in parts["messages"].items() if name in kept}
    parts["schemas"] = {"CloudEventsHeaders": parts["schemas"]["CloudEventsHeaders"]}
    operations = {name: found["operations"][name] for name in ("send-polls", "receive-push")}
    return found | {"channels": channels, "operations": operations}


def unbroken(_: dict[str, Any]) -> None:
    """Nothing: what is found in the others is what was broken."""


def broken_payload(found: dict[str, Any]) -> None:
    """An Avro type that does not exist."""
    found["components"]["messages"]["SourcePoll"]["payload"]["schema"]["fields"][0]["type"] = "text"


def broken_operation(found: dict[str, Any]) -> None:
    """An operation with a message that its channel does not have."""
    found["operations"]["send-polls"]["messages"] = [{"$ref": "#/channels/push/messages/PlanChangedEvent"}]


def broken_example(found: dict[str, Any]) -> None:
    """An event without its id."""
    example = found["components"]["messages"]["PlanChangedEvent"]["examples"][0]
    example["payload"] = {name: value for name, value in example["payload"].items() if name != "id"}


BROKEN: dict[str, Callable[[dict[str, Any]], None]] = {
    "excerpt": unbroken,
    "payload": broken_payload,
    "operation": broken_operation,
    "example": broken_example,
}


@pytest.fixture(scope="module")
def modules() -> Path:
    """The folder with the parser as the lock file has it: fetched once into the user's cache, used offline then.

    Skips without node and npm; where packages cannot be had it skips too, but fails in CI.
    """
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("needs node and npm")
    pins = [HERE / "package.json", HERE / "package-lock.json"]
    key = hashlib.sha256(b"".join(path.read_bytes() for path in pins)).hexdigest()[:12]
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "samenloop"
    folder = root / f"asyncapi-{key}"
    if folder.is_dir():
        return folder
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root, prefix="asyncapi-") as name:
        for path in pins:
            shutil.copy(path, name)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
        said = subprocess.run(command, cwd=name, capture_output=True, text=True, check=False, timeout=240)
        if said.returncode:
            give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
            give_up(f"npm could not install the parser: {said.stderr.strip()[-500:]}")
        made = Path(name) / "whole"
        made.mkdir()
        (Path(name) / "node_modules").rename(made / "node_modules")
        try:
            made.rename(folder)
        except OSError:  # another run was first
            assert folder.is_dir()
    return folder


@pytest.fixture(scope="module")
def validated(modules: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the parser says of the document, and of its broken excerpts, by name."""
    folder = tmp_path_factory.mktemp("asyncapi")
    documents = {"whole": DOCUMENT}
    for name, breaks in BROKEN.items():
        found = excerpt()
        breaks(found)
        documents[name] = folder / f"{name}.json"
        documents[name].write_text(json.dumps(found), encoding="utf-8")
    command = ["node", str(HERE / "validate.mjs"), str(modules), *map(str, documents.values())]
    said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert said.returncode == 0, said.stderr
    return dict(zip(documents, json.loads(said.stdout), strict=True))


def errors(said: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in said["diagnostics"] if one["severity"] in ("error", "warning")]


def test_the_document_is_valid(validated: dict[str, Any]) -> None:
    """Neither errors nor warnings: structure, bindings, references, Avro, and every example against its schema."""
    said = validated["whole"]

    assert errors(said) == []
    assert said["channels"] == len(FOUND["channels"])
    assert said["operations"] == len(FOUND["operations"])
    assert said["messages"] == len(MESSAGES)
    assert said["schemas"] == len(PUBLIC)
    assert said["examples"] > len(PUBLIC)


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_found(validated: dict[str, Any], name: str) -> None:
    """The parser, Avro's and the examples' checks are really at work."""
    assert bool(errors(validated[name])) is (name != "excerpt")
