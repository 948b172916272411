"""The registry: registers, finds, and refuses what breaks an earlier version; away is Retry."""

import copy
import json
import uuid
from typing import Any

import pytest

from samenloop.contract import TOPICS, Codec, files
from samenloop.contract.registry import LEVEL, Registry, register_schemas
from samenloop.errors import BadSettings, Reject, Retry


@pytest.fixture
def prefix() -> str:
    """A prefix of this test's own."""
    return f"t{uuid.uuid4().hex[:8]}."


def test_register_and_look_up(local_stack: Any, prefix: str) -> None:
    """Every schema is registered under FULL_TRANSITIVE; a second time gives the same ids; a codec finds them."""
    lines = register_schemas(local_stack.registry_url, prefix)

    assert register_schemas(local_stack.registry_url, prefix) == lines
    assert len(lines) == len(TOPICS)
    assert any(line.startswith(f"{prefix}plan-changes.v1-samenloop.v1.PlanChanged: id ") for line in lines)
    registry = Registry(local_stack.registry_url)
    assert registry.level() == LEVEL
    assert registry.level(TOPICS["alerts"].subject(prefix)) == LEVEL
    codec = Codec.from_registry(local_stack.registry_url, prefix)
    assert codec.wires["plan-changes"].frame[0] == 0


def test_refuses_a_break(local_stack: Any, prefix: str) -> None:
    """A schema that breaks an earlier version gets 409, which names the subject; one that fits gets its own id."""
    registry = Registry(local_stack.registry_url)
    topic = TOPICS["partners"]
    first = registry.register(topic, prefix)
    broken, fitting = copy.deepcopy(files.current("Partner")), copy.deepcopy(files.current("Partner"))
    broken["fields"].append({"name": "must", "type": "string", "doc": "(nl: moet)"})
    fitting["fields"].append({"name": "may", "type": ["null", "string"], "default": None, "doc": "(nl: mag)"})

    with pytest.raises(BadSettings, match=topic.subject(prefix)):
        registry.register_text(topic.subject(prefix), json.dumps(broken))
    assert not registry.fits(topic, prefix, broken)
    assert registry.fits(topic, prefix, fitting)
    assert registry.register_text(topic.subject(prefix), json.dumps(fitting)) != first


def test_newer_writer_is_asked_for_once(local_stack: Any, prefix: str) -> None:
    """A value with the id of a newer version is read by asking the registry, and then from memory."""
    register_schemas(local_stack.registry_url, prefix)
    registry, topic = Registry(local_stack.registry_url), TOPICS["partners"]
    newer = copy.deepcopy(files.current("Partner"))
    newer["fields"].append({"name": "may", "type": ["null", "string"], "default": None, "doc": "(nl: mag)"})
    number = registry.register_text(topic.subject(prefix), json.dumps(newer))
    codec = Codec.from_registry(local_stack.registry_url, prefix)

    assert registry.schema(number)["name"] == "Partner"
    with pytest.raises(Reject, match=r"schema\.unreadable"):
        codec.decode("partners", b"\x00" + number.to_bytes(4, "big"))


def test_unknown(local_stack: Any, prefix: str) -> None:
    """An id that nobody gave is refused; a hub whose schemas were never registered does not start."""
    registry = Registry(local_stack.registry_url)

    with pytest.raises(Reject, match=r"schema\.unknown-id"):
        registry.schema(999_999)
    with pytest.raises(BadSettings, match="samenloop schemas register"):
        Codec.from_registry(local_stack.registry_url, prefix)


def test_away() -> None:
    """A registry that does not answer is tried again later."""
    registry = Registry("http://127.0.0.1:9/apis/ccompat/v7", timeout_s=1, retries=0)

    with pytest.raises(Retry, match=r"registry\.away"):
        registry.schema(1)
    with pytest.raises(Retry, match=r"registry\.away"):
        registry.lookup(TOPICS["alerts"], "x.")
