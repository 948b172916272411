"""Metrics and health of one process."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from samenloop.errors import BadSettings
from samenloop.serving import NEEDS, Health, Server


class Clock:
    """A clock that stands still until it is moved."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(clock=clock)


@pytest.fixture
def server(health: Health) -> Iterator[Server]:
    server = Server("127.0.0.1", 0, health)
    yield server
    server.close()


def get(server: Server, path: str) -> tuple[int, str]:
    connection = HTTPConnection(server.address.removeprefix("http://"), timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def test_metrics_are_served(server: Server) -> None:
    """`/metrics` has every metric, the build among them."""
    status, text = get(server, "/metrics")

    assert status == 200
    assert "samenloop_build_info" in text


def test_live_while_the_loop_turns(server: Server, health: Health, clock: Clock) -> None:
    """Live means that the loop turned within 30 s; it is no question of Kafka."""
    fresh = get(server, "/live")[0]
    clock.seconds = 31
    stuck = get(server, "/live")[0]
    health.turn()

    assert (fresh, stuck, get(server, "/live")[0]) == (200, 503, 200)


def test_ready_when_the_process_says_so(server: Server, health: Health) -> None:
    """Ready is said once, however often it is confirmed."""
    said: list[bool] = []
    health.when_ready(lambda: said.append(True))

    before = get(server, "/ready")[0]
    health.become_ready()
    health.become_ready()

    assert (before, get(server, "/ready")[0]) == (503, 200)
    assert said == [True]


def test_each_check_is_named_with_what_it_waits_for(server: Server) -> None:
    """Whoever finds a process not ready sees which need is lacking; ready needs all, and one may be lacking again."""
    health = Health(needs=("registry", "assignment"))
    named = Server("127.0.0.1", 0, health)
    health.met("registry")
    half = get(named, "/health/ready")
    health.become_ready()
    whole = get(named, "/health/ready")
    health.lacks("assignment", "the state is being rebuilt")
    again = get(named, "/health/ready")
    named.close()

    assert (half[0], json.loads(half[1])["checks"]) == (503, {"registry": "ok", "assignment": "not yet"})
    assert (whole[0], json.loads(whole[1])["status"]) == (200, "ready")
    assert (again[0], json.loads(again[1])["checks"]["assignment"]) == (503, "the state is being rebuilt")


def test_needs_of_every_process_are_documented() -> None:
    """The page for operators names each check of each kind of process."""
    page = (Path(__file__).parents[2] / "docs" / "operators" / "monitoring.md").read_text()

    assert {check for needs in NEEDS.values() for check in needs} == set(
        re.findall(r"^\| `(\w+)` \| (?!the state)", page.partition("| Check | Good when |")[2].partition("##")[0], re.M)
    )


def test_other_paths_are_not_found(server: Server) -> None:
    """There is nothing else on this port."""
    assert get(server, "/secrets")[0] == 404


def test_a_port_that_is_taken_is_a_bad_setting(server: Server) -> None:
    """The message names the setting and the address."""
    port = int(server.address.rpartition(":")[2])

    with pytest.raises(BadSettings, match=rf"metrics.port: 127.0.0.1:{port} cannot be listened on"):
        Server("127.0.0.1", port, Health())
