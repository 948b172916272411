"""Fixtures of the edge's tests."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from samenloop.localstack import LocalStack
from samenloop.partners import add_partner
from tests.edge.processes import Play, Process, Sender, make_play, wait
from tests.edge.scenes import Scene, make_scene


@pytest.fixture
def scene() -> Iterator[Scene]:
    """An edge as it is by default."""
    made = make_scene()
    yield made
    made.services.close()


@pytest.fixture(scope="module")
def play(local_stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Play:
    """A hub with topics and schemas."""
    return make_play(
        local_stack,
        tmp_path_factory.mktemp("hub"),
        "edge: {port: 0, acknowledge_seconds: 3, requests_at_once: 1000, public: true}\nlogs: {form: json}\n",
    )


@pytest.fixture(scope="module")
def edge(play: Play) -> Iterator[Process]:
    """An edge that outlives every test of this file, Kafka's absence included."""
    with play.process("edge") as running:
        yield running


@pytest.fixture
def sender(play: Play, edge: Process) -> Sender:
    """A partner that nobody else is; the edge knows it."""
    oin = f"00000099{secrets.randbelow(10**12):012d}"
    _, key = add_partner(play.hub, play.codec, oin, "Waterschap", now=datetime.now(UTC))
    made = Sender(play, oin, key)
    wait(lambda: made.post(edge.url, {}).status_code == 400, "the edge knows the partner")
    return made
