"""Metrics and health of one process."""

from __future__ import annotations

from collections.abc import Iterator
from http.client import HTTPConnection

import pytest

from samenloop.errors import BadSettings
from samenloop.serving import Health, Server


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


def test_other_paths_are_not_found(server: Server) -> None:
    """There is nothing else on this port."""
    assert get(server, "/secrets")[0] == 404


def test_a_port_that_is_taken_is_a_bad_setting(server: Server) -> None:
    """The message names the setting and the address."""
    port = int(server.address.rpartition(":")[2])

    with pytest.raises(BadSettings, match=rf"metrics.port: 127.0.0.1:{port} cannot be listened on"):
        Server("127.0.0.1", port, Health())
